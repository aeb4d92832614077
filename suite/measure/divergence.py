"""Whether training held together, judged once after the run from what the loop recorded."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from suite.record import StepTrace

__all__ = ["LONGEST_SKIP_RUN", "divergence", "first_nonfinite"]

LONGEST_SKIP_RUN = 20
"""So many skipped steps in a row count as diverged: from 2^16, 20 halvings end below a scale of 1."""


def divergence(steps: StepTrace, model: nn.Module) -> tuple[int | None, str] | None:
    """First bad step and one sentence, or None for a run that held together."""
    for step, (loss, overflowed) in enumerate(zip(steps.losses, steps.overflowed, strict=True)):
        skipped = overflowed and steps.skips_overflow
        if not skipped and (overflowed or not math.isfinite(loss)):
            what = "a gradient" if overflowed else "the loss"
            return step, f"{what} was not finite at step {step}, and the step was applied."
    scales = () if steps.scales is None or steps.last_scale is None else (*steps.scales[1:], steps.last_scale)
    for step, scale_after in enumerate(scales):
        if scale_after < 1.0:
            return step, f"the loss scale fell below 1 at step {step}."
    broken = _end_without_finite_loss(steps.losses)
    if broken is not None:
        return broken, f"the loss was not finite from step {broken} to the last, so none of these steps was applied."
    run = 0
    for step, overflowed in enumerate(steps.overflowed):
        run = run + 1 if overflowed else 0
        if run == LONGEST_SKIP_RUN or (run == step + 1 == len(steps.overflowed)):
            return step - run + 1, f"every one of {run} steps from step {step - run + 1} on overflowed and was skipped."
    bad = first_nonfinite(model)
    return None if bad is None else (None, f"{bad} is not finite after training.")


def _end_without_finite_loss(losses: Sequence[float]) -> int | None:
    """First step of the run's end in which no loss was finite: no loss scale mends a forward pass that overflows."""
    start = len(losses)
    while start and not math.isfinite(losses[start - 1]):
        start -= 1
    return start if start < len(losses) else None


def first_nonfinite(model: nn.Module) -> str | None:
    """Name of the first parameter or buffer that holds an infinity or NaN (an overflowed forward pass poisons
    BatchNorm's running statistics although the step was skipped)."""
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            return name
    return None
