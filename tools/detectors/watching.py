"""A nightly job: every night the detector sees the nights so far and nothing of those to come."""

from __future__ import annotations

import numpy as np

from tools.detectors import Nights, Values, Watch
from tools.detectors.changes import CHANGE_NIGHT, NIGHTS, SPIKE_NIGHT, Change, apply
from tools.detectors.noise import NOISES
from tools.detectors.recorded import REAL, nights
from tools.detectors.tally import PATIENCE, TOLERANCE, WatchTally

__all__ = ["NIGHT_SECONDS", "draw_nights", "score", "watch", "watched"]

NIGHT_SECONDS = 0.1


def draw_nights(noise: str, change: Change, rng: np.random.Generator) -> Nights:
    """Sixty nights with the change in them, and their anchors, whose code never changes."""
    own, anchor, again, anchor_again = _recorded(rng) if noise == REAL else NOISES[noise].draw(rng, NIGHTS)
    first, second = (NIGHT_SECONDS * np.exp(apply(change, values)) for values in (own, again))
    return Nights(first, NIGHT_SECONDS * np.exp(anchor), second, NIGHT_SECONDS * np.exp(anchor_again))


def _recorded(rng: np.random.Generator) -> tuple[Values, Values, Values, Values]:
    """Two runs a night, one after the other, each with its anchor."""
    own, anchor = nights(rng, 2 * NIGHTS)
    return own[0::2], anchor[0::2], own[1::2], anchor[1::2]


def watched(change: Change) -> int:
    """The last night that matters, counted from 1: a slow-down has so many nights to be found, a quiet series all."""
    return CHANGE_NIGHT + PATIENCE[-1] if change.slower else NIGHTS


def watch(detector: Watch, seen: Nights, last: int, rng: np.random.Generator) -> tuple[list[tuple[int, int]], set[int]]:
    """Alarms of the monitored nights (the night each came in, the night it named), and what stands at the end.

    What the detector says of the nights before the first monitored one was reported then. An alarm is what is more
    than TOLERANCE nights away from everything reported before: the same finding again is no second alarm.
    """
    standing = set(detector.judge(seen.until(CHANGE_NIGHT), rng))
    known, alarms = set(standing), []
    for night in range(CHANGE_NIGHT, last):
        standing = set(detector.judge(seen.until(night + 1), rng))
        fresh = [named for named in sorted(standing) if all(abs(named - old) > TOLERANCE for old in known)]
        alarms += [(night, named) for named in fresh]
        known |= standing
    return alarms, standing


def score(detector: Watch, seen: Nights, change: Change, tally: WatchTally, rng: np.random.Generator) -> None:
    """Watch one series and count."""
    last = watched(change)
    place = SPIKE_NIGHT if change.spike else CHANGE_NIGHT
    alarms, standing = watch(detector, seen, last, rng)
    near = any(abs(named - place) <= TOLERANCE for named in standing)
    tally.add(alarms, last - CHANGE_NIGHT, place, standing=near)
