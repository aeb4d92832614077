"""Machines side by side: which runs stand for them, and the page that compares them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from suite import store
from suite.errors import NoResults, UsageError
from suite.home import Home
from suite.profiles import batch_scale_of
from suite.store import Run, RunInfo

__all__ = ["Choice", "newest_of_each_machine", "report_hardware", "unused_prices"]

LARGEST_FIRST = ("standard", "quick", "smoke")
"""Built-in profiles; a user's own comes after them, because its size is not known here."""


@dataclass(frozen=True)
class Choice:
    """Which runs stand for the machines, and what they leave out."""

    runs: tuple[Run, ...]
    """One of each machine."""
    remarks: tuple[str, ...] = ()
    """A sentence for each workload that only another run of a machine has."""
    larger: tuple[Run, ...] = ()
    """Runs of the same machines that did the same with a larger batch (`ampmark run --batch-scale`)."""

    @classmethod
    def of(cls, runs: Sequence[Run]) -> Choice:
        """The runs that somebody named.

        Raises:
            UsageError: two are of one machine, and neither is the other with a larger batch.
        """
        from suite.judge.nights import machine_of
        from suite.purchase.batches import larger_only

        named: dict[tuple[object, ...], list[Run]] = {}
        for run in runs:
            named.setdefault(machine_of(run.info), []).append(run)
        chosen, larger = [], []
        for alike in named.values():
            first = next(
                (run for run in alike if not any(larger_only(run.info, other.info) for other in alike)), alike[0]
            )
            others = [run for run in alike if run is not first]
            if not all(larger_only(run.info, first.info) for run in others):
                raise UsageError(
                    f"runs {', '.join(run.info.run for run in alike)} are all of one machine "
                    f"({first.info.environment.device_name}); give only one of these runs, or such as differ in the "
                    "batch alone."
                )
            chosen.append(first)
            larger += others
        return cls(tuple(chosen), larger=tuple(larger))


def newest_of_each_machine(home: Home) -> Choice:
    """For each machine its fullest run of the profile that most machines have, in the order in which they came.

    The fullest has most timed workloads, then most cells, then most trials; of several the newest counts, and an eager
    one before a compiled one. A run that measured a few cells or seeds again stands for no machine that has more. A
    machine that has no run of the profile stands with its largest one. Runs that differ from it in a larger batch alone
    come beside.

    Raises:
        NoResults: there is no finished run.
    """
    from suite.judge.followed import machine_labels
    from suite.judge.nights import machine_of
    from suite.purchase.batches import larger_only

    runs = [info for info in store.list_runs(home.results) if info.sealed_at is not None]
    if not runs:
        raise NoResults(f"no finished runs are stored under {home.results}; run `ampmark run` first, or give --home.")
    shared, labels = _shared_profile(runs), machine_labels(runs)
    chosen, remarks, larger = [], [], []
    for machine in dict.fromkeys(map(machine_of, runs)):
        own = [info for info in runs if machine_of(info) == machine]
        profile = shared if any(info.plan.profile == shared for info in own) else _shared_profile(own)
        fitting = [info for info in own if info.plan.profile == profile]
        scales = {info.run: _batch_scale(home, info) for info in own}
        least = min(scales[info.run] for info in fitting)
        fitting = [info for info in fitting if scales[info.run] == least]
        # max() keeps the first of equals.
        fullest = max(reversed(fitting), key=_fullness)
        chosen.append(fullest)
        scaled = [info for info in own if scales[info.run] > least and info.plan.profile == profile]
        larger += [info for info in scaled if larger_only(info, fullest)]
        remarks += _not_alone_in_batch([info for info in scaled if info not in larger], fullest, labels[fullest.run])
        remarks += _only_elsewhere(fullest, fitting, labels[fullest.run])
    return Choice(_loaded(home, chosen), tuple(remarks), _loaded(home, larger))


def _batch_scale(home: Home, info: RunInfo) -> int:
    return batch_scale_of(info.plan, home.results / "runs" / info.run / "profile.toml")


