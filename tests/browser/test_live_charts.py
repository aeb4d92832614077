"""Charts that have become interactive: hover, zoom, export; and the drawings where they cannot."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from playwright.sync_api import Locator, Page
from visits import Open, hovered
from written_pages import TAME

PHONE = {"has_touch": True, "is_mobile": True}


def _loss_chart(open_page: Open, **options: object) -> tuple[Page, Locator]:
    """Two panels over one another, four modes."""
    visit = open_page("run", **options)
    visit.enliven()
    return visit.page, visit.page.locator(".workload").first.locator(".picture").first


def _labels(chart: Locator) -> list[str]:
    """What stands beside the ticks."""
    return chart.locator("svg.marks .role-axis-label text").all_text_contents()


def _drag(page: Page, chart: Locator, by: int) -> None:
    x, y = _within(chart)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + by, y, steps=4)
    page.mouse.up()


def _within(chart: Locator) -> tuple[float, float]:
    """A place in the upper panel, in sight."""
    chart.scroll_into_view_if_needed()
    box = chart.locator("svg.marks").bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 3, box["y"] + box["height"] / 4


def _curves(chart: Locator) -> list[str | None]:
    lines = chart.locator("svg.marks .mark-line.role-mark path")
    return [lines.nth(place).get_attribute("d") for place in range(lines.count())]


def test_hovering_over_a_curve_tells_its_mode_its_step_and_its_value(open_page: Open) -> None:
    page, chart = _loss_chart(open_page)
    spec = json.loads(chart.locator("script").text_content() or "")
    known = {
        (layer["description"], f"{row['step']}", row["told"])
        for layer in spec["vconcat"][0]["layer"]
        if layer["mark"]["type"] == "line" and "description" in layer
        for row in layer["data"]["values"]
    }
    points = chart.locator("svg.marks .mark-symbol").first.locator("path")
    told = [hovered(page, points.nth(place)).split() for place in (0, 20, 59)]
    assert [words[::2] for words in told] == [["mode", "step", "loss"]] * 3
    assert {tuple(words[1::2]) for words in told} <= known
    assert len({words[3] for words in told}) == 3


def test_hovering_over_an_interval_tells_the_cell_and_its_numbers(open_page: Open) -> None:
    visit = open_page("run")
    visit.enliven()
    forest = visit.page.get_by_role("region", name="Chart: changes of the step time")
    told = hovered(visit.page, forest.locator("svg.marks .mark-symbol path").first)
    assert all(word in told for word in ("gpt × bf16", "change", "from", "to", "could be seen from"))


def test_the_menu_saves_a_picture_and_offers_nothing_else(open_page: Open, tmp_path: Path) -> None:
    page, chart = _loss_chart(open_page)
    chart.locator("summary").click()
    assert chart.locator(".vega-actions a").all_inner_texts() == ["Save as SVG"]
    with page.expect_download() as download:
        chart.locator(".vega-actions a").click()
    download.value.save_as(tmp_path / "chart.svg")
    assert ElementTree.parse(tmp_path / "chart.svg").getroot().tag == "{http://www.w3.org/2000/svg}svg"


def test_dragging_moves_both_panels_and_a_double_click_brings_them_back(open_page: Open) -> None:
    page, chart = _loss_chart(open_page)
    before, labels = _curves(chart), _labels(chart)
    _drag(page, chart, -60)
    moved = _curves(chart)
    assert len(moved) == len(before)
    assert not set(moved) & set(before)
    assert _labels(chart) != labels
    page.mouse.dblclick(*_within(chart))
    assert _curves(chart) == before


def test_the_wheel_scrolls_the_page_and_with_alt_it_zooms_to_steps_that_are_still_told(open_page: Open) -> None:
    page, chart = _loss_chart(open_page)
    before = _curves(chart)
    page.mouse.move(*_within(chart))
    top = page.evaluate("scrollY")
    page.mouse.wheel(0, -100)
    page.wait_for_function("(top) => scrollY < top", arg=top)
    assert _curves(chart) == before
    page.mouse.move(*_within(chart))
    page.keyboard.down("Alt")
    for _ in range(12):
        page.mouse.wheel(0, -100)
    page.keyboard.up("Alt")
    page.wait_for_function(
        "([svg, d]) => svg.querySelector('.mark-line path').getAttribute('d') !== d",
        arg=[chart.locator("svg.marks").element_handle(), before[0]],
    )
    steps = chart.locator("svg.marks .role-axis").filter(has_text="optimizer step").locator(".role-axis-label text")
    assert len([text for text in steps.all_text_contents() if text]) >= 2
    assert all(text.isdigit() for text in steps.all_text_contents())


def test_a_finger_scrolls_the_page_and_zooms_nothing(open_page: Open) -> None:
    page, chart = _loss_chart(open_page, width=400, **PHONE)
    assert not page.evaluate("matchMedia('(hover: hover) and (pointer: fine)').matches")
    before = _curves(chart)
    _drag(page, chart, -60)
    assert _curves(chart) == before
    assert chart.evaluate("(each) => getComputedStyle(each.querySelector('svg.marks')).touchAction") != "none"


def test_names_beside_the_panels_stay_where_a_panel_is_moved(open_page: Open) -> None:
    page, chart = _loss_chart(open_page)
    names = chart.locator("svg.marks .mark-text.role-mark text")
    chart.scroll_into_view_if_needed()
    before = [each.bounding_box() for each in names.all()]
    _drag(page, chart, -60)
    assert len(before) == 7
    assert [each.bounding_box() for each in names.all()] == before


@pytest.mark.parametrize("name", ["run", "machines with prices", "scan"])
def test_a_menu_is_not_on_paper(open_page: Open, name: str) -> None:
    visit = open_page(name)
    visit.enliven()
    assert visit.page.locator(".vega-embed summary").first.is_visible()
    visit.page.emulate_media(media="print")
    assert [each.is_visible() for each in visit.page.locator(".vega-embed summary").all()].count(True) == 0
    assert visit.page.locator("svg.marks").first.is_visible()


@pytest.mark.parametrize("name", TAME)
def test_without_javascript_everything_is_drawn_and_every_number_is_there(open_page: Open, name: str) -> None:
    visit = open_page(name, java_script_enabled=False)
    page, html = visit.page, visit.path.read_text(encoding="utf-8")
    drawn = page.locator(".picture > svg.chart")
    assert drawn.count() == page.locator(".picture").count() == html.count('type="application/json"')
    assert all(each.bounding_box() for each in drawn.all())
    assert page.locator("svg.marks").count() == 0
    assert page.locator("main table").count() == html.count("<table")
    assert [text for text in page.locator("h1, main caption").all_text_contents() if not text.strip()] == []
    assert visit.said == []


def test_where_the_script_is_lost_the_drawings_stay(open_page: Open, pages: dict[str, Path], tmp_path: Path) -> None:
    alone = tmp_path / "index.html"
    alone.write_bytes(pages["run"].read_bytes())
    pages["a page alone"] = alone
    visit = open_page("a page alone")
    drawn = visit.page.locator(".picture > svg.chart")
    assert drawn.count() == visit.page.locator(".picture").count() == 12
    assert drawn.first.is_visible()
    assert all("ERR_FILE_NOT_FOUND" in each for each in visit.said)


def test_the_drawing_and_the_live_chart_stand_in_the_same_place(open_page: Open) -> None:
    page = open_page("run").page
    box = page.get_by_role("region", name="Chart: Step time of gpt", exact=True)
    still = box.locator("> svg").bounding_box()
    box.scroll_into_view_if_needed()
    live = box.locator("svg.marks")
    live.wait_for()
    page.evaluate("scrollTo(0, 0)")
    found = live.bounding_box()
    assert still is not None
    assert found is not None
    assert found["x"] == pytest.approx(still["x"], abs=2)
    assert found["width"] == pytest.approx(still["width"], rel=0.03)
    assert found["height"] == pytest.approx(still["height"], rel=0.08)
