"""Everything that scrolls and every link can be reached with the keyboard alone."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page
from visits import Open

RECORD = """() => {
    window.reached = new Set();
    document.addEventListener("focusin", (event) => reached.add(event.target));
}"""
UNREACHED = """(selector) =>
    [...document.querySelectorAll(selector)]
        .filter((each) => each.checkVisibility({ contentVisibilityAuto: true }) && !reached.has(each))
        .map((each) => each.outerHTML.slice(0, 120))"""
SCROLLS = """() =>
    [...document.querySelectorAll("main *")]
        .filter((each) => each.scrollWidth > each.clientWidth + 1 && each.clientWidth > 20)
        .filter((each) => ["auto", "scroll"].includes(getComputedStyle(each).overflowX) && each.tabIndex < 0)
        .map((each) => each.outerHTML.slice(0, 120))"""


def _tab_through(page: Page) -> None:
    """From the top to the end, where the browser's own controls would come."""
    stops = page.locator("a[href], [tabindex='0'], summary").count()
    for _ in range(stops + 2):
        page.keyboard.press("Tab")


@pytest.mark.parametrize("name", ["run", "one cell", "machines with prices", "scan", "index"])
def test_the_first_stop_skips_to_the_results_and_the_rest_is_reached(open_page: Open, name: str) -> None:
    visit = open_page(name, width=800)
    visit.enliven()
    page = visit.page
    page.evaluate(f"({RECORD})(), scrollTo(0, 0)")
    page.keyboard.press("Tab")
    skip = page.locator(":focus")
    assert skip.get_attribute("class") == "skip"
    assert skip.bounding_box() is not None
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.evaluate("document.activeElement.blur(), scrollTo(0, 0)")
    _tab_through(page)
    for selector in ("main a[href]", "main .scroll", "main summary", "nav a"):
        assert page.evaluate(UNREACHED, selector) == [], selector
    assert page.evaluate(SCROLLS) == []


def test_what_scrolls_sideways_scrolls_with_the_arrow_keys(open_page: Open) -> None:
    page = open_page("run", width=800).page
    region = page.get_by_role("region", name="Matrix of workloads and precisions")
    region.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("(each) => each.scrollLeft > 0", arg=region.element_handle())


def test_the_link_of_every_cell_of_the_matrix_opens_its_section(open_page: Open) -> None:
    page = open_page("run").page
    links = page.locator(".matrix a")
    addresses = [str(links.nth(place).get_attribute("href")) for place in range(links.count())]
    assert len(addresses) == len(set(addresses)) == 17
    for address in addresses:
        link = page.locator(f".matrix a[href='{address}']")
        target = page.locator(address)
        assert not target.is_visible()
        link.focus()
        page.keyboard.press("Enter")
        target.wait_for(state="visible")
        assert target.evaluate("(each) => each.closest('details').open")
        assert target.evaluate("(each) => each.getBoundingClientRect().top < innerHeight")


def test_a_folded_section_opens_with_the_keyboard(open_page: Open) -> None:
    page = open_page("one cell").page
    page.locator(".detail summary").focus()
    page.keyboard.press("Space")
    page.locator(".detail .body").wait_for(state="visible")
