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

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from suite.judge.cells import Cell, Sides
from suite.judge.findings import Finding, MetricClass, Verdict
from suite.judge.permutation import by_seed, permute
from suite.judge.stats import ALPHA, FEWEST

__all__ = ["judge_counts"]

Counts = npt.NDArray[np.int64]

DISPERSED = 0.05
"""Level at which counts scatter too much for Poisson numbers."""
DISPERSED_OF_FEW = 0.5
"""The same of three processes a side, which show so little that only a clean sight is trusted."""


def judge_counts(cell: Cell, sides: Sides, alpha: float = ALPHA) -> Finding:
    """A finding on the number of overflows, where the steps themselves do not repeat; `alpha` is one-sided.

    Both sides have the same seeds.
    """
    before, after = map(_counts, sides)
    finding = Finding(
        *cell,
        "overflow_steps",
        Verdict.INCONCLUSIVE,
        MetricClass.COUNT,
        base=float(before.mean()),
        candidate=float(after.mean()),
        test="permutation of processes",
        values_base=tuple(map(float, before)),
        values_candidate=tuple(map(float, after)),
        processes_base=len(before),
        processes_candidate=len(after),
        notes=("the steps that overflow vary between processes of one seed, so their number is compared",),
    )
    if min(len(before), len(after)) < FEWEST:
        few = f"{len(before)} against {len(after)} processes; counts that vary need {FEWEST} on each side"
        return replace(finding, reasons=(few,))
    found = permute(by_seed(sides, "overflow_count"))
    p, decided = found.p, found.decides(alpha)
    if not found.can_decide(alpha) and not _dispersed(before, after):
        p = _binomial(before, after)
        finding = replace(finding, test="exact binomial, no overlap")
        decided = found.separated and p / 2 <= alpha
    finding = replace(finding, p=p)
    if decided:
        return replace(finding, verdict=Verdict.REGRESSED if found.difference > 0 else Verdict.IMPROVED)
    return finding  # so few events hide a doubling: never `unchanged`


def _counts(side: pd.DataFrame) -> Counts:
    return side["overflow_count"].to_numpy(dtype=np.int64)


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
    total = int(before.sum() + after.sum())
    share = len(after) / (len(before) + len(after))
    return float(stats.binomtest(int(after.sum()), total, share).pvalue) if total else 1.0
