"""Where a series stands after its lasting changes, seen from the level that is accepted. Pure functions of numbers.

The accepted level is that of the first nights, and falls with every improvement. A series that rose above it is slower
until it has come back to it: a fall half-way is a recovery in part, and neither a fix nor an improvement.
"""

from __future__ import annotations

import enum
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from suite.judge.changes import ChangePoint, change_points, confirmed, level
from suite.judge.robust import FEWEST_AFTER, FEWEST_BEFORE

__all__ = ["FEWEST_NIGHTS", "Kind", "Standing", "standing"]

FEWEST_NIGHTS = FEWEST_BEFORE + FEWEST_AFTER
CONFIRMED_WITHIN = 30
"""A change is confirmed within so many nights, or by the last one: looking at all of them would take long."""


class Kind(enum.Enum):
    """Where the newest level stands."""

    LEVEL = "level"
    SLOWER = "slower"
    FIXED = "fixed"
    """It was slower, and is at the accepted level again."""
    IMPROVED = "improved"


@dataclass(frozen=True)
class Standing:
    """The newest level, and the change that led to it."""

    kind: Kind
    change: float = 0.0
    """Relative: where it is slower, of the newest level to the accepted one; else of the last change."""
    point: ChangePoint | None = None
    """Where it is slower, the newest rise that was not undone, of those that were confirmed if any was."""
    began: ChangePoint | None = None
    """The first rise of those that made it slower now, or before it was fixed."""
    confirmed: bool = False
    recovered: bool = False
    """Whether a part of the rise is gone."""
    newest: int = 0
    """The first night at the newest level."""


def standing(values: Sequence[float], delta: float, trusted: Sequence[bool]) -> Standing:
    """Walk through the lasting changes; only nights that are `trusted` can confirm one."""
    points = change_points(values, delta)
    if not points:
        return Standing(Kind.LEVEL)
    bounds = [0, *(point.index for point in points), len(values)]
    levels = [level(values[start:end]) for start, end in itertools.pairwise(bounds)]
    limit = math.log1p(delta)
    kind, accepted, began = Kind.LEVEL, levels[0], 0
    for place, point in enumerate(points):
        above = levels[place + 1] - accepted
        if kind is not Kind.SLOWER and point.change > 0:
            kind, began = Kind.SLOWER, place
        elif above <= limit:
            if above <= -limit or place == 0:
                kind = Kind.IMPROVED
            elif kind is Kind.SLOWER:
                kind = Kind.FIXED
            accepted = min(accepted, levels[place + 1])
    last = points[-1]
    if kind is not Kind.SLOWER:
        first = points[began] if points[began].change > 0 else None
        return Standing(kind, last.change, last, first, newest=last.index)
    rises = [
        point
        for point, before in zip(points[began:], levels[began:], strict=False)
        if point.change > 0 and before <= levels[-1] - limit
    ] or [points[began]]
    sure = next((point for point in reversed(rises) if _was_confirmed(values, point, delta, trusted)), None)
    return Standing(
        kind,
        math.expm1(levels[-1] - accepted),
        sure or rises[-1],
        points[began],
        confirmed=sure is not None,
        recovered=last.change < 0,
        newest=last.index,
    )


def _was_confirmed(values: Sequence[float], point: ChangePoint, delta: float, trusted: Sequence[bool]) -> bool:
    """Whether a fresh run confirmed this rise in any night since: later nights do not take that back."""
    earliest = max(FEWEST_NIGHTS, point.first + FEWEST_AFTER) + 1
    counts = [*range(earliest, min(len(values), point.index + CONFIRMED_WITHIN)), len(values)]
    for count in counts:
        if trusted[count - 1]:
            found = confirmed(values[:count], delta)
            if found is not None and found.first <= point.last + 1 and point.first <= found.last + 1:
                return True
    return False
