"""A run as a grid of cells (workload × precision): which trials a cell has, and what can be said across two cells.

Nothing is formatted here, and nothing here knows of HTML.
"""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from suite.columns import MEMORY_LAYERS, RATE
from suite.judge.findings import REFERENCE
from suite.record import Outcome
from suite.report.text import anchor
from suite.spec import TrialSpec
from suite.store import Run

if TYPE_CHECKING:
    from suite.judge.estimates import Estimate

__all__ = [
    "MEMORY_LAYERS",
    "RATE",
    "REFERENCE",
    "TF32",
    "Cell",
    "Grid",
    "Row",
    "distinct",
    "from_json",
    "memory_layer",
    "plain_rows",
    "speed_ratio",
    "values_of",
]

TF32 = "tf32"
"""The second comparison, where the hardware has it: what float32 costs if one is content with a shorter mantissa."""

Row = Mapping[str, Any]
"""One trial by column name; None where there is no value."""


@dataclass(frozen=True)
class Cell:
    """One workload in one precision: the trials planned and those that have a record."""

    workload: str
    precision: str
    planned: tuple[TrialSpec, ...]
    trials: tuple[Row, ...]

    @property
    def name(self) -> str:
        """`gpt × bf16`."""
        return f"{self.workload} × {self.precision}"

    @property
    def anchor(self) -> str:
        """The target of links to this cell's details."""
        return anchor(self.workload, self.precision)

    @property
    def measured(self) -> tuple[Row, ...]:
        """The trials that finished with numbers."""
        return tuple(row for row in self.trials if Outcome(row["outcome"]).measured)

    @property
    def stopped(self) -> tuple[Row, ...]:
        """The trials that ended in any other way."""
        return tuple(row for row in self.trials if not Outcome(row["outcome"]).measured)

    @property
    def whole(self) -> int:
        """How many trials the cell should have."""
        return len(self.planned) or len(self.trials)

    @property
    def absent(self) -> int:
        """Trials that were planned and have no record: the run was cut short."""
        return max(0, len(self.planned) - len(self.trials))

    @property
    def outcome(self) -> Outcome | None:
        """What the cell as a whole came to: its measured trials if it has any, else the commonest end."""
        if self.measured:
            return Outcome.EMULATED if self.emulated else Outcome.OK
        found = Counter(row["outcome"] for row in self.trials).most_common(1)
        return Outcome(found[0][0]) if found else None

    @property
    def emulated(self) -> bool:
        """Whether the numbers do not stand for hardware speed."""
        return any(row["outcome"] == Outcome.EMULATED for row in self.measured)

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds in the order planned."""
        return tuple(dict.fromkeys(spec.seed for spec in self.planned))

    @property
    def with_steps(self) -> tuple[Row, ...]:
        """The trials whose training says something: the measured ones, else those that took steps before they ended."""
        return self.measured or tuple(row for row in self.trials if row["steps"] is not None)

    @property
    def cautions(self) -> dict[tuple[str, str], int]:
        """Code and message of what weakens the numbers, and how many of the trials carry it."""
        found = (caution for row in self.trials for caution in from_json(row["cautions"], []))
        return dict(Counter((caution["code"], caution["message"]) for caution in found))

    def values(self, column: str) -> list[float]:
        """The column over the measured trials, without gaps."""
        return values_of(self.measured, column)

    def median(self, column: str) -> float | None:
        """Median over the measured trials (processes)."""
        found = self.values(column)
        return statistics.median(found) if found else None

    def quality_by_seed(self) -> dict[int, float]:
        """Mean held-out quality of each seed's processes."""
        return {
            seed: statistics.fmean(found)
            for seed in self.seeds
            if (found := values_of([row for row in self.measured if row["seed"] == seed], "quality"))
        }

    def seeds_beating_baseline(self) -> int | None:
        """Seeds whose quality is better than the baseline's; None where either is missing."""
        qualities, baseline = self.quality_by_seed(), self.first("quality_baseline")
        if not qualities or baseline is None:
            return None
        higher = bool(self.first("quality_higher_is_better"))
        better: list[bool] = [value > baseline if higher else value < baseline for value in qualities.values()]
        return sum(better)

    def first(self, column: str) -> Any:
        """The first value there is, or None: for what is equal in all trials of a cell."""
        return next((row[column] for row in self.trials if row[column] is not None), None)


@dataclass(frozen=True)
class Grid:
    """All cells of a run, in the order of its plan."""

    workloads: tuple[str, ...]
    precisions: tuple[str, ...]
    cells: Mapping[tuple[str, str], Cell]

    @classmethod
    def of(cls, run: Run) -> Grid:
        """Arrange the run's trials."""
        specs = run.info.plan.trials
        rows = plain_rows(run.trials)
        keys = dict.fromkeys(
            [(spec.workload, spec.precision) for spec in specs] + [(row["workload"], row["precision"]) for row in rows]
        )
        cells = {
            key: Cell(
                *key,
                tuple(spec for spec in specs if (spec.workload, spec.precision) == key),
                tuple(row for row in rows if (row["workload"], row["precision"]) == key),
            )
            for key in keys
        }
        return cls(tuple(dict.fromkeys(w for w, _ in keys)), tuple(dict.fromkeys(p for _, p in keys)), cells)

    def __iter__(self) -> Iterator[Cell]:
        """Cells row by row."""
        return (self.cells[w, p] for w in self.workloads for p in self.precisions if (w, p) in self.cells)

    def beside(self, cell: Cell, precision: str) -> Cell | None:
        """The same workload in another precision, where it has numbers; None for the cell itself."""
        other = self.cells.get((cell.workload, precision))
        return other if other is not None and other is not cell and other.measured else None


def plain_rows(frame: pd.DataFrame) -> list[Row]:
    """Rows as dicts with None for every kind of missing value that pandas has."""
    plain = frame.astype(object)
    return [
        {str(name): value for name, value in row.items()} for row in plain.where(plain.notna(), None).to_dict("records")
    ]


def values_of(rows: Sequence[Row], column: str) -> list[float]:
    """The column's numbers, without gaps."""
    return [row[column] for row in rows if row[column] is not None]


def distinct(rows: Sequence[Row], *columns: str) -> list[Row]:
    """The first row of each combination of values."""
    return list({tuple(row[column] for column in columns): row for row in reversed(rows)}.values())[::-1]


def from_json(text: str | None, default: Any) -> Any:
    """The value of a JSON column; `default` where the trial has none."""
    return default if text is None else json.loads(text)


def speed_ratio(cell: Cell, other: Cell) -> Estimate | None:
    """How many times as fast as `other`, as the recommendation has it: geometric means of the processes' `RATE`.

    None where a process applied no timed step.
    """
    from suite.judge.estimates import ratio

    ours, theirs = (each.values(RATE) for each in (cell, other))
    return ratio(ours, theirs) if ours and theirs and min(*ours, *theirs) > 0 else None


def memory_layer(*cells: Cell) -> str | None:
    """The best layer of memory that all of these cells have."""
    return next((layer for layer in MEMORY_LAYERS if all(cell.median(layer) for cell in cells)), None)
