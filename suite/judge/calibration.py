"""What is frozen before anything is judged: the estimator of each series, and the margin of each quality.

Both come from runs in which nothing changed (A/A). The estimator is the one of median, minimum and 10 % quantile that
varies least between processes there; a choice made on the data it judges would find the estimator that shows a change.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from suite.decode import DecodeError, decode, encode
from suite.errors import DamagedResults, UsageError
from suite.files import unwritable, write_atomically
from suite.judge.cells import Cell, cells_of, measured, rows_of
from suite.judge.quality import MARGIN_SHARE, seed_values
from suite.judge.samples import ESTIMATORS
from suite.store import Run

__all__ = ["FEWEST_PROCESSES", "Calibration", "CellCalibration", "calibrate", "calibration_for", "freeze"]

FEWEST_PROCESSES = 10
"""Of equal code, per cell; the research behind this asks for 20."""
FEWEST_SEEDS = 10
DEFAULT = "median"


@dataclass(frozen=True)
class CellCalibration:
    """What an A/A run says of one cell."""

    workload: str
    precision: str
    setup_sha256: str
    """It holds for this setup only."""
    processes: int
    estimator: str | None = None
    """None: too few processes, so the median stays."""
    variation: Mapping[str, float] = field(default_factory=dict)
    """Estimator -> its standard deviation between processes, of the logarithm."""
    quality_metric: str | None = None
    seeds: int = 0
    quality_margin: float | None = None
    """In the metric's unit; None: too few seeds."""


@dataclass(frozen=True)
class Calibration:
    """The frozen choices for one machine and software."""

    fingerprint: str = ""
    run: str = ""
    frozen_at: str = ""
    reason: str = ""
    cells: tuple[CellCalibration, ...] = ()

    def estimator_of(self, cell: Cell) -> str | None:
        """The frozen estimator, or None."""
        return next((c.estimator for c in self.cells if (c.workload, c.precision) == cell), None)

    def margin_of(self, cell: Cell, metric: str) -> float | None:
        """The frozen margin of the cell's quality, in the unit of this metric; None where it is of another one."""
        frozen = self._margin(cell)
        return frozen.quality_margin if frozen is not None and frozen.quality_metric == metric else None

    def margin_metric_of(self, cell: Cell) -> str | None:
        """The metric that the frozen margin of the cell's quality is of, or None."""
        frozen = self._margin(cell)
        return None if frozen is None else frozen.quality_metric

    def _margin(self, cell: Cell) -> CellCalibration | None:
        known = (c for c in self.cells if c.quality_margin is not None)
        return next((c for c in known if (c.workload, c.precision) == cell), None)

    def fitting(self, setups: Iterable[str]) -> Calibration:
        """Only what was frozen for these setups."""
        wanted = set(setups)
        kept = tuple(cell for cell in self.cells if cell.setup_sha256 in wanted)
        return Calibration(self.fingerprint, self.run, self.frozen_at, self.reason, kept)


def calibrate(run: Run, reason: str) -> Calibration:
    """The choices that an A/A run suggests.

    Raises:
        UsageError: no cell has enough processes or seeds, or there is no reason.
    """
    if not reason.strip():
        raise UsageError("--reason is empty; say why these processes may be taken for equal.")
    cells = tuple(
        _cell(cell, rows)
        for cell in cells_of(run)
        if not (rows := measured(rows_of(run, cell))).empty and rows["setup_sha256"].nunique() == 1
    )
    if not any(cell.estimator or cell.quality_margin is not None for cell in cells):
        raise UsageError(
            f"run {run.info.run} has no cell with {FEWEST_PROCESSES} processes or {FEWEST_SEEDS} seeds; "
            "run one with --repeats 2 --seeds 0,1,2,… up to 9, which is enough for both."
        )
    return Calibration(run.info.fingerprint, run.info.run, _now(), reason, cells)


def freeze(results: Path, calibration: Calibration, *, replace: bool = False) -> Path:
    """Keep the choices for this machine; frozen ones stay unless `replace`.

    Raises:
        UsageError: there are frozen ones already.
        UnwritableResults: the file cannot be written.
    """
    path = _path(results, calibration.fingerprint)
    if path.exists() and not replace:
        former = calibration_for(results, calibration.fingerprint)
        raise UsageError(
            f"this machine has frozen choices since {former.frozen_at} (run {former.run}, {former.reason!r}); "
            "give --replace to end that series and begin another."
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(path.parent, error) from error
    write_atomically(path, json.dumps(encode(calibration), indent=1).encode())
    return path


def calibration_for(results: Path, fingerprint: str) -> Calibration:
    """The frozen choices for this machine and software; empty ones where nothing is frozen."""
    path = _path(results, fingerprint)
    if not path.exists():
        return Calibration()
    try:
        return decode(Calibration, json.loads(path.read_text(encoding="utf-8")), str(path))
    except (OSError, ValueError, DecodeError) as error:
        raise DamagedResults(f"{path} is damaged ({error}); calibrate again with --replace.") from error


def _cell(cell: Cell, rows: pd.DataFrame) -> CellCalibration:
    timed = rows.dropna(subset=list(ESTIMATORS.values()))
    variation = {name: _deviation(timed, column) for name, column in ESTIMATORS.items()}
    enough = len(timed) >= FEWEST_PROCESSES and all(map(math.isfinite, variation.values()))
    qualities = seed_values(rows)
    margin = MARGIN_SHARE * float(qualities.std(ddof=1)) if len(qualities) >= FEWEST_SEEDS else None
    return CellCalibration(
        *cell,
        setup_sha256=str(rows.iloc[0]["setup_sha256"]),
        processes=len(timed),
        # The median wins a tie, also where rounding alone tells them apart: it is what users feel.
        estimator=min(variation, key=lambda name: round(variation[name], 9)) if enough else None,
        variation=variation if enough else {},
        quality_metric=None if rows["quality_metric"].isna().all() else str(rows["quality_metric"].dropna().iloc[0]),
        seeds=len(qualities),
        quality_margin=margin or None,
    )


def _deviation(rows: pd.DataFrame, column: str) -> float:
    """Between processes of one seed, pooled over the seeds: another seed is other work."""
    logs = rows[column].astype(float).map(math.log)
    within = logs.groupby(rows["seed"]).transform("mean")
    freedom = len(logs) - rows["seed"].nunique()
    return float(np.sqrt(((logs - within) ** 2).sum() / freedom)) if freedom > 0 else math.inf


def _path(results: Path, fingerprint: str) -> Path:
    return results / "calibration" / f"{fingerprint[:12]}.json"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
