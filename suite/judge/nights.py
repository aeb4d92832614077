"""Stored runs as series: one night per run, one series per cell, setup and hardware."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from suite.columns import TRIAL_COLUMNS
from suite.companions import anchor_folder, read_note
from suite.files import check_sha256, read_parquet
from suite.judge.calibration import DEFAULT, Calibration
from suite.judge.cells import Cell, disturbances, measured
from suite.judge.findings import OfCell
from suite.judge.stats import FEWEST
from suite.judge.stochastic import ESTIMATORS
from suite.store import RunInfo, list_runs

__all__ = ["HARDWARE", "Night", "Series", "series_of"]

_COLUMNS = (
    *("run", "workload", "precision", "seed", "repeat", "outcome", "deterministic", "setup_sha256", "cautions"),
    *ESTIMATORS.values(),
)

ABSENT = 3
"""So many runs in which a cell was not planned end its series; one or two are somebody looking at other cells."""

HARDWARE = ("device_name", "device_memory_bytes", "compute_capability", "mig", "cpu", "cpu_count", "threads")
"""Fields of the environment that make it another machine, and another series; any other one is another segment."""


@dataclass(frozen=True)
class Night:
    """One run's measure of one cell."""

    run: str
    at: str
    """When the run began, UTC."""
    commit: str | None
    fingerprint: str
    value: float
    """Logarithm of the step's seconds: the mean over the processes."""
    processes: int
    anchor: float | None = None
    """The same of the anchor that was run in turn with it."""
    anchor_run: str | None = None
    """The baseline's run whose code the anchor was: another one is another program."""
    disturbed: bool = False
    """Whether the machine disturbed a trial of the cell."""


@dataclass(frozen=True)
class Series(OfCell):
    """The nights of one cell on one machine, oldest first."""

    setup_sha256: str
    estimator: str
    nights: tuple[Night, ...]
    without_numbers: tuple[str, ...] = ()
    """Runs after the last night that planned the cell and have no time of it."""
    ended: bool = False
    """Whether several runs since did not plan it: there is nothing left to decide."""


def series_of(
    results: Path, calibration: Calibration, like: RunInfo | None = None, runs: Sequence[RunInfo] | None = None
) -> list[Series]:
    """Every series on the machine of `like`, by default of the newest run; unfinished runs are left out.

    Other sizes, or a compiled model, are another series of the cell. `runs` are those of the folder, where they have
    been listed already.
    """
    runs = [info for info in (list_runs(results) if runs is None else runs) if info.sealed_at is not None]
    if not runs:
        return []
    machine = _hardware(like or runs[-1])
    runs = [info for info in runs if _hardware(info) == machine]
    nights: dict[tuple[Cell, str], list[Night]] = {}
    for info in runs:
        for cell, setup, night in _nights(results / "runs" / info.run, info, calibration):
            nights.setdefault((cell, setup), []).append(night)
    return [
        _with_what_came_after(
            Series(*cell, setup, calibration.fitting([setup]).estimator_of(cell) or DEFAULT, tuple(found)), runs
        )
        for (cell, setup), found in nights.items()
    ]


def _with_what_came_after(series: Series, runs: Sequence[RunInfo]) -> Series:
    later = runs[[info.run for info in runs].index(series.nights[-1].run) + 1 :]
    key = series.workload, series.precision, series.setup_sha256
    planned = tuple(
        info.run
        for info in later
        if any((s.workload, s.precision, s.setup_sha256) == key and not s.deterministic for s in info.plan.trials)
    )
    return replace(series, without_numbers=planned, ended=len(later) >= ABSENT and not planned)


def _nights(folder: Path, info: RunInfo, calibration: Calibration) -> list[tuple[Cell, str, Night]]:
    rows = _timed(folder, info)
    note = read_note(folder)
    anchors = {} if note is None else _anchor_values(folder, calibration, cut_short=note.reason is not None)
    found = []
    for (workload, precision, setup), group in rows.groupby(["workload", "precision", "setup_sha256"], sort=False):
        cell = str(workload), str(precision)
        anchor = anchors.get((*cell, str(setup)))
        night = Night(
            run=info.run,
            at=info.created_at,
            commit=info.environment.git_commit,
            fingerprint=info.fingerprint,
            value=_level(group, cell, calibration),
            processes=len(group),
            anchor=anchor,
            anchor_run=None if note is None or anchor is None else note.base_run,
            disturbed=any(map(disturbances, group["cautions"])),
        )
        found.append((cell, str(setup), night))
    return found


def _timed(folder: Path, info: RunInfo) -> pd.DataFrame:
    path = folder / "trials.parquet"
    check_sha256(path, (info.files or {})["trials.parquet"])
    rows = measured(read_parquet(path, {name: TRIAL_COLUMNS[name] for name in _COLUMNS}, info.schema))
    return rows[~rows["deterministic"].fillna(value=False)].dropna(subset=["step_seconds_median"])


def _anchor_values(folder: Path, calibration: Calibration, *, cut_short: bool) -> dict[tuple[str, str, str], float]:
    """By workload, precision and setup; nothing of an anchor that ended before it had blocks enough for the gate."""
    home = anchor_folder(folder)
    frames = [_timed(home / "runs" / info.run, info) for info in list_runs(home) if info.sealed_at is not None]
    if not frames or (cut_short and len(frames) < FEWEST):
        return {}
    rows = pd.concat(frames, ignore_index=True)
    return {
        (str(workload), str(precision), str(setup)): _level(group, (str(workload), str(precision)), calibration)
        for (workload, precision, setup), group in rows.groupby(["workload", "precision", "setup_sha256"], sort=False)
    }


def _level(rows: pd.DataFrame, cell: Cell, calibration: Calibration) -> float:
    frozen = calibration.fitting(set(rows["setup_sha256"])).estimator_of(cell)
    column = ESTIMATORS[frozen or DEFAULT]
    values: Sequence[float] = [math.log(float(value)) for value in rows[column]]
    return math.fsum(values) / len(values)


def _hardware(info: RunInfo) -> tuple[object, ...]:
    return tuple(getattr(info.environment, name) for name in HARDWARE)
