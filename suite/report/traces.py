"""Curves for the charts, from the per-step rows: cut where a trial diverged, thinned so that a page stays small."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from suite.record import Outcome
from suite.report.cells import Cell, Row

__all__ = ["Series", "Traces"]

MOST_POINTS = 160
"""Points of a curve; longer ones are drawn as the median of neighbouring steps."""

Curve = list[float | None]
Point = tuple[int, float]


@dataclass(frozen=True)
class Series:
    """One mode's curve. `place` is the mode's place in the plan, which fixes its colour and dash in all charts."""

    precision: str
    place: int
    points: tuple[Point, ...]
    processes: int = 1
    diverged_at: int | None = None
    """The step a diverged trial stops at."""
    first_timed: int = 0
    thinned: int = 1
    """Neighbouring steps that each point is the median of."""
    overflows: tuple[int, ...] = ()
    """Steps whose gradients overflowed in the mode's first process; of step times, where those steps are drawn."""


class Traces:
    """Per-step values by trial."""

    def __init__(self, steps: pd.DataFrame) -> None:
        ordered = steps.sort_values(["trial", "step"], kind="stable")
        self._trials = {str(name): rows for name, rows in ordered.groupby("trial", sort=False)}

    def losses(self, cell: Cell, place: int) -> Iterable[Series]:
        """The median curve of the trials that held together, and the first trial that did not, up to its breakdown."""
        healthy = [row for row in cell.measured if self._has(row)]
        if healthy:
            curve = _median([self._column(row, "loss") for row in healthy])
            yield Series(cell.precision, place, _points(curve), len(healthy), thinned=_group(len(curve)))
        broken = [row for row in cell.stopped if row["outcome"] == Outcome.DIVERGED and self._has(row)]
        for row in broken[:1]:
            curve = self._column(row, "loss")
            end = row["first_bad_step"]
            stop = len(curve) if end is None else int(end)
            yield Series(cell.precision, place, _points(curve[:stop]), diverged_at=stop)

    def loss_differences(self, cell: Cell, reference: Cell, place: int) -> Iterable[Series]:
        """The median over processes of the loss minus the reference's of the same seed, which saw the same batches."""
        theirs = {
            seed: _median([self._column(r, "loss") for r in reference.measured if r["seed"] == seed and self._has(r)])
            for seed in reference.seeds
        }
        differences = [
            [_minus(*pair) for pair in zip(self._column(row, "loss"), theirs.get(row["seed"], ()), strict=False)]
            for row in cell.measured
            if self._has(row)
        ]
        points = _points(_median([curve for curve in differences if curve]))
        if points:
            yield Series(cell.precision, place, points, len(differences))

    def times(self, cell: Cell, place: int) -> Iterable[Series]:
        """Median step time over the measured processes, step by step."""
        rows = [row for row in cell.measured if self._has(row) and row["step_seconds_median"] is not None]
        if rows:
            curve = _median([self._column(row, "seconds") for row in rows])
            cut = int(statistics.median_high([row["warmup_steps"] or 0 for row in rows]))
            drawn = dict.fromkeys(_drawn_at(step, len(curve)) for step in self._overflows(rows[0]) if step < len(curve))
            yield Series(
                cell.precision,
                place,
                _points(curve),
                len(rows),
                first_timed=cut,
                overflows=tuple(drawn),
                thinned=_group(len(curve)),
            )

    def timed(self, row: Row) -> list[float]:
        """Seconds of a measured trial's steps after the warm-up; none where it was not timed."""
        if not self._has(row) or row["step_seconds_median"] is None:
            return []
        steps = self._trials[row["trial"]]
        return [float(value) for value in steps["seconds"][~steps["warmup"].astype(bool)].dropna()]

    def scales(self, cell: Cell, place: int) -> Iterable[Series]:
        """Loss scale and overflowing steps of the cell's first process: a median of stairs would show none of them."""
        row = next((row for row in (*cell.measured, *cell.stopped) if self._has(row)), None)
        if row is None:
            return
        scales = self._column(row, "scale")
        overflows = self._overflows(row)
        if overflows or any(scale is not None for scale in scales):
            yield Series(cell.precision, place, _stairs(scales), overflows=overflows)

    def at(self, row: Row, column: str, steps: Sequence[int]) -> list[float | None]:
        """Values of one trial at some steps, for the tables behind the charts."""
        curve = self._column(row, column) if self._has(row) else []
        return [curve[step] if step < len(curve) else None for step in steps]

    def _overflows(self, row: Row) -> tuple[int, ...]:
        flags = self._trials[row["trial"]]["overflowed"]
        return tuple(step for step, flag in enumerate(flags.fillna(False)) if flag)

    def _has(self, row: Row) -> bool:
        return row["trial"] in self._trials

    def _column(self, row: Row, name: str) -> Curve:
        return [None if math.isnan(value) else value for value in self._trials[row["trial"]][name].tolist()]


def _median(curves: Sequence[Curve]) -> Curve:
    """Step by step over processes, as long as the shortest of them."""
    return [_middle(values) for values in zip(*curves, strict=False)]


def _middle(values: Iterable[float | None]) -> float | None:
    found = [value for value in values if value is not None and math.isfinite(value)]
    return statistics.median(found) if found else None


def _minus(value: float | None, other: float | None) -> float | None:
    return None if value is None or other is None else value - other


def _points(curve: Curve) -> tuple[Point, ...]:
    """Finite points, in groups of neighbours where there are too many steps."""
    group = _group(len(curve))
    starts = range(0, len(curve), group)
    pairs = ((_drawn_at(start, len(curve)), _middle(curve[start : start + group])) for start in starts)
    return tuple((step, value) for step, value in pairs if value is not None)


def _drawn_at(step: int, steps: int) -> int:
    """Where a step of so many is drawn: in the middle of its group."""
    group = _group(steps)
    return min(step // group * group + group // 2, steps - 1)


def _group(steps: int) -> int:
    return math.ceil(steps / MOST_POINTS) or 1


def _stairs(curve: Curve) -> tuple[Point, ...]:
    """Only the steps where the value changes, and both ends: that is all of a staircase."""
    return tuple(
        (step, value)
        for step, value in enumerate(curve)
        if value is not None and math.isfinite(value) and (step in (0, len(curve) - 1) or curve[step - 1] != value)
    )
