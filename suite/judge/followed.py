"""The history of one machine: every series judged, worst first, and levels accepted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from suite.decode import nearest
from suite.errors import NoResults, ResultsError, UsageError
from suite.judge.acknowledged import Acknowledgement, acknowledge, acknowledgements
from suite.judge.calibration import Calibration, calibration_for
from suite.judge.history import trend_of
from suite.judge.nights import Series, by_means, machine_of, machines, planned, series_of
from suite.judge.trends import ALARMS, ORDER, State, Trend
from suite.spec import TrialSpec
from suite.store import RunInfo, list_runs, read_info, run_folders

__all__ = [
    "MachineHistory",
    "Past",
    "Suspect",
    "accept",
    "follow",
    "histories",
    "machine_labels",
    "past_of",
    "suspects",
]


@dataclass(frozen=True)
class Suspect:
    """A series that a fresh run would decide."""

    workload: str
    precision: str
    setup_sha256: str
    run: str
    """Its newest one: a fresh run is made like it."""
    trials: tuple[TrialSpec, ...]
    """Its trials in that run."""


@dataclass(frozen=True)
class MachineHistory:
    """The nights of one machine, and what they say."""

    newest: RunInfo
    label: str
    """What it is called, beside the others."""
    judged: tuple[tuple[Series, Trend], ...]


@dataclass(frozen=True)
class Past:
    """What the nights up to a run say of the cells that it timed or should have timed."""

    judged: tuple[tuple[Series, Trend], ...] = ()
    unknown: str | None = None
    """Why nothing is known of them."""
    damaged: tuple[str, ...] = ()
    """Earlier runs that cannot be read, and are left out."""


def past_of(results: Path, info: RunInfo) -> Past:
    """Of the run's machine; the runs after it are left out, but not what was accepted or calibrated since.

    Unlike :func:`histories` it raises nothing: what cannot be read is why nothing is known.
    """
    if info.sealed_at is None:
        return Past(unknown="the run is not finished")
    of_run = planned(info)
    if not of_run:
        return Past(unknown="only deterministic kernels were allowed in this run, and such trials are not timed")
    folders = [folder for folder in run_folders(results) if folder.name <= info.run]
    if not folders or folders[-1].name != info.run:
        return Past(unknown="the run is not stored among these results")
    runs, damaged = [], []
    for folder in folders:
        try:
            runs.append(read_info(folder, copies=False))
        except ResultsError:
            damaged.append(folder.name)
    runs = [other for other in runs if machine_of(other) == machine_of(info)]
    sound = [other for other in runs if _has_nights(results, other)]
    damaged += [other.run for other in runs if other not in sound]
    try:
        judged = _judged(results, sound, info)
    except ResultsError as error:  # what was accepted, or calibrated
        return Past(unknown=str(error))
    found = tuple((series, trend) for series, trend in judged if series.work in of_run)
    return Past(found, damaged=tuple(sorted(damaged)))


def _has_nights(results: Path, info: RunInfo) -> bool:
    """Whether the run's own times, and its anchor's, can be read."""
    try:
        series_of(results, Calibration(), info, [info])
    except ResultsError:
        return False
    return True


def follow(results: Path) -> tuple[str, list[Trend]]:
    """The name of the newest run's device, and what each series of every machine says, worst first.

    Raises:
        NoResults: there is no finished run.
    """
    found = histories(results, _finished(results))
    trends = [replace(trend, device=machine.label) for machine in found for _, trend in machine.judged]
    return found[0].newest.environment.device_name, sorted(trends, key=lambda trend: ORDER[trend.state])


def histories(results: Path, runs: Sequence[RunInfo]) -> list[MachineHistory]:
    """Every machine that made one of these stored runs, that of the newest run first; unfinished ones are left out.

    Raises:
        DamagedResults: the nights of a run, or what was accepted or calibrated, cannot be read.
    """
    labels, finished = machine_labels(runs), [info for info in runs if info.sealed_at is not None]
    return [
        MachineHistory(info, labels[info.run], tuple(_judged(results, finished, info))) for info in machines(finished)
    ]


def machine_labels(runs: Sequence[RunInfo]) -> dict[str, str]:
    """What the machine of each run is called, by the run's id."""
    newest = machines(runs)
    names = [info.environment.device_name for info in newest]
    called = {machine_of(info): _label(info, alone=names.count(info.environment.device_name) == 1) for info in newest}
    return {info.run: called[machine_of(info)] for info in runs}


