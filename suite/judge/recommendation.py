"""Which precision to use for a workload on a machine, by one rule that is said in full.

The rule: of the modes that the hardware computes in, that finished in every trial and were timed undisturbed, and whose
held-out quality is shown to be equivalent to float32's or better, the one that takes the least time for a sample of an
applied step: a step that was skipped for an overflow takes time and teaches nothing. float32 itself needs no proof of
its quality; unfinished or disturbed it does not qualify either, and a mode that is slower than it is not recommended
for that. Where a faster mode fails only because its quality is not shown yet, nothing is recommended: the reason says
what would show it. One process has no interval, and its time tells no mode from another: what is recommended then is
said to rest on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from suite.columns import MEMORY_LAYERS, RATE
from suite.judge.calibration import Calibration
from suite.judge.cells import Cell, disturbances, measured, rows_of
from suite.judge.estimates import Estimate, estimate, ratio
from suite.judge.findings import REFERENCE, PrecisionQuality
from suite.judge.quality import MARGIN_SHARE, against_fp32
from suite.record import Outcome
from suite.store import Run

__all__ = ["NONE_APPLIED", "NO_ORDER", "RULE", "Mode", "Recommendation", "qualities_of", "recommend", "recommendations"]

RULE = (
    "The fastest mode (least time for a sample of an applied step: a skipped one teaches nothing) that the hardware "
    "computes in, whose trials all finished and were not disturbed, and whose "
    f"held-out quality is better than float32's, or equivalent to it within a margin of {MARGIN_SHARE:g} standard "
    "deviations between seeds, frozen or the run's own; where a faster mode lacks only the proof of its quality, none."
)
NO_ORDER = "1 process: the order is not shown"
NONE_APPLIED = "no timed step was applied"
_SHOWN = ("equivalent", "better")


@dataclass(frozen=True)
class Mode:
    """One precision of a workload, as the rule sees it."""

    precision: str
    step: Estimate | None
    """Seconds, of skipped steps too; None where it was not timed."""
    excluded: str | None = None
    """Why it cannot be recommended; None where it can."""
    unproven: bool = False
    """Whether the proof of its quality is all that it lacks."""
    unranked: str | None = None
    """Why its speed is not to be compared with others'; None where it is."""
    sample: Estimate | None = None
    """Seconds for a sample of an applied step, which modes are ranked by; None where no step was applied."""
    skipped: bool = False
    """Whether timed steps were skipped."""


_COLUMNS = (
    *("workload", "precision", "outcome", "deterministic", "cautions", "step_seconds_median"),
    *("samples_per_second", RATE, *MEMORY_LAYERS, "energy_joules_per_sample"),
)
"""What the rule goes by: picking rows from all columns takes many times as long."""


@dataclass(frozen=True)
class Recommendation:
    """What the rule says of one workload."""

    workload: str
    precision: str | None
    reason: str
    modes: tuple[Mode, ...]
    """In the order of the plan."""
    speedup: Estimate | None = None
    """Seconds for a sample of an applied step, of float32 over the recommended mode's."""
    memory: Estimate | None = None
    """Peak memory, of the recommended mode over float32's."""
    memory_layer: str | None = None
    """Which column of the trials that is of."""
    energy: Estimate | None = None
    """Joules a sample, likewise."""
    close: tuple[str, ...] = ()
    """Qualified modes that are slower by no more than the intervals can tell."""
    qualified: str | None = None
    """The fastest mode that qualifies; the recommended one, where there is one."""
    uncounted: tuple[str, ...] = ()
    """Modes that are faster than `qualified` and lack only the proof of their quality."""
    unordered: tuple[str, ...] = ()
    """Qualified modes of which nothing tells whether they are slower: one side has a single process."""


def recommendations(run: Run, calibration: Calibration) -> list[Recommendation]:
    """One per workload, its qualities judged by the margins that were frozen for the setups of this run.

    `calibration` is all that is frozen for the run's machine, the empty one where nothing is.
    """
    return recommend(run, qualities_of(run, calibration))


def qualities_of(run: Run, calibration: Calibration) -> list[PrecisionQuality]:
    """The qualities that :func:`recommendations` goes by."""
    fitting = calibration.fitting({spec.setup_sha256 for spec in run.info.plan.trials})
    return against_fp32(run, fitting.margin_of)


def recommend(run: Run, qualities: Sequence[PrecisionQuality]) -> list[Recommendation]:
    """One recommendation per workload; `qualities` are those of the run against float32."""
    known = {(said.workload, said.precision): said for said in qualities}
    run = replace(run, trials=run.trials[list(_COLUMNS)])
    precisions: dict[str, dict[str, None]] = {}
    for spec in run.info.plan.trials:
        precisions.setdefault(spec.workload, {})[spec.precision] = None
    return [_of_workload(run, workload, list(names), known) for workload, names in precisions.items()]


