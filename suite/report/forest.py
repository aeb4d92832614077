"""The forest plot: every change of the step time with its interval, against the band that does not matter."""

from __future__ import annotations

from collections.abc import Sequence

from suite.judge.findings import Finding
from suite.report import numbers
from suite.report.axes import Axis, value_axis
from suite.report.drawing import BAND, INK, Spec, axis_of, drawn, layer, plain, room, scale, tooltip
from suite.report.signs import verdict_sign
from suite.report.text import shorten

__all__ = ["forest_chart"]

#: Colour and shape by the verdict's tone.
TONES = {
    "bad": ("var(--bad, #a3142b)", "triangle-right"),
    "good": ("var(--good, #0b6b3a)", "triangle-left"),
    "warn": ("var(--warn, #704500)", "circle"),
    "quiet": ("var(--quiet, #4a4d55)", "square"),
    "info": ("var(--info, #124f9c)", "diamond"),
}


def forest_chart(findings: Sequence[Finding], delta: float) -> Spec:
    """Changes of the step time with their intervals against the band ±delta; a tick where one could be seen from."""
    rows = [_row(place, finding) for place, finding in enumerate(findings)]
    seen = [
        {"cell": row["cell"], "seen": drawn(100 * finding.minimum_detectable), "colour": row["colour"]}
        for row, finding in zip(rows, findings, strict=True)
        if finding.minimum_detectable is not None
    ]
    limits = [100 * delta, -100 * delta, *(row[key] for row in rows for key in ("low", "high"))]
    axis = _linear_percent([*limits, *(mark["seen"] for mark in seen)])
    x: Spec = {"field": "change", "type": "quantitative", "scale": scale(axis), "axis": axis_of(axis, _FOREST_TITLE)}
    y: Spec = {"field": "cell", "type": "nominal", "sort": None, "axis": None}
    band = [{"change": -100 * delta, "high": 100 * delta}]
    colour: Spec = {"field": "colour", "type": "nominal", "scale": None}
    point: Spec = {"x": x, "y": y, "fill": colour, "stroke": colour, "shape": {"field": "shape", "scale": None}}
    mark: Spec = {"x": {**x, "field": "seen"}, "y": y, "color": colour}
    return {
        "width": 560,
        "padding": {"left": room([row["name"] for row in rows]), "top": 5, "right": 12, "bottom": 5},
        "height": {"step": 24},
        "data": {"values": rows},
        "layer": [
            layer("rect", {"x": x, "x2": {"field": "high"}}, band, color=BAND),
            layer("rule", {"x": {"datum": 0, "type": "quantitative"}}, color=INK, strokeWidth=1),
            layer("rule", {"x": {**x, "field": "low"}, "x2": {"field": "high"}, "y": y, "stroke": colour}),
            *([layer("tick", mark, seen, thickness=1.5, size=15, opacity=1)] if seen else []),
            layer("point", {**point, "tooltip": tooltip(*_SAID)}, size=70, opacity=1),
            layer("text", {"x": {"value": -8}, "y": y, "text": {"field": "name"}}, align="right", limit=0),
        ],
    }


_SAID = (
    ("name", "cell"),
    ("verdict", "verdict"),
    ("told", "change"),
    ("from", "from"),
    ("to", "to"),
    ("seen", "could be seen from"),
)


def _row(place: int, finding: Finding) -> Spec:
    """Numbers for the drawing, and texts for the tooltip."""
    sign = verdict_sign(finding.verdict)
    colour, shape = TONES[sign.tone]
    change, low, high = (value or 0.0 for value in (finding.change, finding.low, finding.high))
    return {
        "cell": f"{place}",
        "change": drawn(100 * change),
        "low": drawn(100 * low),
        "high": drawn(100 * high),
        "colour": colour,
        "shape": shape,
        "name": f"{shorten(finding.workload, 18)} × {shorten(finding.precision, 16)}",
        "verdict": sign.word,
        "told": plain(numbers.change(change)),
        "from": plain(numbers.change(low)),
        "to": plain(numbers.change(high)),
        "seen": plain(numbers.percent(finding.minimum_detectable)),
    }


_FOREST_TITLE = "change of the step time, % (right is slower)"


def _linear_percent(values: Sequence[float]) -> Axis:
    low, high = min(values), max(values)
    # Never logarithmic: changes stand on both sides of 0.
    return value_axis([min(low, -1.0), max(high, 1.0)])
