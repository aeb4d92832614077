"""Where the level of a series of nights changed for good. Pure functions of numbers (`robust.py` says of which).

The library functions search and test (ruptures, scipy); what is ours is the joining, and it was chosen by measured
error rates: docs/detectors.md has them beside those of other tools, `nox -s detectors` measures them again.

Sources: kernel change-point detection with a linear kernel and the penalty 3 σ² ln n (Arlot, Celisse, Harchaoui 2019;
ruptures.KernelCPD); a t-test on clipped values whose means have the error of AR(1) noise, at a level that was
calibrated by simulation.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import ruptures
from scipy import stats

from suite.judge.robust import (
    FEWEST_AFTER,
    FEWEST_BEFORE,
    MOST_BEFORE,
    SMALLEST_NOISE,
    Series,
    cut,
    median,
    noise_of,
    spread,
    standard_error,
    without_spikes,
)

__all__ = ["ChangePoint", "change_points", "confirmed", "level"]

ALPHA = 0.001
"""Of one candidate; divided by log2 of the length, for the place was chosen among that many."""
CLEAR = 0.6
"""Nearly all nights after a change stand so many standard deviations off the old level: two spikes are no change."""
NEARER = 0.25
"""And so much of the change itself: where it is many standard deviations, a night of the old level is none after it."""
CONFIRMING = 1.5
"""So far off the old level must the fresh run stand that confirms a change."""
RECENT = 7
"""A change that began so few nights ago is looked for at every night: the segmentation is slow to see it."""


@dataclass(frozen=True)
class ChangePoint:
    """A lasting change of level."""

    index: int
    """The first night at the new level, most likely."""
    first: int
    last: int
    """It was one of these nights: an approximate 95 % range."""
    change: float
    """Relative: 0.03 is 3 % slower."""
    p: float


def change_points(values: Sequence[float], delta: float) -> list[ChangePoint]:
    """Lasting changes of at least `delta`, oldest first.

    Candidates come from an optimal segmentation, and from the last nights one by one; each is accepted only if a test
    of its own, which knows of spikes and of correlated nights, finds it at a level that pays for the choice.
    """
    return list(_change_points(tuple(values), delta))


@functools.lru_cache(maxsize=1024)
def _change_points(values: tuple[float, ...], delta: float) -> tuple[ChangePoint, ...]:
    """Remembered: whether a change was confirmed is asked of the same first nights again and again."""
    z = np.asarray(values, dtype=float)
    if len(z) < FEWEST_BEFORE + FEWEST_AFTER:
        return ()
    candidates = _segmentation(z)
    found: list[ChangePoint] = []
    start = 0
    for index, end in zip(candidates, [*candidates[1:], len(z)], strict=False):
        point = _tested(z, start, index, end, delta)
        if point is not None:
            found.append(point)
            start = index
    recent = range(max(start + FEWEST_BEFORE, len(z) - RECENT), len(z) - FEWEST_AFTER + 1)
    late = [point for index in recent if (point := _tested(z, start, index, len(z), delta)) is not None]
    return (*found, *([min(late, key=lambda point: point.p)] if late else []))


def confirmed(values: Sequence[float], delta: float) -> ChangePoint | None:
    """The newest change for the worse that the runs before the last one show and the last one, a fresh one, confirms.

    The last run stands at least half of the change, and clearly beyond the noise, above the old level.
    """
    points = change_points(values[:-1], delta)
    if not points or points[-1].change <= 0:
        return None
    z = np.asarray(values, dtype=float)
    # The level before it began with the change before: an improvement must not be measured by what it improved on.
    began = points[-2].index if len(points) > 1 else 0
    before = z[max(began, points[-1].index - MOST_BEFORE) : points[-1].index]
    above = z[-1] - median(before)
    enough = max(CONFIRMING * spread(before), math.log1p(points[-1].change) / 2.0)
    return points[-1] if above >= enough else None


def level(values: Sequence[float]) -> float:
    """Where the last nights of a stretch without a change stand, whatever single ones of them do."""
    z = np.asarray(values[-MOST_BEFORE:], dtype=float)
    return float(cut(z, spread(z)).mean())


def _segmentation(z: Series) -> list[int]:
    """Where the optimal piecewise constant curve jumps, spikes cut off."""
    sigma = noise_of(z)
    search = ruptures.KernelCPD(kernel="linear", min_size=FEWEST_AFTER).fit(without_spikes(z).reshape(-1, 1))
    return [int(index) for index in search.predict(pen=3.0 * sigma**2 * math.log(len(z)))[:-1]]


def _tested(z: Series, start: int, index: int, end: int, delta: float) -> ChangePoint | None:
    """The candidate as a change point, where it is accepted. `start` is the last accepted one."""
    before, after = z[start:index][-MOST_BEFORE:], z[index:end]
    # A level that did not last, or a series that began shortly before, has too few nights to know its noise from: that
    # of the whole series stands in for it, of which the other side has enough nights.
    brief = len(before) < FEWEST_BEFORE
    if min(len(before), len(after)) < FEWEST_AFTER or (brief and not start and len(after) < FEWEST_BEFORE):
        return None
    old = before if brief else cut(before, spread(before))
    sigma = max(float(old.std(ddof=1)), noise_of(z) if brief else SMALLEST_NOISE)
    new = cut(after, sigma)
    change = float(new.mean() - old.mean())
    off = np.sort(math.copysign(1.0, change) * (after - median(before)))
    stray = 0 if len(after) == FEWEST_AFTER else max(1, len(after) // 4)
    if abs(change) < math.log1p(delta) or off[stray] < max(CLEAR * sigma, NEARER * abs(change)):
        return None
    p = _p_value(old, new)
    if p > ALPHA / math.log2(len(z)):
        return None
    place, first, last = _place(z[start:end], float(old.mean()), float(new.mean()), sigma)
    return ChangePoint(start + place, start + first, start + last, math.expm1(change), p)


def _p_value(old: Series, new: Series) -> float:
    """Of the difference of the means of two clipped samples in AR(1) noise, two-sided."""
    error, freedom = standard_error(old, new)
    return 2.0 * float(stats.t.sf(abs(float(new.mean() - old.mean())) / error, freedom))


def _place(z: Series, old: float, new: float, sigma: float) -> tuple[int, int, int]:
    """The night at which one level most likely became the other, and the first and last that it may have been.

    A profile log-likelihood within 2 of the best, of Cauchy's noise: a spike says little for either level. Both sides
    keep the nights without which there is no change.
    """
    at_old, at_new = (stats.cauchy.logpdf((z - level) / sigma) for level in (old, new))
    places = np.arange(FEWEST_AFTER, len(z) - FEWEST_AFTER + 1)
    profile = np.concatenate([[0.0], np.cumsum(at_old - at_new)])[places]
    near = places[profile.max() - profile <= 2.0]
    return int(places[int(profile.argmax())]), int(near[0]), int(near[-1])
