"""One Vega-Lite specification into one static `<svg>`, and the pieces that every chart is built from.

Drawn once, so that the page has no script and prints. Colours are CSS variables, so that one picture serves light
and dark.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import Any

from markupsafe import Markup

from suite.report.axes import Axis
from suite.report.text import clean

__all__ = ["BAND", "INK", "ON_TOP", "Spec", "axis_of", "draw", "layer", "room", "scale"]

Spec = dict[str, Any]

#: The fallback behind each variable is for an SVG taken out of the page. Values: templates/style.css.
INK, GRID, BAND = "var(--ink, #1b1d22)", "var(--grid, #d9dce2)", "var(--band, #e4e8ee)"
ON_TOP: Spec = {"titleAngle": 0, "titleAlign": "left", "titleBaseline": "bottom", "titleX": -34, "titleY": -11}
"""The title of a vertical axis lies above it: it reads without turning the head and cannot meet the labels."""

CONFIG: Spec = {
    "background": None,
    "font": "sans-serif",
    "aria": False,
    "view": {"stroke": None},
    "axis": {
        "labelColor": INK,
        "titleColor": INK,
        "gridColor": GRID,
        "domainColor": GRID,
        "tickColor": GRID,
        "labelFontSize": 14,
        "titleFontSize": 14,
        "titleFontWeight": "normal",
        "labelOverlap": "parity",
    },
    "text": {"color": INK, "fontSize": 14},
}


def draw(spec: Spec, description: str) -> Markup:
    """The chart as one `<svg>` element with its description as accessible name."""
    import vl_convert

    whole = {"$schema": "https://vega.github.io/schema/vega-lite/v6.json", "config": CONFIG, **spec}
    svg: str = vl_convert.vegalite_to_svg(whole, allowed_base_urls=[])
    opening = re.match(r"<svg[^>]*?\bviewBox=\"0 0 ([0-9.]+) ([0-9.]+)\"[^>]*>", svg)
    if opening is None:
        raise ValueError("vl_convert returned something that does not begin with an <svg> element")
    width, height = opening.groups()
    # Its own opening tag: the page scales the picture by its viewBox, and a reader hears the description.
    ours = (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(clean(description))}" class="chart" '
        f'viewBox="0 0 {width} {height}" style="max-width:{float(width):.0f}px">'
    )
    return Markup(ours + svg[opening.end() :])  # noqa: S704 -- vega has escaped every text in it


def layer(mark: str, encoding: Spec, values: list[Spec] | None = None, **style: Any) -> Spec:
    """One mark over its own data, or over the data of the chart around it."""
    data = {} if values is None else {"data": {"values": values}}
    return {**data, "mark": {"type": mark, **style}, "encoding": encoding}


def room(labels: Sequence[str]) -> float:
    """Padding in pixels for labels outside the plot: the reader's font may be wider than the one vega measures with."""
    return 6 + 2 * max((len(label) for label in labels), default=0)


def scale(axis: Axis) -> Spec:
    """The scale of an axis, exactly as wide as computed: label places were computed from it."""
    kind: Spec = {"type": "linear"} if axis.base is None else {"type": "log", "base": axis.base}
    return {**kind, "domain": [axis.low, axis.high], "nice": False, "zero": False}


def axis_of(axis: Axis, title: str) -> Spec:
    """Title and ticks; powers of two as such."""
    power = "'2^' + round(log(datum.value) / LN2)"
    labels = power if axis.base == 2.0 else "format(datum.value, '.6~g')"
    return {"title": title, "values": list(axis.ticks), "labelExpr": labels}
