"""Two samples of one number per process: how far apart, how sure, and what could have been seen.

The unit is the fresh process (for quality the seed). Steps inside one process are correlated, and a test that pools
them raises 20–44 % false alarms on clean noise (docs/detectors.md; docs/decisions/0004). scipy and statsmodels do the
statistics; here they are joined. Every number is on the scale of its input: the logarithm of a time or of bytes, whose
differences are relative changes, or the unit of a quality metric.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize, stats
from statsmodels.stats.weightstats import ttost_ind, ttost_paired

from suite.judge.error_rates import ALPHA, EQUIVALENCE, Q

__all__ = [
    "ALPHA",
    "EQUIVALENCE",
    "FEWEST",
    "MOST_LOOKS",
    "MOST_RUNS",
    "POWER",
    "TOP_UP_PROCESSES",
    "Comparison",
    "Levels",
    "Q",
    "adjust",
    "compare",
    "compare_blocks",
    "minimum_detectable",
    "more_helps",
    "runs_to_decide",
]

POWER = 0.9
"""The minimum detectable effect is what a test at its level finds with this probability."""
FEWEST = 3
"""Fewer processes on either side carry no usable estimate of the spread."""
TOGETHER = 0.3
"""Correlation of blocks from which on they are pairs."""
CHOICE = 1.4
"""What choosing between pairs and two samples by that correlation costs."""
MOST_LOOKS = 3
"""Looks at the data with `--top-up`: each has a third of the error rates (Bonferroni)."""
TOP_UP_PROCESSES = 5
"""Of each undecided cell, at each further look."""
WORTH = 0.9
"""A top-up must bring the bounds closer by a tenth."""
MOST_RUNS = 200
"""Where the search for the number of runs that would decide gives up."""

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Levels:
    """The error rates of one look at the data."""

    alpha: float = ALPHA
    q: float = Q
    equivalence: float = EQUIVALENCE

    def split(self, looks: int) -> Levels:
        """Each of so many looks gets its share (Bonferroni), so that looking again does not add to the error."""
        return Levels(self.alpha / looks, self.q / looks, self.equivalence / looks)

    def required(self, family: int) -> float:
        """The one-sided p that a single true change among `family` cells must reach to survive the correction."""
        return min(self.alpha, self.q / (2 * max(1, family)))


@dataclass(frozen=True)
class Comparison:
    """Candidate minus base. None where there are too few processes."""

    difference: float
    low: float | None = None
    high: float | None = None
    """98 % interval: two one-sided bounds at ALPHA."""
    low90: float | None = None
    high90: float | None = None
    """90 % interval, which `unchanged` is read off."""
    p_above: float | None = None
    p_below: float | None = None
    """One-sided: that the difference is above 0, or below it, by chance."""
    p_within: float | None = None
    """Of the two one-sided tests against ±limit: small means equivalent."""
    paired: bool = False
    error: float = 0.0
    """Standard error of the difference."""
    freedom: float = 1.0
    """Degrees of freedom."""
    variance: float = 0.0
    """Of the difference between one process and another, within the sides."""
    fewest: int = 0
    """Processes on the smaller side."""
    cost: float = 1.0
    """By how much every p was multiplied, for a choice that the data made."""

    @property
    def p(self) -> float | None:
        """Two-sided."""
        return None if self.p_above is None or self.p_below is None else min(1.0, 2 * min(self.p_above, self.p_below))


def compare_blocks(base: Sequence[float], candidate: Sequence[float], limit: float) -> Comparison:
    """Blocks of both sides that were run in turn: as pairs where they go together, else as two samples.

    Pairs have half the degrees of freedom, which costs much where the blocks share nothing: a slow-down of 3 % in one
    of 20 cells was found in 71 % of draws as pairs of five, in 94 % by this choice (processes 0.6 %); where the blocks
    share a state of the machine of 2 %, it was found in 7 % by Welch and in 63 % by this choice. A choice by the data
    costs: every p is CHOICE times as large, with which 0.6 to 1.1 % of equal sides were called slower at 3 to 10 blocks
    and 2 or 3 % of noise, and the 98 % interval held the truth 97 to 99 % of the time (600 to 3000 draws each).
    """
    x, y = np.asarray(base, dtype=float), np.asarray(candidate, dtype=float)
    together = len(x) >= FEWEST and x.std() > 0 and y.std() > 0 and float(np.corrcoef(x, y)[0, 1]) > TOGETHER
    return compare(base, candidate, limit, paired=together, cost=CHOICE)


def compare(
    base: Sequence[float], candidate: Sequence[float], limit: float, *, paired: bool = False, cost: float = 1.0
) -> Comparison:
    """Welch's t-test, or Student's on the differences of pairs, and two one-sided tests against ±limit.

    The formulas are those of scipy.stats.ttest_ind (equal_var=False) and ttest_rel, and of statsmodels ttost_ind
    (usevar="unequal") and ttost_paired. Pairs are the values at equal places. Every p is `cost` times as large, and the
    intervals are as much surer.
    """
    x, y = np.asarray(base, dtype=float), np.asarray(candidate, dtype=float)
    difference = float(y.mean() - x.mean())
    fewest = min(len(x), len(y))
    if fewest < FEWEST:
        return Comparison(difference, paired=paired, fewest=fewest)
    variance = float((y - x).var(ddof=1) if paired else x.var(ddof=1) + y.var(ddof=1))
    error = math.sqrt(variance / fewest if paired else x.var(ddof=1) / len(x) + y.var(ddof=1) / len(y))
    if error == 0.0:
        return _without_noise(difference, limit, fewest, paired=paired)
    freedom, p_within = _tests(x, y, limit, paired=paired)
    reach, reach90 = (float(stats.t.ppf(1 - level / cost, freedom)) * error for level in (ALPHA, EQUIVALENCE))
    return Comparison(
        difference=difference,
        low=difference - reach,
        high=difference + reach,
        low90=difference - reach90,
        high90=difference + reach90,
        p_above=min(1.0, cost * float(stats.t.sf(difference / error, freedom))),
        p_below=min(1.0, cost * float(stats.t.sf(-difference / error, freedom))),
        p_within=min(1.0, cost * p_within),
        paired=paired,
        error=error,
        freedom=freedom,
        variance=variance,
        fewest=fewest,
        cost=cost,
    )


def adjust(p_values: Sequence[float]) -> list[float]:
    """Benjamini–Hochberg over a family of p-values (scipy.stats.false_discovery_control)."""
    return [float(p) for p in stats.false_discovery_control(p_values, method="bh")] if p_values else []


def minimum_detectable(result: Comparison, level: float, limit: float) -> float:
    """The difference that would have been called one with probability POWER, at the spread seen.

    An alarm needs the test at `level` (one-sided), whose power follows from the non-central t distribution, and a
    difference of at least `limit`, which a normally distributed mean exceeds; the larger of the two demands counts.
    """
    critical = float(stats.t.ppf(1 - level / result.cost, result.freedom))

    def shortfall(noncentrality: float) -> float:
        return float(stats.nct.sf(critical, result.freedom, noncentrality)) - POWER

    by_test = float(optimize.brentq(shortfall, 0.0, 20.0 * critical)) * result.error
    by_floor = limit + float(stats.norm.ppf(POWER)) * result.error
    return max(by_test, by_floor)


def runs_to_decide(result: Comparison, level: float, limit: float, equivalence: float = EQUIVALENCE) -> int | None:
    """Smallest K a side that would give a verdict if difference and spread stayed as they are; None above MOST_RUNS.

    `unchanged` needs an interval inside ±limit, an alarm a one-sided test at `level` of a difference beyond it.
    """
    difference = abs(result.difference)
    runs = np.arange(result.fewest + 1, MOST_RUNS)
    error, freedom = np.sqrt(result.variance / runs), (runs - 1) * (1 if result.paired else 2)
    if difference < limit:
        decides = difference + stats.t.ppf(1 - equivalence / result.cost, freedom) * error < limit
    else:
        decides = stats.t.ppf(1 - level / result.cost, freedom) * error < difference
    return int(runs[decides][0]) if decides.any() else None


def more_helps(base: Sequence[float], candidate: Sequence[float], family: int) -> bool:
    """Whether the processes that top-ups add to the candidate alone bring the bounds of the difference closer.

    Their error rates are divided among the looks, and the base's part of the error stays.
    """
    added = (MOST_LOOKS - 1) * TOP_UP_PROCESSES
    levels = Levels().required(family), Levels().split(MOST_LOOKS).required(family)
    now, then = (
        _reach(base, candidate, len(candidate) + more, level) for more, level in zip((0, added), levels, strict=True)
    )
    return then < WORTH * now


def _reach(base: Sequence[float], candidate: Sequence[float], count: int, level: float) -> float:
    """From the difference to its one-sided bound, if the candidate had so many processes that scatter as they do."""
    sizes = len(base), count
    parts = [float(np.var(side, ddof=1)) / size for side, size in zip((base, candidate), sizes, strict=True)]
    if not any(parts):
        return 0.0
    freedom = sum(parts) ** 2 / sum(part**2 / (size - 1) for part, size in zip(parts, sizes, strict=True))
    return float(stats.t.ppf(1 - level, freedom)) * math.sqrt(sum(parts))


def _tests(x: Values, y: Values, limit: float, *, paired: bool) -> tuple[float, float]:
    """Degrees of freedom, and the p of the two one-sided tests."""
    with warnings.catch_warnings():
        # Both libraries warn of precision loss where one side has no spread; the other side's carries the test.
        warnings.simplefilter("ignore", RuntimeWarning)
        if paired:
            return float(stats.ttest_rel(y, x).df), float(ttost_paired(y, x, -limit, limit)[0])
        test = ttost_ind(y, x, -limit, limit, usevar="unequal")
        return float(stats.ttest_ind(y, x, equal_var=False).df), float(test[0])


def _without_noise(difference: float, limit: float, fewest: int, *, paired: bool) -> Comparison:
    """No spread at all: the difference is exact, and any difference is significant."""
    return Comparison(
        difference,
        *(difference,) * 4,
        p_above=0.0 if difference > 0 else 1.0,
        p_below=0.0 if difference < 0 else 1.0,
        p_within=0.0 if abs(difference) < limit else 1.0,
        paired=paired,
        fewest=fewest,
    )
