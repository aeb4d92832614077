"""axe-core finds nothing serious, in light and in dark, with everything live and unfolded.

Contrast is looked at apart from the rest, once a scheme: it alone depends on it, and it takes most of the time.
"""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page
from visits import Open, Scheme
from written_pages import HOSTILE, TAME


def _serious(page: Page, **options: Any) -> list[tuple[str, str, list[str]]]:
    found = Axe().run(page, options={"resultTypes": ["violations"], **options}).response["violations"]
    return [
        (violation["id"], violation["help"], [node["html"][:200] for node in violation["nodes"]][:3])
        for violation in found
        if violation["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("name", [*TAME, *HOSTILE])
def test_there_is_no_serious_violation(open_page: Open, name: str) -> None:
    visit = open_page(name)
    visit.enliven()
    visit.unfold(cells=4)
    assert _serious(visit.page, rules={"color-contrast": {"enabled": False}}) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["run", "one cell", "no success", "machines with prices", "scan", "index"])
def test_every_text_can_be_read(open_page: Open, name: str, scheme: Scheme) -> None:
    visit = open_page(name, scheme=scheme)
    visit.unfold(cells=1)
    assert _serious(visit.page, runOnly=["color-contrast"]) == []
