"""The verdict on step time, over the whole family of cells (docs/decisions/0004 has the reasons).

`regressed` if the Benjamini–Hochberg-adjusted p ≤ Q, the single one-sided p ≤ ALPHA and the slow-down ≥ DELTA;
`improved` the mirror; `unchanged` if two one-sided tests put the change inside ±DELTA; else `inconclusive`. A throttled
trial can only lower confidence: its cell is `inconclusive`, with the reason.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence

import pandas as pd

from suite.judge.findings import Finding, Verdict
from suite.judge.stats import (
    ALPHA,
    TimeComparison,
    adjust,
    compare_seconds,
    minimum_detectable,
    runs_to_decide,
)

__all__ = ["DELTA", "Cell", "Q", "Sides", "judge_times", "required_level"]

DELTA = 0.02
"""Smallest change of the step time that matters."""
Q = 0.05
"""False-discovery rate over all cells of one comparison."""
EQUIVALENCE = 0.05
"""Level of the two one-sided tests."""

Cell = tuple[str, str]
"""Workload and precision."""
Sides = tuple[pd.DataFrame, pd.DataFrame]
"""Measured trials of the base and of the candidate."""


def judge_times(cells: Mapping[Cell, Sides]) -> list[Finding]:
    """One finding per cell; every cell with enough processes counts towards the family."""
    results = {cell: compare_seconds(_seconds(sides[0]), _seconds(sides[1]), DELTA) for cell, sides in cells.items()}
    family = [cell for cell, result in results.items() if result.p_slower is not None]
    adjusted = dict(zip(family, adjust([_two_sided(results[cell]) for cell in family]), strict=True))
    level = required_level(len(family))
    return [_finding(cell, sides, results[cell], adjusted.get(cell), level) for cell, sides in cells.items()]


def required_level(cells: int) -> float:
    """The one-sided p that a single true change among `cells` at rest must reach to survive the correction."""
    return min(ALPHA, Q / (2 * max(1, cells)))


def _finding(cell: Cell, sides: Sides, result: TimeComparison, p_adjusted: float | None, level: float) -> Finding:
    before, after = map(_seconds, sides)
    known = p_adjusted is not None
    verdict, reasons = _verdict(sides, result, p_adjusted)
    return Finding(
        *cell,
        "step_seconds",
        verdict,
        base=_geometric_mean(before),
        candidate=_geometric_mean(after),
        change=result.change,
        low=result.low,
        high=result.high,
        p_adjusted=p_adjusted,
        minimum_detectable=minimum_detectable(result, level, DELTA) if known else None,
        runs_to_decide=(
            runs_to_decide(result, level, DELTA) if known and verdict is Verdict.INCONCLUSIVE and not reasons else None
        ),
        processes_base=len(before),
        processes_candidate=len(after),
        reasons=reasons,
        notes=_notes(sides),
    )


def _verdict(sides: Sides, result: TimeComparison, p_adjusted: float | None) -> tuple[Verdict, tuple[str, ...]]:
    if p_adjusted is None or result.p_unchanged is None:
        before, after = map(len, sides)
        few = f"{before} against {after} processes; at least 3 on each side are needed (5 are usual)"
        return Verdict.INCONCLUSIVE, (few,)
    cautions = _cautions(sides)
    if cautions:
        return Verdict.INCONCLUSIVE, cautions
    if result.p_unchanged <= EQUIVALENCE:
        return Verdict.UNCHANGED, ()
    if _two_sided(result) / 2 <= ALPHA and p_adjusted <= Q:
        if result.change >= DELTA:
            return Verdict.REGRESSED, ()
        if result.change <= -DELTA / (1 + DELTA):
            return Verdict.IMPROVED, ()
    return Verdict.INCONCLUSIVE, ()


def _two_sided(result: TimeComparison) -> float:
    return min(1.0, 2 * min(result.p_slower or 0.0, result.p_faster or 0.0))


def _seconds(rows: pd.DataFrame) -> list[float]:
    found: list[float] = rows["step_seconds_median"].tolist()
    return found


def _cautions(sides: Sides) -> tuple[str, ...]:
    codes = [caution["code"] for side in sides for text in side["cautions"] for caution in json.loads(text)]
    trials = sum(map(len, sides))
    return tuple(f"{code} in {codes.count(code)} of {trials} trials" for code in dict.fromkeys(codes))


def _notes(sides: Sides) -> tuple[str, ...]:
    before, after = (set(side["workload_sha256"].dropna()) for side in sides)
    return () if before == after else ("the workload's source file is not the one that the base was measured with",)


def _geometric_mean(values: Sequence[float]) -> float:
    return math.exp(math.fsum(map(math.log, values)) / len(values))
