"""The one script of the pages: the charting library's own runtime, and what makes the drawn charts interactive.

It is stored once beside the pages, under a name that changes with its content, or put into a page that is to be sent
as a single file. A page without it loses hover, zoom and export, and no number.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path

from markupsafe import Markup

from suite.files import unwritable, write_atomically
from suite.report.drawing import VEGA_LITE

__all__ = ["NO_SCRIPT", "Script", "harmless", "inlined", "name_of", "placed"]

LICENCE = (
    "Vega, Vega-Lite and Vega-Embed, (c) University of Washington Interactive Data Lab and contributors, "
    "BSD-3-Clause: https://github.com/vega"
)


@dataclass(frozen=True)
class Script:
    """How a page gets it."""

    href: str | None = None
    """Relative to the page."""
    source: Markup | None = None
    """The whole of it, for inside the page."""


NO_SCRIPT = Script()


def placed(reports: Path, page: Path) -> Script:
    """The script as a file in `reports`, which is written if it is not there, for a page at `page`.

    Raises:
        UnwritableResults: it cannot be written.
    """
    path = reports / _name()
    if not path.exists():
        try:
            reports.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(reports, error) from error
        write_atomically(path, _text().encode())
    return Script(href=Path(os.path.relpath(path, page.parent)).as_posix())


def inlined() -> Script:
    """The script for inside a page."""
    return Script(source=Markup(harmless(_text())))  # noqa: S704 -- no text of a run's


def harmless(source: str) -> str:
    """The same program with nothing in it that ends its element, or keeps the end tag from ending it.

    Such words stand in strings, templates and regular expressions, where the escape means the same.
    """
    return re.sub(r"<(?=/script|script|!--)", r"\\x3C", source, flags=re.IGNORECASE)


def name_of(*made_of: str) -> str:
    """The file's name, another one wherever one of the parts is."""
    return f"charts-{hashlib.sha256(repr(made_of).encode()).hexdigest()[:12]}.js"


def _name() -> str:
    """Without the text itself, which takes seconds to make."""
    import vl_convert

    libraries = (vl_convert.get_vega_version(), VEGA_LITE, vl_convert.get_vega_embed_version())
    return name_of(metadata.version("vl-convert-python"), *libraries, LICENCE, _ours())


@functools.cache
def _text() -> str:
    return f"/*! {LICENCE} */\n{_bundle()}\n{_ours()}"


def _bundle() -> str:
    import vl_convert

    # Its annotation demands a snippet; without one the three libraries are put on the window.
    bundle: Callable[..., str] = vl_convert.javascript_bundle
    return bundle(vl_version=VEGA_LITE)


def _ours() -> str:
    return resources.files("suite.report").joinpath("templates", "charts.js").read_text(encoding="utf-8")
