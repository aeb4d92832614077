"""A single night, the last one: whether it stands out, and whether it is worth a fresh run. Pure functions of numbers.

One night proves nothing, but nobody should overlook it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from suite.judge.robust import FEWEST_AFTER, FEWEST_BEFORE, MOST_BEFORE, median, noise_of, spread

__all__ = ["noise", "out_of_line", "out_of_line_of_few", "worth_a_run"]

SUSPICIOUS = 1.3
"""So far above the level is a single night worth a fresh run: two in three of them are only noise."""
LONE = 3.5
"""So far above the level a single night is shown as out of line (Iglewicz and Hoaglin 1993)."""


def out_of_line(values: Sequence[float], delta: float) -> float | None:
    """How far the last night stands above those before it, relative; None where it does not stand out.

    One night proves nothing, but nobody should overlook it.
    """
    above, own = _last_above(values)
    return math.expm1(above) if above > max(LONE * own, math.log1p(delta)) else None


def out_of_line_of_few(values: Sequence[float], one_night: float, delta: float, *, accepted: bool) -> float | None:
    """The same of the last of a few nights, where the noise of `one_night` is known from earlier ones.

    Where the first of them is an `accepted` level it is measured from the fastest of the others: of a level that has
    risen at once the others hardly show where it was. Else from the second fastest, for one fast night is no level; and
    nights that are noisier than the earlier ones tell so themselves once they are four.
    """
    others = np.sort(np.asarray(values[:-1], dtype=float))
    if not len(others):
        return None
    level = others[0] if accepted or len(others) < FEWEST_AFTER else others[1]
    own = spread(others) if len(others) > FEWEST_AFTER and not accepted else 0.0
    above = float(values[-1] - level)
    return math.expm1(above) if above > max(LONE * math.sqrt(2.0) * max(one_night, own), math.log1p(delta)) else None


def noise(values: Sequence[float]) -> float | None:
    """The standard deviation of one night, of the last nights whatever level they were at; None of too few."""
    return noise_of(np.asarray(values[-MOST_BEFORE:], dtype=float)) if len(values) >= FEWEST_BEFORE else None


def worth_a_run(values: Sequence[float], delta: float) -> bool:
    """Whether a fresh run should be made after the last night: it may be the first of a lasting change."""
    above, own = _last_above(values)
    return above > max(SUSPICIOUS * own, math.log1p(delta) / 2.0)


def _last_above(values: Sequence[float]) -> tuple[float, float]:
    """How far the last night stands above the median of those before it, and their spread; 0 where they are few."""
    before = np.asarray(values[-1 - MOST_BEFORE : -1], dtype=float)
    if len(before) < FEWEST_BEFORE:
        return 0.0, 0.0
    return float(values[-1]) - median(before), spread(before)
