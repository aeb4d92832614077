"""Costs of a sample on one machine, and the price at which two machines cost the same. Pure functions of numbers.

The unit is the process, as everywhere in ampmark: each gives one throughput and, where it was metered, one energy per
sample. A break-even price without a part for power is a ratio (`suite.judge.estimates`). One with it is a difference
that may be negative: its interval is Student's by the delta method with Welch's degrees of freedom (Welch 1947).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from suite.judge.estimates import Estimate, half_width, ratio
from suite.purchase.prices import MachinePrice

__all__ = ["JOULES_PER_KWH", "SECONDS_PER_HOUR", "Machine", "break_even_price"]

SECONDS_PER_HOUR = 3600.0
JOULES_PER_KWH = 3.6e6


@dataclass(frozen=True)
class Machine:
    """What one machine does with a workload in one precision, and what it costs."""

    price: MachinePrice
    samples_per_second: tuple[float, ...]
    """One per process."""
    joules_per_sample: tuple[float, ...]
    """Of the same processes; empty where energy was not metered."""
    money_per_joule: float
    """Power price with overhead; it counts only where the machine was bought."""

    @property
    def complete(self) -> bool:
        """Whether everything is known that its costs are made of."""
        return not self._needs_energy or len(self.joules_per_sample) == len(self.samples_per_second)

    @property
    def _needs_energy(self) -> bool:
        return self.price.bought and self.money_per_joule > 0

    @property
    def power_per_sample(self) -> tuple[float, ...]:
        """Money for power, per sample, of each process."""
        if not self._needs_energy:
            return (0.0,) * len(self.samples_per_second)
        return tuple(self.money_per_joule * joules for joules in self.joules_per_sample)

    @property
    def money_per_sample(self) -> tuple[float, ...]:
        """Rent or depreciation, and power, per sample, of each process."""
        hour = self.price.per_hour / SECONDS_PER_HOUR
        return tuple(
            hour / rate + power for rate, power in zip(self.samples_per_second, self.power_per_sample, strict=True)
        )


def break_even_price(machine: Machine, rival: Machine) -> Estimate:
    """The price of `machine`, in its own terms, at which a sample costs as much on it as on `rival`: it wins below.

    c = P / (3600 h s) + w solved for P, with c the money per sample of the rival, s and w this machine's rate and
    power per sample, and h the hours that its price P is spread over. Negative: it does not win even as a gift.
    """
    spread = SECONDS_PER_HOUR * machine.price.hours
    other = np.asarray(rival.money_per_sample)
    rate, power = np.asarray(machine.samples_per_second), np.asarray(machine.power_per_sample)
    if not power.any() and other.all():
        # A ratio then, with the means and the interval that the ranking has, so that the two cannot disagree.
        return ratio(rival.money_per_sample, tuple(1.0 / rate)).times(spread)
    value = float(spread * (other.mean() * rate.mean() - (power * rate).mean()))
    sides = (spread * rate.mean() * other, spread * (other.mean() * rate - power * rate))
    reach = half_width(*sides)
    return Estimate(value) if reach is None else Estimate(value, value - reach, value + reach)
