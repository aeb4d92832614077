"""Metrics that vary from process to process, judged over the whole family of cells (docs/decisions/0004, 0011).

`regressed` if the Benjamini–Hochberg-adjusted p ≤ q, the single one-sided p ≤ α and the change ≥ the metric's limit;
`improved` the mirror; `unchanged` if two one-sided tests put the change inside ±limit; else `inconclusive`. The state
of the hardware can only lower confidence: what is said must hold with the disturbed trials and without them
(docs/decisions/0014).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from suite.judge.cells import Cell, Sides, disturbances, seed_difference
from suite.judge.findings import Finding, MetricClass, OperatorGrowth, Verdict
from suite.judge.operators import growth
from suite.judge.stats import FEWEST, Comparison, Levels, adjust, compare, minimum_detectable, runs_to_decide

__all__ = ["DELTA", "ESTIMATORS", "HOST_MEMORY", "STEP_TIME", "StochasticMetric", "decide", "judge_family"]

DELTA = 0.02
"""Smallest change of the step time that matters."""
ESTIMATORS = {"median": "step_seconds_median", "min": "step_seconds_min", "q10": "step_seconds_q10"}
"""What may sum up the steps of a process, and its column."""


@dataclass(frozen=True)
class StochasticMetric:
    """One metric: where its values stand and what change matters."""

    name: str
    delta: float
    estimators: Mapping[str, str]
    """Name -> column; the first is the default."""
    disturbed: bool
    """Whether what the cautions speak of (clocks, foreign load) moves it."""

    @property
    def limit(self) -> float:
        """On the scale of logarithms."""
        return math.log1p(self.delta)


STEP_TIME = StochasticMetric("step_seconds", DELTA, ESTIMATORS, disturbed=True)
HOST_MEMORY = StochasticMetric("peak_rss_bytes", 0.05, {"peak": "peak_rss_bytes"}, disturbed=False)

Estimators = Callable[[Cell], str | None]
"""The frozen estimator of a cell's series; None takes the metric's default."""


def judge_family(
    metric: StochasticMetric,
    cells: Mapping[Cell, Sides],
    levels: Levels,
    estimator_of: Estimators = lambda cell: None,
    *,
    paired: Container[Cell] = (),
) -> list[Finding]:
    """One finding per cell; every cell with enough processes counts towards the family.

    `paired` are the cells whose sides were run in turn: a block of both, which ran in the same minutes, is then a pair.
    """
    differ = {cell: seed_difference(*sides) for cell, sides in cells.items()}
    cells = {cell: sides if differ[cell] is None else _common_seeds(sides) for cell, sides in cells.items()}

    def compared(chosen: Mapping[Cell, Sides]) -> tuple[dict[Cell, _Sample], dict[Cell, Comparison]]:
        samples = {cell: _sample(metric, sides, estimator_of(cell), cell in paired) for cell, sides in chosen.items()}
        return samples, {
            cell: compare(sample.base, sample.candidate, metric.limit, paired=sample.paired)
            for cell, sample in samples.items()
            if sample.base and sample.candidate
        }

    samples, results = compared(cells)
    cautions = {cell: _cautions(cells[cell]) for cell in results} if metric.disturbed else {}
    disturbed = {cell: _undisturbed(cells[cell]) for cell, codes in cautions.items() if codes}
    quiet, again = compared(disturbed)
    without = {cell: result for cell, result in results.items() if cell not in disturbed} | again
    adjusted, adjusted_without = _adjusted(results), _adjusted(without)
    found = []
    for cell, sample in samples.items():
        if cell not in results:
            found += _absent(metric, cell, sample, differ[cell])
            continue
        result = results[cell]
        verdict, reasons = decide(result, metric.limit, adjusted.get(cell), levels)
        notes = (*((differ[cell] or "",) * (differ[cell] is not None)), *_notes(cells[cell]))
        if cell in disturbed and not reasons:
            other = decide(without[cell], metric.limit, adjusted_without.get(cell), levels) if cell in without else None
            if other == (verdict, ()):
                notes = (*(f"{caution}; without them the verdict is the same" for caution in cautions[cell]), *notes)
            else:
                verdict, reasons = Verdict.INCONCLUSIVE, cautions[cell]
        finding = _finding(metric, cell, sample, result, levels, len(adjusted))
        finding = replace(finding, verdict=verdict, reasons=reasons, notes=notes, p_adjusted=adjusted.get(cell))
        # More processes of the candidate help only where those of the base are enough, or its code is run again.
        enough = cell in paired or len(quiet.get(cell, sample).base) >= FEWEST
        finding = replace(finding, undecided=verdict is Verdict.INCONCLUSIVE and enough)
        found.append(_completed(metric, finding, result, levels, cells[cell]))
    return found


def _common_seeds(sides: Sides) -> Sides:
    """The trials of seeds that both sides have: another seed may be other work."""
    both = set(sides[0]["seed"]) & set(sides[1]["seed"])
    before, after = (side[side["seed"].isin(both)] for side in sides)
    return before, after


def _absent(metric: StochasticMetric, cell: Cell, sample: _Sample, differ: str | None) -> list[Finding]:
    """What to say where a side has no value: what vanished may hide a regression. Nothing where neither has one."""
    if not sample.base and not sample.candidate and differ is None:
        return []
    verdict = Verdict.NOT_MEASURED if sample.candidate else Verdict.INCOMPARABLE
    why = "the base has no value, the candidate has" if sample.candidate else "the candidate has no value, the base has"
    reason = differ if differ is not None and not sample.base and not sample.candidate else why
    return [Finding(*cell, metric.name, verdict, MetricClass.STOCHASTIC, reasons=(reason,))]


def _adjusted(results: Mapping[Cell, Comparison]) -> dict[Cell, float]:
    """The p of every cell that has one, adjusted over all of them."""
    family = {cell: result.p for cell, result in results.items() if result.p is not None}
    return dict(zip(family, adjust(list(family.values())), strict=True))


def decide(
    result: Comparison, limit: float, p_adjusted: float | None, levels: Levels
) -> tuple[Verdict, tuple[str, ...]]:
    """The verdict on one comparison, and why it is not a clearer one. A positive difference is worse."""
    if p_adjusted is None or result.p is None or result.p_within is None:
        few = f"{result.fewest} processes on the smaller side; at least {FEWEST} on each are needed (5 are usual)"
        return Verdict.INCONCLUSIVE, (few,)
    if result.p_within <= levels.equivalence:
        return Verdict.UNCHANGED, ()
    if result.p / 2 <= levels.alpha and p_adjusted <= levels.q:
        if result.difference >= limit:
            return Verdict.REGRESSED, ()
        if result.difference <= -limit:
            return Verdict.IMPROVED, ()
    return Verdict.INCONCLUSIVE, ()


@dataclass(frozen=True)
class _Sample:
    """The logarithms of one cell: what is compared."""

    base: list[float]
    candidate: list[float]
    estimator: str
    paired: bool


def _sample(metric: StochasticMetric, sides: Sides, estimator: str | None, paired: bool) -> _Sample:
    name = estimator or next(iter(metric.estimators))
    column = metric.estimators[name]
    before, after = (side.dropna(subset=[column]) for side in sides)
    if paired:
        both = before.merge(after, on=["seed", "repeat"], suffixes=("_base", "_candidate"))
        # The seeds of a block share its minutes, so that the block is the unit and not the process.
        blocks = [_logs(both[f"{column}_{side}"]).groupby(both["repeat"]).mean() for side in ("base", "candidate")]
        if len(blocks[0]) >= FEWEST:
            return _Sample(blocks[0].tolist(), blocks[1].tolist(), name, paired=True)
    return _Sample(_logs(before[column]).tolist(), _logs(after[column]).tolist(), name, paired=False)


def _logs(values: pd.Series[float]) -> pd.Series[float]:
    return values.astype(float).map(math.log)


def _finding(
    metric: StochasticMetric, cell: Cell, sample: _Sample, result: Comparison, levels: Levels, family: int
) -> Finding:
    """What is known of a cell whatever the verdict."""
    level = levels.required(family)
    known = result.p is not None
    interval = (result.low, result.high, result.low90, result.high90)
    low, high, low90, high90 = (None if bound is None else math.expm1(bound) for bound in interval)
    return Finding(
        *cell,
        metric.name,
        Verdict.INCONCLUSIVE,
        MetricClass.STOCHASTIC,
        base=_geometric_mean(sample.base),
        candidate=_geometric_mean(sample.candidate),
        change=math.expm1(result.difference),
        low=low,
        high=high,
        low90=low90,
        high90=high90,
        limit=metric.delta,
        p=result.p,
        p_equivalence=result.p_within,
        family=family if known else None,
        minimum_detectable=math.expm1(minimum_detectable(result, level, metric.limit)) if known else None,
        estimator=sample.estimator,
        test="paired t over blocks" if sample.paired else "Welch",
        values_base=tuple(map(math.exp, sample.base)),
        values_candidate=tuple(map(math.exp, sample.candidate)),
        processes_base=len(sample.base),
        processes_candidate=len(sample.candidate),
    )


def _completed(metric: StochasticMetric, finding: Finding, result: Comparison, levels: Levels, sides: Sides) -> Finding:
    """What follows from the verdict."""
    operators: tuple[OperatorGrowth, ...] = ()
    runs = None
    if finding.verdict is Verdict.REGRESSED and metric is STEP_TIME:
        operators = growth(*sides)
    if finding.verdict is Verdict.INCONCLUSIVE and finding.family is not None and not finding.reasons:
        runs = runs_to_decide(result, levels.required(finding.family), metric.limit, levels.equivalence)
    return replace(finding, operators=operators, runs_to_decide=runs)


def _cautions(sides: Sides) -> tuple[str, ...]:
    """How many trials the machine disturbed, by what."""
    codes = [code for side in sides for text in side["cautions"] for code in disturbances(text)]
    trials = sum(map(len, sides))
    return tuple(f"{code} in {codes.count(code)} of {trials} trials" for code in dict.fromkeys(codes))


def _undisturbed(sides: Sides) -> Sides:
    """The trials that nothing disturbed."""
    before, after = (side[[not disturbances(text) for text in side["cautions"]]] for side in sides)
    return before, after


def _notes(sides: Sides) -> tuple[str, ...]:
    before, after = (set(side["workload_sha256"].dropna()) for side in sides)
    return () if before == after else ("the workload's source file is not the one that the base was measured with",)


def _geometric_mean(logarithms: Sequence[float]) -> float:
    return math.exp(math.fsum(logarithms) / len(logarithms))
