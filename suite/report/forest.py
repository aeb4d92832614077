"""The forest plot: every change of the step time with its interval, against the band that does not matter."""

from __future__ import annotations

from collections.abc import Sequence

from suite.judge.findings import Finding
from suite.report.axes import Axis, value_axis
from suite.report.drawing import BAND, INK, Spec, axis_of, layer, room, scale, tooltip
from suite.report.signs import verdict_sign
from suite.report.text import shorten

__all__ = ["forest_chart"]

#: Colour and shape by the verdict's tone.
TONES = {
    "bad": ("var(--bad, #a3142b)", "triangle-right"),
    "good": ("var(--good, #0b6b3a)", "triangle-left"),
    "warn": ("var(--warn, #7a4b00)", "circle"),
    "quiet": ("var(--quiet, #4a4d55)", "square"),
    "info": ("var(--info, #124f9c)", "diamond"),
}


def forest_chart(findings: Sequence[Finding], delta: float) -> Spec:
    """Changes of the step time with their intervals against the band ±delta."""
    rows: list[Spec] = [
        {
            "cell": f"{place}",
            "change": 100 * (finding.change or 0.0),
            "low": 100 * (finding.low or 0.0),
            "high": 100 * (finding.high or 0.0),
            "colour": TONES[verdict_sign(finding.verdict).tone][0],
            "shape": TONES[verdict_sign(finding.verdict).tone][1],
            "name": f"{shorten(finding.workload, 18)} × {shorten(finding.precision, 16)}",
        }
        for place, finding in enumerate(findings)
    ]
    limits = [100 * delta, -100 * delta, *(row[key] for row in rows for key in ("low", "high"))]
    axis = _linear_percent(limits)
    x: Spec = {"field": "change", "type": "quantitative", "scale": scale(axis), "axis": axis_of(axis, _FOREST_TITLE)}
    y: Spec = {"field": "cell", "type": "nominal", "sort": None, "axis": None}
    band = [{"change": -100 * delta, "high": 100 * delta}]
    colour: Spec = {"field": "colour", "type": "nominal", "scale": None}
    return {
        "width": 560,
        "padding": {"left": room([row["name"] for row in rows]), "top": 5, "right": 12, "bottom": 5},
        "height": {"step": 24},
        "data": {"values": rows},
        "layer": [
            layer("rect", {"x": x, "x2": {"field": "high"}}, band, color=BAND),
            layer("rule", {"x": {"datum": 0, "type": "quantitative"}}, color=INK, strokeWidth=1),
            layer("rule", {"x": {**x, "field": "low"}, "x2": {"field": "high"}, "y": y, "stroke": colour}),
            layer(
                "point",
                {
                    "x": x,
                    "y": y,
                    "fill": colour,
                    "stroke": colour,
                    "shape": {"field": "shape", "scale": None},
                    "tooltip": tooltip(("name", "cell"), ("change", "change, %"), ("low", "from"), ("high", "to")),
                },
                size=70,
                opacity=1,
            ),
            layer("text", {"x": {"value": -8}, "y": y, "text": {"field": "name"}}, align="right", limit=0),
        ],
    }


_FOREST_TITLE = "change of the step time, % (right is slower)"


def _linear_percent(values: Sequence[float]) -> Axis:
    low, high = min(values), max(values)
    # Never logarithmic: changes stand on both sides of 0.
    return value_axis([min(low, -1.0), max(high, 1.0)])
