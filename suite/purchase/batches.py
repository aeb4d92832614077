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

    @property
    def tried(self) -> bool:
        """Whether any batch above the common one was."""
        return self.batch > self.common_batch or self.beyond != UNTRIED


def batch_of(info: RunInfo, workload: str) -> int | None:
    """Samples of one optimizer step's micro-batch; None where the run does not have the workload."""
    return next((spec.setup.batch_size for spec in info.plan.trials if spec.workload == workload), None)


def larger_only(info: RunInfo, base: RunInfo) -> bool:
    """Whether the run did on the same machine and software what `base` did, each workload that both have with more."""
    if machine_of(info) != machine_of(base) or info.fingerprint != base.fingerprint:
        return False
    alike = {spec.workload: (spec.setup, spec.scaler, spec.deterministic) for spec in base.plan.trials}
    both = [(spec, *alike[spec.workload]) for spec in info.plan.trials if spec.workload in alike]
    return bool(both) and all(
        spec.setup.batch_size > setup.batch_size
        and replace(spec.setup, batch_size=setup.batch_size) == setup
        and (spec.scaler, spec.deterministic) == (scaler, deterministic)
        for spec, setup, scaler, deterministic in both
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
    tried: dict[int, list[Run]] = {}
    for other in sorted(larger, key=lambda each: (_trials(each, cell), each.info.created_at), reverse=True):
        if (size := _planned(other, cell)) is not None:
            tried.setdefault(size, []).append(other)
    for size, runs in sorted(tried.items()):
        offer, ended = _attempt(cell, run, runs, made)
        if ended is None:
            found = replace(found, offer=offer, batch=size, beyond=UNTRIED)
        elif found.beyond == UNTRIED:
            found = replace(found, beyond=f"{size}: {ended}")
    return found


def _attempt(
    cell: tuple[str, str], base: Run, runs: Sequence[Run], made: Mapping[str, Sequence[Offer]]
) -> tuple[Offer, str | None]:
    """What one batch gave, or why nothing that counts: by the first of several `runs` that was not spoiled."""
    attempts: list[tuple[Offer, str | None]] = []
    for run in runs:
        offer = next(each for each in made[run.info.run] if (each.workload, each.precision) == cell)
        source = _source(run, cell)
        if source and source != _source(base, cell):
            offer = replace(offer, unranked="another source of the workload")
        if offer.samples_per_second is not None and offer.unranked is None:
            attempts.append((offer, None))
            break
        attempts.append((offer, _ended(run, cell, offer)))
        if offer.samples_per_second is None:
            break
    return attempts[-1] if attempts[-1][1] is None else attempts[0]


def _trials(run: Run, cell: tuple[str, str]) -> int:
    """How many the run planned of the cell."""
    return sum((spec.workload, spec.precision) == cell for spec in run.info.plan.trials)


def _planned(run: Run, cell: tuple[str, str]) -> int | None:
    """The batch in which the run planned the cell."""
    specs = (spec for spec in run.info.plan.trials if (spec.workload, spec.precision) == cell)
    return next((spec.setup.batch_size for spec in specs), None)


def _source(run: Run, cell: tuple[str, str]) -> set[str]:
    """Digests of the workload's code in the trials that have one."""
    return set(rows_of(run, cell)["workload_sha256"].dropna())


def _ended(run: Run, cell: tuple[str, str], offer: Offer) -> str:
    """Why there is no number to compare: how its trials ended, or why those that finished do not count."""
    if run.info.sealed_at is None:
        return "the run is unfinished"
    ended = [str(outcome) for outcome in rows_of(run, cell)["outcome"] if not Outcome(outcome).measured]
    return ", ".join(dict.fromkeys(ended)) or offer.unranked or "not timed"


def _standing(found: Sequence[LargestBatch]) -> Iterator[LargestBatch]:
    """The same, each offer with whether it stands: a machine is ranked in a mode of which a larger batch was tried."""
    for each in found:
        rivals = [other for other in found if _machine(other) == _machine(each) and other.common.excluded is None]
        tried = [other for other in rivals if other.tried]
        stands = each is max(tried or rivals, key=_rate, default=None)
        offer = replace(
            each.offer,
            recommended=False,
            stands=stands,
            remark=_remark(each, rivals) if stands else None,
            excluded=each.common.excluded,
            unranked=each.offer.unranked or (None if each.tried else UNTRIED),
        )
        yield replace(each, offer=offer)


def _remark(each: LargestBatch, rivals: Sequence[LargestBatch]) -> str:
    """`batch 16, slower than batch 4; bf16 was not tried larger`."""
    slower = f", slower than batch {each.common_batch}" if _rate(each) < _rate(replace(each, offer=each.common)) else ""
    untried = [other.common.precision for other in rivals if not other.tried]
    said = f"; {', '.join(untried)} {'was' if len(untried) == 1 else 'were'} not tried larger" if untried else ""
    return f"batch {each.batch}{slower}{said}"


def _machine(each: LargestBatch) -> tuple[str, str]:
    return each.common.run, each.common.workload


def _rate(each: LargestBatch) -> float:
    return each.offer.samples_per_second.value if each.offer.samples_per_second else 0.0
