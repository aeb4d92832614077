"""Which cells of two runs can be compared: their trials, and what stands in the way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import stats

from suite.judge.findings import Finding, Verdict
from suite.record import DISTURBANCES, Outcome
from suite.store import Run

__all__ = [
    "Cell",
    "Sides",
    "cells_of",
    "disturbances",
    "judged_part",
    "measured",
    "obstacles",
    "pairs_of",
    "rows_of",
    "seed_difference",
    "varies",
]

Cell = tuple[str, str]
"""Workload and precision."""
Sides = tuple[pd.DataFrame, pd.DataFrame]
"""Measured trials of the base and of the candidate."""

MORE_STOPPED = 0.05
"""One-sided level at which more trials of the candidate stopped than the base's share explains."""

JUDGED = (
    *("workload", "precision", "seed", "repeat", "outcome", "reason", "deterministic", "cautions", "operators"),
    *("setup_sha256", "workload_sha256", "losses_sha256", "spec", "steps", "peak_allocated_bytes", "peak_rss_bytes"),
    *("step_seconds_median", "step_seconds_min", "step_seconds_q10", "timed_seconds", "timed_steps"),
    "sm_clock_mhz_lowest",
    *("overflow_count", "overflow_calibration_count", "overflow_steady_count", "overflow_steps"),
    *("scale_settled", "scale_lowest", "scale_highest"),
    *("quality", "quality_metric", "quality_higher_is_better", "quality_baseline", "quality_baseline_name"),
)
"""Columns that anything is judged by: picking rows from all of them would take most of the time."""


def judged_part(run: Run) -> Run:
    """The run without the columns that nothing is judged by, and with the mean of each trial's timed steps."""
    trials = run.trials[list(JUDGED)]
    return replace(run, trials=trials.assign(mean_step_seconds=trials["timed_seconds"] / trials["timed_steps"]))


def cells_of(run: Run) -> list[Cell]:
    """What the run planned, each cell once."""
    return list(dict.fromkeys((spec.workload, spec.precision) for spec in run.info.plan.trials))


def rows_of(run: Run, cell: Cell) -> pd.DataFrame:
    """The finished trials of a cell."""
    trials = run.trials
    return trials[(trials["workload"] == cell[0]) & (trials["precision"] == cell[1])]


def measured(rows: pd.DataFrame) -> pd.DataFrame:
    """Those with numbers."""
    return rows[rows["outcome"].map(lambda outcome: Outcome(outcome).measured).astype(bool)]


def disturbances(cautions: str) -> list[str]:
    """The codes, in the JSON text of a trial's cautions, that speak of the machine."""
    return [caution["code"] for caution in json.loads(cautions) if caution["code"] in DISTURBANCES]


def pairs_of(sides: Sides) -> pd.DataFrame:
    """Trials that both sides have with the same seed and repeat; columns end in `_base` and `_candidate`."""
    return sides[0].merge(sides[1], on=["seed", "repeat"], suffixes=("_base", "_candidate"))


def seed_difference(ours: pd.DataFrame, theirs: pd.DataFrame) -> str | None:
    """What to say where the base's seeds are not the candidate's; None where they are the same."""
    before, after = set(ours["seed"]), set(theirs["seed"])
    if before == after:
        return None
    both = before & after
    what = f"only the common seeds are compared ({_listed(both)})" if both else "no common seeds"
    return f"{what}: the base has {_listed(before)}, the candidate {_listed(after)}"


def _listed(seeds: set[int]) -> str:
    return ", ".join(map(str, sorted(map(int, seeds)))) or "none"


def varies(rows: pd.DataFrame, column: str) -> bool:
    """Whether processes with the same seed differ in this column."""
    return bool((rows.groupby("seed")[column].nunique(dropna=False) > 1).any())


def obstacles(cell: Cell, ours: pd.DataFrame, theirs: pd.DataFrame) -> list[Finding]:
    """What keeps the numbers of a cell from being compared, or some of its trials from having any.

    `ours` are all trials of the base, `theirs` of the candidate.
    """
    outcome = _outcome_finding(cell, ours, theirs)
    if outcome is not None and outcome.verdict is not Verdict.NOT_MEASURED:
        return [outcome]
    computed = _computed_otherwise(ours, theirs)
    if computed is not None:
        said = () if outcome is None else outcome.reasons
        outcome = Finding(*cell, "outcome", Verdict.INCOMPARABLE, reasons=(computed, *said))
    found = [] if outcome is None else [outcome]
    different = [] if ours.empty or theirs.empty else _setup_differences(ours, theirs)
    if different:
        found.append(Finding(*cell, "setup", Verdict.INCOMPARABLE, reasons=tuple(different)))
    return found


