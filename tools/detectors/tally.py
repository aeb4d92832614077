"""Counting what detectors said, and shares with their uncertainty."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from statsmodels.stats.proportion import proportion_confint

from tools.detectors import Call, Ruling

__all__ = ["PATIENCE", "TOLERANCE", "GateTally", "Share", "WatchTally"]

TOLERANCE = 2
"""An alarm that is this many nights off names the right place."""
PATIENCE = (1, 3, 4, 7, 14)
"""Nights at the new level within which a change was found."""


@dataclass(frozen=True)
class Share:
    """So many of so many, with Wilson's 95 % interval."""

    hits: int
    of: int

    @property
    def value(self) -> float:
        """The share; NaN of nothing."""
        return self.hits / self.of if self.of else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's interval (statsmodels.stats.proportion.proportion_confint)."""
        low, high = proportion_confint(self.hits, self.of, alpha=0.05, method="wilson")
        return max(0.0, float(low)), min(1.0, float(high))


@dataclass
class GateTally:
    """What a gate said of many draws of one cell."""

    calls: Counter[Call] = field(default_factory=Counter)
    intervals: int = 0
    inside90: int = 0
    inside98: int = 0
    """How often its intervals held the truth."""

    def add(self, ruling: Ruling, truth: float) -> None:
        """One draw; `truth` is the logarithm of the ratio that was injected."""
        self.calls[ruling.call] += 1
        if ruling.interval90 and ruling.interval98:
            self.intervals += 1
            self.inside90 += ruling.interval90[0] <= truth <= ruling.interval90[1]
            self.inside98 += ruling.interval98[0] <= truth <= ruling.interval98[1]

    def merge(self, other: GateTally) -> None:
        """Take in what another process counted."""
        self.calls.update(other.calls)
        self.intervals += other.intervals
        self.inside90 += other.inside90
        self.inside98 += other.inside98

    def share(self, call: Call) -> Share:
        """How often it said so."""
        return Share(self.calls[call], self.calls.total())


@dataclass
class WatchTally:
    """What a watch said of many series of one cell."""

    series: int = 0
    alarmed: int = 0
    """Series in which it raised a slow-down in the monitored nights."""
    alarms: int = 0
    nights: int = 0
    first_right: int = 0
    """Series whose first alarm names the night of the change, give or take TOLERANCE."""
    delays: list[int] = field(default_factory=list)
    """Nights at the new level until the change was named; only where it was."""
    standing: int = 0
    """Series at whose end it still says that a slow-down began at the night of interest."""

    def add(self, alarms: Sequence[tuple[int, int]], nights: int, place: int, *, standing: bool) -> None:
        """One series: its alarms, each the night (from 0) it came in and the night it named."""
        self.series += 1
        self.nights += nights
        self.alarms += len(alarms)
        self.alarmed += bool(alarms)
        self.standing += standing
        right = [(night, named) for night, named in alarms if abs(named - place) <= TOLERANCE]
        self.first_right += bool(right) and right[0] == alarms[0]
        if right:
            self.delays.append(right[0][0] - place + 1)

    def merge(self, other: WatchTally) -> None:
        """Take in what another process counted."""
        for name in ("series", "alarmed", "alarms", "nights", "first_right", "standing"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.delays += other.delays

    @property
    def false_alarms(self) -> Share:
        """Series with an alarm, where none was called for."""
        return Share(self.alarmed, self.series)

    def found_within(self, nights: int) -> Share:
        """Series in which the change was named in time, at the right place."""
        return Share(sum(delay <= nights for delay in self.delays), self.series)

    @property
    def delay(self) -> float | None:
        """Median, of the series in which the change was found."""
        return statistics.median(self.delays) if self.delays else None

    @property
    def placed(self) -> Share:
        """Of the series with an alarm: its first one named the right place."""
        return Share(self.first_right, self.alarmed)
