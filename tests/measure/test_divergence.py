from __future__ import annotations

import math

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
        # A forward pass that overflows once and not again is a skipped step like any other.
        ([1.0, INF, 1.0], [False, True, False], None),
        ([1.0, 1.0, NAN], [False, False, True], 2),
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


def test_a_poisoned_buffer_is_found_by_name() -> None:
    model = nn.BatchNorm1d(2)
    assert first_nonfinite(model) is None
    model.running_var[1] = torch.inf
    assert first_nonfinite(model) == "running_var"
