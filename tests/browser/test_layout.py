"""No page scrolls sideways, and no text lies over another or is cut, on a desk, on a tablet, on a phone, on paper."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page
from visits import Open
from written_pages import HOSTILE, TAME

WIDTHS = (1440, 800, 400)
#: A4 in landscape, less the margins of the style sheet.
PAPER = 1032

OVERLAPS = """() => {
    const shown = [...document.querySelectorAll(
        "h1, h2, h3, h4, nav li, figcaption, .banner, main table:not(.matrix), main svg.chart, pre, " +
        ".matrix p, .matrix dt, .matrix dd, .matrix .name, .matrix thead bdi"
    )].filter((each) => each.checkVisibility({ contentVisibilityAuto: true }));
    // A box per line: what stands in a line of text ends somewhere in it.
    const texts = shown.flatMap((each) => [...each.getClientRects()].map((box) => ({ each, box })))
        .filter(({ box }) => box.width > 2);
    const over = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
        && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1;
    const found = [];
    texts.forEach((one, place) => texts.slice(place + 1).forEach((other) => {
        const nested = one.each.contains(other.each) || other.each.contains(one.each);
        const beside = [one, other].map(({ each }) => each.closest(".matrix th:first-child") !== null);
        if (!nested && one.each !== other.each && beside[0] === beside[1] && over(one.box, other.box)) {
            found.push(`${one.each.innerText.slice(0, 40)} | ${other.each.innerText.slice(0, 40)}`);
        }
    }));
    return found;
}"""
CELLS = """() => {
    const boxes = [...document.querySelectorAll(".matrix td")].map((each) => each.getBoundingClientRect());
    return boxes.flatMap((a, place) => boxes.slice(place + 1).filter((b) =>
        Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
        && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1
    )).length;
}"""
BEYOND = """() =>
    [...document.querySelectorAll("td, th")]
        .filter((cell) => cell.checkVisibility({ contentVisibilityAuto: true }))
        .filter((cell) => [...cell.querySelectorAll(":scope > *, dd > *")].some((each) =>
            !each.matches(".hidden, .others")
            && each.getBoundingClientRect().right > cell.getBoundingClientRect().right + 1))
        .map((cell) => cell.innerText.slice(0, 80))"""
CUT = """(selector) =>
    [...document.querySelectorAll(selector)].flatMap((svg) => {
        const whole = svg.getBoundingClientRect();
        return [...svg.querySelectorAll("text")].filter((text) => {
            const box = text.getBoundingClientRect();
            return box.width > 0 && getComputedStyle(text).opacity !== "0" && (box.left < whole.left - 1
                || box.right > whole.right + 1 || box.top < whole.top - 1 || box.bottom > whole.bottom + 1);
        }).map((text) => text.textContent);
    })"""

LOUD_AND_QUIET = (".detail.loud", ".detail:not(.loud)")


def _is_tidy(page: Page, width: int) -> None:
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(OVERLAPS) == []
    assert page.evaluate(CELLS) == 0
    assert page.evaluate(BEYOND) == []


@pytest.mark.parametrize("name", [*TAME, *HOSTILE])
def test_nothing_scrolls_sideways_overlaps_or_leaves_its_cell(open_page: Open, name: str) -> None:
    visit = open_page(name)
    visit.enliven()
    for width in WIDTHS:
        visit.page.set_viewport_size({"width": width, "height": 900})
        _is_tidy(visit.page, width)
    if name in TAME:  # names without end are shrunk to the paper
        visit.page.set_viewport_size({"width": PAPER, "height": 900})
        visit.page.emulate_media(media="print")
        _is_tidy(visit.page, PAPER)


@pytest.mark.parametrize("name", ["run", "machines with prices", "scan", "hostile run", "hostile machines"])
def test_no_label_of_a_chart_is_cut(open_page: Open, name: str) -> None:
    visit = open_page(name)
    assert visit.page.evaluate(CUT, ".picture > svg") == []
    visit.enliven()
    for width in WIDTHS:
        visit.page.set_viewport_size({"width": width, "height": 900})
        assert visit.page.evaluate(CUT, "svg.marks") == []


def test_cells_to_be_read_are_unfolded_on_paper_and_everything_fits_its_width(open_page: Open) -> None:
    page = open_page("run", width=PAPER).page
    page.emulate_media(media="print")
    tables = [page.locator(cells).get_by_text("Digests: first 16 digits of SHA-256") for cells in LOUD_AND_QUIET]
    assert [table.first.is_visible() for table in tables] == [True, False]
    wide = page.evaluate(
        """(width) => [...document.querySelectorAll("main table, main svg")]
            .filter((each) => each.getBoundingClientRect().right > width + 1)
            .map((each) => each.outerHTML.slice(0, 100))""",
        PAPER,
    )
    assert wide == []
