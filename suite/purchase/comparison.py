"""Machines side by side: what each does with a workload in each precision, what that costs, and when which one wins.

Two machines are compared in a workload only where they did the same work (`tasks.py`), each in its fastest mode that
qualifies. What was emulated, disturbed, not timed or not finished is shown and never ranked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from suite.judge.calibration import Calibration
from suite.judge.cells import measured, rows_of
from suite.judge.estimates import Estimate, estimate
from suite.judge.recommendation import NONE_APPLIED, Mode, Recommendation, recommendations
from suite.purchase.costs import JOULES_PER_KWH, Machine, break_even_price
from suite.purchase.machines import labels_of
from suite.purchase.prices import MachinePrice, Prices
from suite.purchase.tasks import odd_ones, task_of
from suite.store import Run

__all__ = ["MEMORY_LAYERS", "BreakEven", "Offer", "break_evens", "offers", "offers_of"]

NO_PRICES = "no price file was given"
MEMORY_LAYERS = {
    "peak_device_bytes": "the device's peak",
    "peak_reserved_bytes": "what torch reserved",
    "peak_allocated_bytes": "what torch allocated",
}
"""Where the memory in use is read, the nearest to the device's limit first: column of the trials → words."""


@dataclass(frozen=True)
class Offer:
    """One machine with one workload in one precision."""

    device: str
    """What the machine is called: its device, and more where several have the same."""
    run: str
    workload: str
    precision: str
    recommended: bool
    """Whether it is the mode that the rule recommends for this workload on this machine."""
    stands: bool = False
    """Whether the machine is compared with others in this mode: its fastest that qualifies."""
    remark: str | None = None
    """Of the mode that stands: which faster ones are not counted, and why."""
    excluded: str | None = None
    """Why the mode does not qualify; None where it does."""
    samples_per_second: Estimate | None = None
    """Of the steps that were applied: a skipped one has taught nothing."""
    rates: tuple[float, ...] = ()
    """The same of each process."""
    joules_per_sample: Estimate | None = None
    """Of the device, per sample of an applied step."""
    money_per_sample: Estimate | None = None
    """In the price file's currency."""
    peak_bytes: float | None = None
    """The highest of the processes, in the first of the layers that every process has."""
    peak_layer: str | None = None
    """Which one, in words."""
    device_bytes: int | None = None
    unranked: str | None = None
    """Why its numbers are not compared with others'; None where they are."""
    without_cost: str | None = None
    """Why there is no cost; None where there is one."""
    price: MachinePrice | None = None
    """The price file's entry for the device or for the machine's name."""
    machine: Machine | None = None
    """What its costs are made of."""

    @property
    def headroom_bytes(self) -> float | None:
        """Device memory that the workload leaves free, at most: what was in use before it is not known here."""
        if self.peak_bytes is None or self.device_bytes is None:
            return None
        return self.device_bytes - self.peak_bytes


@dataclass(frozen=True)
class BreakEven:
    """The price of one machine below which it trains a workload for less than the other."""

    workload: str
    offer: Offer
    rival: Offer
    price: Estimate
    """In the price file's currency: of an hour, or of the machine, as its entry there is."""


def offers(
    runs: Sequence[Run],
    prices: Prices | None,
    calibration_of: Callable[[Run], Calibration] = lambda run: Calibration(),
) -> list[Offer]:
    """Every cell that any of the runs planned, by workload, then machine, then precision.

    `calibration_of` gives what is frozen for a run's machine: the margins that its qualities are judged by.
    """
    names = labels_of(runs)
    found = [offer for run in runs for offer in offers_of(run, names[run.info.run], prices, calibration_of(run))]
    order = {workload: place for place, workload in enumerate(dict.fromkeys(offer.workload for offer in found))}
    odd = {workload: _odd(workload, runs, found) for workload in order}
    compared = [replace(offer, unranked=offer.unranked or odd[offer.workload].get(offer.run)) for offer in found]
    return sorted(compared, key=lambda offer: order[offer.workload])