def _label(info: RunInfo, *, alone: bool) -> str:
    """The device; of several machines that are called alike also what tells most of them apart."""
    environment = info.environment
    threads = f"{environment.threads} thread{'s' * (environment.threads > 1)}"
    return environment.device_name + ("" if alone else f" ({environment.cpu}, {threads})")


def suspects(results: Path) -> list[Suspect]:
    """Series of the newest run's machine that a fresh run would decide, or say more of."""
    runs = _finished(results)
    plans = {info.run: info.plan for info in runs}
    found = []
    for series, trend in _judged(results, runs, runs[-1]):
        if trend.worth_a_run and not series.ended:
            run, key = series.nights[-1].run, (series.workload, series.precision, series.setup_sha256)
            trials = tuple(
                spec
                for spec in plans[run].trials
                if (spec.workload, spec.precision) == key[:2] and spec.setup_sha256 == key[2]
            )
            found.append(Suspect(*key, run, trials))
    return found


def accept(results: Path, cell: str, reason: str) -> None:
    """Accept the level of a series: `gpt/bf16`, or `gpt/bf16@1a2b3c4d` with the beginning of its setup's hash.

    Raises:
        UsageError: there is no such series, there are several, nothing to accept, or no reason.
    """
    runs = _finished(results)
    judged = [pair for info in machines(runs) for pair in _judged(results, runs, info)]
    known = {f"{series.workload}/{series.precision}" for series, _ in judged}
    name, setup = cell.replace(" × ", "/"), ""
    if name not in known:
        name, _, setup = name.partition("@")
    if name not in known:
        raise UsageError(f"there is no series {cell!r}; {nearest(name, known)}")
    of_cell = [(series, trend) for series, trend in judged if f"{series.workload}/{series.precision}" == name]
    found = [(series, trend) for series, trend in of_cell if series.setup_sha256.startswith(setup)]
    if not found:
        names = [f"{name}@{series.setup_sha256[:8]}" for series, _ in of_cell]
        raise UsageError(f"there is no series {cell!r}; {nearest(cell, names)}")
    # A series that is steady on another machine, and run since, must not hide the one that got worse.
    worse = _newest([(series, trend) for series, trend in found if trend.state in ALARMS])
    if len(worse) > 1:
        names = [f"{name}@{series.setup_sha256[:8]}" for series, _ in worse]
        raise UsageError(f"{name} has several series that got worse; name one of {', '.join(names)}.")
    series, trend = (worse or _newest(found))[-1]
    acknowledge(results, series, trend, reason)


def _newest(judged: Sequence[tuple[Series, Trend]]) -> list[tuple[Series, Trend]]:
    """Of several series of one setup (on other machines, with other seeds) the one that was run last."""
    ordered = sorted(judged, key=lambda pair: pair[0].nights[-1].at)
    return list({(s.workload, s.precision, s.setup_sha256): (s, trend) for s, trend in ordered}.values())


def _judged(results: Path, runs: Sequence[RunInfo], like: RunInfo) -> list[tuple[Series, Trend]]:
    """Every series of the machine of this run, and what it says."""
    accepted = acknowledgements(results)
    calibration = calibration_for(results, like.fingerprint)
    return [_of_both(series, accepted) for series in series_of(results, calibration, like, runs)]


def _of_both(series: Series, accepted: Sequence[Acknowledgement]) -> tuple[Series, Trend]:
    """A series and what it says; or the same by the means of the steps, where only those say that it got worse."""
    trend, means = trend_of(series, accepted), by_means(series)
    if means is None or trend.state in ALARMS:
        return series, trend
    other = trend_of(means, accepted)
    # A single night's mean is what its slowest steps made of it: only what lasts is said.
    if other.state not in ALARMS or (other.p is None and other.state is State.SUSPECT):
        return series, trend
    said = f"the mean of the steps says so, their {series.estimator} is {trend.state}: only some steps got slower"
    return means, replace(other, reasons=(*other.reasons, said))


def _finished(results: Path) -> list[RunInfo]:
    runs = [info for info in list_runs(results) if info.sealed_at is not None]
    if not runs:
        raise NoResults(f"no finished runs are stored under {results}; run `ampmark run` first, or give --home.")
    return runs
