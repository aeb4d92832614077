"""A chart as it stands in a page: the drawing, and the specification that makes it interactive."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from read_back import Page, drawing, texts

from suite.judge.findings import Finding, Verdict
from suite.report.charts import loss_chart, scale_chart, time_chart
from suite.report.drawing import CONFIG, Spec, draw, layer, still, zoomable
from suite.report.forest import forest_chart
from suite.report.traces import Series

SPEC: Spec = {
    "width": 100,
    "height": 50,
    "data": {"values": [{"x": 1.5, "name": "a"}]},
    "layer": [layer("text", {"x": {"field": "x", "type": "quantitative"}, "text": {"field": "name"}})],
}
HOSTILE = [
    "</script><script>alert(1)</script>",
    "<!-- <script>",
    "]]>-->",
    "&lt;b&gt; & &amp;",
    "a\u2028b\u2029c",
    "\"'`\\",
    "{{7*7}} ${7*7} {% raw %}",
    "\u202eright to left",
]


def _embedded(chart: str) -> str:
    """The content of the script element, as a browser takes it."""
    (found,) = re.findall(r'<script type="application/json">(.*?)</script', chart, re.DOTALL | re.IGNORECASE)
    return str(found)


def test_the_specification_is_read_back_as_it_was_given() -> None:
    read = json.loads(_embedded(draw(SPEC, "a chart")))
    assert {key: read[key] for key in SPEC} == SPEC
    assert read["config"] == CONFIG
    assert read["$schema"] == "https://vega.github.io/schema/vega-lite/v6.json"


def test_what_is_drawn_is_what_stands_still_without_the_script() -> None:
    chart = draw(SPEC, "a chart")
    assert str(chart) == str(still(SPEC, "a chart")) + f'<script type="application/json">{_embedded(chart)}</script>'
    assert "<script" not in still(SPEC, "a chart")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_in_a_specification_is_text_and_cannot_end_its_element(name: str) -> None:
    chart = draw({**SPEC, "data": {"values": [{"x": 1.5, "name": name}]}}, name)
    embedded = _embedded(chart)
    assert not set("<>&\u2028\u2029") & set(embedded)
    assert embedded.isascii()
    assert json.loads(embedded)["data"]["values"] == [{"x": 1.5, "name": name}]
    page = Page(f"<div>{chart}</div>")
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert page.specifications == [json.loads(embedded)]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_of_a_run_reach_every_kind_of_chart_as_text(name: str) -> None:
    line = Series(name, 0, ((0, 4.0), (9, 2.0)), overflows=(1,), diverged_at=5)
    finding = Finding(name, name, "step_seconds", Verdict.REGRESSED, change=0.1, low=0.0, high=0.2)
    charts = [loss_chart([line], [line], name), time_chart([line], "ms"), scale_chart([line])]
    shown = " ".join(name.replace("\u202e", "").split())[:10]
    for spec in [*charts, forest_chart([finding], 0.02)]:
        page = Page(f"<div>{draw(spec, name)}</div>")
        assert [tag for tag, _ in page.tags].count("script") == 1
        assert any(text.startswith(shown) for text in texts(page.html))
        assert shown in json.dumps(page.specifications, ensure_ascii=False).replace('\\"', '"').replace("\\\\", "\\")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_json_has_not_is_an_error_and_never_a_broken_page(value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        draw({**SPEC, "data": {"values": [{"x": value, "name": "a"}]}}, "a chart")


def _line(values: list[dict[str, Any]]) -> Spec:
    x, y = ({"field": field, "type": "quantitative"} for field in ("step", "value"))
    return {"layer": [layer("line", {"x": x, "y": y}, values)]}


def test_panels_over_one_another_share_one_selection() -> None:
    rows = [{"step": 0, "value": 1}, {"step": 9, "value": 2}]
    spec = zoomable({"vconcat": [_line(rows), _line(rows)]})
    (param,) = spec["params"]
    assert param["views"] == [panel["layer"][0]["name"] for panel in spec["vconcat"]] == ["panel-0", "panel-1"]
    assert param["bind"] == "scales"
    assert param["select"]["encodings"] == ["x"]
    assert "altKey" in param["select"]["zoom"]


def test_a_chart_of_one_panel_is_its_own() -> None:
    spec = zoomable(_line([{"step": 0, "value": 1}]))
    assert [param["views"] for param in spec["params"]] == [["panel-0"]]
    assert spec["layer"][0]["name"] == "panel-0"


def _clipped(chart: str) -> list[bool]:
    """Of every group of marks that draws text, whether it is cut at the edge of the panel."""
    groups = re.findall(r'<g (?:clip-path="[^"]+" )?class="mark-text role-mark[^>]*>', drawing(chart))
    assert groups
    return ["clip-path" in group for group in groups]


@pytest.mark.parametrize(
    "spec",
    [
        loss_chart([Series("fp32", 0, ((0, 4.0), (9, 2.0)))], [Series("bf16", 1, ((0, 0.0), (9, 0.1)))], "fp32"),
        time_chart([Series("fp32", 0, ((0, 4.0), (9, 2.0)))], "ms"),
        scale_chart([Series("fp16-dynamic", 0, ((0, 4.0), (9, 2.0)), overflows=(3,))]),
    ],
    ids=["loss", "time", "scale"],
)
def test_lines_are_cut_at_the_panel_and_their_names_beside_it_are_not(spec: Spec) -> None:
    chart = draw(spec, "a chart")
    assert not any(_clipped(chart))
    assert re.search(r'<g clip-path="[^"]+" class="mark-line', drawing(chart)) or re.search(
        r'class="mark-line[^>]*clip-path', drawing(chart)
    )


def test_a_drawing_is_the_same_every_time_and_shares_no_name_with_another() -> None:
    spec = loss_chart([Series("fp32", 0, ((0, 4.0), (9, 2.0)))], [Series("bf16", 1, ((0, 0.0), (9, 0.1)))], "fp32")
    one, again, other = still(spec, "of gpt"), still(spec, "of gpt"), still(spec, "of lstm")
    assert one == again
    names = [re.findall(r'id="([^"]+)"', svg) for svg in (one, other)]
    assert [len(found) for found in names] == [4, 4]
    assert not set(names[0]) & set(names[1])
    # Vega's own names, which the interactive charts of the page have.
    assert not [name for found in names for name in found if name.startswith("clip")]
    for svg, found in zip((one, other), names, strict=True):
        assert sorted(re.findall(r"url\(#([^)]+)\)", svg)) == sorted(found)
