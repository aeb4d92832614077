"""Our detectors of slow-downs beside those of other tools: how often each cries wolf, and what it sees.

`python -m tools.detectors` (in a checkout: `nox -s detectors`) gives every detector the same seeded random series and
writes docs/detectors.md, which people read, and suite/judge/detectors.json, which reports quote. This module says what
a detector is: a *gate* compares the processes of two sides, a *watch* looks at a series of nights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import numpy.typing as npt

__all__ = ["Call", "Detector", "Gate", "Kind", "Nights", "Ruling", "Sides", "Values", "Watch"]

Values = npt.NDArray[np.float64]


class Call(StrEnum):
    """What a gate says of the candidate."""

    SLOWER = "slower"
    FASTER = "faster"
    UNCHANGED = "unchanged"
    """Claimed, by a test of its own. Most tools know only the next one."""
    NOTHING = "nothing"


class Kind(StrEnum):
    """Whose code a detector runs."""

    OURS = "ours"
    CODE = "their code"
    PORT = "port"
    CONTROL = "control"
    """Neither ours nor anybody's: what knows nothing scores."""


def _nothing() -> Values:
    return np.empty(0)


@dataclass(frozen=True)
class Sides:
    """Step seconds: one row per process, in the order they ran. Rows at equal places ran one after the other."""

    base: Values
    candidate: Values


@dataclass(frozen=True)
class Nights:
    """Seconds of the nights so far, and of the same nights' anchor: the pinned baseline, run again."""

    seconds: Values
    anchor: Values
    fresh: Values = field(default_factory=_nothing)
    """A second run of each night, for those that ask for one; empty where there is none."""
    fresh_anchor: Values = field(default_factory=_nothing)

    def until(self, count: int) -> Nights:
        """The first `count` nights."""
        return Nights(self.seconds[:count], self.anchor[:count], self.fresh[:count], self.fresh_anchor[:count])


@dataclass(frozen=True)
class Ruling:
    """A gate's answer. The intervals (of the logarithm of the ratio) are for those that give one."""

    call: Call
    interval90: tuple[float, float] | None = None
    interval98: tuple[float, float] | None = None


@dataclass(frozen=True)
class Detector:
    """What every detector has. The random numbers it is given are its own, and seeded."""

    name: str
    rule: str
    kind: Kind
    source: str = ""
    """Repository, commit and path that a port was made from; package and function of code that is called."""
    needs: str = ""
    """Module that must be installed."""
    portion: float = field(default=1.0, kw_only=True)
    """Share of the replicates that it is given; slow ones get fewer."""


@dataclass(frozen=True)
class Gate(Detector):
    """Compares two sides."""

    judge: Callable[[Sides, np.random.Generator], Ruling] = field(kw_only=True)


@dataclass(frozen=True)
class Watch(Detector):
    """Looks at the nights so far and names the nights (from 0) at which it holds that a slow-down began."""

    judge: Callable[[Nights, np.random.Generator], Sequence[int]] = field(kw_only=True)
