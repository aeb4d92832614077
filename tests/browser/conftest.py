from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright
from visits import Open, Visit, chromium, visit
from written_pages import write_pages


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One for all tests."""
    executable = chromium()
    with sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=executable)
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every page by its name."""
    return write_pages(tmp_path_factory.mktemp("home"))


@pytest.fixture
def open_page(browser: Browser, pages: dict[str, Path]) -> Iterator[Open]:
    """Open the page of a name, in a context that ends with the test."""
    opened: list[Visit] = []

    def opening(name: str, **options: Any) -> Visit:
        opened.append(visit(browser, pages[name], **options))
        return opened[-1]

    yield opening
    for each in opened:
        each.page.context.close()
