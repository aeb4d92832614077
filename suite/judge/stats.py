"""Two samples of process-level step times: how much slower, how sure, and what could have been seen.

The unit is the fresh process. Steps inside one process are correlated, and a test that pools them raises 20–44 %
false alarms on clean noise (pilot in the research notes behind docs/decisions/0004). scipy and statsmodels do the
statistics; here they are joined.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats
from statsmodels.stats.weightstats import ttost_ind

__all__ = [
    "ALPHA",
    "FEWEST",
    "MOST_RUNS",
    "POWER",
    "TimeComparison",
    "adjust",
    "compare_seconds",
    "minimum_detectable",
    "runs_to_decide",
]

ALPHA = 0.01
"""One-sided level of a single test."""
POWER = 0.9
"""The minimum detectable effect is what a test at ALPHA finds with this probability."""
FEWEST = 3
"""Fewer processes on either side carry no usable estimate of the spread."""
MOST_RUNS = 200
"""Where the search for the number of runs that would decide gives up."""


@dataclass(frozen=True)
class TimeComparison:
    """Candidate against base, in relative change of the time (0.03 is 3 % slower). None where K is too small."""

    change: float
    low: float | None
    high: float | None
    """98 % interval: two one-sided bounds at ALPHA."""
    p_slower: float | None
    p_faster: float | None
    p_unchanged: float | None
    """Of the two one-sided tests against ±delta: small means equivalent."""
    error: float = 0.0
    """Standard error of the difference of the logarithms."""
    freedom: float = 1.0
    """Welch's degrees of freedom."""
    variances: float = 0.0
    """Sum of both sides' variances of the logarithms."""
    fewest: int = 0
    """Processes on the smaller side."""


def compare_seconds(base: Sequence[float], candidate: Sequence[float], delta: float) -> TimeComparison:
    """Welch's t-test and two one-sided tests on the logarithms of per-process step seconds.

    `delta` is the smallest relative change that matters. The formulas are those of scipy.stats.ttest_ind
    (equal_var=False) and statsmodels ttost_ind (usevar="unequal").
    """
    x, y = np.log(np.asarray(base, dtype=float)), np.log(np.asarray(candidate, dtype=float))
    difference = float(y.mean() - x.mean())
    if min(len(x), len(y)) < FEWEST:
        return TimeComparison(math.expm1(difference), None, None, None, None, None)
    error = math.sqrt(x.var(ddof=1) / len(x) + y.var(ddof=1) / len(y))
    if error == 0.0:
        return _without_noise(difference, delta)
    limit = math.log1p(delta)
    with warnings.catch_warnings():
        # Both libraries warn of precision loss where one side has no spread; the other side's carries the test.
        warnings.simplefilter("ignore", RuntimeWarning)
        freedom = float(stats.ttest_ind(y, x, equal_var=False).df)
        p_unchanged = float(ttost_ind(y, x, -limit, limit, usevar="unequal")[0])
    reach = float(stats.t.ppf(1 - ALPHA, freedom)) * error
    return TimeComparison(
        change=math.expm1(difference),
        low=math.expm1(difference - reach),
        high=math.expm1(difference + reach),
        p_slower=float(stats.t.sf(difference / error, freedom)),
        p_faster=float(stats.t.sf(-difference / error, freedom)),
        p_unchanged=p_unchanged,
        error=error,
        freedom=freedom,
        variances=float(x.var(ddof=1) + y.var(ddof=1)),
        fewest=min(len(x), len(y)),
    )


def adjust(p_values: Sequence[float]) -> list[float]:
    """Benjamini–Hochberg over a family of p-values (scipy.stats.false_discovery_control)."""
    return [float(p) for p in stats.false_discovery_control(p_values, method="bh")] if p_values else []


def _without_noise(difference: float, delta: float) -> TimeComparison:
    """Every process took exactly the same time: the difference is exact, and any difference is significant."""
    change = math.expm1(difference)
    inside = abs(difference) < math.log1p(delta)
    return TimeComparison(
        change=change,
        low=change,
        high=change,
        p_slower=0.0 if difference > 0 else 1.0,
        p_faster=0.0 if difference < 0 else 1.0,
        p_unchanged=0.0 if inside else 1.0,
    )


def minimum_detectable(result: TimeComparison, level: float, delta: float) -> float:
    """The relative slow-down that would have been called one with probability POWER, at the spread seen.

    An alarm needs the test at `level` (one-sided), whose power follows from the non-central t distribution, and a
    difference of at least `delta`, which a normally distributed mean exceeds; the larger of the two demands counts.
    """
    critical = float(stats.t.ppf(1 - level, result.freedom))

    def shortfall(noncentrality: float) -> float:
        return float(stats.nct.sf(critical, result.freedom, noncentrality)) - POWER

    by_test = float(optimize.brentq(shortfall, 0.0, 20.0 * critical)) * result.error
    by_floor = math.log1p(delta) + float(stats.norm.ppf(POWER)) * result.error
    return math.expm1(max(by_test, by_floor))


def runs_to_decide(result: TimeComparison, level: float, delta: float) -> int | None:
    """Smallest K a side that would give a verdict if difference and spread stayed as they are; None above MOST_RUNS.

    `unchanged` needs a 90 % interval inside ±delta, an alarm a one-sided test at `level` of a difference beyond it.
    """
    difference, limit = abs(math.log1p(result.change)), math.log1p(delta)
    runs = np.arange(result.fewest + 1, MOST_RUNS)
    error, freedom = np.sqrt(result.variances / runs), 2 * runs - 2
    if difference < limit:
        decides = difference + stats.t.ppf(0.95, freedom) * error < limit
    else:
        decides = stats.t.ppf(1 - level, freedom) * error < difference
    return int(runs[decides][0]) if decides.any() else None
