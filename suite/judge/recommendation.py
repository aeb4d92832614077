"""Which precision to use for a workload on a machine, by one rule that is said in full.

The rule: of the modes that the hardware computes in, that finished in every trial and were timed undisturbed, and whose
held-out quality is shown to be equivalent to float32's or better, the one with the shortest step. float32 itself always
qualifies. Where a faster mode fails only because its quality is not shown yet, nothing is recommended: the reason
says what would show it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from suite.judge.cells import disturbances, measured, rows_of
from suite.judge.estimates import Estimate, estimate, ratio
from suite.judge.findings import PrecisionQuality
from suite.record import Outcome
from suite.store import Run

__all__ = ["RULE", "Mode", "Recommendation", "recommend", "unranked"]

REFERENCE = "fp32"
RULE = (
    "The fastest mode that the hardware computes in, whose trials all finished and were not disturbed, and whose "
    "held-out quality is equivalent to float32's or better; where a faster mode lacks only the proof of its quality, "
    "none."
)
_SHOWN = ("equivalent", "better")


@dataclass(frozen=True)
class Mode:
    """One precision of a workload, as the rule sees it."""

    precision: str
    step: Estimate | None
    """Seconds; None where it was not timed."""
    excluded: str | None = None
    """Why it cannot be recommended; None where it can."""
    unproven: bool = False
    """Whether the proof of its quality is all that it lacks."""


@dataclass(frozen=True)
class Recommendation:
    """What the rule says of one workload."""

    workload: str
    precision: str | None
    reason: str
    modes: tuple[Mode, ...]
    """In the order of the plan."""
    speedup: Estimate | None = None
    """Step seconds of float32 over those of the recommended mode."""
    memory: Estimate | None = None
    """Peak memory, of the recommended mode over float32's."""
    energy: Estimate | None = None
    """Joules a sample, likewise."""
    close: tuple[str, ...] = ()
    """Qualified modes that are slower by no more than the intervals can tell."""


def recommend(run: Run, qualities: Sequence[PrecisionQuality]) -> list[Recommendation]:
    """One recommendation per workload; `qualities` are those of the run against float32."""
    known = {(said.workload, said.precision): said for said in qualities}
    precisions: dict[str, dict[str, None]] = {}
    for spec in run.info.plan.trials:
        precisions.setdefault(spec.workload, {})[spec.precision] = None
    return [_of_workload(run, workload, list(names), known) for workload, names in precisions.items()]


def _of_workload(
    run: Run, workload: str, precisions: Sequence[str], known: Mapping[tuple[str, str], PrecisionQuality]
) -> Recommendation:
    rows = {name: rows_of(run, (workload, name)) for name in precisions}
    planned = {
        name: sum((spec.workload, spec.precision) == (workload, name) for spec in run.info.plan.trials)
        for name in precisions
    }
    modes = tuple(_mode(name, rows[name], planned[name], known.get((workload, name))) for name in precisions)
    timed = sorted((mode for mode in modes if mode.step is not None), key=_speed)
    qualified = [mode for mode in timed if mode.excluded is None]
    if not qualified:
        return Recommendation(workload, None, "no mode qualifies", modes)
    best = qualified[0]
    unproven = [mode.precision for mode in timed[: timed.index(best)] if mode.unproven]
    if unproven:
        why = f"{', '.join(unproven)} would be faster than {best.precision}, and its quality is not shown yet"
        return Recommendation(workload, None, why, modes)
    fastest = measured(rows[best.precision])
    close = tuple(mode.precision for mode in qualified[1:] if _close(measured(rows[mode.precision]), fastest))
    reason = f"{best.precision} is the fastest mode that qualifies"
    if best.precision == REFERENCE or REFERENCE not in rows:
        return Recommendation(workload, best.precision, reason, modes, close=close)
    reference = measured(rows[REFERENCE])
    return Recommendation(
        workload,
        best.precision,
        reason,
        modes,
        speedup=_ratio(reference, fastest, "step_seconds_median"),
        memory=_memory(fastest, reference),
        energy=_ratio(fastest, reference, "energy_joules_per_sample"),
        close=close,
    )


def _mode(precision: str, rows: pd.DataFrame, planned: int, quality: PrecisionQuality | None) -> Mode:
    finished = measured(rows)
    seconds = finished["step_seconds_median"].dropna()
    timed = not seconds.empty and not finished["deterministic"].fillna(value=False).any()
    step = estimate([float(value) for value in seconds]) if timed else None
    excluded = unranked(rows, finished, planned) or (None if timed else "not timed")
    if excluded is not None or precision == REFERENCE:
        return Mode(precision, step, excluded)
    if quality is None:
        return Mode(precision, step, f"its quality cannot be compared with {REFERENCE}'s", unproven=True)
    if quality.conclusion in _SHOWN:
        return Mode(precision, step)
    why = f"its quality is {quality.conclusion}" + (f": {quality.reason}" if quality.reason else "")
    return Mode(precision, step, why, unproven=quality.conclusion == "undecided")


def unranked(rows: pd.DataFrame, finished: pd.DataFrame, planned: int) -> str | None:
    """Why the speed of a mode is not to be compared; None where it is."""
    if len(finished) < planned:
        stopped = rows.drop(finished.index)
        why = "not run" if stopped.empty else str(stopped.iloc[0]["outcome"])
        return f"{planned - len(finished)} of {planned} trials have no numbers ({why})"
    if (finished["outcome"] == Outcome.EMULATED.value).any():
        return "emulated: the hardware does not compute in it"
    disturbed = sum(bool(disturbances(text)) for text in finished["cautions"])
    return f"{disturbed} of {planned} trials were disturbed" if disturbed else None


def _speed(mode: Mode) -> float:
    return mode.step.value if mode.step is not None else float("inf")


def _close(rows: pd.DataFrame, fastest: pd.DataFrame) -> bool:
    slower = _ratio(rows, fastest, "step_seconds_median")
    return slower is not None and slower.low is not None and slower.low <= 1.0


def _memory(rows: pd.DataFrame, reference: pd.DataFrame) -> Estimate | None:
    """In the best layer that both have."""
    layers = ("peak_allocated_bytes", "peak_device_bytes", "peak_rss_bytes")
    return next((found for layer in layers if (found := _ratio(rows, reference, layer)) is not None), None)


def _ratio(above: pd.DataFrame, below: pd.DataFrame, column: str) -> Estimate | None:
    """None where a process of either side lacks the value."""
    sides = [[float(value) for value in rows[column].dropna()] for rows in (above, below)]
    if not all(sides) or any(len(side) < len(rows) for side, rows in zip(sides, (above, below), strict=True)):
        return None
    return ratio(*sides)
