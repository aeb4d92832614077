"""What was not measured and why: every gap of the run in one list, because a missing number looks like a good one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from suite.judge.findings import Finding, Verdict
from suite.report import numbers
from suite.report.cell_tables import MEMORY_LABELS
from suite.report.cells import REFERENCE, TF32, Cell, Grid, from_json
from suite.report.hardware import by_reason, state_labels
from suite.report.statements import CEILING_LABELS, unlooked
from suite.report.tables import Table
from suite.report.text import first_of, shorten

__all__ = ["gap_table"]

_NUMBER = re.compile(r"(?<![\w.,+-])\d+(?:\.\d+)?(?=[ \u00a0](?:[mµ]?s|[KMGT]?i?B|m?W|J|MHz|°C)\b|[ \u00a0]?%)")
"""A quantity: `0.57` before ` s`; not an exit status, and not the digits of a name, a version or a date."""
Gap = tuple[str, str, str]
"""What, why, and in which cell."""


def gap_table(grid: Grid, findings: Sequence[Finding], notice: str | None) -> Table:
    """One row per gap and reason, with the cells it concerns."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for what, why, where in _gaps(grid, findings, notice):
        places = grouped.setdefault((what, why), [])
        if where not in places:
            places.append(where)
    rows = [(what, numbers.spaced(shorten(why, 400)), _where(places, grid)) for what, why, places in _alike(grouped)]
    return Table.of("What was not measured and why", ("What", "Why", "Where"), rows)


def _alike(grouped: Mapping[tuple[str, str], list[str]]) -> Iterator[tuple[str, str, list[str]]]:
    """Reasons that differ in nothing but one quantity as one, with the lowest and the highest of it."""
    together: dict[tuple[str, str], list[tuple[str, list[str]]]] = {}
    for (what, why), places in grouped.items():
        together.setdefault((what, _NUMBER.sub("#", why)), []).append((why, places))
    for (what, _), found in together.items():
        columns = [dict(zip(map(float, column), column, strict=True)) for column in _quantities(found)]
        if sum(len(column) > 1 for column in columns) > 1:
            yield from ((what, why, places) for why, places in found)
            continue
        shown = iter([_from_to(column) for column in columns])
        merged = _NUMBER.sub(lambda _, shown=shown: next(shown), found[0][0])  # type: ignore[misc]
        yield what, merged, list(dict.fromkeys(place for _, each in found for place in each))


def _quantities(found: Sequence[tuple[str, list[str]]]) -> Iterator[tuple[str, ...]]:
    """Of each place of a number in the reasons, what stands there."""
    return zip(*(_NUMBER.findall(why) for why, _ in found), strict=True)


def _from_to(column: Mapping[float, str]) -> str:
    low, high = column[min(column)], column[max(column)]
    return low if len(column) == 1 else f"{low} to {high}"


def _where(places: Sequence[str], grid: Grid) -> str:
    measured = sum(bool(cell.measured) for cell in grid)
    if len(places) > 1 and len(places) == measured:
        return f"all {measured} measured cells"
    return first_of(places)


def _gaps(grid: Grid, findings: Sequence[Finding], notice: str | None) -> Iterator[Gap]:
    if notice is not None:
        yield "change against a baseline", notice, "the whole run"
    for cell in grid:
        yield from _trial_gaps(cell)
    for cell in grid:
        yield from _comparison_gaps(grid, cell)
    for cell in grid:
        yield from _instrument_gaps(cell)
    for finding in findings:
        judged = grid.cells.get((finding.workload, finding.precision))
        # A cell that stopped has said why already.
        if finding.verdict is Verdict.NOT_MEASURED and not (judged and judged.stopped):
            yield "change against the base", "; ".join(finding.reasons) or "no reason was recorded", finding.cell


def _trial_gaps(cell: Cell) -> Iterator[Gap]:
    for row in cell.stopped:
        yield "trial", f"{row['outcome']}: {row['reason'] or 'no reason was recorded'}", cell.name
    if cell.absent:
        amount = numbers.of(cell.absent, len(cell.planned), "planned trial")
        yield "trial", f"the run stopped before {amount} could run", cell.name


def _comparison_gaps(grid: Grid, cell: Cell) -> Iterator[Gap]:
    if not cell.measured:
        return
    for precision in (REFERENCE, TF32):
        other = grid.cells.get((cell.workload, precision))
        if other is None:
            yield f"ratio to {precision}", f"{precision} is not in this run's plan", cell.name
        elif not other.measured:
            end = other.outcome.value if other.outcome else "not run"
            yield f"ratio to {precision}", f"{precision} has no numbers ({end})", cell.name


def _instrument_gaps(cell: Cell) -> Iterator[Gap]:
    labelled = (
        ("memory: ", "memory_reasons", MEMORY_LABELS),
        ("utilisation: ", "ceiling_reasons", CEILING_LABELS),
        ("hardware: ", "hardware", state_labels()),
    )
    for row in unlooked(cell):
        yield "gradients flushed by float16", row["flush_reason"], cell.name
    for row in cell.measured:
        for prefix, column, labels in labelled:
            found = from_json(row[column], {})
            # The whole state of the hardware is one JSON column; of the others there are only the reasons.
            for why, names in by_reason(found.get("reasons", {}) if column == "hardware" else found, labels).items():
                yield prefix + names, why, cell.name
        if row["energy_joules"] is None:
            yield "energy", row["energy_reason"] or "no reason was recorded", cell.name
        if row["quality"] is None:
            yield "quality", "the trial reports no finite quality", cell.name
