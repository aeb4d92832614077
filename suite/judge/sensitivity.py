"""What a test of processes could have seen, and how many processes would decide, where their numbers vary under a seed.

Both take the scatter for what it was in these processes: neither is a power. The spread of counts grows with their
mean, so that no probability can honestly be given from a handful of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from math import comb
from statistics import fmean, pvariance

from scipy.stats import norm

from suite.judge.permutation import ENOUGH_TO_SEPARATE, PERMUTATIONS, Pair, Permuted
from suite.judge.stats import ALPHA, FEWEST, MOST_RUNS

__all__ = ["processes_to_decide", "smallest_seen", "with_p"]

LARGEST_CHANGE = 100.0
"""Relative; what is not seen of so large a change is not looked for beyond it."""
FINENESS = 0.001
"""Of the base's mean: the search for the smallest change ends there, or at one event or byte."""


def with_p(why: str, p: float, alpha: float) -> str:
    """The reason of a verdict with the one-sided p and its level; `p` is two-sided."""
    return f"{why} (one-sided p = {p / 2:.2g}, level {alpha:.2g})"


def smallest_seen(seeds: Mapping[int, Pair], worse: Callable[[Mapping[int, Pair]], bool]) -> float | None:
    """The smallest change for the worse that `worse` would have called one, relative to the mean of the base.

    Every process of the candidate is moved by one and the same whole number of events or bytes, so that both sides keep
    the scatter that they have. None where the base has none of them, and where so few processes show no change.
    """
    base = fmean(fmean(before) for before, _ in seeds.values())
    if not base:
        return None
    difference = fmean(fmean(after) - fmean(before) for before, after in seeds.values())

    def seen(by: int) -> bool:
        return worse({seed: (before, [value + by for value in after]) for seed, (before, after) in seeds.items()})

    too_little = math.ceil(-difference)
    enough = math.ceil(max(max(before) - min(after) for before, after in seeds.values())) + 1  # they do not overlap
    while not seen(enough):
        if enough + difference > LARGEST_CHANGE * base:
            return None
        too_little, enough = enough, math.ceil(2 * enough + difference)
    while enough - too_little > max(1.0, FINENESS * base):
        middle = (enough + too_little) // 2
        too_little, enough = (too_little, middle) if seen(middle) else (middle, enough)
    return (enough + difference) / base


def processes_to_decide(seeds: Mapping[int, Pair], found: Permuted, alpha: float) -> int | None:
    """Processes a side at which exchanging them would tell the sides apart, if difference and spread stay as they are.

    Sides that do not overlap need as many as can decide at all. Otherwise the difference, less half the step by which
    an exchange changes it, must exceed the quantile at `alpha` of the normal distribution with the exact variance of an
    exchange. Repeating the very processes until `permute` decides gave a number that differed by at most 2 in 80 % of
    350 random samples and by 5 at most (numbers up to 45; counts, two or three sizes, log-normal sizes). None where the
    means are equal, fewer than three processes show no spread, or it is more than 200.
    """
    if found.fewest < FEWEST or not found.difference:
        return None
    able = _able(len(seeds), ALPHA if found.separated else alpha)
    if found.separated:
        return able * len(seeds)
    difference = abs(found.difference) * len(seeds)
    step = math.gcd(*(round(value - before[0]) for before, after in seeds.values() for value in (*before, *after)))
    spread = sum(_spread(before, after) for before, after in seeds.values())
    quantile = float(norm.isf(alpha))
    for each in range(max(able, found.fewest // len(seeds) + 1), MOST_RUNS // len(seeds) + 1):
        if difference - step / each >= quantile * math.sqrt(4 * spread / (2 * each - 1)):
            return each * len(seeds)
    return None


def _spread(before: Sequence[float], after: Sequence[float]) -> float:
    """The variance of both sides' processes together, the sides having equally many."""
    return (pvariance(before) + pvariance(after)) / 2 + (fmean(after) - fmean(before)) ** 2 / 4


def _able(seeds: int, alpha: float) -> int:
    """Processes a side under each seed that exchanged can decide at this level."""
    ways = (min(comb(2 * each, each) ** seeds, PERMUTATIONS + 1) for each in count(1))
    return next(n for n, way in enumerate(ways, 1) if n * seeds >= ENOUGH_TO_SEPARATE and way * alpha >= 1)
