"""Axes and end labels of the charts: domains, ticks that read well on linear and logarithmic axes, label places.

Labels stand at the ends of the lines, so that no reader has to match colours with a legend; where lines end close
together the labels are moved apart and joined to their lines by a thin rule.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["Axis", "spread", "value_axis"]

LOG_FROM_RATIO = 10.0
"""A logarithmic axis pays from this ratio between highest and lowest on; below it, it only bends straight lines."""


@dataclass(frozen=True)
class Axis:
    """A domain with its ticks. Positions run from 0 (low end) to 1 (high end)."""

    low: float
    high: float
    ticks: tuple[float, ...]
    base: float | None = None
    """Of a logarithmic axis."""

    def position(self, value: float) -> float:
        """Where a value stands."""
        low, high, value = (self._bent(v) for v in (self.low, self.high, value))
        return (value - low) / (high - low)

    def value(self, position: float) -> float:
        """The value at a position: the inverse of :meth:`position`."""
        low, high = self._bent(self.low), self._bent(self.high)
        bent = low + position * (high - low)
        return bent if self.base is None else self.base**bent

    def _bent(self, value: float) -> float:
        return value if self.base is None else math.log(value, self.base)


def value_axis(values: Iterable[float], base: float | None = None) -> Axis:
    """An axis around the values; logarithmic (base 10) by itself where all are positive and far apart."""
    found = list(values)
    low, high = min(found), max(found)
    if base is None and low > 0 and high / low >= LOG_FROM_RATIO:
        base = 10.0
    if base is None:
        return _linear(low, high)
    return _logarithmic(low, high, base)


def spread(positions: Sequence[float], gap: float) -> list[float]:
    """Positions moved as little as needed to stand at least `gap` apart and between 0 and 1, in their order."""
    order = sorted(range(len(positions)), key=lambda index: positions[index])
    placed = [0.0] * len(positions)
    lowest = 0.0
    for index in order:
        placed[index] = lowest = max(positions[index], lowest)
        lowest += gap
    highest = 1.0
    for index in reversed(order):
        placed[index] = highest = min(placed[index], highest)
        highest -= gap
    return placed


def _linear(low: float, high: float) -> Axis:
    margin = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    low, high = low - margin, high + margin
    step = _round_step((high - low) / 5)
    first = math.ceil(low / step)
    ticks = tuple(round(step * n, 12) for n in range(first, math.floor(high / step) + 1))
    return Axis(low, high, ticks)


def _logarithmic(low: float, high: float, base: float) -> Axis:
    margin = (high / low) ** 0.05 if high > low else base
    low, high = low / margin, high * margin
    first, last = math.floor(math.log(low, base)), math.ceil(math.log(high, base))
    within = (1, 2, 5) if base == 10.0 and last - first <= 3 else (1,)
    powers = range(first, last + 1, max(1, (last - first) // 6))
    ticks = [factor * base**power for power in powers for factor in within]
    return Axis(low, high, tuple(tick for tick in ticks if low <= tick <= high), base)


def _round_step(step: float) -> float:
    size = 10.0 ** math.floor(math.log10(step))
    return next(factor * size for factor in (1, 2, 5, 10) if factor * size >= 0.75 * step)
