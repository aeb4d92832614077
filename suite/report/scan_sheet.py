"""The page of `ampmark scan-scale`: what float16 loses at every loss scale, and which static scales are safe."""

from __future__ import annotations

import math
from collections.abc import Sequence

from suite.loss_scale.scan import (
    LARGEST_FLUSHED_SHARE,
    OVERFLOW_MARGIN,
    SCALES,
    ScaleScan,
    ScaleWindow,
    power,
    scale_window,
)
from suite.record import Environment
from suite.report import numbers
from suite.report.axes import Axis
from suite.report.charts import COLOURS, DASHES
from suite.report.drawing import BAND, INK, ON_TOP, Spec, axis_of, draw, layer, scale
from suite.report.sheet import Figure, Sheet, machine_table
from suite.report.tables import Table

__all__ = ["scan_chart", "scan_sheet"]

WIDTH, HEIGHT = 620, 280
LEAST_SHARE = 1e-5
"""Lowest share that the logarithmic axis shows."""
_SHARES = Axis(LEAST_SHARE, 2.0, (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0), base=10.0)
_X = Axis(2.0**-0.7, SCALES[-1] * 2**0.7, tuple(2.0**n for n in range(0, 25, 4)), base=2.0)


def scan_sheet(scan: ScaleScan, environment: Environment, made_at: str) -> Sheet:
    """Everything on the page; `made_at` is a date and time in UTC."""
    window, spec = scale_window(scan), scan.spec
    words = f"Share of gradient values lost in float16 by loss scale. {window.sentence}"
    figure = Figure(
        "Gradients lost by loss scale",
        draw(scan_chart(scan, window), words),
        f"Worst of {len(scan.points)} moments of a float32 training. Both axes are logarithmic, and what is below "
        f"{numbers.share(LEAST_SHARE)} is not drawn. Shaded: the safe scales; the thin line is the limit of "
        f"{numbers.percent(LARGEST_FLUSHED_SHARE)}.",
        _numbers(scan),
        wide=True,
    )
    return Sheet(
        title=f"ampmark scan-scale {spec.workload}",
        meta=f"ampmark {environment.ampmark} · {environment.device_name} · torch {environment.torch} · {made_at}",
        headline=f"{spec.workload}: {window.sentence}",
        sentences=(*profile_sentences(scan), _DEFINITION),
        figures=(figure,),
        conditions=(_conditions(scan, made_at), _points(scan), machine_table(environment)),
        command=f"ampmark scan-scale {spec.workload}",
    )


_DEFINITION = (
    "A value is lost as zero when its magnitude times the scale is at most 2^-25, and as infinity from 65520 on: so "
    "float16 rounds. The values are those of every matrix product, convolution, attention and recurrent layer that "
    "autocast runs in float16: the gradient of its output and its contributions to the gradients of inputs and "
    "weights. What element-wise operators between them (activations, residual additions, pooling) also hold in float16 "
    "is not looked at. The gradients were computed in float32, so that a loss further up is not propagated: where much "
    "is lost, float16 itself can lose more."
)


def profile_sentences(scan: ScaleScan) -> tuple[str, ...]:
    """How the profile's own scales stand to the window."""
    window, scaler = scale_window(scan), scan.spec.scaler
    if not window.found or window.low is None or window.high is None:
        return ()
    static = scaler.static_scale
    where = "inside" if window.low <= static <= window.high else "below" if static < window.low else "above"
    return (
        f"The profile's static scale, {power(static)}, is {where} that window; its dynamic scale starts at "
        f"{power(scaler.initial_scale)}.",
    )


def scan_chart(scan: ScaleScan, window: ScaleWindow) -> Spec:
    """Flushed and overflowed share over the scale, both logarithmic; the window is a band."""
    x: Spec = {
        "field": "scale",
        "type": "quantitative",
        "scale": scale(_X),
        "axis": {**axis_of(_X, "loss scale"), "grid": False},
    }
    y_axis = {
        **axis_of(_SHARES, "share of the non-zero gradient values"),
        **ON_TOP,
        "labelExpr": "replace(format(datum.value, '~%'), '%', '\u00a0%')",
    }
    y: Spec = {"field": "share", "type": "quantitative", "scale": scale(_SHARES), "axis": y_axis}
    limit: list[Spec] = [{"share": LARGEST_FLUSHED_SHARE}]
    layers = [
        *_band(window, x),
        layer("rule", {"y": y, "x": {"value": 0}, "x2": {"value": WIDTH}}, limit, color=INK, strokeWidth=0.8),
        *_marks(scan, x),
        *_curve(scan.flushed_shares, "become zero", 1, first=True),
        *_curve(scan.overflowed_shares, "become infinite", 2, first=False),
    ]
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "padding": {"left": 12, "top": 5, "right": 16, "bottom": 5},
        "encoding": {"x": x, "y": y},
        "layer": layers,
    }


