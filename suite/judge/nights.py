"""Stored runs as series: one night per run, one series per cell, setup and hardware."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from suite.columns import TRIAL_COLUMNS
from suite.companions import anchor_folder, read_note
from suite.errors import DamagedResults
from suite.files import check_sha256, read_parquet
from suite.judge.calibration import DEFAULT, Calibration
from suite.judge.cells import Cell, disturbances, measured
from suite.judge.findings import OfCell
from suite.judge.samples import ESTIMATORS
from suite.judge.stats import FEWEST
from suite.store import RunInfo, list_runs

__all__ = ["HARDWARE", "Night", "Series", "Work", "by_means", "machine_of", "machines", "planned", "series_of"]

_COLUMNS = (
    *("run", "workload", "precision", "seed", "repeat", "outcome", "deterministic", "setup_sha256", "cautions"),
    *ESTIMATORS.values(),
    *("timed_seconds", "timed_steps"),
)

ABSENT = 3
"""So many runs in which a cell was not planned end its series; one or two are somebody looking at other cells."""

HARDWARE = ("device_name", "device_memory_bytes", "compute_capability", "mig", "cpu", "cpu_count", "threads")
"""Fields of the environment that make it another machine, and another series; any other one is another segment."""


@dataclass(frozen=True)
class Work:
    """What every night of a series does."""

    workload: str
    precision: str
    setup_sha256: str
    seeds: tuple[int, ...]


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
    """Whether the machine disturbed a trial of the cell or of its anchor, or a seed of either is missing."""
    failed: int = 0
    """Trials that were planned and have no time."""
    mean: float | None = None
    """Like `value`, of the mean of all timed steps; None where a process has none."""
    anchor_mean: float | None = None


@dataclass(frozen=True)
class Series(OfCell):
    """The nights of one cell on one machine, oldest first."""

    setup_sha256: str
    estimator: str
    nights: tuple[Night, ...]
    seeds: tuple[int, ...] = (0,)
    """Of every night: another seed may be other work, and is another series."""
    without_numbers: tuple[str, ...] = ()
    """Runs after the last night that planned the cell and have no time of it."""
    ended: bool = False
    """Whether several runs since did not plan it: there is nothing left to decide."""

    @property
    def work(self) -> Work:
        """What tells it from the other series of its machine."""
        return Work(self.workload, self.precision, self.setup_sha256, self.seeds)


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
    machine = machine_of(like or runs[-1])
    runs = [info for info in runs if machine_of(info) == machine]
    nights: dict[Work, list[Night]] = {}
    for info in runs:
        for work, night in _nights(results / "runs" / info.run, info, calibration):
            nights.setdefault(work, []).append(night)
    return [_series(work, tuple(found), calibration, runs) for work, found in nights.items()]


def machines(runs: Sequence[RunInfo]) -> list[RunInfo]:
    """The newest run of each machine, that of the newest run first."""
    newest = {machine_of(info): info for info in runs}
    return [newest[machine] for machine in dict.fromkeys(machine_of(info) for info in reversed(runs))]


def machine_of(info: RunInfo) -> tuple[object, ...]:
    """What is equal of two runs on one machine."""
    return tuple(getattr(info.environment, name) for name in HARDWARE)


def planned(info: RunInfo) -> dict[Work, int]:
    """What the run was to time, and by how many trials each."""
    cells: dict[tuple[str, str, str], list[int]] = {}
    for spec in info.plan.trials:
        if not spec.deterministic:
            cells.setdefault((spec.workload, spec.precision, spec.setup_sha256), []).append(spec.seed)
    return {Work(*cell, tuple(sorted(set(seeds)))): len(seeds) for cell, seeds in cells.items()}


def _series(work: Work, nights: tuple[Night, ...], calibration: Calibration, runs: Sequence[RunInfo]) -> Series:
    later = runs[[info.run for info in runs].index(nights[-1].run) + 1 :]
    without = tuple(info.run for info in later if work in planned(info))
    return Series(
        work.workload,
        work.precision,
        work.setup_sha256,
        calibration.fitting([work.setup_sha256]).estimator_of((work.workload, work.precision)) or DEFAULT,
        nights,
        work.seeds,
        without_numbers=without,
        ended=len(later) >= ABSENT and not without,
    )


def _nights(folder: Path, info: RunInfo, calibration: Calibration) -> list[tuple[Work, Night]]:
    rows = _timed(folder, info)
    note = read_note(folder)
    anchors = {} if note is None else _anchor_values(folder, calibration, cut_short=note.reason is not None)
    groups = dict(iter(rows.groupby(["workload", "precision", "setup_sha256"], sort=False)))
    found = []
    for work, trials in planned(info).items():
        key = work.workload, work.precision, work.setup_sha256
        if key not in groups:
            continue
        group, anchor = groups[key], anchors.get(key)
        night = Night(
            run=info.run,
            at=info.created_at,
            commit=info.environment.git_commit,
            fingerprint=info.fingerprint,
            value=_level(group, (work.workload, work.precision), calibration),
            processes=len(group),
            anchor=None if anchor is None else anchor.value,
            anchor_run=None if note is None or anchor is None else note.base_run,
            disturbed=_disturbed(group, work) or (anchor is not None and _disturbed(anchor.trials, work)),
            failed=max(0, trials - len(group)),
            mean=_mean_level(group),
            anchor_mean=None if anchor is None else _mean_level(anchor.trials),
        )
        found.append((work, night))
    return found


def _timed(folder: Path, info: RunInfo) -> pd.DataFrame:
    path, digest = folder / "trials.parquet", (info.files or {})["trials.parquet"]
    check_sha256(path, digest)
    try:
        return _rows(path, digest, info.schema)
    except ValueError as error:
        raise DamagedResults(f"{path} has an outcome that this version does not know ({error}).") from error


# A run's page and the index, which one command writes, look back on the same nights.
@functools.lru_cache(maxsize=512)
def _rows(path: Path, sha256: str, schema: int) -> pd.DataFrame:
    rows = measured(read_parquet(path, {name: TRIAL_COLUMNS[name] for name in _COLUMNS}, schema))
    return rows[~rows["deterministic"].fillna(value=False)].dropna(subset=["step_seconds_median"])


def _disturbed(trials: pd.DataFrame, work: Work) -> bool:
    return any(map(disturbances, trials["cautions"])) or set(trials["seed"]) != set(work.seeds)


@dataclass(frozen=True)
class _Anchor:
    """What the anchor of a night measured of one cell."""

    value: float
    trials: pd.DataFrame


def _anchor_values(folder: Path, calibration: Calibration, *, cut_short: bool) -> dict[tuple[str, str, str], _Anchor]:
    """By workload, precision and setup; nothing of an anchor that ended before it had blocks enough for the gate."""
    home = anchor_folder(folder)
    frames = [_timed(home / "runs" / info.run, info) for info in list_runs(home) if info.sealed_at is not None]
    if not frames or (cut_short and len(frames) < FEWEST):
        return {}
    rows = pd.concat(frames, ignore_index=True)
    return {
        (str(workload), str(precision), str(setup)): _Anchor(
            _level(group, (str(workload), str(precision)), calibration), group
        )
        for (workload, precision, setup), group in rows.groupby(["workload", "precision", "setup_sha256"], sort=False)
    }


def by_means(series: Series) -> Series | None:
    """The same series of the means of the steps, which grow where only some steps do; None where a night has none."""
    nights = [
        replace(night, value=night.mean, anchor=night.anchor_mean if night.anchor is not None else None)
        for night in series.nights
        if night.mean is not None
    ]
    return replace(series, estimator="mean", nights=tuple(nights)) if len(nights) == len(series.nights) else None


def _mean_level(rows: pd.DataFrame) -> float | None:
    means = rows["timed_seconds"] / rows["timed_steps"]
    if means.isna().any() or not (means > 0).all():
        return None
    return math.fsum(math.log(float(value)) for value in means) / len(means)


def _level(rows: pd.DataFrame, cell: Cell, calibration: Calibration) -> float:
    frozen = calibration.fitting(set(rows["setup_sha256"])).estimator_of(cell)
    column = ESTIMATORS[frozen or DEFAULT]
    values: Sequence[float] = [math.log(float(value)) for value in rows[column]]
    return math.fsum(values) / len(values)
