"""What the judging half says, on the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from suite.judge.error_rates import CHANGE_INTERVAL
from suite.judge.findings import Finding, MetricClass, Verdict, Verdicts
from suite.terminal.console import number, plain_console

if TYPE_CHECKING:
    from suite.judge.calibration import Calibration
    from suite.judge.trends import Trend

__all__ = ["print_calibration", "print_trends", "print_verdicts"]

_GLYPHS = {
    Verdict.REGRESSED: ("▲", "red"),
    Verdict.FAILED: ("✖", "red"),
    Verdict.INCONCLUSIVE: ("?", "yellow"),
    Verdict.CHANGED: ("~", "yellow"),
    Verdict.IMPROVED: ("▼", "green"),
    Verdict.UNCHANGED: ("=", ""),
    Verdict.INCOMPARABLE: ("≠", "yellow"),
    Verdict.NOT_MEASURED: ("–", "dim"),
}


def print_verdicts(verdicts: Verdicts) -> None:
    """The headline, then a row per finding, worst first; what is unchanged beside the time is only counted."""
    console = plain_console()
    console.print(verdicts.headline)
    for warning in verdicts.warnings:
        console.print(f"! {warning}")
    table = Table()
    for name in ("cell", "metric", "verdict"):
        table.add_column(name, no_wrap=True)
    for name in ("change", CHANGE_INTERVAL, "could have seen", "adjusted p", "processes"):
        table.add_column(name, justify="right")
    table.add_column("why")
    quiet = Counter[str]()
    for finding in verdicts.findings:
        if finding.verdict is Verdict.UNCHANGED and finding.metric != "step_seconds" and not finding.reasons:
            quiet[finding.metric] += 1
        else:
            table.add_row(*_finding_texts(finding))
    console.print(table)
    if quiet:
        counted = ", ".join(f"{metric} in {count} cell{'s' * (count > 1)}" for metric, count in quiet.items())
        console.print(f"also unchanged: {counted}")
    for said in verdicts.against_fp32:
        if said.conclusion in ("better", "worse"):
            console.print(
                f"{said.cell}: {said.metric} is {said.conclusion} than float32's by {abs(said.difference):.4g} "
                f"over {said.seeds} seeds"
            )


def print_trends(trends: Sequence[Trend], device: str) -> None:
    """One row per series, the worst first; where a cell has several, with the first of their setups' hashes."""
    of_cell = Counter(trend.cell for trend in trends)
    machines = list(dict.fromkeys(trend.device for trend in trends))
    where = device if len(machines) < 2 else f"{len(machines)} machines"
    console = plain_console()
    counts = Counter(trend.state for trend in trends)
    console.print(f"{', '.join(f'{count} {state}' for state, count in counts.items()) or 'no series'} on {where}")
    table = Table()
    for name in ("cell", "state"):
        table.add_column(name, no_wrap=True)
    if len(machines) > 1:
        table.add_column("machine")
    for name in ("nights", "anchored", "change", "p"):
        table.add_column(name, justify="right")
    table.add_column("between runs")
    table.add_column("why")
    for trend in trends:
        between = "" if trend.first_run is None else " … ".join(dict.fromkeys((trend.first_run, trend.last_run or "")))
        setup = f" @{trend.setup_sha256[:8]}" if of_cell[trend.cell] > 1 and trend.setup_sha256 else ""
        table.add_row(
            f"{trend.cell}{setup}",
            trend.state.value,
            *([trend.device] if len(machines) > 1 else []),
            str(trend.nights),
            "yes" if trend.anchored else "no",
            "" if trend.change is None else f"{trend.change:+.1%}",
            "" if trend.p is None else f"{trend.p:.2g}",
            between,
            "; ".join(trend.reasons),
        )
    console.print(table)


def print_calibration(calibration: Calibration) -> None:
    """What was frozen, cell by cell."""
    table = Table()
    table.add_column("cell", no_wrap=True)
    for name in ("processes", "estimator", "run to run", "seeds", "quality margin"):
        table.add_column(name, justify="right")
    for cell in calibration.cells:
        shown = ", ".join(f"{name} {deviation:.2%}" for name, deviation in cell.variation.items())
        margin = "" if cell.quality_margin is None else f"{number(cell.quality_margin)} {cell.quality_metric}"
        table.add_row(
            f"{cell.workload} × {cell.precision}",
            str(cell.processes),
            cell.estimator or "median (too few processes)",
            shown,
            str(cell.seeds),
            margin,
        )
    plain_console().print(table)


def _finding_texts(finding: Finding) -> list[str | Text]:
    glyph, style = _GLYPHS[finding.verdict]
    why = [*finding.reasons, *finding.notes, *_operators(finding)]
    if finding.verdict is Verdict.INCONCLUSIVE and finding.runs_to_decide:
        unit = "seeds" if finding.metric_class is MetricClass.QUALITY else "processes a side"
        why.append(f"{finding.runs_to_decide} {unit} would decide")
    return [
        finding.cell,
        finding.metric,
        Text(f"{glyph} {finding.verdict.value}", style),
        _amount(finding, finding.change),
        "" if finding.low is None else f"{_amount(finding, finding.low)} … {_amount(finding, finding.high)}",
        "" if finding.minimum_detectable is None else f"≥ {_amount(finding, finding.minimum_detectable).lstrip('+')}",
        "" if finding.p_adjusted is None else f"{finding.p_adjusted:.2g}",
        f"{finding.processes_base} / {finding.processes_candidate}",
        "; ".join(why),
    ]


def _amount(finding: Finding, value: float | None) -> str:
    """A relative change, or of a quality a difference in its own unit."""
    if value is None:
        return ""
    return f"{value:+.4g}" if finding.metric_class is MetricClass.QUALITY else f"{value:+.1%}"


def _operators(finding: Finding) -> Iterable[str]:
    if finding.operators:
        names = ", ".join(operator.name for operator in finding.operators[:3])
        yield f"most in {names} (`ampmark explain {finding.workload}/{finding.precision}`)"
