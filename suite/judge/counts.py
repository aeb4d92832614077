"""Overflow counts that vary from process to process, and the modes in which there must be none.

A count of rare independent events is a Poisson number; given the sum of both sides, the candidate's share of it is
binomial (Przyborowski and Wilenski 1940; scipy.stats.binomtest). Counts that scatter more than Poisson numbers do
(index of dispersion, Fisher 1925) are compared by permuting the processes instead.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from suite.judge.cells import Cell, Sides
from suite.judge.findings import Finding, MetricClass, Verdict
from suite.judge.stats import ALPHA, FEWEST

__all__ = ["judge_counts", "violation"]

Counts = npt.NDArray[np.int64]

NEVER_OVERFLOW = ("fp32", "tf32", "bf16")
"""Their range is float32's: an infinite gradient is a broken training, not a matter of scale."""
DISPERSED = 0.05
"""Level at which counts scatter too much for Poisson numbers."""
PERMUTATIONS = 9999
SEED = 20260101
"""Of the permutations where they are too many to try all; a verdict must repeat."""


def violation(cell: Cell, sides: Sides) -> Finding | None:
    """A finding where a mode that never overflows did; `regressed` unless it did as often before."""
    if cell[1] not in NEVER_OVERFLOW:
        return None
    before, after = map(_counts, sides)
    if not after.sum():
        return None
    finding = _finding(cell, before, after, "no overflow is possible without a defect")
    reason = f"{int(after.sum())} steps of {cell[1]} had a gradient that is not finite; there must be none"
    verdict = Verdict.REGRESSED if not before.sum() or after.mean() > before.mean() else Verdict.UNCHANGED
    return replace(finding, verdict=verdict, reasons=(reason,))


def judge_counts(cell: Cell, sides: Sides, alpha: float = ALPHA) -> Finding:
    """A finding on the number of overflows, where the steps themselves do not repeat; `alpha` is one-sided."""
    before, after = map(_counts, sides)
    finding = _finding(cell, before, after, "exact binomial")
    vary = "the steps that overflow vary between processes of one seed, so their number is compared"
    finding = replace(finding, notes=(vary,))
    if min(len(before), len(after)) < FEWEST:
        few = f"{len(before)} against {len(after)} processes; counts that vary need {FEWEST} on each side"
        return replace(finding, reasons=(few,))
    if _dispersed(before) or _dispersed(after):
        finding = replace(finding, test="permutation of processes", p=_permutation(before, after))
    else:
        share = len(after) / (len(before) + len(after))
        total = int(before.sum() + after.sum())
        found = float(stats.binomtest(int(after.sum()), total, share).pvalue) if total else 1.0
        finding = replace(finding, p=found)
    if finding.p is not None and finding.p / 2 <= alpha:
        more = after.mean() > before.mean()
        return replace(finding, verdict=Verdict.REGRESSED if more else Verdict.IMPROVED)
    return finding  # so few events hide a doubling: never `unchanged`


def _counts(side: pd.DataFrame) -> Counts:
    return side["overflow_count"].fillna(0).to_numpy(dtype=np.int64)


def _finding(cell: Cell, before: Counts, after: Counts, test: str) -> Finding:
    return Finding(
        *cell,
        "overflow_steps",
        Verdict.INCONCLUSIVE,
        MetricClass.COUNT,
        base=float(before.mean()) if len(before) else None,
        candidate=float(after.mean()) if len(after) else None,
        test=test,
        values_base=tuple(map(float, before)),
        values_candidate=tuple(map(float, after)),
        processes_base=len(before),
        processes_candidate=len(after),
    )


def _dispersed(counts: Counts) -> bool:
    mean = counts.mean()
    if not mean:
        return False
    index = float(((counts - mean) ** 2).sum() / mean)
    return bool(stats.chi2.sf(index, len(counts) - 1) < DISPERSED)


def _permutation(before: Counts, after: Counts) -> float:
    result = stats.permutation_test(
        (after, before),
        lambda x, y, axis: x.mean(axis=axis) - y.mean(axis=axis),
        permutation_type="independent",
        n_resamples=PERMUTATIONS,
        vectorized=True,
        rng=np.random.default_rng(SEED),
    )
    return float(result.pvalue)
