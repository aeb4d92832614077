"""Overflow counts that vary from process to process.

Processes are exchanged between the sides (`permutation.py`), which asks nothing of how the counts scatter. Three or
four processes a side can be divided in too few ways for that. There the counts must not overlap, must not scatter more
than Poisson numbers do (index of dispersion, Fisher 1925), and must differ by the exact binomial test, for given the
sum of both sides the candidate's share of rare independent events is binomial (Przyborowski and Wilenski 1940;
scipy.stats.binomtest).

The test of dispersion sees little in so few processes: the binomial test alone called 4 to 7 % of equal sides
different where negative binomial counts have two or three times a Poisson number's variance. By these rules it is 0.6
to 1.1 % of Poisson counts and 0.7 to 2.4 % of those (one look, 1 % on each side, so 2 % in all; means 4 and 20, three
to five a side, 2000 draws each). A threefold count (3 to 9) of Poisson numbers is found 34, 59, 68 and 98 % of the
time with 3, 4, 5 and 8 processes a side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from statistics import fmean

import numpy as np
import numpy.typing as npt
from scipy import stats

from suite.judge.cells import Cell, Sides
from suite.judge.findings import Finding, MetricClass, Verdict
from suite.judge.permutation import EXCHANGE, Pair, Permuted, by_seed, permute
from suite.judge.sensitivity import processes_to_decide, smallest_seen, with_p
from suite.judge.stats import ALPHA, FEWEST

__all__ = ["BINOMIAL", "judge_counts"]

BINOMIAL = "exact binomial, no overlap"
"""The test of three or four processes a side."""
Counts = npt.NDArray[np.float64]

DISPERSED = 0.05
"""Level at which counts scatter too much for Poisson numbers."""
DISPERSED_OF_FEW = 0.5
"""The same of three processes a side, which show so little that only a clean sight is trusted."""


@dataclass(frozen=True)
class _Tested:
    """What the rule says of the counts."""

    exchange: Permuted
    p: float
    """Two-sided."""
    decided: bool
    why: str
    test: str = EXCHANGE

    @property
    def verdict(self) -> Verdict:
        if not self.decided:
            return Verdict.INCONCLUSIVE  # so few events hide a doubling: never `unchanged`
        return Verdict.REGRESSED if self.exchange.difference > 0 else Verdict.IMPROVED


def judge_counts(cell: Cell, sides: Sides, alpha: float = ALPHA) -> Finding:
    """A finding on the number of overflows, where the steps themselves do not repeat; `alpha` is one-sided.

    Both sides have the same seeds.
    """
    seeds = by_seed(sides, "overflow_count")
    before, after = (_counts(seeds, side) for side in (0, 1))
    base, candidate = (fmean(fmean(pair[side]) for pair in seeds.values()) for side in (0, 1))
    finding = Finding(
        *cell,
        "overflow_steps",
        Verdict.INCONCLUSIVE,
        MetricClass.COUNT,
        base=base,
        candidate=candidate,
        change=candidate / base - 1 if base else None,
        test=EXCHANGE,
        values_base=tuple(map(float, before)),
        values_candidate=tuple(map(float, after)),
        processes_base=len(before),
        processes_candidate=len(after),
        notes=("the steps that overflow vary between processes of one seed, so their number is compared",),
    )
    if min(len(before), len(after)) < FEWEST:
        few = f"{len(before)} against {len(after)} processes; counts that vary need {FEWEST} on each side"
        return replace(finding, reasons=(few,))
    tested = _tested(seeds, alpha)
    return replace(
        finding,
        verdict=tested.verdict,
        p=tested.p,
        test=tested.test,
        reasons=(with_p(tested.why, tested.p, alpha),),
        minimum_detectable=smallest_seen(seeds, partial(_worse, alpha=alpha)),
        runs_to_decide=None if tested.decided else processes_to_decide(seeds, tested.exchange, alpha),
    )


def _tested(seeds: Mapping[int, Pair], alpha: float) -> _Tested:
    found = permute(seeds)
    if found.can_decide(alpha):
        decided = found.decides(alpha)
        return _Tested(found, found.p, decided, _why(found, decided=decided))
    before, after = (_counts(seeds, side) for side in (0, 1))
    if _dispersed(before, after):
        few = f"{len(before)} against {len(after)} processes are too few"
        why = f"{few}, for their counts scatter more than rare events do"
        return _Tested(found, found.p, decided=False, why=why)
    p = _binomial(before, after)
    sure = p / 2 <= alpha
    overlap = "so few processes a side must not overlap, and these do"
    why = overlap if sure and not found.separated else _why(found, decided=sure)
    return _Tested(found, p, sure and found.separated, why, BINOMIAL)


def _counts(seeds: Mapping[int, Pair], side: int) -> Counts:
    return np.concatenate([np.asarray(pair[side], dtype=float) for pair in seeds.values()])


def _worse(seeds: Mapping[int, Pair], alpha: float) -> bool:
    found = permute(seeds)
    able = found.difference > 0 and (found.can_decide(alpha) or found.separated)
    return able and _tested(seeds, alpha).decided


def _why(found: Permuted, *, decided: bool) -> str:
    if not decided:
        return "the sides are no further apart than chance explains"
    return "the sides do not overlap" if found.separated else "the sides are further apart than chance explains"


def _dispersed(before: Counts, after: Counts) -> bool:
    """Whether a side, or both taken together, scatters more than Poisson numbers do."""
    together = DISPERSED_OF_FEW if min(len(before), len(after)) == FEWEST else DISPERSED
    parts = [_scatter(side) for side in (before, after)]
    tests = [(*part, DISPERSED) for part in parts] + [(sum(p[0] for p in parts), sum(p[1] for p in parts), together)]
    return any(bool(freedom and stats.chi2.sf(index, freedom) < level) for index, freedom, level in tests)


def _scatter(counts: Counts) -> tuple[float, int]:
    """The index of dispersion and its degrees of freedom; of counts that are all zero nothing is known."""
    mean = counts.mean()
    return (float(((counts - mean) ** 2).sum() / mean), len(counts) - 1) if mean else (0.0, 0)


def _binomial(before: Counts, after: Counts) -> float:
    total = round(before.sum() + after.sum())
    share = len(after) / (len(before) + len(after))
    return float(stats.binomtest(round(after.sum()), total, share).pvalue) if total else 1.0
