"""The whole nightly procedure of `ampmark history`: suspects are run again in the same night, and only then judged."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from suite.judge.anchored import adjusted
from suite.judge.changes import change_points
from suite.judge.drift import drift
from suite.judge.last_night import worth_a_run
from suite.judge.levels import standing
from suite.judge.robust import FEWEST_AFTER, FEWEST_BEFORE
from suite.judge.samples import STEP_TIME
from tools.detectors import Nights, Values
from tools.detectors.changes import CHANGE_NIGHT

__all__ = ["Follower"]

MOST_REMEMBERED = 5000
FEWEST = FEWEST_BEFORE + FEWEST_AFTER


@dataclass(frozen=True)
class _State:
    """What was measured so far, which night each run was of, and the nights that were alarmed."""

    values: tuple[float, ...] = ()
    anchors: tuple[float, ...] = ()
    nights: tuple[int, ...] = ()
    alarmed: tuple[int, ...] = ()
    fresh_runs: int = 0
    drifting: bool = False
    """Whether a drift was alarmed: beside an anchor one is the code's. Without one it is only said."""

    def with_run(self, value: float, anchor: float, night: int) -> _State:
        return replace(
            self,
            values=(*self.values, value),
            anchors=(*self.anchors, anchor),
            nights=(*self.nights, night),
        )


@dataclass
class Follower:
    """Judges the nights one after the other; what was decided in earlier ones is remembered."""

    anchored: bool
    _states: dict[bytes, _State] = field(default_factory=dict)

    def judge(self, nights: Nights, rng: np.random.Generator) -> list[int]:
        """The nights that are alarmed so far."""
        del rng
        return list(self.follow(nights).alarmed)

    def follow(self, nights: Nights) -> _State:
        """What is known after the last of these nights."""
        key = nights.seconds.tobytes() + nights.anchor.tobytes() * self.anchored
        if key not in self._states:
            if len(self._states) > MOST_REMEMBERED:
                self._states.clear()
            count = len(nights.seconds)
            if count > CHANGE_NIGHT:
                before = self.follow(nights.until(count - 1))
                self._states[key] = self._night(before, nights, count - 1)
            else:
                self._states[key] = self._judged(_unwatched(nights))
        return self._states[key]

    def _night(self, state: _State, nights: Nights, night: int) -> _State:
        state = self._judged(state.with_run(_log(nights.seconds, night), _log(nights.anchor, night), night))
        if night in state.alarmed or len(nights.fresh) <= night or not self._suspicious(state):
            return state
        again = state.with_run(_log(nights.fresh, night), _log(nights.fresh_anchor, night), night)
        return self._judged(replace(again, fresh_runs=state.fresh_runs + 1))

    def _series(self, state: _State) -> list[float]:
        return adjusted(state.values, state.anchors) if self.anchored else list(state.values)

    def _suspicious(self, state: _State) -> bool:
        series = self._series(state)
        if len(series) < FEWEST:
            return False
        points = change_points(series, STEP_TIME.delta)
        return bool(points and points[-1].change > 0.0) or worth_a_run(series, STEP_TIME.delta)

    def _judged(self, state: _State) -> _State:
        if len(state.values) < FEWEST:
            return state
        series = self._series(state)
        now = standing(series, STEP_TIME.delta, [True] * len(series))
        if now.confirmed and now.point is not None:
            night = state.nights[now.point.index]
            return state if night in state.alarmed else replace(state, alarmed=(*state.alarmed, night))
        slow = drift(series, STEP_TIME.delta) if self.anchored and not state.drifting else None
        if slow is not None and slow.low >= STEP_TIME.delta:
            return replace(state, alarmed=(*state.alarmed, state.nights[-1]), drifting=True)
        return state


def _unwatched(nights: Nights) -> _State:
    """The nights before the first monitored one: nobody ran any of them again."""
    values, anchors = (tuple(np.log(one).tolist()) for one in (nights.seconds, nights.anchor))
    return _State(values, anchors, tuple(range(len(values))))


def _log(seconds: Values, night: int) -> float:
    return float(np.log(seconds[night]))
