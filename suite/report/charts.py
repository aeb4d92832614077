"""Charts over the optimizer steps: loss, step time, loss scale. One line per precision.

Lines differ by dash as well as by colour and carry their names at their ends. Names reach a specification only as
data values, never as fields or expressions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from suite.report import numbers
from suite.report.axes import Axis, spread, value_axis
from suite.report.drawing import ON_TOP, Spec, axis_of, drawn, layer, plain, room, scale, tooltip, zoomable
from suite.report.text import shorten
from suite.report.traces import Series

__all__ = ["loss_axis", "loss_chart", "scale_chart", "time_axis", "time_chart"]

WIDTH, HEIGHT = 300, 220
"""Of the plotting area in pixels, labels outside; three charts stand side by side on a wide screen."""
RIGHT: Spec = {"value": WIDTH}
"""Where labels stand, wherever the steps have been moved to."""
LABEL_PIXELS = 16
LONGEST_LABEL = 22


COLOURS = tuple(
    f"var(--series-{place}, {colour})"
    for place, colour in enumerate(
        ("#3a3d44", "#0072b2", "#c44f00", "#00795a", "#a8467f", "#8a6100", "#5b4bb7", "#23798f"), start=1
    )
)
DASHES = ([1, 0], [7, 3], [2, 2], [10, 3, 2, 3], [4, 2], [12, 4], [6, 2, 2, 2, 2, 2], [1, 3])
NO_AXIS: Spec = {"labels": False, "ticks": False, "title": None, "grid": False}
"""Of steps, where a chart below has one."""
CROSS = "M-1,-1L1,1M1,-1L-1,1"


@dataclass(frozen=True)
class Quantity:
    """What a curve is of: what stands over its axis, and what hovering over a point of it tells."""

    title: str
    """Over the axis, where a unit or a power of ten belongs to the numbers beside the ticks."""
    name: str
    told: Callable[[float], str]
    """Of a number as it is drawn: the true one, with its unit."""


LOSS = Quantity("loss", "loss", lambda value: numbers.number(value, 4))
SCALE = Quantity("loss scale", "loss scale", numbers.scale)


def loss_axis(series: Sequence[Series]) -> Axis:
    """Of all curves together; logarithmic where their losses are far apart."""
    return value_axis([value for line in series for _, value in line.points])


def time_axis(series: Sequence[Series]) -> Axis:
    """Of the timed steps: a warm-up that takes many times as long would lay the curves on one another."""
    timed = [value for line in series for step, value in line.points if step >= line.first_timed]
    return value_axis(timed or [value for line in series for _, value in line.points])


def loss_chart(series: Sequence[Series], differences: Sequence[Series] = (), reference: str = "") -> Spec:
    """Training loss over steps, one line per mode; a cross where a trial broke down.

    Modes that train alike cover one another, so that below it stand their `differences` to the reference's loss.
    """
    ends = [
        {"step": line.points[-1][0], "value": line.points[-1][1], "colour": _colour(line)}
        for line in series
        if line.diverged_at is not None and line.points
    ]
    last = max(step for line in series for step, _ in line.points)
    chart = _line_chart(series, loss_axis(series), LOSS, extra=[_points(ends, CROSS, 90)], last=last)
    padding = _padding([_label(line) for line in series])
    if not differences:
        return zoomable({**chart, "padding": padding})
    chart["encoding"]["x"]["axis"] = NO_AXIS
    below = _difference_panel(differences, f"loss − {shorten(reference, 20)}’s", last)
    return zoomable({"vconcat": [chart, below], "spacing": 38, "bounds": "flush", "padding": padding})


def _difference_panel(differences: Sequence[Series], title: str, last: int) -> Spec:
    """Around zero; small differences in thousandths or millionths, for which the ticks have room."""
    largest = max(abs(value) for line in differences for _, value in line.points)
    power = 0 if largest in (0.0, math.inf) else 3 * math.floor(math.log10(largest) / 3)
    scaled = [
        replace(line, points=tuple((step, value / 10.0**power) for step, value in line.points)) for line in differences
    ]
    axis = value_axis([0.0, *(value for line in scaled for _, value in line.points)])
    height = max(110, LABEL_PIXELS * len(scaled))
    above = title + (f", in 1e{power}" if power else "")
    quantity = Quantity(above, title, lambda value: numbers.signed(value * 10.0**power, 3))
    return _line_chart(scaled, axis, quantity, last=last, height=height)


def time_chart(series: Sequence[Series], unit: str) -> Spec:
    """Step time over steps; the warm-up is faint, a ring marks the first timed step, a cross one that overflowed.

    A warm-up beyond the axis of the timed steps is cut at the edge.
    """
    rings = [
        {"step": step, "value": value, "colour": _colour(line)}
        for line in series
        for step, value in [point for point in line.points if point[0] >= line.first_timed][:1]
    ]
    crosses = [
        {"step": step, "value": value, "colour": _colour(line)}
        for line in series
        for step, value in line.points
        if step in line.overflows
    ]
    marks = [_points(rings, "circle", 70), _points(crosses, CROSS, 18, width=1.2)]
    quantity = Quantity(f"{unit} per step", "step time", lambda value: f"{numbers.number(value, 4)} {unit}")
    chart = _line_chart(series, time_axis(series), quantity, extra=marks)
    return zoomable({**chart, "padding": _padding([_label(line) for line in series])})


def scale_chart(series: Sequence[Series]) -> Spec:
    """Loss scale over steps (powers of two), and below it a row of ticks per mode whose gradients overflowed."""
    scaled = [line for line in series if line.points]
    overflowing = [line for line in series if line.overflows]
    last = max([step for line in series for step in (*line.overflows, *(x for x, _ in line.points))], default=0)
    parts = []
    if scaled:
        axis = value_axis([value for line in scaled for _, value in line.points], base=2.0)
        top = _line_chart(scaled, axis, SCALE, interpolate="step-after", last=last)
        if overflowing:
            # One axis of steps, under the strip.
            top["encoding"]["x"]["axis"] = NO_AXIS
        parts.append(top)
    if overflowing:
        parts.append(_overflow_strip(overflowing, last))
    names = [_label(line) for line in series]
    return zoomable({"vconcat": parts, "spacing": 38, "bounds": "flush", "padding": _padding(names)})


def _line_chart(
    series: Sequence[Series],
    axis: Axis,
    quantity: Quantity,
    *,
    interpolate: str = "linear",
    extra: Sequence[Spec] = (),
    last: int | None = None,
    height: int = HEIGHT,
) -> Spec:
    last = max([step for line in series for step, _ in line.points]) if last is None else last
    x, y = _step_encoding(last), _value_encoding(axis, quantity.title)
    layers = [part for line in series if line.points for part in _line_layers(line, quantity, interpolate)]
    layers += [*_end_labels(series, axis, last, height), *(part for part in extra if part["data"]["values"])]
    return {"width": WIDTH, "height": height, "encoding": {"x": x, "y": y}, "layer": layers}


def _padding(names: Sequence[str]) -> Spec:
    return {"left": 12, "top": 5, "right": room(names), "bottom": 5}


def _line_layers(line: Series, quantity: Quantity, interpolate: str) -> list[Spec]:
    """The line; where it has a warm-up, that part is a faint line of its own."""
    cut = line.first_timed
    warmup = [point for point in line.points if point[0] < cut]
    timed = [point for point in line.points if point[0] >= cut]
    parts = [(timed, 1.0)] if not warmup else [(warmup + timed[:1], 0.4), (timed, 1.0)]
    return [
        layer(
            "line",
            # The script gives every point the mode that `description` names: once a curve is enough in a page.
            {"tooltip": tooltip(("mode", "mode"), ("step", "step"), ("told", quantity.name))},
            [{"step": step, "value": drawn(value), "told": plain(quantity.told(value))} for step, value in points],
            stroke=_colour(line),
            strokeDash=DASHES[line.place % len(DASHES)],
            strokeWidth=1.8,
            opacity=opacity,
            interpolate=interpolate,
            clip=True,
        )
        | {"description": shorten(line.precision, LONGEST_LABEL)}
        for points, opacity in parts
        if points
    ]


def _end_labels(series: Sequence[Series], axis: Axis, last: int, height: int) -> list[Spec]:
    lines = [line for line in series if line.points]
    places = spread([axis.position(line.points[-1][1]) for line in lines], LABEL_PIXELS / height)
    labels, rules = [], []
    for line, place in zip(lines, places, strict=True):
        step, value = line.points[-1]
        rules += [
            {"step": step, "value": value, "line": line.place, "colour": _colour(line)},
            {"step": _domain_end(last), "value": axis.value(place), "line": line.place, "colour": _colour(line)},
        ]
        labels.append({"value": axis.value(place), "colour": _colour(line), "text": _label(line)})
    colour: Spec = {"field": "colour", "type": "nominal", "scale": None}
    detail: Spec = {"field": "line", "type": "nominal"}
    return [
        layer("line", {"stroke": colour, "detail": detail}, rules, strokeWidth=0.8, opacity=0.7),
        layer(
            "text",
            {"x": RIGHT, "text": {"field": "text"}, "color": colour},
            labels,
            align="left",
            dx=4,
            limit=0,
            clip=False,
        ),
    ]


def _label(line: Series) -> str:
    stopped = "" if line.diverged_at is None else f" ✕ {line.diverged_at}"
    return shorten(line.precision, LONGEST_LABEL - len(stopped)) + stopped


def _overflow_strip(series: Sequence[Series], last: int) -> Spec:
    ticks = [
        {"step": step, "row": f"{line.place}", "colour": _colour(line)} for line in series for step in line.overflows
    ]
    names = [{"row": f"{line.place}", "text": shorten(line.precision, LONGEST_LABEL)} for line in series]
    row: Spec = {
        "field": "row",
        "type": "nominal",
        "sort": None,
        "axis": {"title": "overflow", "labels": False, **ON_TOP},
    }
    colour: Spec = {"field": "colour", "type": "nominal", "scale": None}
    return {
        "width": WIDTH,
        "height": {"step": 18},
        "encoding": {"x": _step_encoding(last), "y": row},
        "layer": [
            layer("tick", {"color": colour}, ticks, thickness=2, size=13, opacity=1),
            layer("text", {"x": RIGHT, "text": {"field": "text"}}, names, align="left", dx=4, limit=0, clip=False),
        ],
    }


def _points(values: list[Spec], shape: str, size: int, width: float = 2) -> Spec:
    colour: Spec = {"field": "colour", "type": "nominal", "scale": None}
    return layer(
        "point", {"stroke": colour}, values, shape=shape, size=size, strokeWidth=width, filled=False, opacity=1
    )


def _step_encoding(last: int) -> Spec:
    ticks = [tick for tick in value_axis([0, max(last, 1)]).ticks if 0 <= tick <= last and tick == int(tick)]
    return {
        "field": "step",
        "type": "quantitative",
        "scale": {"domain": [0, _domain_end(last)], "nice": False},
        "axis": {"title": "optimizer step", "values": ticks, "grid": False, "format": ",d", "labelFlush": False},
    }


def _domain_end(last: int) -> float:
    """A little room between the last step and the labels, for the rules that join them."""
    return max(last, 1) * 1.07


def _value_encoding(axis: Axis, title: str) -> Spec:
    return {"field": "value", "type": "quantitative", "scale": scale(axis), "axis": {**axis_of(axis, title), **ON_TOP}}


def _colour(line: Series) -> str:
    return COLOURS[line.place % len(COLOURS)]
