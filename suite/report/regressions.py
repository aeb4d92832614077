"""The comparison with the base: findings worst first, and the thresholds behind them."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass

from suite.judge.error_rates import CHANGE_INTERVAL
from suite.judge.findings import ORDER, Finding, MetricClass, Verdict, Verdicts
from suite.judge.shift import ALL
from suite.report import numbers
from suite.report.signs import Sign, verdict_sign
from suite.report.text import anchor, first_of

__all__ = [
    "HEAD",
    "METRICS",
    "FindingRow",
    "alarm_sentence",
    "change_words",
    "detectable_words",
    "finding_rows",
    "quality_sentences",
    "thresholds",
    "worst_first",
]

METRICS = {
    "step_seconds": "step time",
    "mean_step_seconds": "mean step time",
    "peak_allocated_bytes": "peak allocated memory",
    "overflow_steps": "overflowing steps",
    "peak_rss_bytes": "peak resident memory",
    "losses_sha256": "losses, bit for bit",
    "loss_scale": "settled loss scale",
    "outcome": "outcome",
    "setup": "setup",
}
_EXACT = (MetricClass.EXACT, MetricClass.OUTCOME)
"""Compared by equality: one process is enough, and there is no interval."""

MOST_NAMED = 3
"""Cells in the sentence, the worst ones."""

HEAD = (
    "Cell",
    "Metric",
    "Verdict",
    "Base → candidate",
    f"Change [{CHANGE_INTERVAL}]",
    "Could be seen from",
    "Adjusted p",
    "Processes",
    "Runs needed",
    "Why",
)


@dataclass(frozen=True)
class FindingRow:
    """One finding as text."""

    workload: str
    precision: str
    anchor: str | None
    """Where the cell's details are; None for many cells in one, and for a cell that only the base has."""
    metric: str
    sign: Sign
    values: str
    change: str
    minimum_detectable: str
    p_adjusted: str
    processes: str
    runs: str
    why: str


def worst_first(findings: Sequence[Finding]) -> list[Finding]:
    """By verdict, and within a verdict by the size of the change."""
    return sorted(findings, key=lambda finding: (ORDER[finding.verdict], -abs(finding.change or 0.0)))


def finding_rows(findings: Sequence[Finding], shown: Container[str] = ()) -> list[FindingRow]:
    """Rows of the table, in the order given, with links to the cells whose anchors are in `shown`."""
    return [_row(finding, shown) for finding in findings]


def alarm_sentence(verdicts: Verdicts) -> str:
    """What got worse or cannot be compared, or that nothing did and how much of it could not be decided."""
    alarms = [f for f in worst_first(verdicts.findings) if f.verdict in (Verdict.REGRESSED, Verdict.FAILED)]
    own = [finding for finding in alarms if not _of_many(finding)]
    cells = list(dict.fromkeys(finding.cell for finding in own))
    said = [f"{finding.reasons[0]}." for finding in alarms if _of_many(finding)]
    if own:
        counted = f"{len(own)} finding{'s' * (len(own) > 1)} in {len(cells)} cell{'s' * (len(cells) > 1)}"
        said.append(f"{counted} got worse: {first_of(cells, MOST_NAMED)}.")
    lost = list(dict.fromkeys(f.cell for f in verdicts.findings if f.verdict is Verdict.INCOMPARABLE))
    if lost:
        counted = f"{len(lost)} cell{'s' * (len(lost) > 1)} cannot be compared with the base"
        said.append(f"{counted}, which may hide anything: {first_of(lost, MOST_NAMED)}.")
    if said:
        sentence = " ".join(said)
        return sentence[:1].upper() + sentence[1:]
    undecided = verdicts.count(Verdict.INCONCLUSIVE)
    rest = f" {undecided} could not be decided: see what could have been seen and how many runs would do." * (
        undecided > 0
    )
    return f"Nothing regressed.{rest}"


