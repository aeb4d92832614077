"""The metrics that vary from process to process, and one cell of one of them as two samples of logarithms."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from suite.judge.cells import Sides
from suite.judge.stats import FEWEST

__all__ = [
    "DELTA",
    "ESTIMATORS",
    "HOST_MEMORY",
    "MEAN_STEP_TIME",
    "STEP_TIME",
    "Sample",
    "StochasticMetric",
    "sample_of",
]

DELTA = 0.02
"""Smallest change of the step time that matters."""
ESTIMATORS = {"median": "step_seconds_median", "min": "step_seconds_min", "q10": "step_seconds_q10"}
"""What may sum up the steps of a process, and its column."""


@dataclass(frozen=True)
class StochasticMetric:
    """One metric: where its values stand and what change matters."""

    name: str
    delta: float
    estimators: Mapping[str, str]
    """Name -> column; the first is the default."""
    disturbed: bool
    """Whether what the cautions speak of (clocks, foreign load) moves it."""

    @property
    def limit(self) -> float:
        """On the scale of logarithms."""
        return math.log1p(self.delta)


STEP_TIME = StochasticMetric("step_seconds", DELTA, ESTIMATORS, disturbed=True)
MEAN_STEP_TIME = StochasticMetric("mean_step_seconds", DELTA, {"mean": "mean_step_seconds"}, disturbed=True)
"""Of all timed steps, which the throughput follows: where every tenth step is slower, no median moves."""
HOST_MEMORY = StochasticMetric("peak_rss_bytes", 0.05, {"peak": "peak_rss_bytes"}, disturbed=False)


@dataclass(frozen=True)
class Sample:
    """The logarithms of one cell: what is compared."""

    base: list[float]
    candidate: list[float]
    estimator: str
    in_turn: bool
    """Whether the values are blocks of both sides, run in turn; else they are processes."""


def sample_of(metric: StochasticMetric, sides: Sides, estimator: str | None, in_turn: bool) -> Sample:
    """The values of both sides: of blocks where the sides were run `in_turn` and enough blocks are whole."""
    default = next(iter(metric.estimators))
    name = default if estimator is None or estimator not in metric.estimators else estimator
    column = metric.estimators[name]
    before, after = (side.dropna(subset=[column]) for side in sides)
    if in_turn:
        both = before.merge(after, on=["seed", "repeat"], suffixes=("_base", "_candidate"))
        # The seeds of a block share its minutes, so that the block is the unit and not the process.
        blocks = [_logs(both[f"{column}_{side}"]).groupby(both["repeat"]).mean() for side in ("base", "candidate")]
        if len(blocks[0]) >= FEWEST:
            return Sample(blocks[0].tolist(), blocks[1].tolist(), name, in_turn=True)
    return Sample(_logs(before[column]).tolist(), _logs(after[column]).tolist(), name, in_turn=False)


def _logs(values: pd.Series[float]) -> pd.Series[float]:
    return values.astype(float).map(math.log)
