"""How other tools watch a series of nights, ported; and two controls that know nothing.

The ports are our own words for rules read in the named sources. A rule that tests the newest night only names that
night or none. Where a rule has a window, the 60 nights here lie inside it unless it says otherwise.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import stats

from tools.detectors import Kind, Nights, Values, Watch

__all__ = [
    "COIN",
    "COIN_SHARE",
    "NULL",
    "WATCHES",
    "bencher_t",
    "conbench_z",
    "perfherder",
    "rise",
    "rustc_perf_threshold",
]

COIN_SHARE = 0.05


def perfherder(
    values: Values, *, back: int = 12, furthest: int = 24, ahead: int = 12, t_least: float = 7.0, least: float = 0.02
) -> list[int]:
    """Perfherder: a linearly weighted Welch t above 7, the largest among neighbours, and a rise of 2 %.

    The window before a night grows from 12 to 24 for as long as no t above 7 was seen.
    """
    count, quiet = len(values), 0
    scores, sides = np.zeros(count), [(values[:0], values[:0])] * count
    for night in range(1, count):
        reach = min(max(quiet, back), furthest)
        sides[night] = values[max(0, night - reach) : night][::-1], values[night : night + ahead]
        scores[night] = abs(_weighted_t(*sides[night]))
        quiet = 0 if scores[night] > t_least else quiet + 1
    found = []
    for night in range(1, count):
        before, after = sides[night]
        neighbours = scores[night - 1 : night + 2]
        if len(before) < back or len(after) < ahead or scores[night] <= t_least or neighbours.max() > scores[night]:
            continue
        if after.mean() / before.mean() - 1.0 >= least:
            found.append(night)
    return found


def _weighted_t(before: Values, after: Values) -> float:
    """Both sides' nearest values first."""
    moments = []
    for side in (before, after):
        weights = np.arange(len(side), 0, -1) / len(side)
        mean = float((weights * side).sum() / weights.sum())
        variance = float(((side - mean) ** 2).sum() / (len(side) - 1)) if len(side) > 1 else 0.0
        moments.append((mean, variance / len(side)))
    difference = moments[1][0] - moments[0][0]
    error = math.sqrt(moments[0][1] + moments[1][1])
    return difference / error if error else math.copysign(math.inf, difference) if difference else 0.0


def conbench_z(values: Values) -> float:
    """The look-back z of conbench: the last value's distance from the mean of those before, over their residuals' sd.

    Single values that jump and come back (differences with |z| > 5, judged by the middle 90 % of the differences) are
    left out of mean and sd.
    """
    history, last = values[:-1], float(values[-1])
    kept = history[~_jumps_back(history)]
    means = np.concatenate([kept[:1], np.cumsum(kept)[:-1] / np.arange(1, len(kept))])
    spread = float((kept - means).std(ddof=1))
    return (last - float(kept.mean())) / spread if spread else 0.0


def _jumps_back(values: Values) -> npt.NDArray[np.bool_]:
    differences = np.diff(values)
    low, high = np.quantile(differences, [0.05, 0.95])
    used = (differences >= low) & (differences <= high)
    counts = np.cumsum(used)
    with np.errstate(divide="ignore", invalid="ignore"):  # the first ones have no spread, and are no jumps
        means = np.cumsum(np.where(used, differences, 0.0)) / counts
        squares = np.cumsum(np.where(used, differences**2, 0.0)) - counts * means**2
        z = np.abs(differences - means) / np.sqrt(np.maximum(squares, 0.0) / (counts - 1))
    shifts = np.zeros(len(values), dtype=bool)
    shifts[1:] = np.isfinite(z) & (z > 5.0)
    shifts[:-1] &= shifts[1:]
    shifts[-1] = False  # nobody knows yet whether it comes back
    return shifts


def rustc_perf_threshold(history: Values) -> float:
    """rustc-perf: Q3 + 3 (Q3 − Q1) of the relative differences of neighbours; quartiles are medians of the halves."""
    changes = np.sort(np.abs(np.diff(history)) / history[:-1])
    half = len(changes) // 2
    lower = changes[: half - 1] if len(changes) % 2 == 0 else changes[:half]
    first, third = float(np.median(lower)), float(np.median(changes[half + 1 :]))
    return third + 3.0 * (third - first)


def bencher_t(values: Values, boundary: float = 0.99) -> bool:
    """bencher: the last value above Student's prediction interval of those before (at most 64)."""
    history = values[:-1][-64:]
    count = len(history)
    reach = float(stats.t.ppf(boundary, count - 1)) * float(history.std(ddof=1)) * math.sqrt(1.0 + 1.0 / count)
    return bool(values[-1] > history.mean() + reach)


def rise(values: Values) -> float:
    """The last value against the one before, relative."""
    return float(values[-1] / values[-2]) - 1.0


def _last(nights: Nights, stands_out: bool) -> list[int]:
    return [len(nights.seconds) - 1] if stands_out else []


def _rustc_perf(nights: Nights, rng: np.random.Generator) -> list[int]:
    return _last(nights, rise(nights.seconds) > rustc_perf_threshold(nights.seconds[-31:-1]))


NULL = Watch("null", "never alarms", Kind.CONTROL, judge=lambda nights, rng: [])
COIN = Watch(
    "coin",
    "alarms one night in twenty, whatever it sees",
    Kind.CONTROL,
    judge=lambda nights, rng: _last(nights, rng.random() < COIN_SHARE),
)

WATCHES = (
    Watch(
        "Perfherder",
        "weighted t > 7 over 12–24/12 nights, ≥ 2 %",
        Kind.PORT,
        "mozilla/treeherder@0128ee0 treeherder/perfalert/perfalert/__init__.py, treeherder/perf/alerts.py",
        portion=0.4,
        judge=lambda nights, rng: perfherder(nights.seconds),
    ),
    Watch(
        "conbench",
        "look-back z > 5",
        Kind.PORT,
        "conbench/conbench@3af4a55 conbench/entities/history.py",
        judge=lambda nights, rng: _last(nights, conbench_z(nights.seconds) > 5.0),
    ),
    Watch(
        "rustc-perf",
        "against the night before, > Q3 + 3 IQR of 30 differences",
        Kind.PORT,
        "rust-lang/rustc-perf@169b07b site/src/comparison.rs",
        judge=_rustc_perf,
    ),
    Watch(
        "bencher t .99",
        "outside Student's prediction interval, 99 %",
        Kind.PORT,
        "bencherdev/bencher@8d75325 lib/bencher_boundary/src/limits",
        judge=lambda nights, rng: _last(nights, bencher_t(nights.seconds)),
    ),
    Watch(
        "night before, 5 %",
        "> 5 % above the night before",
        Kind.PORT,
        "ionelmc/pytest-benchmark@47d66c8 src/pytest_benchmark/session.py",
        judge=lambda nights, rng: _last(nights, rise(nights.seconds) > 0.05),
    ),
    Watch(
        "night before, 7 %",
        "> 7 % above the night before",
        Kind.PORT,
        "pytorch/benchmark@0e83c44 userbenchmark/torch-nightly/regression_detector.py",
        judge=lambda nights, rng: _last(nights, rise(nights.seconds) > 0.07),
    ),
    Watch(
        "github-action-benchmark",
        "> 200 % of the night before",
        Kind.PORT,
        "benchmark-action/github-action-benchmark@c38cce9 src/write.ts",
        judge=lambda nights, rng: _last(nights, rise(nights.seconds) > 1.0),
    ),
    NULL,
    COIN,
)