def thresholds(verdicts: Verdicts) -> str:
    """α, q and δ in one sentence."""
    return (
        f"A step time is regressed when it grew by at least δ = {numbers.percent(verdicts.delta)}, its own one-sided "
        f"test has p ≤ α = {verdicts.alpha:.3g} and the p adjusted over all cells (Benjamini–Hochberg) is at most "
        f"q = {verdicts.false_discovery_rate:.3g}; it is unchanged only when two one-sided tests put the change inside "
        "±δ; everything else is inconclusive. Memory allocated by torch, overflowing steps and losses are compared "
        "exactly, resident memory like the time with δ = 5 %, quality by seed against its margin."
        + (" The error rates are a third each of three looks at the data." if verdicts.looks > 1 else "")
    )


def quality_sentences(verdicts: Verdicts) -> list[str]:
    """Precisions that train better or worse than float32 by more than the margin."""
    return [
        f"{said.cell} is {said.conclusion} than float32 by {numbers.number(abs(said.difference))} {said.metric} "
        f"over {said.seeds} seeds (margin {numbers.number(said.margin)})"
        for said in verdicts.against_fp32
        if said.conclusion in ("better", "worse")
    ]


def _row(finding: Finding, shown: Container[str]) -> FindingRow:
    place = anchor(finding.workload, finding.precision)
    return FindingRow(
        workload=finding.workload,
        precision=finding.precision,
        anchor=place if place in shown else None,
        metric=METRICS.get(finding.metric, finding.metric),
        sign=verdict_sign(finding.verdict),
        values=_values(finding),
        change=_change(finding),
        minimum_detectable=detectable_words(finding),
        p_adjusted=numbers.probability(finding.p_adjusted),
        processes=_processes(finding),
        runs=numbers.count(finding.runs_to_decide),
        why="; ".join((*finding.reasons, *_operators(finding), *finding.notes)),
    )


def _of_many(finding: Finding) -> bool:
    """Whether it is the one finding of a machine-wide shift."""
    return finding.workload == finding.precision == ALL


def _values(finding: Finding) -> str:
    if finding.base is None and finding.candidate is None:
        return numbers.MISSING
    mean = finding.metric == "overflow_steps" and finding.metric_class is MetricClass.COUNT
    shown = numbers.number if mean else numbers.by_metric(finding.metric)
    return f"{shown(finding.base)} → {shown(finding.candidate)}"


def change_words(finding: Finding) -> str:
    """The change with its interval: relative, or of a quality in the metric's unit and in words; empty without one."""
    if finding.change is None:
        return ""
    if finding.metric_class is MetricClass.QUALITY:
        turned = [-value for value in (finding.change, finding.high, finding.low) if value is not None]
        word = "worse" if finding.change > 0 else "better" if finding.change < 0 else "different"
        bounds = f" [{numbers.signed(turned[1])}, {numbers.signed(turned[2])}]" if len(turned) == 3 else ""
        return f"{numbers.number(abs(finding.change))} {word}{bounds}"
    return f"{numbers.change(finding.change)} {numbers.interval(finding.low, finding.high)}".strip()


def detectable_words(finding: Finding) -> str:
    """The smallest change for the worse that would have been seen."""
    if finding.metric_class is MetricClass.QUALITY:
        return numbers.number(finding.minimum_detectable)
    return numbers.percent(finding.minimum_detectable)


def _change(finding: Finding) -> str:
    exact = finding.metric_class in _EXACT
    if finding.change is None:
        return "exact" if exact and finding.base is not None else numbers.MISSING
    if finding.low is None:
        return f"{change_words(finding)} {'(exact)' if exact else '(no interval)'}"
    return change_words(finding)


def _operators(finding: Finding) -> tuple[str, ...]:
    """Where a slower step got slower."""
    if not finding.operators:
        return ()
    grown = (
        f"{operator.name} {'at least ' if operator.base_calls is None else ''}"
        f"+{numbers.seconds(operator.candidate_seconds - operator.base_seconds)}"
        for operator in finding.operators
    )
    return (f"operators whose own time grew most: {', '.join(grown)}",)


def _processes(finding: Finding) -> str:
    if not finding.processes_base and not finding.processes_candidate:
        return numbers.MISSING
    return f"{finding.processes_base} against {finding.processes_candidate}"
