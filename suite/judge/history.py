"""What the nights say of each series: steady, suspect, regressed, acknowledged, fixed, improved, drifting.

A change is called a regression only if a lasting change point is accepted and a fresh run after it confirms it, and
only where a same-night anchor stands beside the series: history alone cannot tell a machine's mood from a slower
program (measured in docs/detectors.md), so without one the strongest word is `suspect`. Statistics are in `changes.py`.
"""

from __future__ import annotations

import enum
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from suite.decode import DecodeError, decode, encode
from suite.errors import DamagedResults, UsageError
from suite.files import unwritable
from suite.judge.changes import (
    FEWEST_AFTER,
    FEWEST_BEFORE,
    ChangePoint,
    adjusted,
    change_points,
    confirmed,
    drift,
    out_of_line,
)
from suite.judge.nights import Night, Series
from suite.judge.stochastic import DELTA

__all__ = ["Acknowledgement", "State", "Trend", "acknowledge", "acknowledgements", "trend_of"]

_DECIDES = "a fresh run decides (`ampmark history --confirm`)"
FEWEST_NIGHTS = FEWEST_BEFORE + FEWEST_AFTER


class State(enum.StrEnum):
    """The answer for one series."""

    REGRESSED = "regressed"
    SUSPECT = "suspect"
    """Out of line once, or without an anchor: a fresh run, or an anchor, decides."""
    DRIFTING = "drifting"
    ACKNOWLEDGED = "acknowledged"
    """A regression that somebody accepted, with a reason; the series begins anew there."""
    FIXED = "fixed"
    IMPROVED = "improved"
    STEADY = "steady"
    TOO_SHORT = "too short"


@dataclass(frozen=True)
class Acknowledgement:
    """Somebody accepts a new level: one line of results/acknowledged.jsonl."""

    workload: str
    precision: str
    setup_sha256: str
    run: str
    """The first at the new level."""
    reason: str
    at: str


@dataclass(frozen=True)
class Trend:
    """What one series says."""

    workload: str
    precision: str
    state: State
    nights: int
    """In the segment that was judged: since the environment last changed, or a level was acknowledged."""
    anchored: bool
    change: float | None = None
    """Relative; 0.03 is 3 % slower."""
    p: float | None = None
    first_run: str | None = None
    last_run: str | None = None
    """The change came with one of the runs from the first to the last."""
    commits: tuple[str | None, str | None] | None = None
    """Last one known to be before the change, and the first one known to be after it."""
    reasons: tuple[str, ...] = ()

    @property
    def cell(self) -> str:
        """`workload × precision`."""
        return f"{self.workload} × {self.precision}"


def trend_of(series: Series, acknowledged: Sequence[Acknowledgement] = (), delta: float = DELTA) -> Trend:
    """Judge one series."""
    nights, accepted, notes = _segment(series, acknowledged)
    nights, anchored, left_out = _with_anchor(nights)
    notes = (*notes, *left_out)
    trend = Trend(series.workload, series.precision, State.STEADY, len(nights), anchored, reasons=notes)
    if len(nights) < FEWEST_NIGHTS:
        few = f"{len(nights)} nights since then; a change needs {FEWEST_BEFORE} before and {FEWEST_AFTER} after it"
        return replace(trend, state=State.ACKNOWLEDGED if accepted else State.TOO_SHORT, reasons=(*notes, few))
    values = [night.value for night in nights]
    if anchored:
        values = adjusted(values, _levelled(nights))
    trend = _judged(trend, nights, values, delta)
    if accepted and trend.state is State.STEADY:
        return replace(trend, state=State.ACKNOWLEDGED)
    return trend


def _segment(
    series: Series, acknowledged: Sequence[Acknowledgement]
) -> tuple[tuple[Night, ...], bool, tuple[str, ...]]:
    """The nights that are judged: of the newest environment, from the last acknowledged level on."""
    nights = series.nights
    notes: list[str] = []
    changes = [i for i in range(1, len(nights)) if nights[i].fingerprint != nights[i - 1].fingerprint]
    if changes:
        notes.append(f"the environment changed with run {nights[changes[-1]].run}; earlier nights are another segment")
        nights = nights[changes[-1] :]
    ours = [
        item
        for item in acknowledged
        if (item.workload, item.precision, item.setup_sha256)
        == (series.workload, series.precision, series.setup_sha256)
    ]
    places = {night.run: place for place, night in enumerate(nights)}
    last = max((item for item in ours if item.run in places), key=lambda item: places[item.run], default=None)
    if last is None:
        return nights, False, tuple(notes)
    notes.append(f"the level since run {last.run} was acknowledged: {last.reason}")
    return nights[places[last.run] :], True, tuple(notes)


def _with_anchor(nights: tuple[Night, ...]) -> tuple[tuple[Night, ...], bool, tuple[str, ...]]:
    """The nights to judge, and whether they have an anchor: a night whose anchor failed does not undo all others."""
    having = tuple(night for night in nights if night.anchor is not None)
    if not having or len(having) == len(nights):
        return nights, bool(having), ()
    if nights[-1].anchor is None or len(having) < FEWEST_NIGHTS:
        return nights, False, ()
    return having, True, (f"{len(nights) - len(having)} nights without an anchor are left out",)


