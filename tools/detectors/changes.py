"""What is done to a series or to a candidate."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tools.detectors import Values

__all__ = ["CHANGES", "CHANGE_NIGHT", "NIGHTS", "SPIKE_NIGHT", "STEPS_UP", "Change", "apply"]

NIGHTS = 60
CHANGE_NIGHT = 30
"""The first night (from 0) that is changed, and the first that is monitored."""
SPIKE_NIGHT = 40


@dataclass(frozen=True)
class Change:
    """A change of level, of spread, or of a single night."""

    name: str
    title: str
    step: float = 0.0
    """Relative: 0.03 is 3 % slower from then on."""
    spread: float = 1.0
    """The noise's standard deviation times this."""
    spike: float = 0.0
    """Relative, of one night."""

    @property
    def shift(self) -> float:
        """The step on the scale of logarithms."""
        return math.log1p(self.step)

    @property
    def slower(self) -> bool:
        """Whether there is a slow-down to be found."""
        return self.step > 0.0


CHANGES = {
    change.name: change
    for change in (
        Change("none", "A/A: nothing changed"),
        Change("+2", "2 % slower", step=0.02),
        Change("+3", "3 % slower", step=0.03),
        Change("+5", "5 % slower", step=0.05),
        Change("+10", "10 % slower", step=0.10),
        Change("-5", "5 % faster", step=-0.05),
        Change("spread", "noise twice as wide", spread=2.0),
        Change("spike", "one night 10 % slower", spike=0.10),
    )
}
STEPS_UP = tuple(name for name, change in CHANGES.items() if change.slower)


def apply(change: Change, deviations: Values) -> Values:
    """The deviations of the nights (logarithms) with the change in them."""
    changed = deviations.copy()
    changed[CHANGE_NIGHT:] = change.spread * changed[CHANGE_NIGHT:] + change.shift
    if len(changed) > SPIKE_NIGHT:
        changed[SPIKE_NIGHT] += math.log1p(change.spike)
    return changed