def _of_workload(
    run: Run, workload: str, precisions: Sequence[str], known: Mapping[tuple[str, str], PrecisionQuality]
) -> Recommendation:
    rows = {name: rows_of(run, (workload, name)) for name in precisions}
    modes = tuple(_mode(run, (workload, name), known.get((workload, name))) for name in precisions)
    timed = sorted((mode for mode in modes if mode.sample is not None), key=_pace)
    qualified = [mode for mode in timed if mode.excluded is None]
    if not qualified:
        return Recommendation(workload, None, "no mode qualifies", modes)
    best = qualified[0]
    unproven = tuple(mode.precision for mode in timed[: timed.index(best)] if mode.unproven)
    fastest = measured(rows[best.precision])
    if unproven:
        pairs = [(measured(rows[name]), fastest) for name in unproven]
        if not all(_ordered(*pair) for pair in pairs):
            would = f"takes less time for a sample ({NO_ORDER}) than"
        elif any(_close(fastest, other) for other, _ in pairs):
            would = "takes less time for a sample than, as far as can be told,"
        else:
            would = "would be faster than"
        why = f"{', '.join(unproven)} {would} {best.precision}, and its quality is not shown yet"
        return Recommendation(workload, None, why, modes, qualified=best.precision, uncounted=unproven)
    faster = next((mode for mode in timed[: timed.index(best)] if mode.precision == REFERENCE), None)
    if faster is not None:
        why = f"{REFERENCE} takes less time than {best.precision}, and does not qualify: {faster.excluded}"
        return Recommendation(workload, None, why, modes, qualified=best.precision)
    slower = {mode.precision: measured(rows[mode.precision]) for mode in qualified[1:]}
    unordered = tuple(name for name, found in slower.items() if not _ordered(found, fastest))
    close = tuple(name for name, found in slower.items() if _close(found, fastest))
    base = Recommendation(
        workload,
        best.precision,
        _reason(best.precision, unordered, tuple(slower), close),
        modes,
        close=close,
        qualified=best.precision,
        unordered=unordered,
    )
    if best.precision == REFERENCE or REFERENCE not in rows:
        return base
    reference = measured(rows[REFERENCE])
    layer = next((layer for layer in MEMORY_LAYERS if _ratio(fastest, reference, layer) is not None), None)
    return replace(
        base,
        speedup=_ratio(fastest, reference, RATE),
        memory=None if layer is None else _ratio(fastest, reference, layer),
        memory_layer=layer,
        energy=_ratio(fastest, reference, "energy_joules_per_sample"),
    )


def _reason(best: str, unordered: tuple[str, ...], slower: tuple[str, ...], close: tuple[str, ...]) -> str:
    if close and not unordered:
        return f"{best} takes the least time of the modes that qualify; {', '.join(close)} cannot be told apart from it"
    if not unordered:
        return f"{best} is the fastest mode that qualifies"
    against = "" if unordered == slower else f" against {', '.join(unordered)}"
    return f"{best} takes the least time for a sample of the modes that qualify; {NO_ORDER}{against}"


def _mode(run: Run, cell: Cell, quality: PrecisionQuality | None) -> Mode:
    precision, finished = cell[1], measured(rows_of(run, cell))
    seconds = finished["step_seconds_median"].dropna()
    timed = not seconds.empty and not finished["deterministic"].fillna(value=False).any()
    step = estimate([float(value) for value in seconds]) if timed else None
    rates = [float(value) for value in finished[RATE].dropna()] if timed else []
    sample = estimate(rates).inverse() if rates and min(rates) > 0 else None
    mode = Mode(precision, step, sample=sample, skipped=bool((finished[RATE] < finished["samples_per_second"]).any()))
    unranked = _unranked(run, cell) or (None if rates else "not timed")
    if unranked is not None or precision == REFERENCE:
        return replace(mode, excluded=unranked, unranked=unranked)
    if quality is None:
        return replace(mode, excluded=f"its quality cannot be compared with {REFERENCE}'s", unproven=True)
    if quality.conclusion in _SHOWN:
        return mode
    why = f"its quality is {quality.conclusion}" + (f": {quality.reason}" if quality.reason else "")
    return replace(mode, excluded=why, unproven=quality.conclusion == "undecided")


def _unranked(run: Run, cell: Cell) -> str | None:
    """Why the speed of a mode is not to be compared; None where it is."""
    rows = rows_of(run, cell)
    finished = measured(rows)
    planned = sum((spec.workload, spec.precision) == cell for spec in run.info.plan.trials)
    if len(finished) < planned:
        stopped = rows.drop(finished.index)
        why = "not run" if stopped.empty else str(stopped.iloc[0]["outcome"])
        return f"{planned - len(finished)} of {planned} trials have no numbers ({why})"
    if (finished["outcome"] == Outcome.EMULATED.value).any():
        return "emulated: computed without units for it"
    idle = int((finished[RATE] <= 0).sum())
    if idle:
        return NONE_APPLIED if idle == planned else f"{NONE_APPLIED} in {idle} of {planned} trials"
    disturbed = sum(bool(disturbances(text)) for text in finished["cautions"])
    return f"{disturbed} of {planned} trials were disturbed" if disturbed else None


def _pace(mode: Mode) -> float:
    return mode.sample.value if mode.sample is not None else float("inf")


def _ordered(rows: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Whether there is an interval, which may or may not tell them apart."""
    found = _ratio(rows, other, RATE)
    return found is not None and found.low is not None


def _close(rows: pd.DataFrame, fastest: pd.DataFrame) -> bool:
    slower = _ratio(fastest, rows, RATE)
    return slower is not None and slower.low is not None and slower.low <= 1.0


def _ratio(above: pd.DataFrame, below: pd.DataFrame, column: str) -> Estimate | None:
    """None where a process of either side lacks the value."""
    sides = [[float(value) for value in rows[column].dropna()] for rows in (above, below)]
    if not all(sides) or any(len(side) < len(rows) for side, rows in zip(sides, (above, below), strict=True)):
        return None
    return ratio(*sides)
