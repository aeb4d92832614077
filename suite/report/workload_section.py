"""The section of one workload: four charts, each with the numbers behind it, and the setup that all modes share."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup

from suite.decode import encode
from suite.report import numbers
from suite.report.cells import REFERENCE, Cell, Grid, Row, from_json
from suite.report.charts import loss_axis, loss_chart, scale_chart, time_axis, time_chart
from suite.report.drawing import draw
from suite.report.step_spread import spread_axis, spread_chart, spread_table, spreads
from suite.report.tables import Table
from suite.report.text import first_of, shorten
from suite.report.traces import Series, Traces

__all__ = ["Figure", "WorkloadSection", "flat", "workload_section"]


LOGARITHMIC = " The axis is logarithmic, for the values lie far apart: equal distances are equal ratios."


@dataclass(frozen=True)
class Figure:
    """A chart with its numbers; without a picture where there is nothing to draw, and `caption` says so."""

    title: str
    caption: str
    svg: Markup | None = None
    table: Table | None = None


@dataclass(frozen=True)
class WorkloadSection:
    """One workload's curves."""

    workload: str
    figures: tuple[Figure, ...]
    setup: Table


def workload_section(grid: Grid, traces: Traces, workload: str) -> WorkloadSection:
    """Charts and tables of one workload."""
    cells = [(grid.cells[workload, p], place) for place, p in enumerate(grid.precisions) if (workload, p) in grid.cells]
    name = shorten(workload, 40)
    figures = (
        _losses(cells, traces, name),
        _scales(cells, traces, name),
        _times(cells, traces, name),
        _spreads(cells, traces, name),
    )
    return WorkloadSection(workload, figures, _setup([cell for cell, _ in cells]))


Placed = Sequence[tuple[Cell, int]]


def _losses(cells: Placed, traces: Traces, name: str) -> Figure:
    series = [line for cell, place in cells for line in traces.losses(cell, place)]
    drawn = [line for line in series if line.points]
    table = _loss_table([cell for cell, _ in cells], traces, name)
    if not drawn:
        return Figure("Training loss", "No trial of this workload has a loss to draw.", table=table)
    ends = ", ".join(_loss_words(line) for line in drawn)
    caption = "Median over the processes of each mode; a cross marks the step before which a diverged trial broke down."
    differences = _differences(cells, traces)
    caption += _thinned(drawn)
    if loss_axis(drawn).base is not None:
        caption += LOGARITHMIC
    if differences:
        caption += (
            f" Below: the median over processes of the loss minus {REFERENCE}’s with the same seed, step by step."
        )
    chart = loss_chart(drawn, differences, REFERENCE)
    return Figure("Training loss", caption, draw(chart, f"Training loss over steps of {name}: {ends}."), table)


def _thinned(series: Sequence[Series]) -> str:
    """What keeps a single step from being seen."""
    most = max(line.thinned for line in series)
    return "" if most == 1 else f" A point is the median of {most} neighbouring steps: what only one did is not seen."


def _differences(cells: Placed, traces: Traces) -> list[Series]:
    """Of every mode that finished, against the reference, if it finished."""
    reference = next((cell for cell, _ in cells if cell.precision == REFERENCE and cell.measured), None)
    if reference is None:
        return []
    others = [(cell, place) for cell, place in cells if cell is not reference]
    return [line for cell, place in others for line in traces.loss_differences(cell, reference, place)]


def _loss_words(line: Series) -> str:
    stopped = "" if line.diverged_at is None else f" (diverged at step {line.diverged_at})"
    return f"{shorten(line.precision, 30)} ends at {numbers.number(line.points[-1][1])}{stopped}"


def _scales(cells: Placed, traces: Traces, name: str) -> Figure:
    series = [line for cell, place in cells for line in traces.scales(cell, place)]
    table = _scale_table([cell for cell, _ in cells], name)
    if not series:
        return Figure(
            "Loss scale and overflow",
            "No mode of this workload scaled its loss in a finished step, and no gradient overflowed.",
            table=table,
        )
    words = ", ".join(f"{shorten(line.precision, 30)}: {len(line.overflows)} overflowing steps" for line in series)
    caption = "First process of each mode. Below: one tick per step whose gradients overflowed."
    return Figure(
        "Loss scale and overflow",
        caption,
        draw(scale_chart(series), f"Loss scale over steps of {name}; {words}."),
        table,
    )


def _times(cells: Placed, traces: Traces, name: str) -> Figure:
    series = [line for cell, place in cells for line in traces.times(cell, place) if line.points]
    table = _time_table([cell for cell, _ in cells], name)
    if not series:
        return Figure("Step time", "No trial of this workload finished with step times.", table=table)
    size, unit = numbers.time_unit([value for line in series for _, value in line.points])
    shown = [replace(line, points=tuple((step, value / size) for step, value in line.points)) for line in series]
    words = ", ".join(f"{shorten(line.precision, 30)} {_median_words(line)}" for line in series)
    caption = "Median over the processes of each mode. Faint: warm-up, not timed; the ring is the first timed step."
    caption += _thinned(series)
    axis = time_axis(shown)
    if any(step < line.first_timed and value > axis.high for line in shown for step, value in line.points):
        caption += " The axis is that of the timed steps, at whose edge a slower warm-up is cut."
    if axis.base is not None:
        caption += LOGARITHMIC
    if any(line.overflows for line in series):
        caption += " A small cross marks a step whose gradients overflowed in the mode’s first process."
    return Figure(
        "Step time", caption, draw(time_chart(shown, unit), f"Time of each step of {name}; medians: {words}."), table
    )