def _band(window: ScaleWindow, x: Spec) -> list[Spec]:
    if not window.found or window.low is None or window.high is None:
        return []
    ends: Spec = {"scale": window.low / math.sqrt(2), "end": window.high * math.sqrt(2)}
    band = {"x": x, "x2": {"field": "end"}, "y": {"value": 0}, "y2": {"value": HEIGHT}}
    name = {"x": x, "y": {"value": HEIGHT - 12}, "text": {"value": "safe"}}
    return [layer("rect", band, [ends], color=BAND), layer("text", name, [ends], align="left", dx=6)]


def _marks(scan: ScaleScan, x: Spec) -> list[Spec]:
    """The profile's own scales, as lines from top to bottom with their names beside them."""
    scaler = scan.spec.scaler
    named = [("static", scaler.static_scale, 16), ("dynamic starts", scaler.initial_scale, 34)]
    seen = [(text, place, height) for text, place, height in named if SCALES[0] <= place <= SCALES[-1]]
    rules = [
        layer(
            "rule",
            {"x": x, "y": {"value": 0}, "y2": {"value": HEIGHT}},
            [{"scale": place}],
            color=INK,
            strokeDash=[3, 3],
        )
        for _, place, _ in seen
    ]
    texts = [
        layer("text", {"x": x, "y": {"value": height}, "text": {"value": text}}, [{"scale": place}], align="left", dx=5)
        for text, place, height in seen
    ]
    return rules + texts


def _curve(shares: Sequence[float | None], name: str, place: int, *, first: bool) -> list[Spec]:
    known = [(scale, share) for scale, share in zip(SCALES, shares, strict=True) if share is not None]
    points = [{"scale": scale, "share": share} for scale, share in known if share >= LEAST_SHARE]
    if not points:
        return []
    label = {**points[0 if first else -1], "text": name}
    style = {"stroke": COLOURS[place], "strokeDash": DASHES[place], "strokeWidth": 2}
    dx, align = (0, "left") if first else (0, "right")
    return [
        layer("line", {}, points, **style),
        layer("point", {}, points, shape="circle", size=22, filled=True, color=COLOURS[place], opacity=1),
        layer("text", {"text": {"field": "text"}}, [label], align=align, dx=dx, dy=-12, color=COLOURS[place]),
    ]


def _numbers(scan: ScaleScan) -> Table:
    rows = [
        (power(s), numbers.share(flushed), numbers.share(overflowed))
        for s, flushed, overflowed in zip(SCALES, scan.flushed_shares, scan.overflowed_shares, strict=True)
    ]
    return Table.of("Worst share over the moments looked at", ("Loss scale", "Become zero", "Become infinite"), rows)


def _points(scan: ScaleScan) -> Table:
    rows = [
        (
            str(point.step),
            numbers.count(point.counts.values),
            numbers.count(point.counts.zeros),
            numbers.count(point.counts.nonfinite),
            numbers.number(point.counts.largest),
            numbers.share(point.counts.flushed[0] / point.counts.values if point.counts.values else None),
        )
        for point in scan.points
    ]
    head = ("Steps done", "Values", "Zero in float32", "Not finite", "Largest", "Become zero at 2^0")
    return Table.of("Gradients at every moment", head, rows)


def _conditions(scan: ScaleScan, made_at: str) -> Table:
    spec, setup = scan.spec, scan.spec.setup
    optimizer = setup.optimizer
    rows = [
        ("workload", spec.workload),
        ("profile", spec.profile),
        ("seed", str(spec.seed)),
        ("steps", f"{setup.steps} in float32"),
        ("batch", f"{setup.batch_size} × {setup.accumulation} micro-batches"),
        ("optimizer", f"{optimizer.name}, learning rate {optimizer.learning_rate:g}"),
        ("settings", ", ".join(f"{name} {value}" for name, value in setup.settings.items())),
        ("training loss", f"{numbers.number(scan.losses[0])} at first, {numbers.number(scan.losses[-1])} at last"),
        ("flushed limit", f"{numbers.percent(LARGEST_FLUSHED_SHARE)} of the values"),
        ("overflow margin", f"{OVERFLOW_MARGIN:g} times the largest gradient seen"),
        ("made at (UTC)", made_at),
    ]
    return Table.of("How it was measured", ("What", "Value"), rows)
