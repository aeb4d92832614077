"""Every page says nothing, asks for nothing but its script, and shows its charts and numbers with or without it."""

from __future__ import annotations

import pytest
from visits import Open
from written_pages import INLINED, PAGES


@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_said_and_nothing_leaves_the_machine(open_page: Open, name: str) -> None:
    visit = open_page(name)
    charts = visit.enliven()
    assert visit.said == []
    own, *others = visit.requests
    assert own == visit.path.as_uri()
    wanted = 0 if name in INLINED or "index" in name else 1
    assert len(others) == wanted
    assert all(address.startswith("file://") and "/charts-" in address for address in others)
    assert charts == visit.page.locator(".picture").count()
    assert visit.page.locator(".picture > svg").count() == 0
    ids = visit.page.evaluate("[...document.querySelectorAll('[id]')].map((each) => each.id)")
    assert len(ids) == len(set(ids))
