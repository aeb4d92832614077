"""N7: processes that the suite itself recorded on a real machine, code unchanged, drawn again in blocks.

Consecutive processes stay together, so that what a machine does for minutes on end stays in the series. data/README.md
says what was recorded, where and when; recording.py made it.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tools.detectors import Values

__all__ = ["BLOCK", "DATA", "REAL", "REAL_TITLE", "consecutive", "load", "nights"]

DATA = Path(__file__).parent / "data" / "processes.csv"
REAL = "recorded"
REAL_TITLE = "recorded processes of this suite (N7)"
BLOCK = 10
"""Processes that stay together in a series of nights."""


@functools.cache
def load(path: Path = DATA) -> Mapping[str, Values]:
    """Workload -> step seconds, one row per process in the order they ran."""
    rows: dict[str, list[list[float]]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            steps = [int(text) / 1e6 for text in row["step_microseconds"].split()]
            rows.setdefault(row["workload"], []).append(steps)
    # The warm-up's length is found anew in every process; the last steps are there in all of them.
    return {workload: np.array([one[-min(map(len, steps)) :] for one in steps]) for workload, steps in rows.items()}


def consecutive(rng: np.random.Generator, count: int, path: Path = DATA) -> Values:
    """Steps of `count` processes that ran one after the other; the last one is followed by the first."""
    processes = _any(rng, path)
    return np.take(processes, rng.integers(len(processes)) + np.arange(count), axis=0, mode="wrap")


def nights(rng: np.random.Generator, count: int, path: Path = DATA) -> tuple[Values, Values]:
    """Deviations (logarithms) of nights and of their anchors: one process each, which ran one after the other."""
    levels = np.log(np.median(_any(rng, path), axis=1))
    levels -= np.median(levels)
    blocks = -(-2 * count // BLOCK)
    starts = rng.integers(len(levels), size=blocks)
    drawn = levels[(starts[:, None] + np.arange(BLOCK)) % len(levels)].ravel()[: 2 * count]
    return drawn[0::2], drawn[1::2]


def _any(rng: np.random.Generator, path: Path) -> Values:
    recorded = load(path)
    return recorded[sorted(recorded)[rng.integers(len(recorded))]]
