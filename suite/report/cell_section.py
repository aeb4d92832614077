"""Everything about one cell: the numbers with their units, the evidence, and the command that measures it again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from suite.judge.findings import ORDER, Finding, Verdict
from suite.report import numbers
from suite.report.cell_tables import cell_tables
from suite.report.cells import Cell
from suite.report.regressions import METRICS, FindingRow, finding_rows
from suite.report.signs import Sign, cell_sign, verdict_sign
from suite.report.statements import statements
from suite.report.tables import Table
from suite.report.text import command_line, last_lines

__all__ = ["CellSection", "cell_section"]

_QUIET = (Verdict.UNCHANGED, Verdict.NOT_MEASURED)
_LOUD = (Verdict.REGRESSED, Verdict.FAILED, Verdict.CHANGED)


@dataclass(frozen=True)
class CellSection:
    """The details of one cell. Sentences are full sentences; tables may be empty."""

    workload: str
    precision: str
    anchor: str
    sign: Sign
    worst: Sign | None
    """The worst verdict on it; None where it was not compared."""
    worst_metric: str
    loud: bool
    """Whether it is unfolded on paper: something in it went wrong or is not what it was."""
    summary: str
    statements: tuple[str, ...]
    tables: tuple[Table, ...]
    findings: tuple[FindingRow, ...]
    command: str
    nights: str | None
    log: str
    log_trial: str


def cell_section(
    cell: Cell,
    findings: Sequence[Finding],
    own_profile: str | None = None,
    nights: str | None = None,
    batch_scale: int = 1,
) -> CellSection:
    """The details of one cell; `findings` are those of the whole run.

    `own_profile` is where the run's profile is kept, when it was a file of the user's, and `batch_scale` how many times
    the profile's batch the run had; `nights` where the page has
    the cell's row over the nights.
    """
    ours = [f for f in findings if (f.workload, f.precision) == (cell.workload, cell.precision)]
    found = min(ours, key=lambda finding: ORDER[finding.verdict], default=None)
    sign = cell_sign(cell.outcome, len(cell.measured), cell.whole)
    log = next((row for row in cell.trials if row["log_tail"]), None)
    return CellSection(
        workload=cell.workload,
        precision=cell.precision,
        anchor=cell.anchor,
        sign=sign,
        worst=None if found is None else verdict_sign(found.verdict),
        worst_metric="" if found is None or found.verdict in _QUIET else METRICS.get(found.metric, found.metric),
        loud=sign.tone in ("bad", "warn") or (found is not None and found.verdict in _LOUD),
        summary=_summary(cell),
        statements=tuple(statements(cell)),
        tables=tuple(table for table in cell_tables(cell) if table.rows),
        findings=tuple(finding_rows(ours)),
        command=_command(cell, own_profile, batch_scale),
        nights=nights,
        log="" if log is None else last_lines(log["log_tail"]),
        log_trial="" if log is None else log["trial"],
    )


def _summary(cell: Cell) -> str:
    median = cell.median("step_seconds_median")
    trials = numbers.of(len(cell.measured), cell.whole, "trial")
    return f"{trials} measured" + ("" if median is None else f", {numbers.seconds(median)} per step")


def _command(cell: Cell, own_profile: str | None, batch_scale: int) -> str:
    spec = cell.planned[0] if cell.planned else None
    profile, device = (spec.profile, spec.device) if spec else (cell.first("profile"), cell.first("device"))
    repeats = len({spec.repeat for spec in cell.planned})
    words = [
        "ampmark",
        "run",
        "--profile",
        own_profile or profile,
        "--workload",
        cell.workload,
        "--precision",
        cell.precision,
    ]
    words += ["--device", device, "--seeds", ",".join(str(seed) for seed in cell.seeds)]
    words += ["--repeats", str(repeats)] if repeats > 1 else []
    words += ["--compile"] if spec and spec.setup.compile else []
    words += ["--batch-scale", str(batch_scale)] if batch_scale > 1 else []
    return command_line(words + (["--deterministic"] if spec and spec.deterministic else []))
