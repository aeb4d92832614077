"""Run the cells, in a few processes, with the same random numbers for every detector."""

from __future__ import annotations

import contextlib
import multiprocessing
import time
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from tools.detectors.cells import ALL_GATES, ALL_WATCHES, Cell, replicates
from tools.detectors.changes import CHANGES
from tools.detectors.installed import is_installed
from tools.detectors.runs import draw_sides
from tools.detectors.tally import GateTally, WatchTally
from tools.detectors.watching import draw_nights, score

__all__ = ["SEED", "Results", "Tallies", "Task", "measure", "run", "tasks"]

SEED = 20261126
CHUNK = 50
"""Draws of one task."""

Key = tuple[Cell, str]
"""A cell and the name of a detector."""


@dataclass(frozen=True)
class Task:
    """Draws `start` to `stop` of one cell, for these detectors; each with the number of draws it gets in all."""

    cell: Cell
    start: int
    stop: int
    detectors: Mapping[str, int]

    def at(self, draw: int) -> Iterator[str]:
        """Detectors that are given this draw."""
        return (name for name, count in self.detectors.items() if draw < count)


@dataclass(frozen=True)
class Tallies:
    """What was counted."""

    gates: dict[Key, GateTally] = field(default_factory=dict)
    watches: dict[Key, WatchTally] = field(default_factory=dict)

    def merge(self, other: Tallies) -> None:
        """Take in another part."""
        for key, gate in other.gates.items():
            self.gates.setdefault(key, GateTally()).merge(gate)
        for key, watch in other.watches.items():
            self.watches.setdefault(key, WatchTally()).merge(watch)


@dataclass(frozen=True)
class Results:
    """Tallies of all cells, and how they came about."""

    tallies: Tallies
    replicates: int
    seconds: float
    missing: tuple[str, ...] = ()
    """Detectors whose package is not installed."""

    def gate(self, cell: Cell, detector: str) -> GateTally:
        """Empty where it was not measured."""
        return self.tallies.gates.get((cell, detector), GateTally())

    def watch(self, cell: Cell, detector: str) -> WatchTally:
        """Empty where it was not measured."""
        return self.tallies.watches.get((cell, detector), WatchTally())


def tasks(chosen: Iterable[Cell], most: int, names: Collection[str] | None = None) -> Iterator[Task]:
    """The work in chunks; `names` are the detectors that take part (None: all)."""
    for cell in chosen:
        wanted = {
            name: replicates(cell, detector, most)
            for name, detector in cell.detectors.items()
            if is_installed(detector) and (names is None or name in names)
        }
        for start in range(0, max(wanted.values(), default=0), CHUNK):
            here = {name: count for name, count in wanted.items() if count > start}
            yield Task(cell, start, min(start + CHUNK, max(here.values())), here)


def measure(task: Task) -> Tallies:
    """One task. A draw depends on the seed, the noise, the number of processes and its place alone.

    So the changes are made to the same noise, and a detector sees the same draws with whichever others it runs.
    """
    return Tallies(gates=_gates(task)) if task.cell.gate else Tallies(watches=_watches(task))


def _gates(task: Task) -> dict[Key, GateTally]:
    cell, change = task.cell, CHANGES[task.cell.change]
    tallies = {(cell, name): GateTally() for name in task.detectors}
    for draw in range(task.start, task.stop):
        sides = draw_sides(cell.noise, cell.processes, change, _random(cell, draw))
        for name in task.at(draw):
            ruling = ALL_GATES[name].judge(sides, _random(cell, draw, name))
            tallies[cell, name].add(ruling, change.shift)
    return tallies


def _watches(task: Task) -> dict[Key, WatchTally]:
    cell, change = task.cell, CHANGES[task.cell.change]
    tallies = {(cell, name): WatchTally() for name in task.detectors}
    for draw in range(task.start, task.stop):
        series = draw_nights(cell.noise, change, _random(cell, draw))
        for name in task.at(draw):
            score(ALL_WATCHES[name], series, change, tallies[cell, name], _random(cell, draw, name))
    return tallies


def _random(cell: Cell, draw: int, detector: str = "") -> np.random.Generator:
    """For the draw itself, or for a detector that needs chance."""
    words = f"{cell.noise} {cell.processes}", detector
    return np.random.default_rng([SEED, draw, *(zlib.crc32(word.encode()) for word in words)])


def run(
    chosen: Iterable[Cell],
    most: int,
    *,
    names: Collection[str] | None = None,
    processes: int = 2,
    progress: Callable[[int, int, float], None] = lambda done, of, seconds: None,
) -> Results:
    """Everything, in so many processes; what comes out does not depend on their number."""
    began = time.monotonic()
    # The slow ones first, so that no process ends long before the other.
    work = sorted(tasks(chosen, most, names), key=lambda task: (task.cell.gate, task.start))
    tallies = Tallies()
    with _mapped(processes, work) as parts:
        for done, part in enumerate(parts, 1):
            tallies.merge(part)
            progress(done, len(work), time.monotonic() - began)
    detectors = (*ALL_GATES.values(), *ALL_WATCHES.values())
    missing = tuple(detector.name for detector in detectors if not is_installed(detector))
    return Results(tallies, most, time.monotonic() - began, missing)


@contextlib.contextmanager
def _mapped(processes: int, work: Sequence[Task]) -> Iterator[Iterator[Tallies]]:
    if processes == 1:
        yield map(measure, work)
        return
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool.map(measure, work)
