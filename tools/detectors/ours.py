"""This suite's own detectors, called as `ampmark gate` and the history call them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from suite.judge.anchored import adjusted
from suite.judge.changes import change_points
from suite.judge.findings import Verdict
from suite.judge.samples import STEP_TIME
from suite.judge.stats import Levels, compare, compare_blocks
from suite.judge.stochastic import decide
from tools.detectors import Call, Gate, Kind, Nights, Ruling, Sides, Values, Watch
from tools.detectors.following import Follower

__all__ = [
    "ANCHORED",
    "FOLLOWED",
    "FOLLOWED_ANCHORED",
    "GATES",
    "IN_TURN",
    "IN_TURN_OF_MANY",
    "MANY",
    "PLAIN",
    "WATCHES",
    "WELCH",
    "WELCH_OF_MANY",
    "rule_on",
]

MANY = 20
"""Cells of a usual run."""
_CALLS = {
    Verdict.REGRESSED: Call.SLOWER,
    Verdict.IMPROVED: Call.FASTER,
    Verdict.UNCHANGED: Call.UNCHANGED,
    Verdict.INCONCLUSIVE: Call.NOTHING,
}


def rule_on(sides: Sides, *, in_turn: bool, family: int = 1) -> Ruling:
    """What the gate says of one cell among so many: of the medians of the steps, and of their means beside them."""
    median, ruling = _verdict(np.median(sides.base, axis=1), np.median(sides.candidate, axis=1), in_turn, family)
    mean, other = _verdict(sides.base.mean(axis=1), sides.candidate.mean(axis=1), in_turn, family)
    if mean is not median and mean in (Verdict.REGRESSED, Verdict.IMPROVED):
        return replace(ruling, call=other.call)
    # A mean that may have grown is named beside an unchanged median.
    grown = float(np.mean(np.log(sides.candidate.mean(axis=1)) - np.log(sides.base.mean(axis=1)))) >= STEP_TIME.limit
    if median is Verdict.UNCHANGED and mean is Verdict.INCONCLUSIVE and grown:
        return replace(ruling, call=Call.NOTHING)
    return ruling


def _verdict(before: Values, after: Values, in_turn: bool, family: int) -> tuple[Verdict, Ruling]:
    base, candidate = (np.log(side).tolist() for side in (before, after))
    result = (compare_blocks if in_turn else compare)(base, candidate, STEP_TIME.limit)
    # The worst case of Benjamini and Hochberg's correction: no other cell of the family changed.
    adjusted_p = None if result.p is None else min(1.0, family * result.p)
    verdict, _ = decide(result, STEP_TIME.limit, adjusted_p, Levels())
    intervals = ((result.low90, result.high90), (result.low, result.high))
    known = [(low, high) for low, high in intervals if low is not None and high is not None]
    return verdict, Ruling(_CALLS[verdict], *known)


def _alone(nights: Nights) -> list[float]:
    return [float(value) for value in np.log(nights.seconds)]


def _beside_anchor(nights: Nights) -> list[float]:
    return adjusted(_alone(nights), np.log(nights.anchor).tolist())


def _shown(values: list[float]) -> list[int]:
    return [point.index for point in change_points(values, STEP_TIME.delta) if point.change > 0.0]


WELCH = Gate(
    "ampmark",
    "Welch on processes, p ≤ 0.01 and ≥ 2 %; equivalence at ±2 %",
    Kind.OURS,
    "suite.judge.stochastic.decide",
    judge=lambda sides, rng: rule_on(sides, in_turn=False),
)
IN_TURN = Gate(
    "ampmark, in turn",
    "the same of neighbouring processes: as pairs where they go together",
    Kind.OURS,
    "suite.judge.stats.compare_blocks",
    judge=lambda sides, rng: rule_on(sides, in_turn=True),
)
WELCH_OF_MANY = Gate(
    f"ampmark, one of {MANY} cells",
    "Welch, corrected for a family of which no other cell changed",
    Kind.OURS,
    "suite.judge.stochastic.decide",
    judge=lambda sides, rng: rule_on(sides, in_turn=False, family=MANY),
)
IN_TURN_OF_MANY = Gate(
    f"ampmark, in turn, one of {MANY} cells",
    "the same of neighbouring processes",
    Kind.OURS,
    "suite.judge.stats.compare_blocks",
    judge=lambda sides, rng: rule_on(sides, in_turn=True, family=MANY),
)
PLAIN = Watch(
    "ampmark",
    "change points, each tested again for spikes, AR(1) noise and the choice of its place, ≥ 2 %",
    Kind.OURS,
    "suite.judge.changes.change_points",
    portion=0.25,
    judge=lambda nights, rng: _shown(_alone(nights)),
)
ANCHORED = Watch(
    "ampmark, with anchor",
    "the same after regression on the same night's anchor",
    Kind.OURS,
    "suite.judge.anchored.adjusted",
    portion=0.25,
    judge=lambda nights, rng: _shown(_beside_anchor(nights)),
)
FOLLOWED = Watch(
    "ampmark, fresh runs",
    "what `ampmark history` does without an anchor: a suspect night is run again, a change point needs a later run",
    Kind.OURS,
    "suite.judge.changes.confirmed",
    judge=Follower(anchored=False).judge,
)
FOLLOWED_ANCHORED = Watch(
    "ampmark, fresh runs, with anchor",
    "the same on what the anchor does not explain: what `ampmark history` calls regressed",
    Kind.OURS,
    "suite.judge.changes.confirmed",
    judge=Follower(anchored=True).judge,
)
GATES = (WELCH, IN_TURN, WELCH_OF_MANY, IN_TURN_OF_MANY)
WATCHES = (PLAIN, ANCHORED, FOLLOWED, FOLLOWED_ANCHORED)
