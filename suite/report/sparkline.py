"""A sparkline: the step time of one series over its nights, beside the median of them all."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING

from markupsafe import Markup

from suite.judge.trends import Trend
from suite.report import numbers
from suite.report.drawing import BAND, INK, Spec, layer, still
from suite.report.forest import TONES
from suite.report.signs import state_sign
from suite.report.text import shorten

if TYPE_CHECKING:
    from suite.judge.nights import Series

__all__ = ["FLATTEST", "changed", "description", "sparkline"]

FLATTEST = 4.0
"""Percent above and below the median that are always shown: noise smaller than what matters must look small."""
WIDTH, HEIGHT = 150, 30


def sparkline(series: Series, trend: Trend) -> Markup:
    """The picture. The nights are as far apart as one another, the runs of the change shaded, the last night a dot."""
    return still(_spec(series, trend), description(series, trend))


def _spec(series: Series, trend: Trend) -> Spec:
    values = [night.value for night in series.nights]
    median = statistics.median(values)
    rows: list[Spec] = [
        {"night": place, "percent": 100 * math.expm1(value - median)} for place, value in enumerate(values)
    ]
    across = {"domain": [-0.5, len(rows) - 0.5], "nice": False, "zero": False}
    up = {"domain": _domain([row["percent"] for row in rows]), "nice": False, "zero": False}
    x: Spec = {"field": "night", "type": "quantitative", "axis": None, "scale": across}
    y: Spec = {"field": "percent", "type": "quantitative", "axis": None, "scale": up}
    colour = TONES[state_sign(trend.state).tone][0]
    shaded = changed(series, trend)
    band = [{"night": shaded[0] - 0.5, "end": shaded[1] + 0.5}] if shaded else []
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "padding": 4,
        "data": {"values": rows},
        "layer": [
            layer("rect", {"x": x, "x2": {"field": "end"}}, band, color=BAND),
            layer("rule", {"y": y}, [{"percent": 0}], color=INK, opacity=0.3, strokeWidth=1),
            layer("line", {"x": x, "y": y}, color=INK, strokeWidth=1.25),
            layer("point", {"x": x, "y": y}, rows[-1:], filled=True, size=45, opacity=1, color=colour),
        ],
    }


def _domain(percents: Sequence[float]) -> list[float]:
    return [min(-FLATTEST, *percents), max(FLATTEST, *percents)]


def changed(series: Series, trend: Trend) -> tuple[int, int] | None:
    """Places, from 0, of the first and the last run that the change may have come with."""
    places = {night.run: place for place, night in enumerate(series.nights)}
    if trend.first_run not in places:
        return None
    first = places[trend.first_run]
    return first, places.get(trend.last_run or "", first)


def description(series: Series, trend: Trend) -> str:
    """The picture in words."""
    seconds = [math.exp(night.value) for night in series.nights]
    last = math.expm1(math.log(seconds[-1]) - statistics.median(math.log(value) for value in seconds))
    name = f"{shorten(series.workload, 60)} × {shorten(series.precision, 60)}"
    nights = f"{len(seconds)} night{'s' * (len(seconds) > 1)}"
    return (
        f"Step time of {name} over {nights}: first {numbers.seconds(seconds[0])}, last {numbers.seconds(seconds[-1])} "
        f"({numbers.change(last)} from the median), lowest {numbers.seconds(min(seconds))}, "
        f"highest {numbers.seconds(max(seconds))}{_changed_words(trend)}."
    )


def _changed_words(trend: Trend) -> str:
    runs = [shorten(run, 60) for run in dict.fromkeys((trend.first_run, trend.last_run)) if run is not None]
    if not runs:
        return ""
    return f"; changed with run {runs[0]}" if len(runs) == 1 else f"; changed between runs {runs[0]} and {runs[1]}"
