"""Whether training held together, judged once after the run from what the loop recorded."""

from __future__ import annotations

import math

import torch
from torch import nn

from suite.record import StepTrace

__all__ = ["LONGEST_SKIP_RUN", "divergence", "first_nonfinite"]

LONGEST_SKIP_RUN = 20
"""So many skipped steps in a row count as diverged: from 2^16, 20 halvings end below a scale of 1."""


FEWEST_LOST_LOSSES = 3
"""So many losses that are not finite at the end of a run count as diverged. One batch may overflow by itself; no loss
scale mends a forward pass that does so from some step on."""


def divergence(steps: StepTrace, model: nn.Module) -> tuple[int | None, str] | None:
    """First bad step and one sentence, or None for a run that held together.

    Where several things went wrong, the one that began first is named.
    """
    found = [seen for rule in (_applied, _fallen_scale, _lost_losses, _skipped_for_ever) if (seen := rule(steps))]
    if found:
        return min(found, key=lambda seen: seen[0])
    bad = first_nonfinite(model)
    return None if bad is None else (None, f"{bad} is not finite after training.")


def _applied(steps: StepTrace) -> tuple[int, str] | None:
    """The first step that was applied although it was not finite."""
    for step, (loss, overflowed) in enumerate(zip(steps.losses, steps.overflowed, strict=True)):
        skipped = overflowed and steps.skips_overflow
        if not skipped and (overflowed or not math.isfinite(loss)):
            what = "a gradient" if overflowed else "the loss"
            return step, f"{what} was not finite at step {step}, and the step was applied."
    return None


def _fallen_scale(steps: StepTrace) -> tuple[int, str] | None:
    """Where the run of skipped steps began that took the loss scale below 1."""
    scales = () if steps.scales is None or steps.last_scale is None else (*steps.scales[1:], steps.last_scale)
    for step, scale_after in enumerate(scales):
        if scale_after < 1.0:
            start = step
            while start and steps.overflowed[start - 1]:
                start -= 1
            since = "" if start == step else f", after overflows from step {start} on"
            return start, f"the loss scale fell below 1 at step {step}{since}."
    return None


def _lost_losses(steps: StepTrace) -> tuple[int, str] | None:
    """First step of the run's end in which no loss was finite."""
    start = len(steps.losses)
    while start and not math.isfinite(steps.losses[start - 1]):
        start -= 1
    if len(steps.losses) - start < min(FEWEST_LOST_LOSSES, len(steps.losses)):
        return None
    return start, f"the loss was not finite from step {start} to the last, so none of these steps was applied."


def _skipped_for_ever(steps: StepTrace) -> tuple[int, str] | None:
    """The first run of skipped steps that is too long, or is the whole training."""
    run = 0
    for step, overflowed in enumerate(steps.overflowed):
        run = run + 1 if overflowed else 0
        if run == LONGEST_SKIP_RUN or (run == step + 1 == len(steps.overflowed)):
            return step - run + 1, f"every one of {run} steps from step {step - run + 1} on overflowed and was skipped."
    return None


def first_nonfinite(model: nn.Module) -> str | None:
    """Name of the first parameter or buffer that holds an infinity or NaN (an overflowed forward pass poisons
    BatchNorm's running statistics although the step was skipped)."""
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            return name
    return None
