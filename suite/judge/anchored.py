"""A series of nights without what its same-night anchor explains. Pure functions of numbers.

The anchor is the approved baseline's code, run in turn with the candidate: what moves both is the machine. How far the
anchor is followed is learnt from the series themselves (docs/decisions/0013; measured in docs/detectors.md).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from suite.judge.robust import FEWEST_AFTER, Series, without_spikes

__all__ = ["adjusted"]

SURELY = 2.0
"""Standard errors of a correlation that is no chance."""
LAG = 10
"""Nights between the two whose difference teaches how far the anchor follows: a machine keeps its mood for longer."""


def adjusted(values: Sequence[float], anchor: Sequence[float]) -> list[float]:
    """The series without what its same-night anchor explains: y − b (a − mean a).

    b says how far differences over several nights follow the anchor's, held within 0 and 1; over one night they would
    be mostly noise of the two measurements, which draws b towards 0. Of the lines with the smallest squared and the
    smallest absolute errors the steeper one counts: noise flattens the second more, and a regression of the code that
    coincides with another state of the machine only the first. b is 0 where the two are not surely correlated: an
    anchor that explains nothing would only add its noise. A spike counts as far as both have it: one slow night of the
    anchor alone explains nothing, and must not teach b that nothing follows.
    """
    if len(values) < FEWEST_AFTER:
        return list(values)
    y, a = _without_lone_spikes(np.asarray(values, dtype=float), np.asarray(anchor, dtype=float))
    if not _correlated(y, a):
        return list(values)
    lag = min(LAG, len(y) - 1)
    dy, da = (side[lag:] - side[:-lag] for side in (y, a))
    share = min(1.0, max(0.0, float(dy @ da) / float(da @ da), _slope(da, dy))) if da.any() else 0.0
    return [float(value) for value in np.asarray(values, dtype=float) - share * (a - a.mean())]


def _slope(x: Series, y: Series) -> float:
    """Of the line through the origin with the smallest sum of absolute errors: the weighted median of y / x."""
    moved = x != 0.0
    slopes, weights = y[moved] / x[moved], np.abs(x[moved])
    order = np.argsort(slopes)
    reached = np.cumsum(weights[order])
    return float(slopes[order][np.searchsorted(reached, reached[-1] / 2.0)]) if len(order) else 0.0


def _without_lone_spikes(y: Series, a: Series) -> tuple[Series, Series]:
    """Both without what stands out on one side only."""
    smooth = without_spikes(y), without_spikes(a)
    rest = y - smooth[0], a - smooth[1]
    both = np.where(rest[0] * rest[1] > 0, np.sign(rest[1]) * np.minimum(np.abs(rest[0]), np.abs(rest[1])), 0.0)
    return smooth[0] + both, smooth[1] + both


def _correlated(y: Series, a: Series) -> bool:
    """Whether two series go together by more than SURELY standard errors of independent ones (1/√n)."""
    if not y.std() or not a.std():
        return False
    return float(np.corrcoef(y, a)[0, 1]) > SURELY / math.sqrt(len(y))
