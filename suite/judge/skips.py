"""How often a dynamic loss scale skips steps once it is calibrated.

A skip per growth interval is the probe of a larger scale and usual; twice as many are too many, and of a long interval
1 % of the steps. A candidate that skips more than this usual limit is an alarm. Where the base does so already, one
that skips more than the base by more than the limit is, if chance does not explain it: processes that differ under a
seed are exchanged (`permutation.py`), of those that agree the skips are rare events (exact binomial test).

Without that test a base that skips 3 to 10 % of 200 to 1000 steps raised up to 35 % false alarms by Poisson numbers of
skips; with it at most 0.9 % (20000 draws). One process a side that skips in bursts of three still raised up to 11 %;
several that differ are exchanged, which holds its level.
"""

from __future__ import annotations

import json

import pandas as pd
from scipy import stats

from suite.judge.cells import Sides, varies
from suite.judge.findings import Verdict
from suite.judge.permutation import Pair, by_seed, permute
from suite.judge.stats import FEWEST

__all__ = ["judge_skips"]

LARGEST_SKIP_RATE = 0.01
"""Of the steps after calibration: torch's growth interval of 2000 gives 0.0005 in steady state."""
EXPECTED_SKIPS = 2.0
"""Skips per growth interval that are no alarm: one probe of a larger scale each, and one more."""


def judge_skips(sides: Sides, alpha: float) -> tuple[Verdict, str] | None:
    """That the candidate skips too many steps, or perhaps does, and a sentence with the rates; None where it does not.

    `alpha` is the one-sided level of the test. Seeds that only one side has count where the base's rate is usual.
    """
    usual = _usual(sides[1])
    before, after = map(_rate, sides)
    quiet = before <= usual
    if after <= usual:
        return None
    said = f"{after:.1%} of the steps after calibration are skipped, more than {usual:.1%}"
    if not quiet:
        both = set(sides[0]["seed"]) & set(sides[1]["seed"])
        sides = sides[0][sides[0]["seed"].isin(both)], sides[1][sides[1]["seed"].isin(both)]
        before, after = map(_rate, sides)
        if after - before <= usual:
            return None
        said = f"{after:.1%} of the steps after calibration are skipped, before {before:.1%}: more than {usual:.1%} more"
    ours, theirs = map(_steady, sides)
    if ours.empty:
        return Verdict.INCONCLUSIVE, f"{said}, but the base never left calibration"
    if not (varies(ours, "skip_rate") or varies(theirs, "skip_rate")):
        return (Verdict.REGRESSED, said) if _binomial(ours, theirs) <= alpha else None
    found = permute(_exchanged((ours, theirs)))
    exchanged = found.fewest >= FEWEST and found.decides(alpha) and found.difference > 0
    if exchanged or (quiet and not found.can_decide(alpha) and _far_apart(ours, theirs, alpha)):
        return Verdict.REGRESSED, said
    return Verdict.INCONCLUSIVE, f"{said}, but it varies between processes and they are too few to tell"


def _exchanged(sides: Sides) -> dict[int, Pair]:
    """The rates to exchange: under each seed, or where the sides have not the same seeds, over all of them."""
    if set(sides[0]["seed"]) == set(sides[1]["seed"]):
        return by_seed(sides, "skip_rate")
    before, after = (side["skip_rate"].tolist() for side in sides)
    return {0: (before, after)}


def _far_apart(ours: pd.DataFrame, theirs: pd.DataFrame, alpha: float) -> bool:
    """Of too few processes to exchange: that each of the candidate's skips more than chance explains, beside any."""
    most, least = ours.nlargest(1, "skip_rate"), theirs.nsmallest(1, "skip_rate")
    return bool(least["skip_rate"].item() > most["skip_rate"].item()) and _binomial(most, least) <= alpha


def _usual(rows: pd.DataFrame) -> float:
    interval: int = json.loads(rows.iloc[0]["spec"])["scaler"]["growth_interval"]
    return max(LARGEST_SKIP_RATE, EXPECTED_SKIPS / interval)


def _rate(rows: pd.DataFrame) -> float:
    skipped, steps = _totals(rows)
    return skipped / steps if steps else 0.0


def _totals(rows: pd.DataFrame) -> tuple[int, int]:
    """How many steps after calibration were skipped, and how many there were."""
    return int(rows["overflow_steady_count"].sum()), int((rows["steps"] - rows["overflow_calibration_count"]).sum())


def _steady(rows: pd.DataFrame) -> pd.DataFrame:
    """The processes that left calibration, with the rate of each."""
    steps = (rows["steps"] - rows["overflow_calibration_count"]).astype(float)
    return rows.assign(skip_rate=rows["overflow_steady_count"].astype(float) / steps)[steps > 0]


def _binomial(ours: pd.DataFrame, theirs: pd.DataFrame) -> float:
    """One-sided: given the skips of both sides, the candidate's share of them is that of its steps."""
    before, after = _totals(ours), _totals(theirs)
    share = after[1] / (before[1] + after[1])
    return float(stats.binomtest(after[0], before[0] + after[0], share, alternative="greater").pvalue)
