"""The whole tool as a few functions, for notebooks and for the command line alike.

>>> import suite
>>> run = suite.run(suite.plan("smoke"))         # doctest: +SKIP
>>> run.trials.pivot(index="workload", columns="precision", values="samples_per_second")  # doctest: +SKIP
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from suite import catalog, profiles, runner, store
from suite.companions import looks_of, read_note, topup_folder, whole, write_note
from suite.errors import Incomparable, NoBaseline, ResultsError, UnwritableResults, UsageError
from suite.execution import RunInterruptedError, execute
from suite.files import lock
from suite.home import Home
from suite.runner import Event, Machine
from suite.spec import Plan, expand, more_of
from suite.store import Run

if TYPE_CHECKING:
    from suite.anchor import Anchor
    from suite.judge.findings import Verdicts

__all__ = [
    "MAIN_BASELINE",
    "Planned",
    "RunInterruptedError",
    "compare",
    "gate",
    "plan",
    "prepare_anchor",
    "report",
    "resume",
    "run",
    "top_up",
]

MAIN_BASELINE = "main"
"""The baseline that `run`, `report` and `gate` use unless another is named."""


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
    batch_scale: int = 1,
) -> Planned:
    """Choose what to run. The profile is by default `quick` on a CPU and `standard` on an accelerator.

    `compiled` runs every workload through torch.compile, `batch_scale` multiplies every batch.

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
        batch_scale=batch_scale,
    )
    _check_names({trial.workload for trial in made.trials}, ())
    return Planned(made, machine, text)


def run(
    planned: Planned,
    *,
    home: Home | None = None,
    command: str = "suite.run(…)",
    on_event: Callable[[Event], None] = lambda event: None,
    anchor: Anchor | None = None,
) -> Run:
    """Run every trial, store each as it ends, seal the run. An interrupt keeps what has ended and is passed on.

    With `anchor` the approved baseline's code runs in turn with it, one block of repeats each.
    """
    results = (home or Home.choose()).results
    writer = store.create_run(results, planned.plan, planned.machine.environment, command, planned.profile_text)
    return execute(writer, planned.machine, on_event, anchor)


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
    note = read_note(folder)
    if note is not None and note.reason is None:
        write_note(folder, replace(note, reason="the run was interrupted, and completed without its anchor"))
    return execute(writer, machine, on_event)


def compare(base: Run, candidate: Run, *, home: Home | None = None) -> Verdicts:
    """Findings for every cell, worst first, by what `calibrate` has frozen in `home`, as a gate there would find them.

    Raises:
        Incomparable: the runs are from different machines or stacks.
    """
    from suite.judge.gate import judge_pair

    return judge_pair(base, candidate, (home or Home.choose()).results)


def gate(
    candidate: Run, *, home: Home | None = None, baseline: str = MAIN_BASELINE, topping_up: bool = False
) -> Verdicts:
    """Compare with the approved baseline of this name for the candidate's machine, and write `verdict.json`.

    Where that baseline's code was run in turn with the candidate, its fresh processes are the base. `topping_up` says
    that more processes will be measured where a cell is undecided: the error rates are then divided among all looks.
    Where the run cannot be judged, `verdict.json` says so: what it said before is no answer any more.

    Raises:
        NoBaseline: none is approved.
        Incomparable: it is approved for another machine or other software only.
        UsageError: the candidate was cut short, or is the baseline itself.
        UnwritableResults: `verdict.json` cannot be written.
    """
    from suite.judge.verdict_file import write_refusal

    home = home or Home.choose()
    try:
        return _judge(candidate, home, baseline, topping_up=topping_up)
    except UnwritableResults:
        raise
    except (NoBaseline, Incomparable, ResultsError, UsageError) as error:
        write_refusal(home.reports, candidate.info.run, str(error))
        raise


def _judge(candidate: Run, home: Home, baseline: str, *, topping_up: bool = False) -> Verdicts:
    from suite.judge.gate import judge
    from suite.judge.verdict_file import write_verdicts

    verdicts = judge(candidate, home.results, baseline, topping_up=topping_up)
    write_verdicts(home.reports, verdicts)
    return verdicts


