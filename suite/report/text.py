"""Text of unknown origin made fit to be shown: names and reasons come from plug-ins, drivers and exceptions.

Escaping is Jinja's and Vega's business. Here is what escaping leaves alone: characters that no XML document may hold,
characters that turn the direction of the text around them, and names that are too long for their place.
"""

from __future__ import annotations

import hashlib
import re
import shlex
import unicodedata
from collections.abc import Iterable, Sequence

__all__ = ["anchor", "clean", "command_line", "first_of", "last_lines", "shorten"]

#: Control characters (XML 1.0 forbids most) and lone surrogates.
_UNFIT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
#: Marks, overrides and isolates that reorder the text around a name.
_DIRECTIONS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_COLOUR_CODES = re.compile("\x1b\\[[0-9;]*[A-Za-z]")

#: Where a line may be broken; what a no-break space holds together stays so.
_SPACES = re.compile("[^\\S\u00a0]+")

LONGEST_SHOWN = 4000
"""Characters after which even a full text is cut; the whole is in the results."""


def clean(text: str) -> str:
    """The text without what would turn its surroundings, and a replacement character for what no page can hold."""
    return _UNFIT.sub("\ufffd", _DIRECTIONS.sub("", _COLOUR_CODES.sub("", text)))


def shorten(text: str, most: int) -> str:
    """One line of at most `most` characters; a cut is marked with an ellipsis."""
    line = _SPACES.sub(" ", clean(text[:LONGEST_SHOWN])).strip()
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def last_lines(text: str, lines: int = 20, width: int = 200) -> str:
    """The end of a log, where the error is."""
    # A log may be one endless line, so that its end is taken by characters first.
    tail = text[-lines * width :].splitlines()[-lines:]
    return "\n".join(clean(line[:width]) for line in tail)


def anchor(*parts: str) -> str:
    """An identifier for links: readable where the names are plain, unique by a digest where they are not."""
    name = "--".join(("cell", *parts))
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", unicodedata.normalize("NFKD", name))[:60]
    # Of several names with one identifier, as (`a-`, `b`) and (`a`, `-b`) have, one may keep it.
    if plain == name and name.split("--") == ["cell", *parts]:
        return name
    return f"{plain.rstrip('-')}-{hashlib.sha256(repr(parts).encode()).hexdigest()[:8]}"


def command_line(words: Iterable[str]) -> str:
    """Words quoted for a POSIX shell, so that a copied command does what it says."""
    return shlex.join(words)


def first_of(names: Sequence[str], most: int = 4) -> str:
    """`a, b, c and 5 more`."""
    shown = [shorten(name, 60) for name in names[:most]]
    rest = len(names) - len(shown)
    return ", ".join(shown) + (f" and {rest} more" if rest else "")
