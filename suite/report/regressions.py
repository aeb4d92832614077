"""The comparison with the base: findings worst first, and the thresholds behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from suite.judge.findings import ORDER, Finding, Verdict, Verdicts
from suite.report import numbers
from suite.report.signs import Sign, verdict_sign
from suite.report.text import anchor

__all__ = ["HEAD", "METRICS", "FindingRow", "alarm_sentence", "finding_rows", "thresholds", "worst_first"]

METRICS = {
    "step_seconds": "step time",
    "peak_allocated_bytes": "peak allocated memory",
    "overflow_steps": "overflowing steps",
    "outcome": "outcome",
    "setup": "setup",
}
_EXACT = ("peak_allocated_bytes", "overflow_steps", "outcome", "setup")
"""Compared by equality: one process is enough, and there is no interval."""

HEAD = (
    "Cell",
    "Metric",
    "Verdict",
    "Base → candidate",
    "Change [98 % interval]",
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
    anchor: str
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


def finding_rows(findings: Sequence[Finding]) -> list[FindingRow]:
    """Rows of the table, in the order given."""
    return [_row(finding) for finding in findings]


def alarm_sentence(verdicts: Verdicts) -> str:
    """What got worse, or that nothing did and how much of it could not be decided."""
    alarms = [f for f in verdicts.findings if f.verdict in (Verdict.REGRESSED, Verdict.FAILED)]
    if alarms:
        cells = len({finding.cell for finding in alarms})
        return f"{len(alarms)} finding{'s' * (len(alarms) > 1)} in {cells} cell{'s' * (cells > 1)} got worse."
    undecided = verdicts.count(Verdict.INCONCLUSIVE)
    rest = f" {undecided} could not be decided: see what could have been seen and how many runs would do." * (
        undecided > 0
    )
    return f"Nothing regressed.{rest}"


def thresholds(verdicts: Verdicts) -> str:
    """α, q and δ in one sentence."""
    return (
        f"A step time is regressed when it grew by at least δ = {numbers.percent(verdicts.delta)}, its own one-sided "
        f"test has p ≤ α = {verdicts.alpha:g} and the p adjusted over all cells (Benjamini–Hochberg) is at most "
        f"q = {verdicts.false_discovery_rate:g}; it is unchanged only when two one-sided tests put the change inside "
        "±δ; everything else is inconclusive. Memory allocated by torch and overflowing steps are compared exactly."
    )


def _row(finding: Finding) -> FindingRow:
    return FindingRow(
        workload=finding.workload,
        precision=finding.precision,
        anchor=anchor(finding.workload, finding.precision),
        metric=METRICS.get(finding.metric, finding.metric),
        sign=verdict_sign(finding.verdict),
        values=_values(finding),
        change=_change(finding),
        minimum_detectable=numbers.percent(finding.minimum_detectable),
        p_adjusted=numbers.probability(finding.p_adjusted),
        processes=_processes(finding),
        runs=numbers.count(finding.runs_to_decide),
        why="; ".join((*finding.reasons, *finding.notes)),
    )


def _values(finding: Finding) -> str:
    if finding.base is None and finding.candidate is None:
        return numbers.MISSING
    shown = numbers.by_metric(finding.metric)
    return f"{shown(finding.base)} → {shown(finding.candidate)}"


def _change(finding: Finding) -> str:
    if finding.change is None:
        return "exact" if finding.metric in _EXACT and finding.base is not None else numbers.MISSING
    if finding.low is None:
        return f"{numbers.change(finding.change)} {'(exact)' if finding.metric in _EXACT else '(no interval)'}"
    return f"{numbers.change(finding.change)} {numbers.interval(finding.low, finding.high)}"


def _processes(finding: Finding) -> str:
    if not finding.processes_base and not finding.processes_candidate:
        return numbers.MISSING
    return f"{finding.processes_base} against {finding.processes_candidate}"
