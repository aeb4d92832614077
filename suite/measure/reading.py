"""One reading of an instrument: a number, or None and why."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

__all__ = ["Reading", "highest", "lowest", "mean"]


class Reading(NamedTuple):
    """A number, or None and the reason."""

    value: float | None
    reason: str | None = None

    @property
    def integer(self) -> int | None:
        """The value as a whole number (bytes, millijoules)."""
        return None if self.value is None else int(self.value)


def highest(readings: Iterable[Reading]) -> Reading:
    """The largest; one that failed could have been it, so it makes the answer unknown."""
    readings = list(readings)
    return _failed(readings) or max(readings, key=_value)


def lowest(readings: Iterable[Reading]) -> Reading:
    """The smallest, or the reason of the first that failed."""
    readings = list(readings)
    return _failed(readings) or min(readings, key=_value)


def mean(readings: Iterable[Reading]) -> Reading:
    """The arithmetic mean, or the reason of the first that failed."""
    readings = list(readings)
    return _failed(readings) or Reading(sum(map(_value, readings)) / len(readings))


def _failed(readings: list[Reading]) -> Reading | None:
    if not readings:
        return Reading(None, "nothing was read")
    return next((reading for reading in readings if reading.value is None), None)


def _value(reading: Reading) -> float:
    return reading.value or 0.0
