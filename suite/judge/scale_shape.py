"""Where a dynamic loss scale settles: it moves before the accuracy does.

The scale moves by factors of two, so a change is counted in halvings (log2). One halving is within the play of the
growth interval; two and more mean that gradients four times as large have appeared. Sides are compared seed by seed,
for a seed may settle where another one does not: one that fell is enough, whatever the others do. Where the processes
of a seed disagree, the mean over seeds is tested by exchanging them between the sides.

A scale that falls below 1 needs no rule here: the trial has diverged.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import pandas as pd

from suite.judge.cells import Cell, Sides, seed_difference
from suite.judge.findings import Finding, MetricClass, Verdict
from suite.judge.permutation import Pair, by_seed, permute
from suite.judge.stats import ALPHA, FEWEST

__all__ = ["judge_scale_shape"]

HALVINGS = 2.0
"""A settled scale that is lower by so many halvings has moved."""
LARGEST_SKIP_RATE = 0.01
"""Of the steps after calibration: torch's growth interval of 2000 gives 0.0005 in steady state."""
EXPECTED_SKIPS = 2.0
"""Skips per growth interval that are no alarm: one probe of a larger scale each, and one more."""


def judge_scale_shape(cell: Cell, sides: Sides, alpha: float = ALPHA) -> Finding | None:
    """A finding on the settled scale and the steady skip rate.

    None where the base has no scale, or no scale moved at all. `alpha` is the one-sided level of the test over
    processes, where those of one seed settle at different scales.
    """
    known = (_scaled(sides[0]), _scaled(sides[1]))
    if known[0].empty or all((s["scale_lowest"] == s["scale_highest"]).all() for s in known):
        return None
    finding = Finding(*cell, "loss_scale", Verdict.NOT_MEASURED, MetricClass.SHAPE)
    if known[1].empty:
        return replace(finding, reasons=("the candidate has no loss scale, the base has",))
    differ = seed_difference(*known)
    said: tuple[str, ...] = () if differ is None else (differ,)
    seeds = {seed: (_log2(before), _log2(after)) for seed, (before, after) in by_seed(known, "scale_settled").items()}
    verdict, move, reasons = _verdict(seeds, alpha) if seeds else (Verdict.NOT_MEASURED, None, said)
    skips = _skips(known[1])
    if skips is not None and _skips(known[0]) is None:
        verdict, reasons = Verdict.REGRESSED, (skips,)
    before, after = (side["scale_settled"] for side in known)
    return replace(
        finding,
        verdict=verdict,
        base=None if move is None else 2.0**move.before,
        candidate=None if move is None else 2.0 ** (move.before + move.moved),
        test=f"settled scale, {HALVINGS:g} halvings",
        values_base=tuple(map(float, before)),
        values_candidate=tuple(map(float, after)),
        processes_base=len(before),
        processes_candidate=len(after),
        reasons=reasons,
        notes=said if seeds else (),
    )


@dataclass(frozen=True)
class _Move:
    """Where the scale settled, as a power of two, and by how many doublings it moved."""

    before: float
    moved: float
    seed: int | None = None
    """None for the mean over seeds."""

    def __str__(self) -> str:
        under = "" if self.seed is None else f"under seed {self.seed} "
        if abs(self.moved) < HALVINGS:
            moved = f"{under}the settled scale moved by {self.moved:+.1f} doublings"
            return f"{moved}, within the play of its growth interval"
        return f"{under}the scale settles {2 ** abs(self.moved):.0f} times {'lower' if self.moved < 0 else 'higher'}"


def _scaled(side: pd.DataFrame) -> pd.DataFrame:
    return side.dropna(subset=["scale_settled", "scale_lowest", "scale_highest"])


def _log2(values: Sequence[float]) -> list[float]:
    return [math.log2(value) for value in values]


def _verdict(seeds: Mapping[int, Pair], alpha: float) -> tuple[Verdict, _Move, tuple[str, ...]]:
    """The verdict, the move that it rests on, and the reasons."""
    moves = [_Move(fmean(before), fmean(after) - fmean(before), seed) for seed, (before, after) in seeds.items()]
    spreads = [max(max(side) - min(side) for side in pair) for pair in seeds.values()]
    # Where other seeds vary, processes of one may agree by chance: it must fall further than those vary.
    fallen = [
        move
        for move, spread in zip(moves, spreads, strict=True)
        if not spread and move.moved <= -HALVINGS and -move.moved > max(spreads)
    ]
    if fallen:
        return _certain(min(fallen, key=lambda move: move.moved))
    if not any(spreads):
        return _certain(max(moves, key=lambda move: abs(move.moved)))
    mean = _Move(fmean(move.before for move in moves), fmean(move.moved for move in moves))
    if abs(mean.moved) >= HALVINGS and _differ(seeds, alpha):
        return _certain(mean)
    for move in (mean, min(moves, key=lambda move: move.moved)):
        if abs(move.moved) >= HALVINGS:
            few = f"{move}, but it varies between processes and they are too few to tell"
            return Verdict.INCONCLUSIVE, move, (few,)
    return _certain(mean)


def _certain(move: _Move) -> tuple[Verdict, _Move, tuple[str, ...]]:
    """What a move means that is no chance."""
    if not round(move.moved, 9):  # means of thirds are not exact
        return Verdict.UNCHANGED, move, ()
    return Verdict.REGRESSED if move.moved <= -HALVINGS else Verdict.CHANGED, move, (str(move),)


def _differ(seeds: Mapping[int, Pair], alpha: float) -> bool:
    found = permute(seeds)
    return found.fewest >= FEWEST and found.decides(alpha)


def _skips(rows: pd.DataFrame) -> str | None:
    """A sentence where more steps are skipped than the probing of a larger scale explains."""
    steady = rows["steps"] - rows["overflow_calibration_count"]
    rate = float((rows["overflow_steady_count"].sum()) / steady.sum()) if steady.sum() else 0.0
    interval = json.loads(rows.iloc[0]["spec"])["scaler"]["growth_interval"]
    usual = max(LARGEST_SKIP_RATE, EXPECTED_SKIPS / interval)
    return f"{rate:.1%} of the steps after calibration are skipped, more than {usual:.1%}" if rate > usual else None