def _outcome_finding(cell: Cell, ours: pd.DataFrame, theirs: pd.DataFrame) -> Finding | None:
    """A finding about the outcome alone, where not every trial of the candidate has numbers, or none of the base."""
    if ours.empty or theirs.empty:
        side = "base" if ours.empty else "candidate"
        # A cell that vanished may hide a regression, so it is as loud as one that cannot be compared.
        vanished = theirs.empty and not measured(ours).empty
        broken = theirs[[Outcome(outcome).broken for outcome in theirs["outcome"]]]
        if not broken.empty:
            return Finding(*cell, "outcome", Verdict.FAILED, reasons=(_describe(broken), "the base has no such cell."))
        verdict = Verdict.INCOMPARABLE if vanished else Verdict.NOT_MEASURED
        return Finding(*cell, "outcome", verdict, reasons=(f"the {side} has no trial of this cell.",))
    stopped = theirs.drop(measured(theirs).index)
    had_numbers = not measured(ours).empty
    if stopped.empty and had_numbers:
        return None
    if stopped.empty:
        return Finding(*cell, "outcome", Verdict.IMPROVED, reasons=(f"it ran; before: {_describe(ours)}",))
    had = set(ours["seed"])
    # Repeats of one seed are exchangeable: where all of the base's have numbers, one that stops is worse at once.
    worse = stopped["seed"].isin(had - _stopped_seeds(ours))
    # Of other seeds nothing is known but how trials of this cell end.
    worse |= had_numbers & ~stopped["seed"].isin(had) & ~stopped["outcome"].isin(ours["outcome"])
    if not worse.any():
        return _as_before_or_more(cell, ours, theirs, stopped)
    return _alarm(cell, stopped[worse], (f"before: {_describe(ours)}",))


def _as_before_or_more(cell: Cell, ours: pd.DataFrame, theirs: pd.DataFrame, stopped: pd.DataFrame) -> Finding:
    """Every trial that stopped has one of the base with its seed that did so too, or none with its seed.

    Shares of stopped trials are compared (Fisher's exact test, one-sided): of the seeds that stopped before, and of
    the trials beyond the base's, for more repeats are no excuse for stopping more often. Where equal trials stop as
    often as not, five repeats against five or ten give an alarm by either in at most 1.7 % of comparisons.
    """
    before = len(ours) - len(measured(ours))
    known = _stopped_seeds(ours)
    p, more = min(
        _stops_more("", *(side[side["seed"].isin(known)] for side in (theirs, ours))),
        _stops_more(" beyond the base's", theirs[~_paired_with(ours, theirs)], ours),
    )
    if p <= MORE_STOPPED:
        return _alarm(cell, stopped, (f"{more}: more than that share explains (p = {p:.2g})",))
    share = f"{len(stopped)} of {len(theirs)} trials"
    if len(stopped) * len(ours) > before * len(theirs):
        how = f"{share}, before {before} of {len(ours)}, too few to tell whether more stop now (p = {p:.2g}): "
    else:
        # Nothing got worse, so nothing is alarmed; what stopped still has no numbers to compare.
        how = "" if len(stopped) == len(theirs) else f"{share}, as before: "
    was = () if set(stopped["outcome"]) <= set(ours["outcome"]) else (f"before: {_describe(ours)}",)
    return Finding(*cell, "outcome", Verdict.NOT_MEASURED, reasons=(how + _describe(stopped), *was))


def _stops_more(which: str, theirs: pd.DataFrame, ours: pd.DataFrame) -> tuple[float, str]:
    """The p of a larger share of stopped trials in `theirs`, and both shares in words."""
    now, before = (len(side) - len(measured(side)) for side in (theirs, ours))
    table = np.array([[now, len(theirs) - now], [before, len(ours) - before]])
    p = float(stats.fisher_exact(table, alternative="greater").pvalue)
    return p, f"{now} of {len(theirs)} trials{which} stopped, before {before} of {len(ours)}"


def _stopped_seeds(rows: pd.DataFrame) -> set[int]:
    """Seeds under which a trial has no numbers."""
    return set(rows.drop(measured(rows).index)["seed"])


def _computed_otherwise(ours: pd.DataFrame, theirs: pd.DataFrame) -> str | None:
    """What to say where trials of one side only are emulated: neither times nor numerics are of one kind then."""
    sides = measured(ours), measured(theirs)
    before, after = (bool((side["outcome"] == Outcome.EMULATED.value).any()) for side in sides)
    if before == after or any(side.empty for side in sides):
        return None
    words = "computed by the hardware", "emulated"
    return f"{words[before]} before, {words[after]} now"


def _alarm(cell: Cell, stopped: pd.DataFrame, reasons: tuple[str, ...]) -> Finding:
    diverged = (stopped["outcome"] == Outcome.DIVERGED.value).any()
    verdict = Verdict.REGRESSED if diverged else Verdict.FAILED
    return Finding(*cell, "outcome", verdict, reasons=(_describe(stopped), *reasons))


def _paired_with(base: pd.DataFrame, rows: pd.DataFrame) -> pd.Series[bool]:
    """For each row, whether the base has a trial with the same seed and repeat."""
    known = set(zip(base["seed"], base["repeat"], strict=True))
    return pd.Series([pair in known for pair in zip(rows["seed"], rows["repeat"], strict=True)], rows.index, dtype=bool)


def _describe(rows: pd.DataFrame) -> str:
    row = rows.iloc[0]
    return row["outcome"] if pd.isna(row["reason"]) else f"{row['outcome']}: {row['reason']}"


def _setup_differences(ours: pd.DataFrame, theirs: pd.DataFrame) -> list[str]:
    if set(ours["setup_sha256"]) == set(theirs["setup_sha256"]):
        return []
    before, after = json.loads(ours.iloc[0]["spec"]), json.loads(theirs.iloc[0]["spec"])
    found = dict(_flat(before)), dict(_flat(after))
    ignored = {"seed", "repeat", "timeout_seconds", "profile"}
    return [
        f"{key}: {found[0].get(key)} → {found[1].get(key)}"
        for key in sorted(found[0].keys() | found[1].keys())
        if found[0].get(key) != found[1].get(key) and key not in ignored
    ]


def _flat(value: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _flat(item, f"{prefix}.{key}" if prefix else key)
    else:
        yield prefix, value
