"""Where a dynamic loss scale settles: it moves before the accuracy does.

The scale moves by factors of two, so a change is counted in halvings (log2). One halving is within the play of the
growth interval; two and more mean that gradients four times as large have appeared.
"""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
from scipy import stats

from suite.judge.cells import Cell, Sides
from suite.judge.findings import Finding, MetricClass, Verdict
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
    """A finding on the settled scale, the lowest scale and the steady skip rate; None where no scale moved at all.

    `alpha` is the one-sided level of the test over processes, where they settle at different scales.
    """
    columns = ["scale_settled", "scale_lowest", "scale_highest"]
    known = [side.dropna(subset=columns) for side in sides]
    if any(side.empty for side in known) or all((s["scale_lowest"] == s["scale_highest"]).all() for s in known):
        return None
    before, after = ([math.log2(value) for value in side["scale_settled"]] for side in known)
    moved = sum(after) / len(after) - sum(before) / len(before)
    verdict, reasons = _verdict(before, after, moved, alpha)
    had = _broken(known[0])
    broken = [text for kind, text in _broken(known[1]).items() if kind not in had]
    if broken:
        verdict, reasons = Verdict.REGRESSED, tuple(broken)
    return Finding(
        *cell,
        "loss_scale",
        verdict,
        MetricClass.SHAPE,
        base=2.0 ** (sum(before) / len(before)),
        candidate=2.0 ** (sum(after) / len(after)),
        test=f"settled scale, {HALVINGS:g} halvings",
        values_base=tuple(2.0**value for value in before),
        values_candidate=tuple(2.0**value for value in after),
        processes_base=len(before),
        processes_candidate=len(after),
        reasons=reasons,
    )


def _verdict(before: list[float], after: list[float], moved: float, alpha: float) -> tuple[Verdict, tuple[str, ...]]:
    if set(before) == set(after) and len(set(after)) == 1:
        return Verdict.UNCHANGED, ()
    if abs(moved) < HALVINGS:
        near = f"the settled scale moved by {moved:+.1f} doublings, within the play of its growth interval"
        return (Verdict.CHANGED if moved else Verdict.UNCHANGED), (near,) if moved else ()
    what = f"the scale settles {2 ** abs(moved):.0f} times {'lower' if moved < 0 else 'higher'}"
    if len(set(before)) == len(set(after)) == 1 or _differ(before, after, alpha):
        return (Verdict.REGRESSED if moved < 0 else Verdict.CHANGED), (what,)
    return Verdict.INCONCLUSIVE, (f"{what}, but it varies between processes and they are too few to tell",)


def _differ(before: list[float], after: list[float], alpha: float) -> bool:
    if min(len(before), len(after)) < FEWEST:
        return False
    test = stats.permutation_test(
        (np.asarray(after), np.asarray(before)),
        lambda x, y, axis: x.mean(axis=axis) - y.mean(axis=axis),
        vectorized=True,
        rng=np.random.default_rng(0),
    )
    return bool(test.pvalue / 2 <= alpha)


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
