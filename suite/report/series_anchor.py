"""Where the index of all runs has the nights of a cell: the same name from the run's page and in the index itself."""

from __future__ import annotations

from collections.abc import Sequence

from suite.report.text import anchor
from suite.store import RunInfo

__all__ = ["series_anchor"]


def series_anchor(info: RunInfo, workload: str, precision: str, setup_sha256: str, seeds: Sequence[int]) -> str:
    """`info` is any run of the machine: a series is one cell on it, with one setup and these seeds."""
    from suite.judge.nights import machine_of

    machine = map(str, machine_of(info))
    return anchor("nights", workload, precision, setup_sha256, *map(str, sorted(set(seeds))), *machine)
