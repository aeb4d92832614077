"""Machines side by side: what each does with a workload in each precision, what that costs, and when which one wins.

Two machines are compared in a workload only where they did the same work: equal sizes, batch, steps, optimizer and
scaler. What was emulated, disturbed, not timed or not finished is shown and never ranked.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from suite.decode import encode
from suite.judge.cells import cells_of, measured, rows_of
from suite.judge.estimates import Estimate, estimate
from suite.judge.quality import against_fp32
from suite.judge.recommendation import recommend, unranked
from suite.purchase.costs import JOULES_PER_KWH, Machine, break_even_price
from suite.purchase.prices import Prices
from suite.spec import TrialSpec
from suite.store import Run

__all__ = ["BreakEven", "Offer", "break_evens", "offers"]

NO_PRICES = "no price file was given"


@dataclass(frozen=True)
class Offer:
    """One machine with one workload in one precision."""

    device: str
    run: str
    workload: str
    precision: str
    recommended: bool
    """Whether it is the mode that the rule recommends for this workload on this machine."""
    samples_per_second: Estimate | None = None
    """Of the steps that were applied: a skipped one has taught nothing."""
    joules_per_sample: Estimate | None = None
    """Of the device, per sample of an applied step."""
    money_per_sample: Estimate | None = None
    peak_bytes: float | None = None
    """Median over processes of what torch allocated."""
    device_bytes: int | None = None
    unranked: str | None = None
    """Why its numbers are not compared with others'; None where they are."""
    without_cost: str | None = None
    """Why there is no cost; None where there is one."""
    machine: Machine | None = None
    """What its costs are made of."""

    @property
    def headroom_bytes(self) -> float | None:
        """Device memory that the workload leaves free."""
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


def offers(runs: Sequence[Run], prices: Prices | None) -> list[Offer]:
    """Every cell that any of the runs planned, by workload, then machine, then precision."""
    found = [offer for run in runs for offer in _of_run(run, prices)]
    tasks = {offer_key: task for run in runs for offer_key, task in _tasks(run)}
    compared = [_beside_others(offer, tasks) for offer in found]
    order = {workload: place for place, workload in enumerate(dict.fromkeys(offer.workload for offer in found))}
    return sorted(compared, key=lambda offer: order[offer.workload])


def break_evens(every: Sequence[Offer]) -> Iterator[BreakEven]:
    """For each workload and each ordered pair of machines, both in the modes recommended for them."""
    best = [offer for offer in every if offer.recommended and offer.unranked is None and offer.money_per_sample]
    for offer in best:
        for rival in best:
            if offer.workload == rival.workload and offer.run != rival.run and offer.machine and rival.machine:
                yield BreakEven(offer.workload, offer, rival, break_even_price(offer.machine, rival.machine))


def _of_run(run: Run, prices: Prices | None) -> Iterator[Offer]:
    chosen = {said.workload: said.precision for said in recommend(run, against_fp32(run))}
    for workload, precision in cells_of(run):
        rows = rows_of(run, (workload, precision))
        finished = measured(rows)
        planned = sum((spec.workload, spec.precision) == (workload, precision) for spec in run.info.plan.trials)
        offer = Offer(
            device=run.info.environment.device_name,
            run=run.info.run,
            workload=workload,
            precision=precision,
            recommended=chosen.get(workload) == precision,
            device_bytes=run.info.environment.device_memory_bytes,
            unranked=unranked(rows, finished, planned),
        )
        yield offer if finished.empty else _with_numbers(offer, finished, prices)


def _with_numbers(offer: Offer, rows: pd.DataFrame, prices: Prices | None) -> Offer:
    rates = _every(rows, "effective_samples_per_second")
    raw, energies = _every(rows, "samples_per_second"), _every(rows, "energy_joules_per_sample")
    if rates is None or raw is None:
        return replace(offer, unranked=offer.unranked or "not timed", without_cost="not timed")
    # A skipped step takes energy as well, and it is the applied ones that are paid for.
    joules = tuple(
        each * all_ / applied for each, all_, applied in zip(energies or (), raw, rates, strict=energies is not None)
    )
    peak = rows["peak_allocated_bytes"].dropna()
    offer = replace(
        offer,
        samples_per_second=estimate(rates),
        joules_per_sample=estimate(joules) if joules else None,
        peak_bytes=None if peak.empty else float(peak.median()),
    )
    price = None if prices is None else prices.of(offer.device)
    if prices is None or price is None:
        return replace(offer, without_cost=NO_PRICES if prices is None else "the price file has no such device")
    per_joule = (prices.power_price_per_kwh or 0.0) * prices.power_overhead / JOULES_PER_KWH
    machine = Machine(price, rates, joules, per_joule)
    if not machine.complete:
        return replace(offer, without_cost="it was bought, and its energy was not metered", machine=machine)
    return replace(offer, machine=machine, money_per_sample=estimate(machine.money_per_sample))


def _every(rows: pd.DataFrame, column: str) -> tuple[float, ...] | None:
    """The column's values where every process has one."""
    values = rows[column]
    return None if values.isna().any() else tuple(float(value) for value in values)


_Key = tuple[str, str, str]


def _tasks(run: Run) -> Iterator[tuple[_Key, str]]:
    """Run, workload and precision of each cell, and its work as text: equal where the work is."""
    for spec in run.info.plan.trials:
        yield (run.info.run, spec.workload, spec.precision), _task(spec)


def _task(spec: TrialSpec) -> str:
    return json.dumps([encode(spec.setup), encode(spec.scaler)], sort_keys=True)


def _beside_others(offer: Offer, tasks: Mapping[_Key, str]) -> Offer:
    """Unranked where its work is not what most machines did; of equally many the first."""
    of_cell = [task for key, task in tasks.items() if key[1:] == (offer.workload, offer.precision)]
    usual = Counter(of_cell).most_common(1)[0][0]
    if tasks[offer.run, offer.workload, offer.precision] == usual or offer.unranked is not None:
        return offer
    return replace(offer, unranked="other work than the other machines did: its sizes, steps or optimizer differ")
