"""Where a series of nights moved: change points, a night out of line, a slow drift. Pure functions of numbers.

A series holds one number per night, the logarithm of a time; differences of it are relative changes. The library
functions search and test (ruptures, scipy); what is ours is the joining, and it was chosen by measured error rates:
docs/detectors.md has them beside those of other tools, `nox -s detectors` measures them again.

Sources: kernel change-point detection with a linear kernel and the penalty 3 σ² ln n (Arlot, Celisse, Harchaoui 2019;
ruptures.KernelCPD); a t-test on clipped values with the variance of a mean of AR(1) noise (Bayley and Hammersley 1946),
its correlation freed of its bias (Kendall 1954), at a level that was calibrated by simulation; Theil–Sen's slope (Sen
1968; scipy.stats.theilslopes), its interval widened for correlated nights (Hamed and Rao 1998).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import ruptures
from scipy import ndimage, stats

__all__ = [
    "ChangePoint",
    "Drift",
    "adjusted",
    "change_points",
    "confirmed",
    "drift",
    "level",
    "out_of_line",
    "worth_a_run",
]

Series = npt.NDArray[np.float64]

FEWEST_BEFORE = 8
"""Nights at the old level without which nothing is known of its noise."""
MOST_BEFORE = 30
"""Nights that the old level is estimated from: older ones say less of it."""
FEWEST_AFTER = 3
"""Nights at the new level: one or two are a spike."""
ALPHA = 0.001
"""Of one candidate; divided by log2 of the length, for the place was chosen among that many."""
CLIP = 1.7
"""Standard deviations from the median at which a night's value is cut: a spike counts as much as any slow night."""
CLEAR = 1.0
"""Nearly all nights after a change stand so many standard deviations off the old level: two spikes are no change."""
NEARER = 0.25
"""And so much of the change itself: where it is many standard deviations, a night of the old level is none after it."""
CONFIRMING = 1.8
"""So far off the old level must the fresh run stand that confirms a change."""
SUSPICIOUS = 1.3
"""So far above the level is a single night worth a fresh run: two in three of them are only noise."""
LONE = 3.5
"""So far above the level a single night is shown as out of line (Iglewicz and Hoaglin 1993)."""
RECENT = 7
"""A change that began so few nights ago is looked for at every night: the segmentation is slow to see it."""
WINDOW = 7
"""Nights of the running median that spikes are cut against before the segmentation."""
LARGEST_CORRELATION = 0.8
SMALLEST_NOISE = 1e-4
"""A floor for σ: ruptures refuses a penalty of 0, and no timer is that steady."""
CONSISTENT = 1.4826
"""Median absolute deviation to standard deviation, of normal noise."""
DRIFT_NIGHTS = 60
DRIFT_ALPHA = 0.001
"""Two-sided: a drift is looked for every night."""
SUREST = 1.0 - 1e-12
"""Of an interval: a confidence of 1 has none."""
LAG = 5
"""Nights between the two whose difference teaches how far the anchor follows: a machine keeps its mood for longer."""


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


@dataclass(frozen=True)
class Drift:
    """A slow change over the last nights."""

    change: float
    """Relative, over all of them."""
    low: float
    high: float
    """99.9 % interval."""
    nights: int


def adjusted(values: Sequence[float], anchor: Sequence[float]) -> list[float]:
    """The series without what its same-night anchor explains: y − b (a − mean a).

    b is the regression of differences over a few nights, held within 0 and 1. A regression of the code moves a few of
    them only, so it cannot teach b to hide it; an anchor that explains nothing gets b near 0 and costs nothing. Over
    one night they would be mostly noise of the two measurements, which draws b towards 0.
    """
    y, a = np.asarray(values, dtype=float), np.asarray(anchor, dtype=float)
    lag = min(LAG, len(y) - 1)
    dy, da = y[lag:] - y[:-lag], a[lag:] - a[:-lag]
    spread = float(da @ da)
    share = min(1.0, max(0.0, float(dy @ da) / spread)) if spread else 0.0
    return [float(value) for value in y - share * (a - a.mean())]


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
    above = z[-1] - _median(before)
    enough = max(CONFIRMING * _spread(before), math.log1p(points[-1].change) / 2.0)
    return points[-1] if above >= enough else None


def level(values: Sequence[float]) -> float:
    """Where the last nights of a stretch without a change stand, whatever single ones of them do."""
    z = np.asarray(values[-MOST_BEFORE:], dtype=float)
    return float(_cut(z, _spread(z)).mean())


def out_of_line(values: Sequence[float], delta: float) -> float | None:
    """How far the last night stands above those before it, relative; None where it does not stand out.

    One night proves nothing, but nobody should overlook it.
    """
    above, spread = _last_above(values)
    return math.expm1(above) if above > max(LONE * spread, math.log1p(delta)) else None


def worth_a_run(values: Sequence[float], delta: float) -> bool:
    """Whether a fresh run should be made after the last night: it may be the first of a lasting change."""
    above, spread = _last_above(values)
    return above > max(SUSPICIOUS * spread, math.log1p(delta) / 2.0)


