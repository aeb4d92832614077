"""How often a dynamic loss scale skips steps once it is calibrated.

A skip per growth interval is the probe of a larger scale and usual; twice as many are too many, and of a long interval
1 % of the steps. A candidate that skips more than this usual limit is an alarm, and where the base does so already, one
that skips more than the base by more than the limit; either only if chance does not explain it. Processes that differ
under a seed are exchanged (`permutation.py`), of those that agree the skips are rare events (exact binomial test).
Where the base's rate is usual and the processes are too few to exchange, each of the candidate's must skip more than
the binomial test explains beside the base's worst: the overflows themselves are judged as well (`counts.py`).

Without a test equal sides whose true rate is near the usual 1 % raised up to 28 % false alarms, and a base that skips 3
to 10 % of 200 to 1000 steps up to 35 %. Simulated with the test, equal sides that skip 0.6 to 1.2 % (one look, alpha
1 %; 200 steps, 600 draws each; of one process a side also 1000 steps, 1500 draws each): of Poisson numbers at most
0.7 %, of two to five processes a side that skip in bursts of three, or scatter two or ten times as much, at most 1 %.
One process a side shows no scatter: bursts of three still raise up to 7 % (11 % where the base skips much), twice the
variance up to 4 %, ten times the variance up to 18 %. A rise from no skips to 10 % of 200 steps is found in 99 % of
draws or more, to 3 % in 99 % with five processes a side, but in 2 to 24 % with two to four and in 40 % with one.
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
        said = (
            f"{after:.1%} of the steps after calibration are skipped, before {before:.1%}: more than {usual:.1%} more"
        )
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
