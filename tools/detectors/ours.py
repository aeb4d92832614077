"""This suite's own detectors, called as `ampmark gate` and the history call them."""

from __future__ import annotations

import numpy as np

from suite.judge.changes import adjusted, change_points
from suite.judge.findings import Verdict
from suite.judge.stats import Levels, adjust, compare
from suite.judge.stochastic import STEP_TIME, decide
from tools.detectors import Call, Gate, Kind, Nights, Ruling, Sides, Watch
from tools.detectors.following import Follower

__all__ = [
    "ANCHORED",
    "FOLLOWED",
    "FOLLOWED_ANCHORED",
    "GATES",
    "PAIRED",
    "PLAIN",
    "WATCHES",
    "WELCH",
    "rule_on",
]

_CALLS = {
    Verdict.REGRESSED: Call.SLOWER,
    Verdict.IMPROVED: Call.FASTER,
    Verdict.UNCHANGED: Call.UNCHANGED,
    Verdict.INCONCLUSIVE: Call.NOTHING,
}


def rule_on(sides: Sides, *, paired: bool) -> Ruling:
    """What the gate says of one cell that is the whole family: logarithms of the processes' medians."""
    base, candidate = (np.log(np.median(side, axis=1)).tolist() for side in (sides.base, sides.candidate))
    result = compare(base, candidate, STEP_TIME.limit, paired=paired)
    if result.p is None:
        return Ruling(_CALLS[decide(result, STEP_TIME.limit, None, Levels())[0]])
    verdict, _ = decide(result, STEP_TIME.limit, adjust([result.p])[0], Levels())
    intervals = ((result.low90, result.high90), (result.low, result.high))
    known = [(low, high) for low, high in intervals if low is not None and high is not None]
    return Ruling(_CALLS[verdict], *known)


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
    judge=lambda sides, rng: rule_on(sides, paired=False),
)
PAIRED = Gate(
    "ampmark, paired",
    "the same on pairs of neighbouring processes",
    Kind.OURS,
    "suite.judge.stochastic.decide",
    judge=lambda sides, rng: rule_on(sides, paired=True),
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
    "suite.judge.changes.adjusted",
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
    portion=0.5,
    judge=Follower(anchored=True).judge,
)
GATES = (WELCH, PAIRED)
WATCHES = (PLAIN, ANCHORED, FOLLOWED, FOLLOWED_ANCHORED)