def _not_alone_in_batch(infos: Sequence[RunInfo], base: RunInfo, label: str) -> list[str]:
    return [
        f"{label}: run {info.run} has a larger batch than run {base.run} and differs in more than that (software, "
        "settings or workloads): it is not shown."
        for info in infos
    ]


def _loaded(home: Home, infos: Sequence[RunInfo]) -> tuple[Run, ...]:
    return tuple(store.load_run(home.results / "runs" / info.run) for info in infos)


def _fullness(info: RunInfo) -> tuple[int, int, bool, int]:
    """Timed workloads, then cells, then eager before compiled, then trials: what nobody timed stands for nothing."""
    timed = [spec for spec in info.plan.trials if not spec.deterministic]
    cells = {(spec.workload, spec.precision) for spec in timed}
    eager = not any(spec.setup.compile for spec in timed)
    return len({workload for workload, _ in cells}), len(cells), eager, len(timed)


def _workloads(info: RunInfo) -> list[str]:
    return list(dict.fromkeys(spec.workload for spec in info.plan.trials))


def _only_elsewhere(chosen: RunInfo, fitting: Sequence[RunInfo], label: str) -> list[str]:
    newest = {workload: info.run for info in fitting for workload in _workloads(info)}
    return [
        f"{label}: run {chosen.run} does not have {workload}, which run {run} of the same machine and profile has."
        for workload, run in newest.items()
        if workload not in _workloads(chosen)
    ]


def _shared_profile(runs: Sequence[RunInfo]) -> str:
    """The profile that most machines have; of equally many the largest, of those of unknown size the newest."""
    from suite.judge.nights import machine_of

    machines: dict[str, set[tuple[object, ...]]] = {}
    newest: dict[str, int] = {}
    for place, info in enumerate(runs):
        machines.setdefault(info.plan.profile, set()).add(machine_of(info))
        newest[info.plan.profile] = place

    def fitness(profile: str) -> tuple[int, int, int]:
        size = -LARGEST_FIRST.index(profile) if profile in LARGEST_FIRST else -len(LARGEST_FIRST)
        return len(machines[profile]), size, newest[profile]

    return max(machines, key=fitness)


def unused_prices(runs: Sequence[Run], prices: Path | None) -> list[str]:
    """A sentence for each entry of the price file that is of no machine and no workload of these runs.

    Raises:
        UsageError: the price file cannot be used.
    """
    from suite.purchase.machines import labels_of
    from suite.purchase.prices import read_prices

    if prices is None:
        return []
    names = {*labels_of(runs).values(), *(run.info.environment.device_name for run in runs)}
    return list(read_prices(prices).unused(names, {name for run in runs for name in _workloads(run.info)}))


def report_hardware(choice: Choice, home: Home, prices: Path | None = None, *, inline: bool = False) -> Path:
    """Write `reports/hardware/index.html`; returns its path. With `inline` it is one file, script and all.

    Raises:
        UsageError: the price file cannot be used.
        UnwritableResults: the page cannot be written.
    """
    from suite.judge.calibration import Calibration, calibration_for
    from suite.purchase.batches import largest_batches
    from suite.purchase.comparison import offers
    from suite.purchase.prices import read_prices
    from suite.report.hardware_sheet import hardware_sheet
    from suite.report.sheet import write_sheet

    def calibration_of(run: Run) -> Calibration:
        return calibration_for(home.results, run.info.fingerprint)

    known = None if prices is None else read_prices(prices)
    every = offers(choice.runs, known, calibration_of)
    sheet = hardware_sheet(
        choice.runs,
        every,
        known,
        None if prices is None else prices.name,
        warnings=[*choice.remarks, *unused_prices(choice.runs, prices)],
        larger=choice.larger,
        batches=largest_batches(choice.runs, choice.larger, every, known, calibration_of) if choice.larger else (),
    )
    return write_sheet(sheet, home.reports, "hardware/index.html", inline=inline)
