"""The step time of one cell over the nights, large enough to read values off it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING

from suite.judge.trends import Trend
from suite.report import numbers
from suite.report.axes import value_axis
from suite.report.drawing import BAND, INK, ON_TOP, Spec, axis_of, drawn, layer, plain, scale, tooltip
from suite.report.forest import TONES
from suite.report.signs import state_sign
from suite.report.sparkline import FLATTEST, changed
from suite.report.text import shorten

if TYPE_CHECKING:
    from suite.judge.nights import Night, Series

__all__ = ["nights_chart"]

WIDTH, HEIGHT = 560, 150
MOST_TICKS = 12


def nights_chart(series: Series, trend: Trend) -> Spec:
    """A dot per night, the last one in the colour of the state; the runs of the change shaded, the median thin.

    Where an anchor was run its nights are squares, joined by a dashed line: what both do is the machine's.
    """
    values = [math.exp(night.value) for night in series.nights]
    anchors = [None if night.anchor is None else math.exp(night.anchor) for night in series.nights]
    size, unit = numbers.time_unit(values)
    median = statistics.median(values)
    flat = [median * (1 - FLATTEST / 100), median * (1 + FLATTEST / 100)]
    shown = [value / size for value in (*values, *flat, *(value for value in anchors if value is not None))]
    axis = value_axis(shown)
    x: Spec = {"field": "night", "type": "quantitative", "scale": _across(len(values)), "axis": _ticks(len(values))}
    y: Spec = {
        "field": "value",
        "type": "quantitative",
        "scale": scale(axis),
        "axis": {**axis_of(axis, f"{unit} per step"), **ON_TOP},
    }
    own = _points(series.nights, values, size)
    anchored = _points(series.nights, anchors, size)
    range_ = changed(series, trend)
    band = [{"night": range_[0] + 0.5, "end": range_[1] + 1.5}] if range_ else []
    colour = TONES[state_sign(trend.state).tone][0]
    said: Spec = {"tooltip": tooltip(("run", "run"), ("at", "begun, UTC"), ("told", "step time"))}
    beside: Spec = {"tooltip": tooltip(("run", "run"), ("at", "begun, UTC"), ("told", "anchor's step time"))}
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "padding": {"left": 12, "top": 5, "right": 16, "bottom": 5},
        "encoding": {"x": x, "y": y},
        "layer": [
            layer("rect", {"x2": {"field": "end"}, "y": {"value": 0}, "y2": {"value": HEIGHT}}, band, color=BAND),
            layer("rule", {"x": None}, [{"value": drawn(median / size)}], color=INK, opacity=0.4, strokeWidth=1),
            layer("line", {}, anchored, color=INK, strokeDash=[5, 4], strokeWidth=1.2, opacity=0.7),
            layer("point", beside, anchored, shape="square", size=30, filled=False, color=INK, opacity=0.7),
            layer("line", {}, own, color=INK, strokeWidth=1.5),
            layer("point", said, own[:-1], filled=True, size=40, opacity=1, color=INK),
            layer("point", said, own[-1:], filled=True, size=90, opacity=1, color=colour),
        ],
    }


def _points(nights: Sequence[Night], seconds: Sequence[float | None], size: float) -> list[Spec]:
    return [
        {
            "night": place,
            "value": drawn(value / size),
            "run": shorten(night.run, 60),
            "at": shorten(night.at[:16].replace("T", " "), 20),
            "told": plain(numbers.seconds(value)),
        }
        for place, (night, value) in enumerate(zip(nights, seconds, strict=True), start=1)
        if value is not None
    ]


def _across(nights: int) -> Spec:
    return {"domain": [0.5, nights + 0.5], "nice": False, "zero": False}


def _ticks(nights: int) -> Spec:
    every = math.ceil(nights / MOST_TICKS)
    return {"title": "night, oldest first", "values": list(range(1, nights + 1, every)), "grid": False, "format": ",d"}