def _last_above(values: Sequence[float]) -> tuple[float, float]:
    """How far the last night stands above the median of those before it, and their spread; 0 where they are few."""
    before = np.asarray(values[-1 - MOST_BEFORE : -1], dtype=float)
    if len(before) < FEWEST_BEFORE:
        return 0.0, 0.0
    return float(values[-1]) - _median(before), _spread(before)


def drift(values: Sequence[float], delta: float) -> Drift | None:
    """A slow change over the last nights that no single step shows; None where there is none of at least `delta`."""
    z = np.asarray(values[-DRIFT_NIGHTS:], dtype=float)
    if len(z) < 2 * FEWEST_BEFORE:
        return None
    nights = len(z) - 1
    places = np.arange(len(z))
    slope, middle, *_ = stats.theilslopes(z, places)
    phi = _correlation(z - middle - slope * places)
    wider = float(stats.norm.ppf(1.0 - DRIFT_ALPHA / 2.0)) * math.sqrt((1.0 + phi) / (1.0 - phi))
    confidence = min(2.0 * float(stats.norm.cdf(wider)) - 1.0, SUREST)
    low, high = stats.theilslopes(z, places, alpha=confidence)[2:]
    if low <= 0.0 <= high or abs(slope * nights) < math.log1p(delta):
        return None
    change, low, high = (math.expm1(float(value) * nights) for value in (slope, low, high))
    return Drift(change, low, high, len(z))


def _noise(z: Series) -> float:
    """σ of one night, from first differences: a level shift touches one of them only."""
    steps = np.diff(z)
    return max(CONSISTENT * _median(np.abs(steps - _median(steps))) / math.sqrt(2.0), SMALLEST_NOISE)


def _segmentation(z: Series) -> list[int]:
    """Where the optimal piecewise constant curve jumps, spikes cut off."""
    sigma = _noise(z)
    centre = ndimage.median_filter(z, size=WINDOW, mode="nearest")
    cut = np.clip(z, centre - 2.5 * sigma, centre + 2.5 * sigma)
    search = ruptures.KernelCPD(kernel="linear", min_size=FEWEST_AFTER).fit(cut.reshape(-1, 1))
    return [int(index) for index in search.predict(pen=3.0 * sigma**2 * math.log(len(z)))[:-1]]


def _tested(z: Series, start: int, index: int, end: int, delta: float) -> ChangePoint | None:
    """The candidate as a change point, where it is accepted. `start` is the last accepted one."""
    before, after = z[start:index][-MOST_BEFORE:], z[index:end]
    # A level that did not last, or a series that began shortly before, has too few nights to know its noise from: that
    # of the whole series stands in for it, of which the other side has enough nights.
    brief = len(before) < FEWEST_BEFORE
    if min(len(before), len(after)) < FEWEST_AFTER or (brief and not start and len(after) < FEWEST_BEFORE):
        return None
    old = before if brief else _cut(before, _spread(before))
    sigma = max(float(old.std(ddof=1)), _noise(z) if brief else SMALLEST_NOISE)
    new = _cut(after, sigma)
    change = float(new.mean() - old.mean())
    off = np.sort(math.copysign(1.0, change) * (after - _median(before)))
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
    rest = np.concatenate([old - old.mean(), new - new.mean()])
    count, phi = len(rest), _correlation(rest)
    variance = max(float(rest @ rest) / (count - 2), SMALLEST_NOISE**2)
    error = math.sqrt(variance * (_of_mean(len(old), phi) + _of_mean(len(new), phi)))
    freedom = max(3.0, (count - 2) * (1.0 - phi) / (1.0 + phi))
    return 2.0 * float(stats.t.sf(abs(float(new.mean() - old.mean())) / error, freedom))


def _correlation(rest: Series) -> float:
    """Of one night with the next, from what a fit has left over; Kendall's correction."""
    count = len(rest)
    raw = float(rest[1:] @ rest[:-1]) / max(float(rest @ rest), SMALLEST_NOISE**2)
    return min(LARGEST_CORRELATION, max(0.0, (raw + 1.0 / count) / (1.0 - 4.0 / count)))


def _of_mean(count: int, phi: float) -> float:
    """Variance of the mean of so many AR(1) values, in units of one value's."""
    lags = np.arange(1, count)
    return float(count + 2.0 * np.sum((count - lags) * phi**lags)) / count**2


def _median(values: Series) -> float:
    """As numpy's, which spends most of its time on what short series do not need."""
    ordered = np.sort(values)
    return 0.5 * float(ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2])


def _spread(values: Series) -> float:
    """Robust standard deviation."""
    return max(CONSISTENT * _median(np.abs(values - _median(values))), SMALLEST_NOISE)


def _cut(values: Series, sigma: float) -> Series:
    centre = _median(values)
    return np.clip(values, centre - CLIP * sigma, centre + CLIP * sigma)


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
