"""Everything about one cell: the numbers with their units, the evidence, and the command that measures it again."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from suite.judge.findings import Finding
from suite.report import numbers
from suite.report.cell_tables import cell_tables
from suite.report.cells import Cell, distinct, from_json
from suite.report.regressions import FindingRow, finding_rows
from suite.report.signs import Sign, outcome_sign
from suite.report.tables import Table
from suite.report.text import command_line, last_lines, shorten

__all__ = ["CellSection", "cell_section"]

FULL_REASON = 2000
"""Characters of a reason in the details."""


@dataclass(frozen=True)
class CellSection:
    """The details of one cell. Sentences are full sentences; tables may be empty."""

    workload: str
    precision: str
    anchor: str
    sign: Sign
    summary: str
    statements: tuple[str, ...]
    tables: tuple[Table, ...]
    findings: tuple[FindingRow, ...]
    command: str
    log: str
    log_trial: str


def cell_section(cell: Cell, findings: Sequence[Finding], own_profile: str | None = None) -> CellSection:
    """The details of one cell; `findings` are those of the whole run.

    `own_profile` is where the run's profile is kept, when it was a file of the user's.
    """
    ours = [f for f in findings if (f.workload, f.precision) == (cell.workload, cell.precision)]
    log = next((row for row in cell.trials if row["log_tail"]), None)
    return CellSection(
        workload=cell.workload,
        precision=cell.precision,
        anchor=cell.anchor,
        sign=outcome_sign(cell.outcome),
        summary=_summary(cell),
        statements=tuple(_statements(cell)),
        tables=tuple(table for table in cell_tables(cell) if table.rows),
        findings=tuple(finding_rows(ours)),
        command=_command(cell, own_profile),
        log="" if log is None else last_lines(log["log_tail"]),
        log_trial="" if log is None else log["trial"],
    )


def _summary(cell: Cell) -> str:
    median = cell.median("step_seconds_median")
    trials = numbers.of(len(cell.measured), len(cell.planned) or len(cell.trials), "trial")
    return f"{trials} measured" + ("" if median is None else f", {numbers.seconds(median)} per step")


def _statements(cell: Cell) -> Iterator[str]:
    for row in distinct(cell.trials, "outcome", "reason"):
        if row["outcome"] != "ok":
            yield f"Outcome {row['outcome']}: {shorten(row['reason'] or 'no reason was recorded', FULL_REASON)}"
    for row in distinct(cell.trials, "emulation"):
        if row["emulation"] and row["emulation"] != row["reason"]:
            yield f"Emulated: {shorten(row['emulation'], FULL_REASON)}"
    if cell.absent:
        yield f"{numbers.of(cell.absent, len(cell.planned), 'planned trial')} has no record: the run stopped before."
    yield from _baseline(cell)
    yield from _energy(cell)
    yield from _attested(cell)
    yield from _cautions(cell)


def _baseline(cell: Cell) -> Iterator[str]:
    """Whether training beat a predictor that ignores the input: below it, a quality difference means nothing."""
    qualities, beaten = cell.quality_by_seed(), cell.seeds_beating_baseline()
    if beaten is None:
        return
    verdict = (
        "and beat it" if beaten == len(qualities) else f"and beat it with {numbers.of(beaten, len(qualities), 'seed')}"
    )
    name = shorten(str(cell.first("quality_baseline_name")), 200)
    metric = shorten(str(cell.first("quality_metric")), 100)
    baseline = numbers.number(cell.first("quality_baseline"), 4)
    direction = "higher" if cell.first("quality_higher_is_better") else "lower"
    yield (
        f"Quality had to beat “{name}” ({metric} {baseline}, {direction} is better) "
        f"{verdict if beaten else 'and did not'}: {numbers.number(statistics.fmean(qualities.values()), 4)}."
    )


def _energy(cell: Cell) -> Iterator[str]:
    used = cell.median("energy_joules")
    if used is not None:
        each = numbers.joules(cell.median("energy_joules_per_sample"))
        source = shorten(str(cell.first("energy_source")), 200)
        yield f"Energy: {numbers.joules(used)} over the window, {each} per sample ({source})."
        return
    for row in distinct(cell.measured, "energy_reason"):
        yield f"Energy was not measured: {shorten(row['energy_reason'] or 'no reason was recorded', FULL_REASON)}"


def _attested(cell: Cell) -> Iterator[str]:
    found = Counter(row["effective_precision"] for row in cell.trials if row["effective_precision"])
    if found:
        words = ", ".join(
            f"{shorten(name, 200)} ({numbers.of(n, len(cell.trials), 'trial')})" for name, n in found.items()
        )
        yield f"Attested precision, from an operator census and a numerical probe: {words}."


def _cautions(cell: Cell) -> Iterator[str]:
    cautions = [caution for row in cell.trials for caution in from_json(row["cautions"], [])]
    for (code, message), n in Counter((c["code"], c["message"]) for c in cautions).items():
        trials = numbers.of(n, len(cell.trials), "trial")
        yield f"Caution {shorten(code, 80)} ({trials}): {shorten(message, FULL_REASON)}"


def _command(cell: Cell, own_profile: str | None) -> str:
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
    return command_line(words + (["--repeats", str(repeats)] if repeats > 1 else []))
