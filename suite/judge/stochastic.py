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

from suite.judge.cells import Cell, Sides, disturbances, seed_difference
from suite.judge.clocks import Clocks, clocks_of, hidden_by_clock
from suite.judge.findings import Finding, MetricClass, OperatorGrowth, Verdict
from suite.judge.operators import growth
from suite.judge.samples import MEAN_STEP_TIME, STEP_TIME, Sample, StochasticMetric, sample_of
from suite.judge.stats import (
    FEWEST,
    Comparison,
    Levels,
    adjust,
    compare,
    compare_blocks,
    minimum_detectable,
    more_helps,
    runs_to_decide,
)

__all__ = ["decide", "judge_family"]

_TESTS = {
    (False, False): "Welch",
    (True, True): "paired t over blocks",
    (True, False): "Welch over blocks",
}
"""By whether the sides were run in turn, and whether their blocks are pairs."""
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

    `paired` are the cells whose sides were run in turn: a block of both ran in the same minutes.
    """
    differ = {cell: seed_difference(*sides) for cell, sides in cells.items()}
    cells = {cell: sides if differ[cell] is None else _common_seeds(sides) for cell, sides in cells.items()}

    def samples_of(chosen: Mapping[Cell, Sides]) -> dict[Cell, Sample]:
        return {cell: sample_of(metric, s, estimator_of(cell), cell in paired) for cell, s in chosen.items()}

    every = _View.of(metric, samples_of(cells))
    cautions = {cell: _cautions(cells[cell]) for cell in every.results} if metric.disturbed else {}
    quiet = every.but(metric, samples_of({cell: _undisturbed(cells[cell]) for cell, said in cautions.items() if said}))
    found = []
    for cell, sample in every.samples.items():
        if cell not in every.results:
            found += _absent(metric, cell, sample, differ[cell])
            continue
        finding = _judged(metric, cell, every, quiet, levels, cautions.get(cell, ()))
        clocks = clocks_of(cells[cell]) if metric.disturbed and cell not in paired else None
        if clocks is not None:
            finding = _at_other_clocks(metric, finding, clocks, [v.results.get(cell) for v in (every, quiet)])
        said = (*((differ[cell] or "",) * (differ[cell] is not None)), *finding.notes, *_notes(cells[cell]))
        finding = replace(finding, notes=said, undecided=_undecided(finding, quiet.samples[cell]))
        found.append(_completed(metric, finding, every.results[cell], levels, cells[cell]))
    return found


@dataclass(frozen=True)
class _View:
    """The family as one choice of trials shows it."""

    samples: Mapping[Cell, Sample]
    results: Mapping[Cell, Comparison]
    adjusted: Mapping[Cell, float]
    """The p of every cell that has one, adjusted over all of them."""

    @classmethod
    def of(cls, metric: StochasticMetric, samples: Mapping[Cell, Sample]) -> _View:
        results = {
            cell: (compare_blocks if sample.in_turn else compare)(sample.base, sample.candidate, metric.limit)
            for cell, sample in samples.items()
            if sample.base and sample.candidate
        }
        return cls._adjusted(samples, results)

    @classmethod
    def _adjusted(cls, samples: Mapping[Cell, Sample], results: Mapping[Cell, Comparison]) -> _View:
        family = {cell: result.p for cell, result in results.items() if result.p is not None}
        return cls(samples, results, dict(zip(family, adjust(list(family.values())), strict=True)))

    def but(self, metric: StochasticMetric, samples: Mapping[Cell, Sample]) -> _View:
        """The same with other samples of some cells."""
        others = _View.of(metric, samples)
        kept = {cell: result for cell, result in self.results.items() if cell not in samples}
        return self._adjusted({**self.samples, **samples}, {**kept, **others.results})


def _judged(
    metric: StochasticMetric, cell: Cell, every: _View, quiet: _View, levels: Levels, cautions: Sequence[str]
) -> Finding:
    """What all trials say, held against what the undisturbed ones say where `cautions` name some that are not."""
    result, p_adjusted = every.results[cell], every.adjusted.get(cell)
    verdict, reasons = decide(result, metric.limit, p_adjusted, levels)
    finding = _finding(metric, cell, every.samples[cell], result, levels, len(every.adjusted))
    finding = replace(finding, verdict=verdict, reasons=reasons, p_adjusted=p_adjusted)
    if not cautions or reasons:
        return finding
    without = quiet.results.get(cell)
    if without is None or cell not in quiet.adjusted:
        counts = f"{len(quiet.samples[cell].base)} against {len(quiet.samples[cell].candidate)}"
        few = f"only {counts} processes are undisturbed, and {FEWEST} on each side are needed"
        return replace(finding, verdict=Verdict.INCONCLUSIVE, reasons=(*cautions, few), minimum_detectable=None)
    other, _ = decide(without, metric.limit, quiet.adjusted[cell], levels)
    seen = math.expm1(minimum_detectable(without, levels.required(len(quiet.adjusted)), metric.limit))
    finding = replace(finding, minimum_detectable=max(seen, finding.minimum_detectable or seen))
    if other is verdict:
        same = (f"{caution}; without them the verdict is the same" for caution in cautions)
        return replace(finding, notes=tuple(same))
    says = f"without them it is {other}, {math.expm1(without.difference):+.1%}"
    return replace(finding, verdict=Verdict.INCONCLUSIVE, reasons=(*cautions, says))


def _at_other_clocks(
    metric: StochasticMetric, finding: Finding, clocks: Clocks, results: Sequence[Comparison | None]
) -> Finding:
    """Nothing is said of the code, unless a change is larger than the clocks explain, in each view of the trials."""
    if any(result is None or clocks.explain(finding.verdict, result, metric.limit) for result in results):
        return replace(
            finding,
            verdict=Verdict.INCONCLUSIVE,
            reasons=(*finding.reasons, clocks.reason),
            minimum_detectable=None,
        )
    return replace(finding, notes=(*finding.notes, clocks.note))


def _undecided(finding: Finding, sample: Sample) -> bool:
    """Whether more processes of the candidate may decide: where its base is run again beside it, or is large enough.

    A top-up divides the error rates, so that where the base stays as it is it may cost more than it brings. More
    processes have the same clock.
    """
    if finding.verdict is not Verdict.INCONCLUSIVE or hidden_by_clock(finding):
        return False
    if sample.in_turn:
        return True
    if len(sample.base) < FEWEST:
        return False
    return len(sample.candidate) < FEWEST or more_helps(sample.base, sample.candidate, finding.family or 1)


def _common_seeds(sides: Sides) -> Sides:
    """The trials of seeds that both sides have: another seed may be other work."""
    both = set(sides[0]["seed"]) & set(sides[1]["seed"])
    before, after = (side[side["seed"].isin(both)] for side in sides)
    return before, after


def _absent(metric: StochasticMetric, cell: Cell, sample: Sample, differ: str | None) -> list[Finding]:
    """What to say where a side has no value: what vanished may hide a regression. Nothing where neither has one."""
    if not sample.base and not sample.candidate and differ is None:
        return []
    verdict = Verdict.NOT_MEASURED if sample.candidate else Verdict.INCOMPARABLE
    why = "the base has no value, the candidate has" if sample.candidate else "the candidate has no value, the base has"
    reason = differ if differ is not None and not sample.base and not sample.candidate else why
    return [Finding(*cell, metric.name, verdict, MetricClass.STOCHASTIC, reasons=(reason,))]


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


def _finding(
    metric: StochasticMetric, cell: Cell, sample: Sample, result: Comparison, levels: Levels, family: int
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
        test=_TESTS[sample.in_turn, result.paired],
        values_base=tuple(map(math.exp, sample.base)),
        values_candidate=tuple(map(math.exp, sample.candidate)),
        processes_base=len(sample.base),
        processes_candidate=len(sample.candidate),
    )


def _completed(metric: StochasticMetric, finding: Finding, result: Comparison, levels: Levels, sides: Sides) -> Finding:
    """What follows from the verdict."""
    operators: tuple[OperatorGrowth, ...] = ()
    runs = None
    if finding.verdict is Verdict.REGRESSED and metric in (STEP_TIME, MEAN_STEP_TIME):
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
