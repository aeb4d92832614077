"""`history`, `explain`, `calibrate`: what the nights say, why a verdict is what it is, and what is frozen before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from suite import api
from suite.cli.options import FailOption, HomeOption, JsonOption, failing_on, load, print_json, rewrite_index
from suite.companions import read_note
from suite.decode import encode
from suite.errors import NoResults, UsageError
from suite.home import Home
from suite.spec import TrialSpec
from suite.terminal.progress import RunDisplay
from suite.terminal.verdicts import print_calibration, print_trends

if TYPE_CHECKING:
    from suite.judge.findings import Verdicts

__all__ = ["calibrate", "explain", "history"]

CONFIRMING_PROCESSES = 5
"""Fresh processes of each suspect, and as many of its anchor."""


def explain(
    cell: Annotated[str, typer.Argument(help="A cell, such as gpt/bf16.")],
    run: Annotated[str, typer.Argument(help="The run that was judged.")] = "latest",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Why a cell's verdict is what it is: numbers, formula, operators, and the command that shows it again."""
    from suite.judge.explain import explain as lines_of
    from suite.judge.explain import find_cell

    place = Home.choose(home)
    verdicts = _stored_verdicts(place, load(place, run).info.run)
    if as_json:
        print_json(encode(find_cell(verdicts, cell)))
    else:
        print("\n".join(lines_of(verdicts, cell)))


def history(
    acknowledge: Annotated[str | None, typer.Option(help="Accept the level of a cell, such as gpt/bf16.")] = None,
    reason: Annotated[str, typer.Option(help="Why it is accepted.")] = "",
    confirm: Annotated[bool, typer.Option("--confirm", help="Measure the suspects again now, then judge.")] = False,
    anchor_python: Annotated[
        str | None, typer.Option(help="With --confirm: Python that has the baseline's code, as for `ampmark run`.")
    ] = None,
    fail_on: FailOption = "regressed",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """What the stored runs say together: change points with their range of runs, drift, suspects."""
    from suite.judge.followed import accept, follow
    from suite.judge.trends import exit_status

    place = Home.choose(home)
    failing = failing_on(fail_on)
    if acknowledge is not None:
        accept(place.results, acknowledge, reason)
    if confirm:
        _measure_again(place, anchor_python, quiet=as_json)
    device, trends = follow(place.results)
    if confirm or acknowledge is not None:
        rewrite_index(place)
    if as_json:
        print_json({"device": device, "series": encode(trends)})
    else:
        print_trends(trends, device)
    raise typer.Exit(exit_status(trends, failing))


def calibrate(
    run: Annotated[str, typer.Argument(help="A run in which nothing changed: many repeats, or many seeds.")],
    reason: Annotated[str, typer.Option(help="Why its processes may be taken for equal.")],
    renew: Annotated[bool, typer.Option("--replace", help="End the former series and begin another.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Freeze, from an A/A run, the estimator of each series and the margin of each quality."""
    from suite.judge.calibration import calibrate as choose
    from suite.judge.calibration import freeze

    place = Home.choose(home)
    chosen = choose(load(place, run), reason)
    freeze(place.results, chosen, replace=renew)
    rewrite_index(place)
    if as_json:
        print_json(encode(chosen))
    else:
        print_calibration(chosen)


def _measure_again(place: Home, python: str | None, *, quiet: bool) -> None:
    """Fresh runs of the suspects: each like the newest run of its series, with the anchor that that one had."""
    from suite.judge.followed import suspects

    found = suspects(place.results)
    if not found:
        typer.echo("no series is suspect, and none is worth a fresh run.", err=quiet)
        return
    alike: dict[tuple[str, bool], list[TrialSpec]] = {}
    for suspect in found:
        for spec in suspect.trials:
            alike.setdefault((suspect.run, spec.setup.compile), []).append(spec)
    if python is None:
        for run in dict.fromkeys(run for run, _ in alike):
            note = read_note(place.results / "runs" / run)
            if note is not None and note.own_python:
                raise UsageError(f"the anchor of run {run} had a Python of its own; name it with --anchor-python.")
    for (run, compiled), specs in alike.items():
        _run_like(place, run, specs, python, compiled=compiled, quiet=quiet)


def _run_like(
    place: Home, run: str, specs: Sequence[TrialSpec], python: str | None, *, compiled: bool, quiet: bool
) -> None:
    """A fresh run of the cells of these trials, which are of one stored run."""
    folder = place.results / "runs" / run
    note = read_note(folder)
    cells = {(spec.workload, spec.precision) for spec in specs}
    with RunDisplay(quiet=quiet) as display:
        display.surveying()
        planned = api.plan(
            str(folder / "profile.toml"),
            device=specs[0].device,
            workloads=sorted({workload for workload, _ in cells}),
            precisions=sorted({precision for _, precision in cells}),
            seeds=sorted({spec.seed for spec in specs}),
            repeats=CONFIRMING_PROCESSES,
            compiled=compiled,
        )
        chosen = tuple(spec for spec in planned.plan.trials if (spec.workload, spec.precision) in cells)
        planned = replace(planned, plan=replace(planned.plan, trials=chosen))
        anchor = (
            None if note is None else api.prepare_anchor(planned, home=place, baseline=note.baseline, python=python)
        )
        display.planned(planned)
        api.run(planned, home=place, command="ampmark history --confirm", on_event=display.on_event, anchor=anchor)


def _stored_verdicts(home: Home, run: str) -> Verdicts:
    from suite.judge.verdict_file import read_verdicts

    verdicts = read_verdicts(home.reports, run)
    if verdicts is None:
        raise NoResults(f"run {run} was not judged yet; `ampmark gate {run}` does, against an approved baseline.")
    return verdicts
