"""Scans and demonstrations with known counts and losses."""

from __future__ import annotations

import records

from suite.loss_scale.scan import SCALES, GradientCounts, ScalePoint, ScaleScan
from suite.loss_scale.underflow import EXPERIMENTS, underflow_plan
from suite.record import TrialRecord
from suite.spec import TrialSpec

MARKOV = EXPERIMENTS[:1]
WEIGHT = MARKOV[0].loss_weight


def point(
    step: int = 0,
    values: int = 1000,
    flushed: dict[int, int] | None = None,
    largest: float | None = 1.0,
    nonfinite: int = 0,
) -> ScalePoint:
    """`flushed` maps a power of two to the count from that scale on."""
    counts = []
    for exponent in range(len(SCALES)):
        reached = [count for start, count in (flushed or {0: 0}).items() if start <= exponent]
        counts.append(reached[-1])
    return ScalePoint(
        step, GradientCounts(values, 5, nonfinite, largest, tuple(counts), tuple([0] * 20 + [values // 2] * 5))
    )


def scan(*points: ScalePoint) -> ScaleScan:
    return ScaleScan(records.spec(), points, (2.0, 1.0))


def record(spec: TrialSpec, first: float, final: float, **fields: object) -> TrialRecord:
    """Losses of the unweighted task: the first step's, and all others'."""
    losses = tuple(WEIGHT * loss for loss in (first, *[final] * (records.STEPS - 1)))
    return records.record(spec=spec, steps=records.trace(losses=losses), **fields)


def outcome(*finals: float) -> list[TrialRecord]:
    specs = underflow_plan("cpu", MARKOV).trials
    return [record(spec, 7.0, final) for spec, final in zip(specs, finals, strict=True)]
