from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from suite.measure.divergence import divergence, first_nonfinite
from suite.record import StepTrace

NAN, INF = math.nan, math.inf


def _trace(losses: list[float], overflowed: list[bool]) -> StepTrace:
    steps = len(losses)
    return StepTrace(
        seconds=(1.0,) * steps,
        losses=tuple(losses),
        gradient_norms=(1.0,) * steps,
        overflowed=tuple(overflowed),
        scales=(1024.0,) * steps,
        skips_overflow=True,
        last_scale=1024.0,
        warmup_steps=0,
    )


@pytest.mark.parametrize(
    ("losses", "overflowed", "found"),
    [
        # A forward pass that overflows once and not again is a skipped step like any other, the last one too.
        ([1.0, INF, 1.0], [False, True, False], None),
        ([1.0, 1.0, 1.0, NAN], [False, False, False, True], None),
        ([1.0, NAN, INF, NAN], [False, True, True, True], 1),
        # Here it is the gradients alone that overflow: the next scale, or the next batch, may fit.
        ([1.0, 1.0, 1.0], [False, True, True], None),
    ],
)
def test_a_run_that_ends_without_a_finite_loss_has_diverged(
    losses: list[float], overflowed: list[bool], found: int | None
) -> None:
    verdict = divergence(_trace(losses, overflowed), nn.Linear(1, 1))
    assert verdict == (
        None
        if found is None
        else (found, f"the loss was not finite from step {found} to the last, so none of these steps was applied.")
    )


def _dynamic(first_overflow: int, steps: int, scale: float) -> StepTrace:
    """Every step from one on has an infinite loss, and each halves the scale."""
    overflowed = [step >= first_overflow for step in range(steps)]
    scales = [scale * 0.5 ** max(0, step - first_overflow) for step in range(steps + 1)]
    losses = [INF if flag else 1.0 for flag in overflowed]
    return replace(_trace(losses, overflowed), scales=tuple(scales[:-1]), last_scale=scales[-1])


@pytest.mark.parametrize(("first", "steps", "scale"), [(10, 30, 1024.0), (3, 23, 65536.0), (3, 40, 65536.0)])
def test_the_step_at_which_it_began_is_named_and_not_the_one_at_which_a_limit_was_reached(
    first: int, steps: int, scale: float
) -> None:
    found = divergence(_dynamic(first, steps, scale), nn.Linear(1, 1))
    assert found is not None
    assert found[0] == first


def test_a_scale_that_falls_below_one_names_where_the_overflows_began() -> None:
    trace = replace(_dynamic(2, 6, 4.0), losses=(1.0,) * 6)
    assert divergence(trace, nn.Linear(1, 1)) == (
        2,
        "the loss scale fell below 1 at step 4, after overflows from step 2 on.",
    )


def test_a_poisoned_buffer_is_found_by_name() -> None:
    model = nn.BatchNorm1d(2)
    assert first_nonfinite(model) is None
    model.running_var[1] = torch.inf
    assert first_nonfinite(model) == "running_var"
