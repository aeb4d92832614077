"""The GPU's clock on the two sides: how much of a change another clock explains (docs/decisions/0014)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from suite.judge.cells import Sides
from suite.judge.findings import Finding, Verdict
from suite.judge.samples import DELTA
from suite.judge.stats import Comparison

__all__ = ["Clocks", "clocks_of", "hidden_by_clock"]

_LOCK = "lock it alike on both sides"


@dataclass(frozen=True)
class Clocks:
    """Clocks in MHz that are not the same: a lock that is missing, or another one, is no slower code."""

    before: float
    after: float

    def __str__(self) -> str:
        return f"the GPU's clock was {self.before:.0f} MHz and is {self.after:.0f} MHz"

    @property
    def reason(self) -> str:
        """Why nothing is said of the code."""
        return f"{self}; {_LOCK}"

    @property
    def note(self) -> str:
        """What to say beside a verdict that the clocks do not explain."""
        return f"{self}, which explains a change of {math.expm1(self._slower):+.1%} at most; this one goes beyond it"

    @property
    def _slower(self) -> float:
        """The logarithm by which the time grows at most, where it follows the clock alone."""
        return math.log(self.before / self.after)

    def explain(self, verdict: Verdict, result: Comparison, limit: float) -> bool:
        """Whether the verdict may be the clock's doing: less what that explains, the near bound is below the limit.

        A clock that moved the other way explains nothing, and is no evidence of more either.
        """
        if result.low is None or result.high is None:
            return True
        if verdict is Verdict.REGRESSED:
            return result.low - max(0.0, self._slower) < limit
        if verdict is Verdict.IMPROVED:
            return -result.high - max(0.0, -self._slower) < limit
        return True


def clocks_of(sides: Sides) -> Clocks | None:
    """The clocks of sides that ran at another one, as the lowest of each process says in the median; None otherwise.

    A clock of 0 MHz is a counter that told nothing.
    """
    before, after = (side["sm_clock_mhz_lowest"].dropna() for side in sides)
    before, after = before[before > 0], after[after > 0]
    if before.empty or after.empty:
        return None
    clocks = float(before.median()), float(after.median())
    return Clocks(*clocks) if abs(math.log(clocks[1] / clocks[0])) > math.log1p(DELTA) else None


def hidden_by_clock(finding: Finding) -> bool:
    """Whether it is inconclusive because the GPU ran at another clock."""
    return finding.verdict is Verdict.INCONCLUSIVE and any(reason.endswith(_LOCK) for reason in finding.reasons)
