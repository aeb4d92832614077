"""Which machine is the fastest or the cheapest for a workload, where that can be told.

A machine is better only where the 95 % interval of the ratio of its number to the other's excludes 1
(`suite.judge.estimates.ratio`; no correction for several machines).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from suite.judge.estimates import Estimate, ratio
from suite.purchase.comparison import Offer

__all__ = ["Ranking", "rankings"]


@dataclass(frozen=True)
class Ranking:
    """The machines of one workload, each in the mode in which it is compared."""

    workload: str
    ranked: tuple[Offer, ...]
    """The best first, by its estimate."""
    factors: tuple[Estimate, ...]
    """How many times better the first is than each of the others: as fast, or as much money for the other."""
    left_out: tuple[tuple[str, str], ...]
    """Device and why it is not ranked."""

    @property
    def level(self) -> tuple[Offer, ...]:
        """The first, and those that cannot be told from it."""
        others = zip(self.ranked[1:], self.factors, strict=True)
        return (*self.ranked[:1], *(offer for offer, factor in others if not _above_one(factor)))

    @property
    def winner(self) -> Offer | None:
        """None where fewer than two are ranked, or the first cannot be told from another."""
        return self.ranked[0] if len(self.ranked) > 1 and len(self.level) == 1 else None

    @property
    def against(self) -> tuple[Offer, Estimate] | None:
        """Which machine the first is held against, and by how much it is better: the next, or the next on its level."""
        if len(self.ranked) < 2:
            return None
        rival = self.level[1] if len(self.level) > 1 else self.ranked[1]
        return rival, self.factors[self.ranked.index(rival) - 1]


def rankings(every: Sequence[Offer], *, by_cost: bool) -> list[Ranking]:
    """One per workload: by money per sample with `by_cost`, else by samples per second."""
    devices = list(dict.fromkeys(offer.device for offer in every))
    return [_of_workload(every, workload, devices, by_cost=by_cost) for workload in _workloads(every)]


def _workloads(every: Sequence[Offer]) -> list[str]:
    return list(dict.fromkeys(offer.workload for offer in every))


def _of_workload(every: Sequence[Offer], workload: str, devices: Sequence[str], *, by_cost: bool) -> Ranking:
    here = [offer for offer in every if offer.workload == workload]
    standing = [offer for offer in here if offer.stands and offer.unranked is None and _values(offer, by_cost=by_cost)]
    ranked = sorted(standing, key=lambda offer: _worth(offer, by_cost=by_cost))
    factors = [
        ratio(_values(other, by_cost=True), _values(ranked[0], by_cost=True))
        if by_cost
        else ratio(ranked[0].rates, other.rates)
        for other in ranked[1:]
    ]
    there = {offer.device for offer in ranked}
    out = [(device, _why(device, here)) for device in devices if device not in there]
    return Ranking(workload, tuple(ranked), tuple(factors), tuple(out))


def _values(offer: Offer, *, by_cost: bool) -> tuple[float, ...]:
    """What it is ranked by, of each process; empty where it is not known."""
    if not by_cost:
        return offer.rates
    return () if offer.machine is None or offer.money_per_sample is None else offer.machine.money_per_sample


def _worth(offer: Offer, *, by_cost: bool) -> float:
    """Smaller is better."""
    found = offer.money_per_sample if by_cost else offer.samples_per_second
    if found is None:
        return float("inf")
    return found.value if by_cost else -found.value


def _why(device: str, here: Sequence[Offer]) -> str:
    """Why a machine is not ranked in a workload."""
    modes = [offer for offer in here if offer.device == device]
    if not modes:
        return "its run does not have it"
    standing = next((offer for offer in modes if offer.stands), None)
    if standing is None:
        return "no mode qualifies: " + "; ".join(_excluded(modes))
    return standing.unranked or standing.without_cost or "not timed"


def _excluded(modes: Sequence[Offer]) -> Iterator[str]:
    """Modes with one reason together: `fp32, bf16: 3 of 3 trials were disturbed`."""
    reasons: dict[str, list[str]] = {}
    for offer in modes:
        reasons.setdefault(offer.excluded or "not timed", []).append(offer.precision)
    return (f"{', '.join(names)}: {why}" for why, names in reasons.items())


def _above_one(factor: Estimate) -> bool:
    return factor.low is not None and factor.low > 1
