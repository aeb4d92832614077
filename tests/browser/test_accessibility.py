"""axe-core finds nothing serious, in light and in dark, with everything live and unfolded."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from visits import Open, Scheme
from written_pages import HOSTILE, TAME


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", [*TAME, *HOSTILE])
def test_there_is_no_serious_violation(open_page: Open, name: str, scheme: Scheme) -> None:
    visit = open_page(name, scheme=scheme)
    visit.enliven()
    visit.unfold()
    found = Axe().run(visit.page, options={"resultTypes": ["violations"]}).response["violations"]
    serious = [
        (violation["id"], violation["help"], [node["html"][:200] for node in violation["nodes"]][:3])
        for violation in found
        if violation["impact"] in ("serious", "critical")
    ]
    assert serious == []
