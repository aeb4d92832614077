"""One self-contained page per run: opens offline, needs no script, prints, and reads in light and dark.

`page.py` puts the sections together; `cells.py` arranges a run's trials; each other module is one section of the page
or one thing that sections need (numbers, signs, charts).
"""

from __future__ import annotations

from suite.report.page import render
from suite.report.summary import summary_markdown

__all__ = ["render", "summary_markdown"]
