"""A page about one question: a headline, figures with their numbers below them, and the conditions of the measurement.

It looks like a run's report and keeps its rules: legible offline, without its script, in light and dark, on paper.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from suite.files import unwritable, write_atomically
from suite.record import Environment
from suite.report.machine import environment_rows
from suite.report.script import inlined, placed
from suite.report.tables import Table
from suite.report.templating import templates

__all__ = ["Figure", "Notes", "Sheet", "machine_table", "write_sheet"]


@dataclass(frozen=True)
class Figure:
    """A picture, what it shows, and its numbers."""

    title: str
    svg: Markup | None
    """None where there is nothing to draw: the caption says why."""
    caption: str
    table: Table
    wide: bool = False
    """Whether a narrow screen scrolls the picture rather than shrinking it."""


@dataclass(frozen=True)
class Notes:
    """A short list of sentences under a heading."""

    title: str
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Sheet:
    """Everything on the page; the fields with defaults are not on every page."""

    title: str
    meta: str
    """Program, machine, date."""
    headline: str
    sentences: tuple[str, ...]
    figures: tuple[Figure, ...]
    conditions: tuple[Table, ...]
    command: str
    """What makes such a page."""
    answer: Table | None = None
    """Right under the headline, where it is a table."""
    warnings: tuple[str, ...] = ()
    """What keeps the answer from being trusted."""
    sections: tuple[Table, ...] = ()
    """Before the sentences, each under its caption as a heading."""
    notes: tuple[Notes, ...] = ()
    """After the figures."""


def machine_table(environment: Environment) -> Table:
    """The machine and the software."""
    return Table.of("Machine and software", ("What", "Value"), environment_rows(environment))


def write_sheet(sheet: Sheet, reports: Path, name: str, *, inline: bool = False) -> Path:
    """Write the page to its place in `reports`; returns its path. With `inline` it holds its script.

    Raises:
        UnwritableResults: the folder cannot be made or written to.
    """
    page = reports / name
    script = inlined() if inline else placed(reports, page)
    html = templates().get_template("sheet.html.j2").render(sheet=sheet, script=script)
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(page.parent, error) from error
    write_atomically(page, html.encode())
    return page