def report(
    candidate: Run,
    *,
    home: Home | None = None,
    baseline: str | None = None,
    refusal: str | None = None,
    inline: bool = False,
) -> Path:
    """Write `reports/<run>/index.html`, `summary.md` and `junit.xml`; returns the path of the page.

    It shows the verdicts that `gate` left in `verdict.json`. A run without any is judged first, and where it cannot be
    the page says why; where a `baseline` is named, the run is judged against that one in any case. `refusal` is why a
    gate could not judge it just now: the page then says that. With `inline` the page holds its script.

    Raises:
        NoBaseline, Incomparable, UsageError: as :func:`gate`, of the one named.
    """
    from suite.interchange.junit import junit_of
    from suite.judge.calibration import calibration_for
    from suite.judge.followed import past_of
    from suite.judge.verdict_file import read_refusal, read_verdicts
    from suite.report import render

    home = home or Home.choose()
    if baseline is not None:
        _judge(candidate, home, baseline)
    verdicts, notice, frozen = None, refusal, None
    try:
        if refusal is None:
            verdicts = read_verdicts(home.reports, candidate.info.run) or _judged_unasked(candidate, home)
    except (NoBaseline, Incomparable, ResultsError, UsageError) as error:
        notice = str(error)  # the run's own numbers are worth a report all the same
        with suppress(ResultsError):
            refusal = read_refusal(home.reports, candidate.info.run)
    try:
        frozen = calibration_for(home.results, candidate.info.fingerprint)
    except ResultsError as error:
        notice = f"{notice}; {error}" if notice and str(error) not in notice else str(error)
    beside, past = {"junit.xml": junit_of(candidate, verdicts, refusal)}, past_of(home.results, candidate.info)
    return render(candidate, verdicts, home, notice, inline=inline, beside=beside, calibration=frozen, past=past)


def _judged_unasked(candidate: Run, home: Home) -> Verdicts:
    """Raises UsageError where the baseline is of another batch: nobody runs a larger one to be told that it is one."""
    from suite.judge.baseline import find

    _, base = find(home.results, MAIN_BASELINE, candidate.info.environment)
    ours, theirs = (profiles.batch_scale_of(run.info.plan, run.folder / "profile.toml") for run in (candidate, base))
    if ours != theirs:
        had, has = (f"{n} times that of its profile" if n > 1 else "its profile's own" for n in (theirs, ours))
        why = f"its batch is {has}, and baseline {MAIN_BASELINE!r} was run with {had}"
        raise UsageError(f"{why}; approve one of this batch under another name, for `ampmark gate --baseline NAME`.")
    return _judge(candidate, home, MAIN_BASELINE)


def prepare_anchor(planned: Planned, *, home: Home | None = None, baseline: str, python: str | None = None) -> Anchor:
    """Make the code of an approved baseline runnable beside the planned run; see `suite.anchor.prepare`.

    Raises:
        NoBaseline, Incomparable: none is approved, or only for another machine or other software.
        UsageError: its code cannot be had.
    """
    from suite.anchor import prepare
    from suite.judge.baseline import find

    results = (home or Home.choose()).results
    approval, base = find(results, baseline, planned.machine.environment)
    return prepare(approval, base, planned.plan, results, python)


def top_up(
    candidate: Run,
    cells: Iterable[tuple[str, str]],
    *,
    processes: int,
    on_event: Callable[[Event], None] = lambda event: None,
    anchor: Anchor | None = None,
) -> Run:
    """Measure more processes of these cells of a stored run, as a run of its own in its folder.

    Raises:
        UsageError: the machine or its software is no longer the same, or another process does that at this moment.
    """
    machine = runner.survey(candidate.info.plan.device)
    _same_ground(candidate, machine)
    held = lock(candidate.folder)
    try:
        plan = more_of(whole(looks_of(candidate)).info.plan, set(cells), processes)
        text = (candidate.folder / "profile.toml").read_text(encoding="utf-8")
        writer = store.create_run(
            topup_folder(candidate.folder), plan, machine.environment, candidate.info.command, text
        )
        return execute(writer, machine, on_event, anchor)
    finally:
        os.close(held)


def _same_ground(candidate: Run, machine: Machine) -> None:
    differences = candidate.info.environment.differences(machine.environment, code=True)
    if differences:
        raise UsageError(
            f"run {candidate.info.run} was made on other ground ({'; '.join(differences)}); start a new run instead."
        )


def _check_names(workloads: Iterable[str], precisions: Iterable[str]) -> None:
    for name in workloads:
        catalog.require("workload", name, catalog.workloads())
    for name in precisions:
        catalog.require("precision", name, catalog.precisions())
