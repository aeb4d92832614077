"""How far the times of a workload's steps lie apart: per precision a box over all timed steps, and a dot per process.

The quantiles are computed here, so that a page holds a handful of numbers for thousands of steps.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from suite.report import numbers
from suite.report.axes import Axis, value_axis
from suite.report.cells import Cell
from suite.report.charts import COLOURS, DASHES, LONGEST_LABEL, WIDTH
from suite.report.drawing import INK, Spec, axis_of, drawn, layer, plain, room, scale, tooltip
from suite.report.tables import Table
from suite.report.text import first_of, shorten
from suite.report.traces import Traces

__all__ = ["FAR_APART", "QUANTILES", "Spread", "spread_axis", "spread_chart", "spread_table", "spreads"]

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
FAR_APART = 8.0
"""Ratio of two precisions' medians from which a linear axis would flatten the boxes of the faster one."""
MOST_PROCESSES = 60
"""Whose medians the table lists."""


@dataclass(frozen=True)
class Spread:
    """One precision's step times, in seconds. `place` fixes its colour and dash, as in all charts."""

    precision: str
    place: int
    quantiles: tuple[float, ...]
    """Of the timed steps of all its processes together, at `QUANTILES`."""
    medians: tuple[float, ...]
    """One per process."""
    steps: int
    emulated: bool = False

    @property
    def median(self) -> float:
        """Of all timed steps together."""
        return self.quantiles[2]


def spreads(cells: Sequence[tuple[Cell, int]], traces: Traces) -> Iterator[Spread]:
    """Of every cell that was timed; each comes with its precision's place."""
    for cell, place in cells:
        processes = [found for row in cell.measured if (found := traces.timed(row))]
        if processes:
            pooled = pd.Series([value for process in processes for value in process])
            yield Spread(
                cell.precision,
                place,
                tuple(float(value) for value in pooled.quantile(list(QUANTILES))),
                tuple(statistics.median(process) for process in processes),
                len(pooled),
                cell.emulated,
            )


def spread_axis(found: Sequence[Spread], size: float = 1.0) -> Axis:
    """In units of `size` seconds; logarithmic where a precision takes many times as long as another."""
    medians = [each.median for each in found]
    values = [value / size for each in found for value in (*each.quantiles, *each.medians)]
    return value_axis(values, base=10.0 if max(medians) / min(medians) > FAR_APART else None)


def spread_chart(found: Sequence[Spread], size: float, unit: str) -> Spec:
    """One row per precision: a line from the 5 to the 95 % quantile, a box from 25 to 75 %, below it the processes."""
    axis = spread_axis(found, size)
    x: Spec = {"field": "low", "type": "quantitative", "scale": scale(axis), "axis": axis_of(axis, f"{unit} per step")}
    rows = [f"{each.place}" for each in found]
    y: Spec = {"field": "row", "type": "nominal", "scale": {"domain": rows}, "axis": None}
    names = [{"row": f"{each.place}", "text": _label(each)} for each in found]
    text = layer("text", {"x": {"value": -8}, "text": {"field": "text"}}, names, align="right", limit=0)
    return {
        "width": WIDTH,
        "height": {"step": 38},
        "padding": {"left": room([name["text"] for name in names]), "top": 5, "right": 16, "bottom": 5},
        "encoding": {"x": x, "y": y},
        "layer": [*(part for each in found for part in _box(each, size, unit)), text],
    }


def spread_table(found: Sequence[Spread], size: float, unit: str, name: str) -> Table:
    """The same numbers, in the same unit."""
    shares = (f"{share:.0%}".replace("%", "\u00a0%") for share in QUANTILES)
    head = ("Precision", "Outcome", "Processes", "Timed steps", *shares, "Median of each process")
    rows = [
        (
            each.precision,
            "emulated" if each.emulated else "ok",
            f"{len(each.medians)}",
            numbers.count(each.steps),
            *(numbers.number(value / size, 4) for value in each.quantiles),
            first_of([numbers.number(value / size, 4) for value in each.medians], MOST_PROCESSES),
        )
        for each in found
    ]
    return Table.of(f"Timed steps of {name} in {unit}, all processes together: quantiles", head, rows)


def _box(each: Spread, size: float, unit: str) -> list[Spec]:
    colour, dash = COLOURS[each.place % len(COLOURS)], DASHES[each.place % len(DASHES)]
    least, low, middle, high, most = (drawn(value / size) for value in each.quantiles)
    row = f"{each.place}"
    said = {f"at{share:.0%}".rstrip("%"): share for share in QUANTILES}
    texts = {name: _told(value / size, unit) for name, value in zip(said, each.quantiles, strict=True)}
    box = {"row": row, "name": _label(each), "low": low, "high": high, **texts}
    titles = ((name, "median" if share == 0.5 else f"{share:.0%}".replace("%", " %")) for name, share in said.items())
    to: Spec = {"x2": {"field": "high"}}
    told: Spec = {"tooltip": tooltip(("name", "precision"), *titles)}
    dots = [
        {"row": row, "name": _label(each), "low": drawn(value / size), "told": _told(value / size, unit)}
        for value in each.medians
    ]
    process: Spec = {"tooltip": tooltip(("name", "precision"), ("told", "median of a process"))}
    return [
        layer("rule", to, [{"row": row, "low": least, "high": most}], color=colour, strokeWidth=1.6, yOffset=-6),
        layer(
            "bar",
            {**to, **told},
            [box],
            size=14,
            fill=colour,
            fillOpacity=0.25,
            stroke=colour,
            strokeDash=dash,
            strokeWidth=1.6,
            yOffset=-6,
        ),
        layer("tick", {}, [{"row": row, "low": middle}], color=INK, thickness=2.5, size=18, yOffset=-6),
        layer("point", process, dots, fill=colour, stroke=colour, size=22, opacity=0.65, yOffset=10),
    ]


def _told(value: float, unit: str) -> str:
    return plain(f"{numbers.number(value, 4)} {unit}")


def _label(each: Spread) -> str:
    """The precision; the sign of an emulated one is that of the matrix."""
    sign = " ≈" if each.emulated else ""
    return shorten(each.precision, LONGEST_LABEL - len(sign)) + sign
