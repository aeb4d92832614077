"""Each machine at the largest batch that was measured on it, beside the batch in which all machines are compared.

A large machine may have more to give than one batch for all shows. Here the machines do different work by intention:
as many steps, each of as many samples as the machine was shown to take. A mode counts where it qualifies at the common
batch; its quality at the larger one is another training's, and is not judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from suite.judge.calibration import Calibration
from suite.judge.cells import rows_of
from suite.judge.nights import machine_of
from suite.purchase.comparison import Offer, offers_of
from suite.purchase.prices import Prices
from suite.record import Outcome
from suite.store import Run, RunInfo

__all__ = ["UNTRIED", "LargestBatch", "batch_of", "larger_only", "largest_batches"]

UNTRIED = "larger ones were not tried"


@dataclass(frozen=True)
class LargestBatch:
    """One machine with one workload in one precision, at the common batch and at the largest measured one."""

    common: Offer
    common_batch: int
    offer: Offer
    """At the largest batch; it stands where it is the machine's fastest of the modes that qualify."""
    batch: int
    beyond: str
    """What is known of batches above that: how the next one ended, or that none was tried."""


def batch_of(info: RunInfo, workload: str) -> int | None:
    """Samples of one optimizer step's micro-batch; None where the run does not have the workload."""
    return next((spec.setup.batch_size for spec in info.plan.trials if spec.workload == workload), None)


def larger_only(info: RunInfo, base: RunInfo) -> bool:
    """Whether the run did what `base` did, on the same machine, and differs in nothing but larger batches."""
    if machine_of(info) != machine_of(base):
        return False
    setups = {spec.workload: (spec.setup, spec.scaler) for spec in base.plan.trials}
    both = [(spec, *setups[spec.workload]) for spec in info.plan.trials if spec.workload in setups]
    return bool(both) and all(
        spec.setup.batch_size > setup.batch_size
        and replace(spec.setup, batch_size=setup.batch_size) == setup
        and spec.scaler == scaler
        for spec, setup, scaler in both
    )


def largest_batches(
    runs: Sequence[Run],
    larger: Sequence[Run],
    every: Sequence[Offer],
    prices: Prices | None,
    calibration_of: Callable[[Run], Calibration] = lambda run: Calibration(),
) -> list[LargestBatch]:
    """Of every offer with numbers that are ranked; `larger` are runs that `larger_only` accepts for one of `runs`."""
    of = {run.info.run: run for run in runs}
    bigger = {run.info.run: [other for other in larger if larger_only(other.info, run.info)] for run in runs}
    made: dict[str, list[Offer]] = {}
    for run in runs:
        name = next((offer.device for offer in every if offer.run == run.info.run), "")
        for other in bigger[run.info.run]:
            made[other.info.run] = list(offers_of(other, name, prices, calibration_of(other)))
    found = [
        _largest(common, of[common.run], bigger[common.run], made)
        for common in every
        if common.unranked is None and common.samples_per_second is not None
    ]
    return list(_standing(found))


def _largest(common: Offer, run: Run, larger: Sequence[Run], made: Mapping[str, Sequence[Offer]]) -> LargestBatch:
    cell = common.workload, common.precision
    batch = batch_of(run.info, common.workload) or 0
    found = LargestBatch(common, batch, common, batch, UNTRIED)
    tried = [(size, other) for other in larger if (size := _planned(other, cell)) is not None]
    for size, other in sorted(tried, key=lambda each: (each[0], each[1].info.created_at)):
        offer = next(each for each in made[other.info.run] if (each.workload, each.precision) == cell)
        if offer.unranked is None and offer.samples_per_second is not None:
            found = replace(found, offer=offer, batch=size, beyond=UNTRIED)
        elif found.beyond == UNTRIED:
            found = replace(found, beyond=f"{size}: {_ended(other, cell, offer)}")
    return found


def _planned(run: Run, cell: tuple[str, str]) -> int | None:
    """The batch in which the run planned the cell."""
    specs = (spec for spec in run.info.plan.trials if (spec.workload, spec.precision) == cell)
    return next((spec.setup.batch_size for spec in specs), None)


def _ended(run: Run, cell: tuple[str, str], offer: Offer) -> str:
    """Why there is no number to compare: how its trials ended, or why those that finished do not count."""
    ended = [str(outcome) for outcome in rows_of(run, cell)["outcome"] if not Outcome(outcome).measured]
    return ", ".join(dict.fromkeys(ended)) or offer.unranked or "not timed"


def _standing(found: Sequence[LargestBatch]) -> Iterator[LargestBatch]:
    """The same, each offer with whether it stands; a machine on which nothing larger was tried is not ranked."""
    for each in found:
        rivals = [other for other in found if _machine(other) == _machine(each) and other.common.excluded is None]
        stands = each is max(rivals, key=_rate, default=None)
        untried = UNTRIED if each.batch == each.common_batch and each.beyond == UNTRIED else None
        offer = replace(
            each.offer,
            recommended=False,
            stands=stands,
            remark=None,
            excluded=each.common.excluded,
            unranked=each.offer.unranked or untried,
        )
        yield replace(each, offer=offer)


def _machine(each: LargestBatch) -> tuple[str, str]:
    return each.common.run, each.common.workload


def _rate(each: LargestBatch) -> float:
    return each.offer.samples_per_second.value if each.offer.samples_per_second else 0.0
