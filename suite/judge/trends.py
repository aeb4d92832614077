"""What the history says of a series: its state, and the exit status that follows."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from suite.judge.findings import OfCell

__all__ = ["ALARMS", "ORDER", "State", "Trend", "exit_status"]


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
    WITHOUT_NUMBERS = "without numbers"
    """The newest runs planned it and have no time of it."""
    STEADY = "steady"
    TOO_SHORT = "too short"


ALARMS = (State.REGRESSED, State.SUSPECT, State.DRIFTING)
"""What somebody may accept, with a reason."""


ORDER = {state: place for place, state in enumerate(State)}
"""Worst first: of tables and summaries."""


@dataclass(frozen=True)
class Trend(OfCell):
    """What one series says."""

    state: State
    nights: int
    """That were judged: of the newest environment, since a level was acknowledged."""
    anchored: bool
    change: float | None = None
    """Relative; 0.03 is 3 % slower: of a regression or a change point, than the accepted level."""
    p: float | None = None
    first_run: str | None = None
    last_run: str | None = None
    """The change came with one of the runs from the first to the last."""
    commits: tuple[str | None, str | None] | None = None
    """Last one known to be before the change, and the first one known to be after it."""
    reasons: tuple[str, ...] = ()
    surely_drifting: bool = False
    """Beside an anchor, and by more than what matters at the least."""
    worth_a_run: bool = False
    """Whether `history --confirm` looks again: a suspect that a fresh run decides, or a night a little above others."""
    setup_sha256: str = ""
    """Tells two series of one cell apart: compiled and eager, or two profiles."""
    device: str = ""
    """The machine."""


def exit_status(trends: Sequence[Trend], fail_on: frozenset[str]) -> int:
    """As the gate's: 0 fine · 1 regressed, or surely drifting · 3 suspect or drifting · 4 without numbers."""
    states = {trend.state for trend in trends}
    surely = State.REGRESSED in states or any(trend.surely_drifting for trend in trends)
    if surely and "regressed" in fail_on:
        return 1
    if State.WITHOUT_NUMBERS in states:
        return 4
    return 3 if states & {State.SUSPECT, State.DRIFTING} and "inconclusive" in fail_on else 0
