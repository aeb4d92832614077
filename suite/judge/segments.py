"""Which nights of a series are judged together: of one environment, since the accepted level, anchored, undisturbed."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from suite.judge.anchored import adjusted
from suite.judge.levels import FEWEST_NIGHTS
from suite.judge.nights import Night

__all__ = [
    "JOINED",
    "Segment",
    "environments",
    "kept",
    "left_out",
    "newly_approved",
    "of_nights",
    "since_accepted",
    "values_of",
]

JOINED = 5
"""Nights on each side from which the levels of two programs that were the anchor are joined."""


@dataclass(frozen=True)
class Segment:
    """The nights that are judged."""

    nights: tuple[Night, ...]
    anchored: bool
    later: tuple[Night, ...] = ()
    """Nights after the last of them that are left out: they can make a suspect, but no more."""
    notes: tuple[str, ...] = ()


def environments(nights: Sequence[Night]) -> list[tuple[Night, ...]]:
    """The nights by fingerprint, that of the newest night first: one night of another does not part the others."""
    prints = dict.fromkeys(night.fingerprint for night in reversed(nights))
    return [tuple(night for night in nights if night.fingerprint == mark) for mark in prints]


def since_accepted(nights: tuple[Night, ...], accepted: Mapping[str, str]) -> tuple[tuple[Night, ...], str | None]:
    """The nights from the newest accepted level on, and a sentence about it; `accepted` has reasons by run."""
    places = [place for place, night in enumerate(nights) if night.run in accepted]
    if not places:
        return nights, None
    run = nights[places[-1]].run
    return nights[places[-1] :], f"the level since run {run} was acknowledged: {accepted[run]}"


def kept(nights: tuple[Night, ...]) -> Segment:
    """The nights with an anchor and without a disturbance, as long as enough of them remain."""
    anchored = tuple(night for night in nights if night.anchor is not None)
    chosen = anchored if len(anchored) >= FEWEST_NIGHTS or len(anchored) == len(nights) else nights
    notes = [] if chosen is nights else left_out(len(nights) - len(chosen), "without an anchor")
    quiet = tuple(night for night in chosen if not night.disturbed)
    if FEWEST_NIGHTS <= len(quiet) < len(chosen):
        notes += left_out(len(chosen) - len(quiet), "with a disturbance")
        chosen = quiet
    last = nights.index(chosen[-1]) if chosen else 0
    has_anchor = bool(chosen) and all(night.anchor is not None for night in chosen) and len(anchored) > 0
    return Segment(chosen, has_anchor, nights[last + 1 :], tuple(notes))


def values_of(nights: Sequence[Night], *, anchored: bool) -> list[float]:
    """What is judged of each night: its value, less what its anchor explains."""
    values = [night.value for night in nights]
    return adjusted(values, _levelled(nights)) if anchored else values


def newly_approved(nights: Sequence[Night], first: int, last: int) -> str | None:
    """The run in or beside this range with which the anchor became another program; None where it stayed the same.

    Beside are the nights from which both programs' levels are joined: what moved in them is part of neither.
    """
    for place in range(max(1, first - JOINED), min(len(nights) - 1, last + JOINED) + 1):
        if nights[place].anchor_run != nights[place - 1].anchor_run:
            return nights[place].run
    return None


def left_out(count: int, what: str) -> list[str]:
    """What to say of so many nights that are not judged; nothing of none."""
    return [f"{of_nights(count)} {what} {'is' if count == 1 else 'are'} left out"] if count else []


def of_nights(count: int) -> str:
    """`1 night`, `2 nights`."""
    return f"{count} night{'s' * (count != 1)}"


def _levelled(nights: Sequence[Night]) -> list[float]:
    """The anchor as if it had been one program: a newer baseline's is joined to the one before at its first nights.

    The machine moves little in so few nights. With the mean of all nights of each program taken off, what the machine
    did while it was the anchor would be taken off as well, and be held against the code.
    """
    anchors = [night.anchor or 0.0 for night in nights]
    found, offset = anchors[:1], 0.0
    for place in range(1, len(nights)):
        if nights[place].anchor_run != nights[place - 1].anchor_run:
            before = _beside(nights, anchors, range(place - 1, max(-1, place - 1 - JOINED), -1))
            after = _beside(nights, anchors, range(place, min(len(nights), place + JOINED)))
            offset += statistics.median(before) - statistics.median(after)
        found.append(anchors[place] + offset)
    return found


def _beside(nights: Sequence[Night], anchors: Sequence[float], places: Sequence[int]) -> list[float]:
    """The anchor at these places, as long as it is the program that it is at the first of them."""
    program = nights[places[0]].anchor_run
    same = itertools.takewhile(lambda place: nights[place].anchor_run == program, places)
    return [anchors[place] for place in same]