def _spreads(cells: Placed, traces: Traces, name: str) -> Figure:
    found = list(spreads(cells, traces))
    title = "Step time, spread"
    if not found:
        return Figure(title, "No trial of this workload finished with step times.")
    size, unit = numbers.time_unit([each.median for each in found])
    caption = (
        "Box: the middle half of the timed steps of all processes together, its bar their median; line: from 5 to "
        "95\u00a0% of them. Dots: the median of each process."
    )
    if any(each.emulated for each in found):
        caption += " ≈: emulated, not ranked."
    if spread_axis(found, size).base is not None:
        caption += LOGARITHMIC
    words = ", ".join(f"{shorten(each.precision, 30)} {numbers.seconds(each.median)}" for each in found)
    chart = draw(spread_chart(found, size, unit), f"Spread of the step time of {name}; medians: {words}.")
    return Figure(title, caption, chart, spread_table(found, size, unit, name))


def _median_words(line: Series) -> str:
    timed = [value for step, value in line.points if step >= line.first_timed]
    return numbers.seconds(statistics.median(timed) if timed else None)


def _loss_table(cells: Sequence[Cell], traces: Traces, name: str) -> Table:
    last = max((cell.planned[0].setup.steps for cell in cells if cell.planned), default=1) - 1
    steps = sorted({round(last * share) for share in (0, 0.25, 0.5, 0.75, 1)})
    head = ("Precision", "Outcome", *(f"Step {step}" for step in steps), "Mean of first tenth", "Mean of last tenth")
    rows = [
        (
            cell.precision,
            row["outcome"],
            *(numbers.number(value, 4) for value in traces.at(row, "loss", steps)),
            numbers.number(row["first_loss"], 4),
            numbers.number(row["final_loss"], 4),
        )
        for cell, row in _with_steps(cells)
    ]
    return Table.of(f"Training loss of {name} at some steps, first process of each mode", head, _full(rows, len(head)))


def _scale_table(cells: Sequence[Cell], name: str) -> Table:
    head = (
        "Precision",
        "Outcome",
        "Settled",
        "First",
        "Lowest",
        "Highest",
        "Last",
        "Grew",
        "Backed off",
        "Overflowing steps",
    )
    rows = [
        (
            cell.precision,
            row["outcome"],
            *(numbers.scale(row[f"scale_{key}"]) for key in ("settled", "first", "lowest", "highest", "last")),
            *(numbers.count(row[f"scale_{key}"]) for key in ("growths", "backoffs")),
            _steps_words(row),
        )
        for cell, row in _with_steps(cells)
    ]
    return Table.of(f"Loss scale of {name}, first process of each mode", head, rows)


def _time_table(cells: Sequence[Cell], name: str) -> Table:
    head = ("Precision", "Processes", "Warm-up steps", "Timed steps", "Median", "95th percentile", "Fastest")
    rows = [
        (
            cell.precision,
            f"{len(cell.measured)}",
            *(numbers.count_between(cell.values(column)) for column in ("warmup_steps", "timed_steps")),
            *(numbers.seconds(cell.median(f"step_seconds_{key}")) for key in ("median", "p95", "min")),
        )
        for cell in cells
        if cell.measured
    ]
    return Table.of(f"Step time of {name}, medians over processes", head, rows)


def _with_steps(cells: Sequence[Cell]) -> Iterator[tuple[Cell, Row]]:
    """Each cell's first trial that took a step, measured ones first."""
    for cell in cells:
        found = next((row for row in (*cell.measured, *cell.stopped) if row["steps"] is not None), None)
        if found is not None:
            yield cell, found


def _full(rows: Sequence[tuple[str, ...]], width: int) -> list[tuple[str, ...]]:
    return [row + (numbers.MISSING,) * (width - len(row)) for row in rows]


def _steps_words(row: Row) -> str:
    found = from_json(row["overflow_steps"], [])
    return first_of([str(step) for step in found], most=12) if found else "none"


def _setup(cells: Sequence[Cell]) -> Table:
    spec = next(cell.planned[0] for cell in cells if cell.planned)
    pairs = {**flat(encode(spec.setup)), **flat(encode(spec.scaler), "scaler")}
    rows = [(key, _plain(value)) for key, value in pairs.items()]
    return Table.of("Setup: equal in every precision", ("Setting", "Value"), rows)


def flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested tables as one, with dotted keys."""
    found: dict[str, Any] = {}
    for key, item in value.items():
        name = f"{prefix}.{key}" if prefix else key
        found |= flat(item, name) if isinstance(item, Mapping) else {name: item}
    return found


def _plain(value: Any) -> str:
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value)
