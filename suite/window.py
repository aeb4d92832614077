"""Which of a trial's steps are timed, and which of them the instruments see."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

__all__ = ["first_observed", "warmup_cut"]

SETTLED = 0.02
"""A 5-step median within 2 % of the last half's median counts as steady."""
LARGEST_SHARE = 0.3
"""The warm-up never takes more than this share of the steps, unless the minimum itself is larger."""


def first_observed(warmup_steps: int) -> int:
    """The step before which the instruments are read: the last of the fixed warm-up, or the first of all without one.

    Reading them lets a GPU run out of work, and launching kernels takes longest when none is queued. That falls upon
    this step, which is not timed; at the next one the queue is full again.
    """
    return max(warmup_steps - 1, 0)


def warmup_cut(step_seconds: Sequence[float], minimum: int) -> int:
    """How many first steps are warm-up: at least `minimum`, then until the running 5-step median settles, capped.

    Computed after the run from the recorded times, so that nothing is decided inside the timed loop.
    """
    steps = len(step_seconds)
    cap = max(minimum, int(LARGEST_SHARE * steps))
    steady = statistics.median(step_seconds[steps // 2 :])
    for cut in range(minimum, cap):
        if abs(statistics.median(step_seconds[cut : cut + 5]) - steady) <= SETTLED * steady:
            return cut
    return cap
