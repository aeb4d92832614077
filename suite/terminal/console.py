"""The console and the numbers that all tables share."""

from __future__ import annotations

import math
import sys

from rich.console import Console

__all__ = ["milliseconds", "number", "plain_console"]


def plain_console() -> Console:
    """Standard output for text that is not ours to interpret."""
    # Reasons and names are other people's text, and [/] or :x: in them is no markup.
    # Where there is no terminal there is no width either: the table then has room for its longest words.
    return Console(highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else 200)


def milliseconds(seconds: float) -> str:
    """`8.86 ms`, or a dash."""
    return number(seconds) if math.isnan(seconds) else f"{number(seconds * 1e3)} ms"


def number(value: float | None) -> str:
    """Four significant digits, or a dash."""
    return "–" if value is None or math.isnan(value) else f"{value:.4g}"
