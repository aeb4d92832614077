"""A page opened in a browser: all that it says, asks for and does is written down."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Locator, Page

__all__ = ["NAMES", "Open", "Scheme", "Visit", "chromium", "hovered", "visit"]

NAMES = ("chromium", "chromium-browser", "google-chrome")
Scheme = Literal["light", "dark"]


def chromium() -> str:
    """Path of the browser; without one the tests are skipped, and where `CI` is set they fail."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        why = f"no Chromium is on the PATH; install one as {', '.join(NAMES)}"
        pytest.fail(why) if os.environ.get("CI") else pytest.skip(why)
    return found


@dataclass
class Visit:
    """One page in a context of its own."""

    page: Page
    path: Path
    said: list[str] = field(default_factory=list)
    """Warnings and errors of the console, and errors that nobody caught."""
    requests: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)

    def enliven(self) -> int:
        """Scroll down the whole page, as a reader does, until every chart is interactive; returns how many."""
        charts = self.page.locator(".picture:has(> script)").count()
        self.page.evaluate(
            """async () => {
                for (const box of document.querySelectorAll(".picture:has(> script)")) {
                    box.scrollIntoView();
                    // What is in sight is found out at the end of a frame.
                    await new Promise((next) => requestAnimationFrame(() => requestAnimationFrame(next)));
                }
                scrollTo(0, document.documentElement.scrollHeight);
            }"""
        )
        self.page.wait_for_function("wanted => document.querySelectorAll('svg.marks').length === wanted", arg=charts)
        return charts

    def unfold(self, cells: int = 1000) -> None:
        """Open everything that is folded; of the details of the cells, which are made alike, the first so many."""
        self.page.evaluate(
            """(cells) => {
                const details = [...document.querySelectorAll(".detail")];
                const shown = (each) => !details.includes(each) || details.indexOf(each) < cells;
                for (const each of document.querySelectorAll("main details")) each.open = shown(each);
            }""",
            cells,
        )


Open = Callable[..., Visit]
"""A page by its name, and options of its context."""


def visit(browser: Browser, path: Path, *, width: int = 1440, scheme: Scheme = "light", **options: Any) -> Visit:
    """Open a page; `options` are those of the context."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **options)
    context.set_default_timeout(20_000)
    made = Visit(context.new_page(), path)
    made.page.on("console", lambda message: _note(made, message.type, message.text))
    made.page.on("pageerror", lambda error: made.said.append(str(error)))
    made.page.on("request", lambda request: made.requests.append(request.url))
    made.page.on("dialog", lambda dialog: (made.dialogs.append(dialog.message), dialog.dismiss()))
    made.page.goto(path.as_uri())
    return made


def hovered(page: Page, mark: Locator) -> str:
    """The tooltip of a mark."""
    mark.scroll_into_view_if_needed()
    box = mark.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - 1, y - 1)
    page.mouse.move(x, y)
    tooltip = page.locator("#vg-tooltip-element.visible")
    tooltip.wait_for()
    return tooltip.inner_text()


def _note(made: Visit, kind: str, text: str) -> None:
    if kind in ("error", "warning"):
        made.said.append(f"{kind}: {text}")
