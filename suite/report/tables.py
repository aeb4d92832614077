"""A table as the page's one macro draws it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["Table"]


@dataclass(frozen=True)
class Table:
    """Caption, column heads, and rows of text whose first cell is the row's head."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, caption: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
        """From any sequences."""
        return cls(caption, tuple(head), tuple(tuple(row) for row in rows))
