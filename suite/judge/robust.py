"""Robust numbers of short series of nights: level, spread, noise, correlation, and a mean's error. Pure functions.

A series holds one number per night, the logarithm of a time; differences of it are relative changes. Spikes count
little everywhere, and nights are correlated.

Sources: the variance of a mean of AR(1) noise (Bayley and Hammersley 1946), its correlation freed of its bias (Kendall
1954).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import ndimage

__all__ = [
    "FEWEST_AFTER",
    "FEWEST_BEFORE",
    "MOST_BEFORE",
    "SMALLEST_NOISE",
    "Series",
    "correlation",
    "cut",
    "median",
    "noise_of",
    "spread",
    "standard_error",
    "without_spikes",
]

Series = npt.NDArray[np.float64]

FEWEST_BEFORE = 8
"""Nights at the old level without which nothing is known of its noise."""
MOST_BEFORE = 30
"""Nights that the old level is estimated from: older ones say less of it."""
FEWEST_AFTER = 3
"""Nights at the new level: one or two are a spike."""
CLIP = 1.7
"""Standard deviations from the median at which a night's value is cut: a spike counts as much as any slow night."""
WINDOW = 7
"""Nights of the running median that spikes are cut against before the segmentation."""
SPIKE = 2.5
"""Standard deviations from the running median at which a spike is cut."""
LARGEST_CORRELATION = 0.8
SMALLEST_NOISE = 1e-4
"""A floor for σ: ruptures refuses a penalty of 0, and no timer is that steady."""
CONSISTENT = 1.4826
"""Median absolute deviation to standard deviation, of normal noise."""


def median(values: Series) -> float:
    """As numpy's, which spends most of its time on what short series do not need."""
    ordered = np.sort(values)
    return 0.5 * float(ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2])


def spread(values: Series) -> float:
    """Robust standard deviation."""
    return max(CONSISTENT * median(np.abs(values - median(values))), SMALLEST_NOISE)


def cut(values: Series, sigma: float) -> Series:
    """The values, none further from their median than CLIP standard deviations."""
    centre = median(values)
    return np.clip(values, centre - CLIP * sigma, centre + CLIP * sigma)


def noise_of(z: Series) -> float:
    """σ of one night, from first differences: a level shift touches one of them only."""
    steps = np.diff(z)
    return max(CONSISTENT * median(np.abs(steps - median(steps))) / math.sqrt(2.0), SMALLEST_NOISE)


def without_spikes(z: Series) -> Series:
    """Cut at so much from the running median."""
    reach = SPIKE * noise_of(z)
    centre = ndimage.median_filter(z, size=WINDOW, mode="nearest")
    return np.clip(z, centre - reach, centre + reach)


def correlation(rest: Series) -> float:
    """Of one night with the next, from what a fit has left over; Kendall's correction."""
    count = len(rest)
    raw = float(rest[1:] @ rest[:-1]) / max(float(rest @ rest), SMALLEST_NOISE**2)
    return min(LARGEST_CORRELATION, max(0.0, (raw + 1.0 / count) / (1.0 - 4.0 / count)))


def standard_error(old: Series, new: Series) -> tuple[float, float]:
    """Standard error of the difference of both means, and its degrees of freedom."""
    rest = np.concatenate([old - old.mean(), new - new.mean()])
    count, phi = len(rest), correlation(rest)
    variance = max(float(rest @ rest) / (count - 2), SMALLEST_NOISE**2)
    error = math.sqrt(variance * (_of_mean(len(old), phi) + _of_mean(len(new), phi)))
    return error, max(3.0, (count - 2) * (1.0 - phi) / (1.0 + phi))


def _of_mean(count: int, phi: float) -> float:
    """Variance of the mean of so many AR(1) values, in units of one value's."""
    lags = np.arange(1, count)
    return float(count + 2.0 * np.sum((count - lags) * phi**lags)) / count**2
