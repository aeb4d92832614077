"""Whatever a name, a reason or a fact of the machine holds is text, and stays in its place."""

from __future__ import annotations

import re

import pytest
from hostile_runs import ATTACKS, LONG
from visits import Open, hovered
from written_pages import HOSTILE

#: A scan has a workload, a machine, a profile and a date to be hostile, and the list of runs no templates of its own.
SHOWN = {
    "hostile run": ATTACKS,
    "hostile machines": (ATTACKS[0], ATTACKS[1], ATTACKS[2], ATTACKS[3], ATTACKS[4], ATTACKS[6]),
    "hostile scan": (ATTACKS[0], ATTACKS[1], ATTACKS[3]),
    "hostile index": ATTACKS,
}
MARKUP = """() =>
    [...document.querySelectorAll("*")].filter((each) =>
        [...each.attributes].some((attribute) => attribute.name.startsWith("on")) ||
        (each.tagName === "SCRIPT" && !each.src && each.type !== "application/json") ||
        ["IMG", "IFRAME", "OBJECT", "EMBED", "BASE", "INPUT"].includes(each.tagName)
    ).map((each) => each.outerHTML.slice(0, 120))"""


@pytest.mark.parametrize("name", HOSTILE)
def test_every_attack_is_read_and_none_is_obeyed(open_page: Open, name: str) -> None:
    visit = open_page(name)
    visit.enliven()
    visit.unfold()
    page = visit.page
    shown = " ".join(page.locator("body").inner_text().split())
    assert [attack for attack in SHOWN[name] if attack not in shown] == []
    assert not re.search(r"(?<![\w.,:-])49(?![\w.,:-])", shown)  # nor are the minutes of a time meant
    assert not set("\u202e\u2066\x00\x1b") & set(page.content())
    assert page.evaluate(MARKUP) == []
    assert page.evaluate("window.hacked") is None
    assert visit.dialogs == []
    assert set(page.evaluate("[...document.links].map((each) => each.protocol)")) <= {"file:", "blob:"}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_without_end_is_cut(open_page: Open, name: str) -> None:
    page = open_page(name).page
    longest = page.evaluate(
        """() => Math.max(...[...document.querySelectorAll("h1, h2, h3, h4, th, td, p, caption, a, summary")]
            .filter((each) => each.checkVisibility({ contentVisibilityAuto: true }))
            .map((each) => Math.max(...each.innerText.split(/\\s+/).map((word) => word.length))))"""
    )
    assert longest < 2_100 < len(LONG)


def test_a_name_in_a_tooltip_is_text(open_page: Open) -> None:
    visit = open_page("hostile run")
    visit.enliven()
    page = visit.page
    # Step times, which lie apart: of every mode the faint warm-up and the timed steps.
    curves = page.locator(".workload").first.locator(".picture").nth(2).locator("svg.marks .mark-symbol")
    told = [hovered(page, curves.nth(place).locator("path").last) for place in (1, 3, 5, 7)]
    assert [text.split()[1] for text in told[::2]] == ["fp32", ATTACKS[2]]
    assert [ATTACKS[place][:15] in text for place, text in ((1, told[1]), (3, told[3]))] == [True, True]
    assert page.evaluate("window.hacked") is None
    assert page.evaluate(MARKUP) == []
