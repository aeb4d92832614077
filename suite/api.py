"""The whole tool as five functions, for notebooks and for the command line alike.

>>> import suite
>>> run = suite.run(suite.plan("smoke"))         # doctest: +SKIP
>>> run.trials.pivot(index="workload", columns="precision", values="samples_per_second")  # doctest: +SKIP
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from suite import catalog, profiles, runner, store
from suite.decode import encode
from suite.errors import NoBaseline, ResultsError, UnwritableResults, UsageError
from suite.files import write_atomically
from suite.home import Home
from suite.runner import Event, Finished, Machine
from suite.spec import Plan, expand
from suite.store import Run

if TYPE_CHECKING:
    from suite.judge.findings import Verdicts

__all__ = [
    "MAIN_BASELINE",
    "Planned",
    "RunInterruptedError",
    "compare",
    "gate",
    "plan",
    "report",
    "resume",
    "run",
]

MAIN_BASELINE = "main"
"""The baseline that `run`, `report` and `gate` use unless another is named."""


class RunInterruptedError(KeyboardInterrupt):
    """Ctrl-C during a run: every finished trial is kept, and `run` says which run it was."""

    def __init__(self, run: str) -> None:
        super().__init__(f"run {run} was interrupted")
        self.run = run


@dataclass(frozen=True)
class Planned:
    """A plan, the machine it was made for, and the text of its profile."""

    plan: Plan
    machine: Machine
    profile_text: str


def plan(
    profile: str | None = None,
    *,
    device: str | None = None,
    workloads: Iterable[str] = (),
    precisions: Iterable[str] = (),
    seeds: Iterable[int] = (),
    repeats: int | None = None,
    timeout_seconds: float | None = None,
    compiled: bool = False,
    deterministic: bool = False,
) -> Planned:
    """Choose what to run. The profile is by default `quick` on a CPU and `standard` on an accelerator.

    `compiled` runs every workload through torch.compile.

    Raises:
        UsageError: an unknown name, or a device that is not here.
        SurveyFailed: torch cannot be started on this machine.
    """
    workloads, precisions = tuple(workloads), tuple(precisions)
    chosen = None if profile is None else profiles.load(profile)
    text = "" if profile is None else profiles.text(profile)
    _check_names(workloads, (*precisions, *(chosen.precisions if chosen else ())))
    machine = runner.survey(device)
    environment = machine.environment
    if chosen is None:
        name = "quick" if environment.device == "cpu" else "standard"
        chosen, text = profiles.load(name), profiles.text(name)
    made = expand(
        chosen,
        device=environment.device,
        threads=environment.threads,
        workloads=workloads,
        precisions=precisions,
        seeds=seeds,
        repeats=repeats,
        timeout_seconds=timeout_seconds,
        compiled=compiled,
        deterministic=deterministic,
    )
    _check_names({trial.workload for trial in made.trials}, ())
    return Planned(made, machine, text)


def run(
    planned: Planned,
    *,
    home: Home | None = None,
    command: str = "suite.run(…)",
    on_event: Callable[[Event], None] = lambda event: None,
) -> Run:
    """Run every trial, store each as it ends, seal the run. An interrupt keeps what has ended and is passed on."""
    results = (home or Home.choose()).results
    writer = store.create_run(results, planned.plan, planned.machine.environment, command, planned.profile_text)
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
    differences = writer.info.environment.differences(machine.environment, code=True)
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
        except (NoBaseline, ResultsError) as error:
            notice = str(error)  # the run's own numbers are worth a report all the same
    folder = home.reports / candidate.info.run
    page = render(candidate, verdicts, folder, notice)
    if verdicts is not None:
        write_atomically(folder / "verdict.json", json.dumps(encode(verdicts), indent=1).encode())
    else:
        # A verdict from before would contradict the page beside it.
        (folder / "verdict.json").unlink(missing_ok=True)
    return page


def check_writable(home: Home) -> None:
    """Find out before hours of measuring, not after.

    Raises:
        UnwritableResults: a folder cannot be made or written to.
    """
    for folder in (home.results, home.reports):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            raise UnwritableResults(
                f"{folder} cannot be written to ({error.strerror}); give another folder with --out."
            ) from error


def _finish(writer: store.RunWriter, machine: Machine, on_event: Callable[[Event], None]) -> Run:
    try:
        for event in runner.run_plan(writer.info.plan, machine, skip=writer.finished):
            if isinstance(event, Finished):
                writer.append(event.record, event.log)
            on_event(event)
        return writer.seal()
    except KeyboardInterrupt:
        raise RunInterruptedError(writer.info.run) from None


def _check_names(workloads: Iterable[str], precisions: Iterable[str]) -> None:
    for name in workloads:
        catalog.require("workload", name, catalog.workloads())
    for name in precisions:
        catalog.require("precision", name, catalog.precisions())
