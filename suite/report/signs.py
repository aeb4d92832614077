"""Glyph, word and tone of every outcome, verdict and state: colour is never the only sign."""

from __future__ import annotations

from dataclasses import dataclass

from suite.judge.findings import Verdict
from suite.judge.trends import State
from suite.record import Outcome

__all__ = [
    "CAUTION",
    "DAMAGED",
    "NOT_JUDGED",
    "NOT_PLANNED",
    "NOT_RUN",
    "UNFINISHED",
    "Sign",
    "cell_sign",
    "outcome_sign",
    "state_sign",
    "verdict_sign",
]


@dataclass(frozen=True)
class Sign:
    """What the eye finds first. `tone` names a style: good, bad, warn, info or quiet."""

    glyph: str
    word: str
    tone: str


CAUTION = Sign("!", "caution", "warn")
NOT_RUN = Sign("…", "not run", "quiet")
NOT_PLANNED = Sign("·", "not planned", "quiet")
NOT_JUDGED = Sign("–", "not judged", "quiet")
UNFINISHED = Sign("…", "unfinished", "warn")
DAMAGED = Sign("✗", "damaged", "bad")

_OUTCOMES = {
    Outcome.OK: ("✓", "good"),
    Outcome.EMULATED: ("≈", "info"),
    Outcome.UNSUPPORTED: ("⊘", "quiet"),
    Outcome.UNAVAILABLE: ("∅", "quiet"),
    Outcome.DIVERGED: ("∞", "warn"),
    Outcome.PRECISION_MISMATCH: ("≠", "bad"),
    Outcome.OUT_OF_MEMORY: ("■", "bad"),
    Outcome.TIMED_OUT: ("◷", "bad"),
    Outcome.CRASHED: ("✗", "bad"),
    Outcome.FAILED: ("✗", "bad"),
}

_VERDICTS = {
    Verdict.REGRESSED: ("▲", "bad"),
    Verdict.FAILED: ("✗", "bad"),
    Verdict.INCONCLUSIVE: ("?", "warn"),
    Verdict.CHANGED: ("~", "warn"),
    Verdict.IMPROVED: ("▼", "good"),
    Verdict.UNCHANGED: ("=", "quiet"),
    Verdict.INCOMPARABLE: ("≠", "info"),
    Verdict.NOT_MEASURED: ("–", "quiet"),
}

_STATES = {
    State.REGRESSED: ("▲", "bad"),
    State.SUSPECT: ("?", "warn"),
    State.DRIFTING: ("↗", "warn"),
    State.ACKNOWLEDGED: ("✓", "info"),
    State.FIXED: ("↓", "good"),
    State.IMPROVED: ("▼", "good"),
    State.WITHOUT_NUMBERS: ("∅", "bad"),
    State.STEADY: ("=", "quiet"),
    State.TOO_SHORT: ("…", "quiet"),
}


def outcome_sign(outcome: Outcome | None) -> Sign:
    """The sign of a trial's or a cell's end; None is a trial that never ran."""
    if outcome is None:
        return NOT_RUN
    glyph, tone = _OUTCOMES[outcome]
    return Sign(glyph, outcome.value, tone)


def cell_sign(outcome: Outcome | None, measured: int, whole: int) -> Sign:
    """The sign of a cell of which so many trials have numbers: no tick where it is not all of them."""
    if outcome is None or not 0 < measured < whole:
        return outcome_sign(outcome)
    return Sign(CAUTION.glyph, f"{measured} of {whole} {outcome.value}", CAUTION.tone)


def verdict_sign(verdict: Verdict) -> Sign:
    """The sign of a finding."""
    glyph, tone = _VERDICTS[verdict]
    return Sign(glyph, verdict.value, tone)


def state_sign(state: State) -> Sign:
    """The sign of a series."""
    glyph, tone = _STATES[state]
    return Sign(glyph, state.value, tone)
