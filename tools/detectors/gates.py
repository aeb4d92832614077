"""How other tools compare two runs, ported; and two controls that know nothing.

The ports are our own words for rules read in the named sources. Tools that test the values of one process get the
first process of each side, tools that pool repetitions get the steps of all processes, as a user of theirs would.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from tools.detectors import Call, Gate, Kind, Ruling, Sides, Values

__all__ = [
    "COIN",
    "COIN_SHARE",
    "GATES",
    "NULL",
    "criterion",
    "mann_whitney",
    "pooled_welch",
    "threshold",
    "welch_of_runs",
]

COIN_SHARE = 0.05
CRITERION_SAMPLES = 100
CRITERION_RESAMPLES = 1000
"""criterion takes 100 000; a thousand put the same p and bounds within a percent or two."""


def threshold(before: float, after: float, limit: float) -> Call:
    """One number against one number."""
    change = after / before - 1.0
    return Call.SLOWER if change > limit else Call.FASTER if change < -limit else Call.NOTHING


def pooled_welch(sides: Sides) -> Call:
    """Welch's t on the steps of all processes, two-sided 5 %."""
    test = stats.ttest_ind(sides.candidate.ravel(), sides.base.ravel(), equal_var=False)
    return _directed(float(test.pvalue) < 0.05, float(test.statistic))


def mann_whitney(sides: Sides) -> Call:
    """Two-sided Mann–Whitney at 5 % on pooled repetitions; the direction is the medians'."""
    candidate, base = sides.candidate.ravel(), sides.base.ravel()
    p = float(stats.mannwhitneyu(candidate, base, alternative="two-sided").pvalue)
    return _directed(p < 0.05, float(np.median(candidate) - np.median(base)))


def welch_of_runs(sides: Sides) -> Call:
    """Welch's t on the total time of each process, two-sided 5 %; needs two a side."""
    candidate, base = sides.candidate.sum(axis=1), sides.base.sum(axis=1)
    if min(len(candidate), len(base)) < 2:
        return Call.NOTHING
    test = stats.ttest_ind(candidate, base, equal_var=False)
    return _directed(float(test.pvalue) < 0.05, float(test.statistic))


def criterion(base: Values, candidate: Values, rng: np.random.Generator) -> Call:
    """Bootstrapped t-test at 5 %, then the whole 95 % interval of the ratio of means beyond ±1 %."""
    observed = _t(candidate[None, :], base[None, :])[0]
    pool = np.concatenate([candidate, base])
    drawn = (rng.choice(pool, (CRITERION_RESAMPLES, len(side))) for side in (candidate, base))
    below = int((_t(*drawn) < observed).sum())
    if 2.0 * min(below, CRITERION_RESAMPLES - below) / CRITERION_RESAMPLES >= 0.05:
        return Call.NOTHING
    means = [rng.choice(side, (CRITERION_RESAMPLES, len(side))).mean(axis=1) for side in (candidate, base)]
    low, high = np.quantile(means[0] / means[1] - 1.0, [0.025, 0.975])
    return Call.SLOWER if low > 0.01 else Call.FASTER if high < -0.01 else Call.NOTHING


def _t(first: Values, second: Values) -> Values:
    variances = (side.var(axis=1, ddof=1) / side.shape[1] for side in (first, second))
    return np.asarray((first.mean(axis=1) - second.mean(axis=1)) / np.sqrt(sum(variances)), dtype=float)


def _directed(significant: bool, difference: float) -> Call:
    if not significant:
        return Call.NOTHING
    return Call.SLOWER if difference > 0.0 else Call.FASTER


def _criterion(sides: Sides, rng: np.random.Generator) -> Ruling:
    return Ruling(criterion(sides.base[0, :CRITERION_SAMPLES], sides.candidate[0, :CRITERION_SAMPLES], rng))


def _mean(sides: Sides, rng: np.random.Generator) -> Ruling:
    return Ruling(threshold(float(sides.base[0].mean()), float(sides.candidate[0].mean()), 0.05))


def _smallest(sides: Sides, rng: np.random.Generator) -> Ruling:
    return Ruling(threshold(float(sides.base[0].min()), float(sides.candidate[0].min()), 0.05))


def _torchbench(sides: Sides, rng: np.random.Generator) -> Ruling:
    return Ruling(threshold(float(np.median(sides.base[0])), float(np.median(sides.candidate[0])), 0.07))


def _twice(sides: Sides, rng: np.random.Generator) -> Ruling:
    ratio = float(sides.candidate[0].mean() / sides.base[0].mean())
    return Ruling(Call.SLOWER if ratio > 2.0 else Call.NOTHING)


def _toss(sides: Sides, rng: np.random.Generator) -> Ruling:
    return Ruling(Call.SLOWER if rng.random() < COIN_SHARE else Call.NOTHING)


NULL = Gate("null", "never alarms", Kind.CONTROL, judge=lambda sides, rng: Ruling(Call.NOTHING))
COIN = Gate("coin", "alarms one time in twenty, whatever it sees", Kind.CONTROL, judge=_toss)

GATES = (
    Gate(
        "pooled Welch",
        "t on all steps of all processes, p < 0.05",
        Kind.PORT,
        "what pooling does to a good test",
        portion=0.4,
        judge=lambda sides, rng: Ruling(pooled_welch(sides)),
    ),
    Gate(
        "google/benchmark",
        "Mann–Whitney on pooled repetitions, p < 0.05",
        Kind.PORT,
        "google/benchmark@267a111 tools/gbench/report.py",
        judge=lambda sides, rng: Ruling(mann_whitney(sides)),
    ),
    Gate(
        "criterion.rs",
        "bootstrapped t, p < 0.05, interval beyond 1 %; one process",
        Kind.PORT,
        "bheisler/criterion.rs@567d253 src/analysis/compare.rs, src/report.rs",
        portion=0.4,
        judge=_criterion,
    ),
    Gate(
        "hyperfine",
        "Welch on runs, p < 0.05",
        Kind.PORT,
        "sharkdp/hyperfine@327d5f4 scripts/welch_ttest.py",
        judge=lambda sides, rng: Ruling(welch_of_runs(sides)),
    ),
    Gate(
        "pytest-benchmark mean:5%",
        "mean of one process > 5 % up",
        Kind.PORT,
        "ionelmc/pytest-benchmark@47d66c8 src/pytest_benchmark/session.py, utils.py",
        judge=_mean,
    ),
    Gate(
        "pytest-benchmark min:5%",
        "fastest step of one process > 5 % up",
        Kind.PORT,
        "ionelmc/pytest-benchmark@47d66c8 src/pytest_benchmark/session.py, utils.py",
        judge=_smallest,
    ),
    Gate(
        "torchbench",
        "median of one process > 7 % up",
        Kind.PORT,
        "pytorch/benchmark@0e83c44 userbenchmark/test_bench/regression_detector.py",
        judge=_torchbench,
    ),
    Gate(
        "github-action-benchmark",
        "one number > 200 % of the one before",
        Kind.PORT,
        "benchmark-action/github-action-benchmark@c38cce9 src/write.ts",
        judge=_twice,
    ),
    NULL,
    COIN,
)
