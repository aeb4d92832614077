"""Which detectors meet which noise and which change, and how often."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tools.detectors import Detector, Gate, Watch, gates, histories, installed, ours
from tools.detectors.changes import CHANGES, STEPS_UP
from tools.detectors.noise import NOISES
from tools.detectors.recorded import REAL, REAL_TITLE

__all__ = [
    "ALL_GATES",
    "ALL_WATCHES",
    "HIERARCHICAL",
    "PROCESSES",
    "USUAL",
    "Cell",
    "cells",
    "replicates",
    "title_of",
]

ALL_GATES: Mapping[str, Gate] = {gate.name: gate for gate in (*ours.GATES, *installed.GATES, *gates.GATES)}
ALL_WATCHES: Mapping[str, Watch] = {
    watch.name: watch for watch in (*ours.WATCHES, *installed.WATCHES, *histories.WATCHES)
}

HIERARCHICAL = "processes"
PROCESSES = (1, 2, 3, 5, 10)
"""Processes a side."""
USUAL = 5
OTHER_GATE_NOISES = ("ar-0.8", "spikes", "sticky", REAL)
"""How the level wanders from one process to the next, in the order they ran."""
QUIET_ONLY = ("iid-0.3", "iid-3", "ar-0.8", "sticky-1", "sticky-spikes", "drift")
"""History noises in which only false alarms are counted."""
HISTORY_NOISES = (*(name for name in NOISES if name != HIERARCHICAL), REAL)
CLEAN = "iid-1"
"""The noise that the other changes are tried in."""
POWER_SHARE = 0.4
"""Power is measured on so many of the replicates that false alarms are measured on."""
DEMANDED = ("iid-1", "ar-0.5", "spikes", "sticky")
"""History noises that something is demanded of."""
OTHER_SHARE = 0.2
"""The other histories get so many of the replicates: they are shown, and nothing hangs on them."""


@dataclass(frozen=True)
class Cell:
    """One noise and one change. `processes` is 0 for a history."""

    noise: str
    change: str
    processes: int = 0

    @property
    def gate(self) -> bool:
        """Whether two sides are compared, and not nights."""
        return self.processes > 0

    @property
    def detectors(self) -> Mapping[str, Gate] | Mapping[str, Watch]:
        """Those that can be asked."""
        return ALL_GATES if self.gate else ALL_WATCHES


def cells() -> Iterator[Cell]:
    """Everything that is measured."""
    for processes in PROCESSES:
        for change in ("none", *STEPS_UP):
            yield Cell(HIERARCHICAL, change, processes)
    for change in ("-5", "spread"):
        yield Cell(HIERARCHICAL, change, USUAL)
    for noise in OTHER_GATE_NOISES:
        for change in ("none", "+3", "+5"):
            yield Cell(noise, change, USUAL)
    for noise in HISTORY_NOISES:
        yield Cell(noise, "none")
        if noise not in QUIET_ONLY:
            yield from (Cell(noise, change) for change in STEPS_UP)
    yield from (Cell(CLEAN, change) for change in ("-5", "spread", "spike"))


def replicates(cell: Cell, detector: Detector, most: int) -> int:
    """How many draws a detector gets; at least one."""
    share = POWER_SHARE if CHANGES[cell.change].slower else 1.0
    share *= 1.0 if cell.gate or cell.noise in DEMANDED else OTHER_SHARE
    return max(1, round(most * share * detector.portion))


def title_of(noise: str) -> str:
    """In words."""
    return REAL_TITLE if noise == REAL else NOISES[noise].title
