"""A positive quantity over fresh processes, and the ratio of two, with 95 % intervals.

Rates, costs and times are positive and skewed, so means and intervals are those of logarithms. The unit is the process.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from suite.judge.error_rates import RATIO_LEVEL

__all__ = ["LEVEL", "Estimate", "estimate", "half_width", "ratio"]

LEVEL = RATIO_LEVEL

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval; without one where there are fewer than two processes."""

    value: float
    low: float | None = None
    high: float | None = None

    def times(self, factor: float) -> Estimate:
        """In another unit; `factor` is above 0."""
        low, high = (None if bound is None else factor * bound for bound in (self.low, self.high))
        return Estimate(factor * self.value, low, high)

    def inverse(self) -> Estimate:
        """One over it: money per sample as samples per money."""
        low, high = (None if bound is None else 1.0 / bound for bound in (self.high, self.low))
        return Estimate(1.0 / self.value, low, high)


def estimate(values: Sequence[float]) -> Estimate:
    """Geometric mean of positive numbers, one per process."""
    logs = np.log(np.asarray(values, dtype=float))
    return _of_logarithm(float(logs.mean()), half_width(logs))


def ratio(above: Sequence[float], below: Sequence[float]) -> Estimate:
    """Geometric mean of the one over that of the other."""
    top, bottom = (np.log(np.asarray(side, dtype=float)) for side in (above, below))
    return _of_logarithm(float(top.mean() - bottom.mean()), half_width(top, bottom))


def half_width(*sides: Values) -> float | None:
    """Of the interval of a sum or difference of independent means; None where a side has a single value.

    Student's for one side, and Welch's (1947) for several.
    """
    if min(map(len, sides)) < 2:
        return None
    parts = [float(side.var(ddof=1)) / len(side) for side in sides]
    variance = sum(parts)
    if not variance:
        return 0.0
    freedom = variance**2 / sum(part**2 / (len(side) - 1) for part, side in zip(parts, sides, strict=True))
    return float(stats.t.ppf((1 + LEVEL) / 2, freedom)) * math.sqrt(variance)


def _of_logarithm(mean: float, reach: float | None) -> Estimate:
    if reach is None:
        return Estimate(math.exp(mean))
    return Estimate(math.exp(mean), math.exp(mean - reach), math.exp(mean + reach))
