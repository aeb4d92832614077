"""Slow changes that no single step shows. Pure functions of numbers (`robust.py` says of which).

Sources: Theil–Sen's slope (Sen 1968; scipy.stats.theilslopes), its interval widened for correlated nights (Hamed and
Rao 1998).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from suite.judge.robust import FEWEST_BEFORE, MOST_BEFORE, correlation, cut, spread, standard_error

__all__ = ["Drift", "crept", "drift"]

DRIFT_NIGHTS = 60
DRIFT_ALPHA = 0.001
"""Two-sided: a drift is looked for every night."""
SUREST = 1.0 - 1e-12
"""Of an interval: a confidence of 1 has none."""


@dataclass(frozen=True)
class Drift:
    """A slow change over the last nights."""

    change: float
    """Relative, over all of them."""
    low: float
    high: float
    """99.9 % interval."""
    nights: int


def drift(values: Sequence[float], delta: float) -> Drift | None:
    """A slow change over the last nights that no single step shows; None where there is none of at least `delta`."""
    z = np.asarray(values[-DRIFT_NIGHTS:], dtype=float)
    if len(z) < 2 * FEWEST_BEFORE:
        return None
    nights = len(z) - 1
    places = np.arange(len(z))
    slope, middle, *_ = stats.theilslopes(z, places)
    phi = correlation(z - middle - slope * places)
    wider = float(stats.norm.ppf(1.0 - DRIFT_ALPHA / 2.0)) * math.sqrt((1.0 + phi) / (1.0 - phi))
    confidence = min(2.0 * float(stats.norm.cdf(wider)) - 1.0, SUREST)
    low, high = stats.theilslopes(z, places, alpha=confidence)[2:]
    if low <= 0.0 <= high or abs(slope * nights) < math.log1p(delta):
        return None
    change, low, high = (math.expm1(float(value) * nights) for value in (slope, low, high))
    return Drift(change, low, high, len(z))


def crept(values: Sequence[float], delta: float) -> Drift | None:
    """How far the last nights stand from the first ones, where steps too small to be seen have added up to `delta`.

    Of series that are longer than a drift looks back; the interval is that of two means in AR(1) noise.
    """
    if len(values) <= DRIFT_NIGHTS:
        return None
    z = np.asarray(values, dtype=float)
    first, last = (cut(side, spread(side)) for side in (z[:MOST_BEFORE], z[-MOST_BEFORE:]))
    change = float(last.mean() - first.mean())
    error, freedom = standard_error(first, last)
    reach = float(stats.t.ppf(1.0 - DRIFT_ALPHA / 2.0, freedom)) * error
    if abs(change) < max(math.log1p(delta), reach):
        return None
    return Drift(math.expm1(change), math.expm1(change - reach), math.expm1(change + reach), len(z))
