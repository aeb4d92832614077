"""One Vega-Lite specification into one static `<svg>`, and the pieces that every chart is built from.

Drawn when the page is made, so that it prints and needs no script; the specification goes with the drawing, and
templates/charts.js makes it interactive (docs/decisions/0015). Colours are CSS variables, so that one picture serves
light and dark.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Sequence
from html import escape
from typing import Any

from markupsafe import Markup

from suite.report.axes import Axis
from suite.report.text import clean

__all__ = [
    "BAND",
    "INK",
    "ON_TOP",
    "PAPER",
    "VEGA_LITE",
    "Spec",
    "axis_of",
    "draw",
    "drawn",
    "layer",
    "plain",
    "room",
    "scale",
    "still",
    "tooltip",
    "zoomable",
]

Spec = dict[str, Any]

VEGA_LITE = "6.4"
"""The version that draws and that the pages' script is made of."""

#: The fallback behind each variable is for an SVG taken out of the page. Values: templates/style.css.
INK, GRID = "var(--ink, #1b1d22)", "var(--grid, #d3d7de)"
BAND, PAPER = "var(--band, #e1e6ee)", "var(--paper, #ffffff)"
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
    """The drawing, and the specification that the script makes it interactive with."""
    # Names are text in a script element: nothing in them may end it, or begin a comment in it.
    data = json.dumps(_whole(spec), separators=(",", ":"), allow_nan=False)
    for letter in "<>&":
        data = data.replace(letter, f"\\u{ord(letter):04x}")
    embedded = Markup(f'<script type="application/json">{data}</script>')  # noqa: S704 -- escaped above
    return still(spec, description) + embedded


def still(spec: Spec, description: str) -> Markup:
    """The drawing alone: one `<svg>` element with its description as accessible name."""
    return _still(json.dumps(_drawn_part(_whole(spec)), allow_nan=False), description)


def _drawn_part(spec: Any) -> Any:
    """Without what only a live chart shows and takes time to draw; what moves the axes also cuts at their edges."""
    if isinstance(spec, dict):
        return {key: _drawn_part(value) for key, value in spec.items() if key != "tooltip"}
    return [_drawn_part(value) for value in spec] if isinstance(spec, list) else spec


# A run's page and the index, which one command writes, have many small pictures in common.
@functools.lru_cache(maxsize=256)
def _still(spec: str, description: str) -> Markup:
    import vl_convert

    svg: str = vl_convert.vegalite_to_svg(spec, vl_version=VEGA_LITE, allowed_base_urls=[])
    opening = re.match(r"<svg[^>]*?\bviewBox=\"0 0 ([0-9.]+) ([0-9.]+)\"[^>]*>", svg)
    if opening is None:
        raise ValueError("vl_convert returned something that does not begin with an <svg> element")
    width, height = opening.groups()
    # Its own opening tag: the page scales the picture by its viewBox, and a reader hears the description.
    ours = (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(clean(description))}" class="chart" '
        f'viewBox="0 0 {width} {height}" style="max-width:{float(width):.0f}px">'
    )
    # Vega gives roles to the marks and no names; the one picture has a name.
    inside = svg[opening.end() :].removesuffix("</svg>")
    drawn = f'{ours}<g aria-hidden="true">{_own_names(inside, description)}</g></svg>'
    return Markup(drawn)  # noqa: S704 -- vega has escaped every text in it


def _own_names(svg: str, description: str) -> str:
    """The clip paths under names of this drawing's own: vega counts them through, in this process and in the page."""
    found = list(dict.fromkeys(re.findall(r'<clipPath id="(\w+)"', svg)))
    whose = hashlib.sha256(description.encode(errors="replace")).hexdigest()[:8]
    for place, name in enumerate(found):
        svg = svg.replace(f'<clipPath id="{name}"', f'<clipPath id="c{whose}-{place}"')
        svg = svg.replace(f'clip-path="url(#{name})"', f'clip-path="url(#c{whose}-{place})"')
    return svg


def _whole(spec: Spec) -> Spec:
    return {"$schema": "https://vega.github.io/schema/vega-lite/v6.json", "config": CONFIG, **spec}


def tooltip(*fields: tuple[str, str]) -> list[Spec]:
    """What hovering over a mark shows: fields of its data and the words for them."""
    return [{"field": field, "title": title} for field, title in fields]


def drawn(value: float) -> float:
    """As many digits as a drawing can show; whole numbers, which loss scales are, have them all."""
    return value if value.is_integer() else float(f"{value:.7g}")


def plain(text: str) -> str:
    """A number with its unit for a tooltip: the short space, for there are thousands of points in a page."""
    return text.replace("\u00a0", " ")


def zoomable(spec: Spec) -> Spec:
    """The chart with steps that can be moved: dragging does, the wheel with Alt zooms, a double click resets.

    Panels over one another move together. What lies beyond the panel is cut, but for marks that say `clip=False`.
    """
    panels = spec.get("vconcat", [spec])
    names = [f"panel-{place}" for place in range(len(panels))]
    for panel, name in zip(panels, names, strict=True):
        panel["layer"][0]["name"] = name
    select = {"type": "interval", "encodings": ["x"], "zoom": "wheel![event.altKey]", "clear": "dblclick"}
    return {**spec, "params": [{"name": "zoom", "select": select, "bind": "scales", "views": names}]}


def layer(mark: str, encoding: Spec, values: list[Spec] | None = None, **style: Any) -> Spec:
    """One mark over its own data, or over the data of the chart around it."""
    data = {} if values is None else {"data": {"values": values}}
    return {**data, "mark": {"type": mark, **style}, "encoding": encoding}


def room(labels: Sequence[str]) -> float:
    """Padding in pixels for labels outside the plot: the reader's font may be wider than the one vega measures with."""
    return 6 + 2 * max((len(label) for label in labels), default=0)


def scale(axis: Axis) -> Spec:
    """The scale of an axis, exactly as wide as computed: label places were computed from it."""
    kind: Spec = {"type": "linear", "zero": False} if axis.base is None else {"type": "log", "base": axis.base}
    return {**kind, "domain": [axis.low, axis.high], "nice": False}


def axis_of(axis: Axis, title: str) -> Spec:
    """Title and ticks; powers of two as such, millions as `1.5M`, an exponent only where nothing else is legible."""
    return {"title": title, "values": list(axis.ticks), "labelExpr": _tick_label(axis)}


def _tick_label(axis: Axis) -> str:
    """One way for all ticks of an axis, in Vega's language."""
    if axis.base == 2.0:
        return "'2^' + round(log(datum.value) / LN2)"
    sizes = [abs(tick) for tick in axis.ticks if tick] or [1.0]
    if max(sizes) >= 1e15 or min(sizes) < 1e-4:
        return "replace(replace(format(datum.value, '.6~e'), 'e+', 'e'), 'e-', 'e−')"
    thousands_apart = max(sizes) >= 1e6 and min(sizes) >= 1
    return f"format(datum.value, '{'.6~s' if thousands_apart else ',.6~r'}')"