def break_evens(every: Sequence[Offer]) -> Iterator[BreakEven]:
    """For each workload and each ordered pair of machines, both in the modes in which they are compared."""
    best = [offer for offer in every if offer.stands and offer.unranked is None and offer.money_per_sample]
    for offer in best:
        for rival in best:
            if offer.workload == rival.workload and offer.run != rival.run and offer.machine and rival.machine:
                yield BreakEven(offer.workload, offer, rival, break_even_price(offer.machine, rival.machine))


def _odd(workload: str, runs: Sequence[Run], found: Sequence[Offer]) -> dict[str, str]:
    tasks = {run.info.run: task for run in runs if (task := task_of(run, workload)) is not None}
    return odd_ones(tasks, {o.run for o in found if o.workload == workload and o.stands})


def offers_of(run: Run, name: str, prices: Prices | None, calibration: Calibration) -> Iterator[Offer]:
    """Every cell that one run planned; `name` is what its machine is called."""
    for said in recommendations(run, calibration):
        for mode in said.modes:
            finished = measured(rows_of(run, (said.workload, mode.precision)))
            offer = Offer(
                device=name,
                run=run.info.run,
                workload=said.workload,
                precision=mode.precision,
                recommended=said.precision == mode.precision,
                stands=said.qualified == mode.precision,
                remark=_remark(said, mode),
                excluded=mode.excluded,
                device_bytes=run.info.environment.device_memory_bytes,
                unranked=mode.unranked,
                price=None if prices is None else prices.of(name, run.info.environment.device_name),
            )
            yield offer if finished.empty else _with_numbers(offer, finished, prices)


def _remark(said: Recommendation, mode: Mode) -> str | None:
    """`bf16 not counted: its quality is undecided: 1 seed`."""
    if said.qualified != mode.precision or not said.uncounted:
        return None
    return "; ".join(
        f"{other.precision} not counted: {other.excluded}" for other in said.modes if other.precision in said.uncounted
    )


def _with_numbers(offer: Offer, rows: pd.DataFrame, prices: Prices | None) -> Offer:
    rates = _every(rows, "effective_samples_per_second")
    raw, energies = _every(rows, "samples_per_second"), _every(rows, "energy_joules_per_sample")
    if rates is None or raw is None:
        return replace(offer, unranked=offer.unranked or "not timed", without_cost="not timed")
    if min(rates) <= 0:
        return replace(offer, unranked=offer.unranked or NONE_APPLIED, without_cost=NONE_APPLIED)
    # A counter that did not move has metered nothing.
    energies = None if energies is None or min(energies) <= 0 else energies
    # A skipped step takes energy as well, and it is the applied ones that are paid for.
    joules = tuple(
        each * all_ / applied for each, all_, applied in zip(energies or (), raw, rates, strict=energies is not None)
    )
    offer = replace(
        _with_memory(offer, rows),
        samples_per_second=estimate(rates),
        rates=rates,
        joules_per_sample=estimate(joules) if joules else None,
    )
    price = offer.price
    if prices is None or price is None:
        return replace(offer, without_cost=NO_PRICES if prices is None else "the price file has no such device")
    per_joule = (prices.power_price_per_kwh or 0.0) * prices.power_overhead / JOULES_PER_KWH
    machine = Machine(price, rates, joules, per_joule)
    if not machine.complete:
        return replace(offer, without_cost="it was bought, and its energy was not metered", machine=machine)
    return replace(offer, machine=machine, money_per_sample=estimate(machine.money_per_sample))


def _with_memory(offer: Offer, rows: pd.DataFrame) -> Offer:
    for column, words in MEMORY_LAYERS.items():
        peaks = _every(rows, column)
        if peaks is not None:
            return replace(offer, peak_bytes=max(peaks), peak_layer=words)
    return offer


def _every(rows: pd.DataFrame, column: str) -> tuple[float, ...] | None:
    """The column's values where every process has one."""
    values = rows[column]
    return None if values.isna().any() else tuple(float(value) for value in values)
