"""Reading a page back, the way a browser and a screen reader would."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

CELLS = {"th", "td", "dt", "dd"}
VOID = {"meta", "link", "br", "img", "input", "hr", "wbr"}


class Page(HTMLParser):
    """A page as its tags, its text and its ids; closing tags must match."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.ids: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self._in_style = False
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append((tag, found))
        self.text += " " * (tag in CELLS)
        if found.get("id"):
            self.ids.append(str(found["id"]))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, f"</{tag}> at {self.getpos()}"

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.text += data

    @property
    def words(self) -> str:
        """The text with single ordinary spaces."""
        return " ".join(self.text.replace("\u00a0", " ").split())

    @property
    def pictures(self) -> list[str]:
        """Every `<svg>` element as text."""
        return re.findall(r"<svg.*?</svg>", self.html, flags=re.DOTALL)

    def attributes(self, name: str) -> list[str]:
        """Values of an attribute over all tags."""
        return [str(found[name]) for _, found in self.tags if name in found]


@pytest.fixture
def read() -> type[Page]:
    """Parse a page."""
    return Page