def _levelled(nights: Sequence[Night]) -> list[float]:
    """The anchor, each night from the mean of those with the same code: a newer baseline's is another program."""
    values: dict[str | None, list[float]] = {}
    for night in nights:
        values.setdefault(night.anchor_run, []).append(night.anchor or 0.0)
    means = {run: math.fsum(own) / len(own) for run, own in values.items()}
    return [(night.anchor or 0.0) - means[night.anchor_run] for night in nights]


def _judged(trend: Trend, nights: Sequence[Night], values: Sequence[float], delta: float) -> Trend:
    rise = confirmed(values, delta)
    if rise is not None:
        found = _with_point(trend, nights, rise)
        since = f"slower since run {nights[rise.index].run}, most likely, and confirmed"
        return _alarm(found, State.REGRESSED, since, disturbed=nights[-1].disturbed)
    points = change_points(values, delta)
    if points and points[-1].change > 0:
        found = _with_point(trend, nights, points[-1])
        return _alarm(found, State.SUSPECT, f"slower since run {nights[points[-1].index].run}, most likely; {_DECIDES}")
    # After a change for the better a night is measured by the new level.
    values = values[points[-1].index :] if points else values
    above = out_of_line(values)
    if above is not None:
        alone = replace(trend, change=above, first_run=nights[-1].run, last_run=nights[-1].run)
        return _alarm(alone, State.SUSPECT, f"one night is out of line, {above:+.1%}; {_DECIDES}")
    slow = drift(values, delta)
    if slow is not None and slow.change > 0:
        what = f"{slow.change:+.1%} [{slow.low:+.1%}, {slow.high:+.1%}] over {slow.nights} nights, in no single step"
        first, last = nights[-slow.nights].run, nights[-1].run
        found = replace(trend, change=slow.change, first_run=first, last_run=last)
        return replace(found, state=State.DRIFTING, reasons=(*trend.reasons, what))
    return _better(trend, nights, points, delta) if points else trend


def _better(trend: Trend, nights: Sequence[Night], points: Sequence[ChangePoint], delta: float) -> Trend:
    """Of a series whose last change was for the better: an improvement, or the end of a regression."""
    last = points[-1]
    found = _with_point(trend, nights, last)
    rises = [point for point in points[:-1] if point.change > 0]
    if rises and abs((1 + rises[-1].change) * (1 + last.change) - 1) <= delta:
        slow = nights[rises[-1].index].run
        return replace(found, state=State.FIXED, reasons=(*trend.reasons, f"it was slower since run {slow}"))
    return replace(found, state=State.IMPROVED)


def _with_point(trend: Trend, nights: Sequence[Night], point: ChangePoint) -> Trend:
    return replace(
        trend,
        change=point.change,
        p=point.p,
        first_run=nights[point.first].run,
        last_run=nights[point.last].run,
        commits=(nights[max(0, point.first - 1)].commit, nights[point.last].commit),
    )


def _alarm(trend: Trend, state: State, reason: str, *, disturbed: bool = False) -> Trend:
    if state is State.REGRESSED and disturbed:
        weak = "the last run was disturbed, which can only lower confidence; a fresh one decides"
        return replace(trend, state=State.SUSPECT, reasons=(*trend.reasons, reason, weak))
    if trend.anchored or state is not State.REGRESSED:
        return replace(trend, state=state, reasons=(*trend.reasons, reason))
    alone = "no anchor was run, so it may be the machine: `ampmark run --anchor NAME` tells"
    return replace(trend, state=State.SUSPECT, reasons=(*trend.reasons, reason, alone))


def acknowledge(results: Path, series: Series, trend: Trend, reason: str) -> Acknowledgement:
    """Accept the level that a series has reached.

    Raises:
        UsageError: there is nothing to acknowledge, or no reason.
        UnwritableResults: the line cannot be written.
    """
    if not reason.strip():
        raise UsageError("--reason is empty; say why the new level is accepted.")
    if trend.state not in (State.REGRESSED, State.SUSPECT, State.DRIFTING) or trend.first_run is None:
        raise UsageError(
            f"{series.cell} is {trend.state}; only a regression or a suspect with a beginning is accepted."
        )
    made = Acknowledgement(
        series.workload,
        series.precision,
        series.setup_sha256,
        trend.last_run or trend.first_run,
        reason,
        datetime.now(UTC).isoformat(timespec="seconds"),
    )
    try:
        with (results / "acknowledged.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(encode(made)) + "\n")
    except OSError as error:
        raise unwritable(results, error) from error
    return made


def acknowledgements(results: Path) -> list[Acknowledgement]:
    """Every accepted level, oldest first."""
    path = results / "acknowledged.jsonl"
    if not path.exists():
        return []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return [decode(Acknowledgement, json.loads(line), str(path)) for line in lines if line.strip()]
    except (OSError, ValueError, DecodeError) as error:
        raise DamagedResults(f"{path} is damaged ({error}); restore it from a copy.") from error
