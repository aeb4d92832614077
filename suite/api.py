"""The whole tool as five functions, for notebooks and for the command line alike.

>>> import suite
>>> run = suite.run(suite.plan("smoke"))         # doctest: +SKIP
>>> run.trials.pivot(index="workload", columns="precision", values="samples_per_second")  # doctest: +SKIP
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from suite import catalog, profiles, runner, store
from suite.decode import encode
from suite.errors import NoBaseline, UnwritableResults, UsageError
from suite.home import Home
from suite.runner import Event, Finished, Machine
from suite.spec import Plan, expand
from suite.store import Run

if TYPE_CHECKING:
    from suite.judge.findings import Verdicts

__all__ = ["MAIN_BASELINE", "Planned", "compare", "gate", "plan", "report", "resume", "run"]

MAIN_BASELINE = "main"
"""The baseline that `run`, `report` and `gate` use unless another is named."""


@dataclass(frozen=True)
class Planned:
    """A plan and the machine it was made for."""

    plan: Plan
    machine: Machine


def plan(
    profile: str | None = None,
    *,
    device: str | None = None,
    workloads: Iterable[str] = (),
    precisions: Iterable[str] = (),
    seeds: Iterable[int] = (),
    repeats: int | None = None,
    timeout_seconds: float | None = None,
) -> Planned:
    """Choose what to run. The profile is by default `quick` on a CPU and `standard` on an accelerator.

    Raises:
        UsageError: an unknown name, or a device that is not here.
        SurveyFailed: torch cannot be started on this machine.
    """
    workloads, precisions = tuple(workloads), tuple(precisions)
    chosen = None if profile is None else profiles.load(profile)
    _check_names(workloads, (*precisions, *(chosen.precisions if chosen else ())))
    machine = runner.survey(device)
    environment = machine.environment
    if chosen is None:
        chosen = profiles.load("quick" if environment.device == "cpu" else "standard")
    made = expand(
        chosen,
        device=environment.device,
        threads=environment.threads,
        workloads=workloads,
        precisions=precisions,
        seeds=seeds,
        repeats=repeats,
        timeout_seconds=timeout_seconds,
    )
    _check_names({trial.workload for trial in made.trials}, ())
    return Planned(made, machine)


def run(
    planned: Planned,
    *,
    home: Home | None = None,
    command: str = "suite.run(…)",
    on_event: Callable[[Event], None] = lambda event: None,
) -> Run:
    """Run every trial, store each as it ends, seal the run. An interrupt keeps what has ended and is passed on."""
    results = (home or Home.choose()).results
    writer = store.create_run(results, planned.plan, planned.machine.environment, command)
    return _finish(writer, planned.machine, on_event)


def resume(folder: Path, *, on_event: Callable[[Event], None] = lambda event: None) -> Run:
    """Complete a run that was cut short.

    Raises:
        UsageError: the run is complete already, or the machine or its software is no longer the same.
    """
    writer = store.reopen_run(folder)
    if writer.info.sealed_at is not None:
        raise UsageError(f"run {writer.info.run} is complete; there is nothing to resume.")
    machine = runner.survey(writer.info.plan.device)
    differences = writer.info.environment.differences(machine.environment)
    if differences:
        raise UsageError(
            f"run {writer.info.run} was begun on other ground ({'; '.join(differences)}); start a new run instead."
        )
    return _finish(writer, machine, on_event)


def compare(base: Run, candidate: Run, baseline: str | None = None) -> Verdicts:
    """Findings for every cell, worst first.

    Raises:
        Incomparable: the runs are from different machines or stacks.
    """
    from suite.judge.gate import compare_runs

    return compare_runs(base, candidate, baseline)


def gate(candidate: Run, *, home: Home | None = None, baseline: str = MAIN_BASELINE) -> Verdicts:
    """Compare with the approved baseline of this name for the candidate's machine.

    Raises:
        NoBaseline: none is approved.
    """
    from suite.judge.baseline import find

    _, base = find((home or Home.choose()).results, baseline, candidate.info.fingerprint)
    return compare(base, candidate, baseline)


def report(
    candidate: Run, *, home: Home | None = None, verdicts: Verdicts | None = None, baseline: str = MAIN_BASELINE
) -> Path:
    """Write `reports/<run>/index.html`, `summary.md` and, where there is something to compare with, `verdict.json`.

    Without `verdicts` the run is compared with the approved baseline, if there is one. Returns the HTML's path.
    """
    from suite.report import render

    home = home or Home.choose()
    notice = None
    if verdicts is None:
        try:
            verdicts = gate(candidate, home=home, baseline=baseline)
        except NoBaseline as error:
            notice = str(error)
    folder = home.reports / candidate.info.run
    page = render(candidate, verdicts, folder, notice)
    if verdicts is not None:
        (folder / "verdict.json").write_text(json.dumps(encode(verdicts), indent=1), encoding="utf-8")
    return page


def check_writable(home: Home) -> None:
    """Find out before hours of measuring, not after.

    Raises:
        UnwritableResults: a folder cannot be made or written to.
    """
    for folder in (home.results, home.reports):
        probe = folder / ".writable"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise UnwritableResults(
                f"{folder} cannot be written to ({error.strerror}); give another folder with --out."
            ) from error


def _finish(writer: store.RunWriter, machine: Machine, on_event: Callable[[Event], None]) -> Run:
    for event in runner.run_plan(writer.info.plan, machine, skip=writer.finished):
        if isinstance(event, Finished):
            writer.append(event.record, event.log)
        on_event(event)
    return writer.seal()


def _check_names(workloads: Iterable[str], precisions: Iterable[str]) -> None:
    for name in workloads:
        catalog.require("workload", name, catalog.workloads())
    for name in precisions:
        catalog.require("precision", name, catalog.precisions())
