"""Reading a page back, the way a browser and a screen reader would."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

__all__ = ["Page", "drawing", "texts"]

CELLS = {"th", "td", "dt", "dd"}
VOID = {"meta", "link", "br", "img", "input", "hr", "wbr"}
UNSEEN = {"style", "script"}


class Page(HTMLParser):
    """A page as its tags, its text and its ids; closing tags must match."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.ids: list[str] = []
        self.text = ""
        self.tables: dict[str, list[list[str]]] = {}
        """Rows of every table by its caption, the head first; a cell is its text with single spaces."""
        self._rows: list[list[str]] = []
        self._caption = ""
        self._scripts: list[tuple[dict[str, str | None], str]] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append((tag, found))
        self.text += " " * (tag in CELLS)
        if found.get("id"):
            self.ids.append(str(found["id"]))
        if tag == "script":
            self._scripts.append((found, ""))
        self._begin_cell(tag)
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, f"</{tag}> at {self.getpos()}"
        if tag == "table":
            self.tables[_line(self._caption)] = [[_line(cell) for cell in row] for row in self._rows]

    def handle_data(self, data: str) -> None:
        inside = self._open[-1] if self._open else ""
        if inside == "script":
            attributes, before = self._scripts.pop()
            self._scripts.append((attributes, before + data))
        if self._open and inside not in UNSEEN:
            self.text += data
            self._put_into_cell(data)

    def _begin_cell(self, tag: str) -> None:
        if tag == "table":
            self._rows, self._caption = [], ""
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("th", "td"):
            self._rows[-1].append("")
        elif tag in ("dt", "dd", "p", "li", "span") and self._rows and self._rows[-1]:
            self._rows[-1][-1] += " "

    def _put_into_cell(self, data: str) -> None:
        if "caption" in self._open:
            self._caption += data
        elif ("td" in self._open or "th" in self._open) and self._rows:
            self._rows[-1][-1] += data

    @property
    def words(self) -> str:
        """The text with single ordinary spaces."""
        return _line(self.text)

    @property
    def pictures(self) -> list[str]:
        """Every `<svg>` element as text."""
        return re.findall(r"<svg.*?</svg>", self.html, flags=re.DOTALL)

    @property
    def scripts(self) -> list[tuple[dict[str, str | None], str]]:
        """Attributes and content of every script that would run."""
        return [(found, content) for found, content in self._scripts if found.get("type") != "application/json"]

    @property
    def specifications(self) -> list[dict[str, Any]]:
        """What the charts are made interactive with."""
        return [json.loads(content) for found, content in self._scripts if found.get("type") == "application/json"]

    def attributes(self, name: str) -> list[str]:
        """Values of an attribute over all tags."""
        return [str(found[name]) for _, found in self.tags if name in found]


def _line(text: str) -> str:
    return " ".join(text.replace("\u00a0", " ").split())


def drawing(chart: object) -> str:
    """The `<svg>` of a chart, without the specification beside it."""
    (svg,) = Page(str(chart)).pictures
    return svg


def texts(chart: object) -> list[str]:
    """Every text that is drawn."""
    found = ElementTree.fromstring(drawing(chart)).iter("{http://www.w3.org/2000/svg}text")
    return [element.text or "" for element in found]
