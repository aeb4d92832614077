"""Where a dynamic loss scale settles: it moves before the accuracy does.

The scale moves by factors of two, so a change is counted in halvings (log2). One halving is within the play of the
growth interval; two and more mean that gradients four times as large have appeared. Sides are compared seed by seed,
for a seed may settle where another one does not.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from suite.judge.cells import Cell, Sides, seed_difference
from suite.judge.findings import Finding, MetricClass, Verdict
from suite.judge.permutation import Pair, permute
from suite.judge.stats import ALPHA, FEWEST

__all__ = ["judge_scale_shape"]

HALVINGS = 2.0
"""A settled scale that is lower by so many halvings has moved."""
LOWEST_SCALE = 1.0
"""Below it a scale makes gradients smaller, and training is about to stop."""
LARGEST_SKIP_RATE = 0.01
"""Of the steps after calibration: torch's growth interval of 2000 gives 0.0005 in steady state."""
EXPECTED_SKIPS = 2.0
"""Skips per growth interval that are no alarm: one probe of a larger scale each, and one more."""


def judge_scale_shape(cell: Cell, sides: Sides, alpha: float = ALPHA) -> Finding | None:
    """A finding on the settled scale, the lowest scale and the steady skip rate.

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
    shift = _shift(known)
    said: tuple[str, ...] = () if differ is None else (differ,)
    verdict, reasons = (Verdict.NOT_MEASURED, said) if shift is None else _verdict(shift, alpha)
    had = _broken(known[0])
    broken = [text for kind, text in _broken(known[1]).items() if kind not in had]
    if broken:
        verdict, reasons = Verdict.REGRESSED, tuple(broken)
    before, after = (side["scale_settled"] for side in known)
    return replace(
        finding,
        verdict=verdict,
        base=None if shift is None else 2.0**shift.before,
        candidate=None if shift is None else 2.0 ** (shift.before + shift.moved),
        test=f"settled scale, {HALVINGS:g} halvings",
        values_base=tuple(map(float, before)),
        values_candidate=tuple(map(float, after)),
        processes_base=len(before),
        processes_candidate=len(after),
        reasons=reasons,
        notes=() if shift is None else said,
    )


@dataclass(frozen=True)
class _Shift:
    """Settled scales as powers of two, by seed; means over seeds."""

    seeds: Mapping[int, Pair]
    before: float
    moved: float

    @property
    def steady(self) -> bool:
        """Whether the processes of each seed agree within their side."""
        return all(len(set(side)) == 1 for pair in self.seeds.values() for side in pair)

    @property
    def signs(self) -> set[int]:
        """The directions in which the seeds moved: -1, 0, 1."""
        moves = [_mean(after) - _mean(before) for before, after in self.seeds.values()]
        return {(move > 0) - (move < 0) for move in moves}


def _scaled(side: pd.DataFrame) -> pd.DataFrame:
    return side.dropna(subset=["scale_settled", "scale_lowest", "scale_highest"])


def _shift(sides: Sides) -> _Shift | None:
    """The seeds of both sides; None where there is none."""
    before, after = (
        {s: [math.log2(value) for value in side.loc[side["seed"] == s, "scale_settled"]] for s in set(side["seed"])}
        for side in sides
    )
    seeds = {seed: (before[seed], after[seed]) for seed in sorted(before) if seed in after}
    if not seeds:
        return None
    means = [(_mean(ours), _mean(theirs)) for ours, theirs in seeds.values()]
    first = _mean([ours for ours, _ in means])
    return _Shift(seeds, first, _mean([theirs for _, theirs in means]) - first)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _verdict(shift: _Shift, alpha: float) -> tuple[Verdict, tuple[str, ...]]:
    moved = shift.moved
    if shift.steady and shift.signs == {0}:
        return Verdict.UNCHANGED, ()
    if abs(moved) < HALVINGS:
        near = f"the settled scale moved by {moved:+.1f} doublings, within the play of its growth interval"
        same = not moved and not shift.steady
        return (Verdict.UNCHANGED, ()) if same else (Verdict.CHANGED, (near,))
    what = f"the scale settles {2 ** abs(moved):.0f} times {'lower' if moved < 0 else 'higher'}"
    if (shift.steady and len(shift.signs) == 1) or _differ(shift, alpha):
        return (Verdict.REGRESSED if moved < 0 else Verdict.CHANGED), (what,)
    return Verdict.INCONCLUSIVE, (f"{what}, but it varies between processes and they are too few to tell",)


def _differ(shift: _Shift, alpha: float) -> bool:
    found = permute(shift.seeds)
    return found.fewest >= FEWEST and found.decides(alpha)


def _broken(rows: pd.DataFrame) -> dict[str, str]:
    """What must not be, whatever it was before: its kind and a sentence."""
    found = {}
    if (rows["scale_lowest"] < LOWEST_SCALE).any():
        found["lowest"] = f"the scale fell to {rows['scale_lowest'].min():g}, below {LOWEST_SCALE:g}"
    steady = rows["steps"] - rows["overflow_calibration_count"]
    rate = float((rows["overflow_steady_count"].sum()) / steady.sum()) if steady.sum() else 0.0
    interval = json.loads(rows.iloc[0]["spec"])["scaler"]["growth_interval"]
    usual = max(LARGEST_SKIP_RATE, EXPECTED_SKIPS / interval)
    if rate > usual:
        found["skips"] = f"{rate:.1%} of the steps after calibration are skipped, more than {usual:.1%}"
    return found
