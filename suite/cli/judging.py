"""`report`, `compare`, `gate`, `baseline`: what stored runs say."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from suite import api
from suite.cli.options import (
    BaselineOption,
    FailOption,
    HomeOption,
    JsonOption,
    failing_on,
    load,
    print_json,
    rewrite_index,
)
from suite.decode import encode
from suite.errors import SuiteError, UsageError
from suite.hardware import Choice, newest_of_each_machine, report_hardware, unused_prices
from suite.home import Home
from suite.terminal.progress import RunDisplay
from suite.terminal.runs import print_baselines
from suite.terminal.verdicts import print_verdicts

if TYPE_CHECKING:
    from suite.judge.findings import Verdicts
    from suite.store import Run

__all__ = ["baseline", "compare", "gate", "report"]

baseline = typer.Typer(no_args_is_help=True, help="Approved baselines: they move only when somebody approves.")


def report(
    runs: Annotated[
        list[str] | None, typer.Argument(help="Run ids, beginnings of them, folders, or latest (the default).")
    ] = None,
    baseline: Annotated[str | None, typer.Option(help="Judge it again first, against this approved baseline.")] = None,
    hardware: Annotated[
        bool,
        typer.Option("--hardware", help="One page of machines side by side; by default their fullest runs."),
    ] = False,
    prices: Annotated[
        Path | None, typer.Option(help="With --hardware: TOML file of what the machines cost (docs/prices.toml).")
    ] = None,
    inline: Annotated[
        bool, typer.Option("--inline", help="Put the script of the charts into the page: one file to send.")
    ] = False,
    home: HomeOption = None,
) -> None:
    """Write the HTML report (and Markdown) of stored runs again, with the verdicts that `gate` has left."""
    place = Home.choose(home)
    if hardware:
        if baseline is not None:
            raise UsageError("--hardware compares machines and no baseline; leave out --baseline.")
        choice = Choice.of([load(place, run) for run in runs]) if runs else newest_of_each_machine(place)
        for said in (*choice.remarks, *unused_prices(choice.runs, prices)):
            print(f"! {said}", file=sys.stderr)
        print(report_hardware(choice, place, prices, inline=inline))
        rewrite_index(place)
        return
    if prices is not None:
        raise UsageError("--prices belongs to --hardware; add that.")
    for run in runs or ["latest"]:
        print(api.report(load(place, run), home=place, baseline=baseline, inline=inline))
    rewrite_index(place)


def compare(
    base: Annotated[str, typer.Argument(help="The run to measure against.")],
    candidate: Annotated[str, typer.Argument(help="The run to judge.")],
    fail_on: FailOption = "regressed",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Judge one stored run against another, cell by cell."""
    place = Home.choose(home)
    failing = failing_on(fail_on)
    verdicts = api.compare(load(place, base), load(place, candidate), home=place)
    _say(verdicts, as_json)
    raise typer.Exit(verdicts.exit_status(failing))


def gate(
    run: Annotated[str, typer.Argument(help="The run to judge.")] = "latest",
    baseline: BaselineOption = api.MAIN_BASELINE,
    fail_on: FailOption = "regressed",
    top_up: Annotated[
        bool, typer.Option("--top-up", help="Measure undecided cells again, up to twice; error rates are divided by 3.")
    ] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """What CI calls: judge a run against the approved baseline, write verdict.json and the report, exit accordingly."""
    place = Home.choose(home)
    failing = failing_on(fail_on)
    candidate = load(place, run)
    try:
        verdicts = api.gate(candidate, home=place, baseline=baseline, topping_up=top_up)
    except SuiteError as error:
        with suppress(SuiteError):  # the page must not go on saying what an earlier gate said
            api.report(candidate, home=place, refusal=str(error))
        rewrite_index(place)
        raise
    if top_up:
        verdicts = _topped_up(candidate, place, baseline, verdicts, quiet=as_json)
    _say(verdicts, as_json)  # the answer first: it is there even if the report cannot be written
    page = api.report(candidate, home=place)
    print(f"report: {page}", file=sys.stderr if as_json else sys.stdout)
    rewrite_index(place)
    raise typer.Exit(verdicts.exit_status(failing))


@baseline.command(epilog='Example: ampmark baseline approve latest --name main --reason "release 1.0"')
def approve(
    run: Annotated[str, typer.Argument(help="The run that later ones are measured against.")],
    reason: Annotated[str, typer.Option(help="Why this run may be the measure of later ones.")],
    name: Annotated[str, typer.Option(help="Name of the baseline.")] = api.MAIN_BASELINE,
    home: HomeOption = None,
) -> None:
    """Make a run the baseline of its machine; nothing else ever does."""
    from suite.judge.baseline import approve as approve_run
    from suite.judge.baseline import weaknesses

    place = Home.choose(home)
    chosen = load(place, run)
    approval = approve_run(place.results, chosen, name, reason)
    print(f"baseline {approval.name!r} for {approval.device} is now run {approval.run}.")
    rewrite_index(place)
    for weakness in weaknesses(chosen):
        print(f"! {weakness}", file=sys.stderr)


@baseline.command("list", epilog="Example: ampmark baseline list")
def list_baselines(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Approved baselines."""
    from suite.judge.baseline import list_approvals

    approvals = list_approvals(Home.choose(home).results)
    if as_json:
        print_json([encode(approval) for approval in approvals])
    else:
        print_baselines(approvals)


def _topped_up(candidate: Run, place: Home, baseline: str, verdicts: Verdicts, *, quiet: bool) -> Verdicts:
    """Look again with more processes where the number of processes is what is missing."""
    from suite.anchor import again
    from suite.companions import looks_of
    from suite.judge.baseline import find
    from suite.judge.gate import undecided
    from suite.judge.remedies import why_no_top_up
    from suite.judge.stats import MOST_LOOKS, TOP_UP_PROCESSES
    from suite.judge.verdict_file import write_verdicts

    refused = None
    with RunDisplay(quiet=quiet) as display:
        while (cells := undecided(verdicts)) and len(looks_of(candidate)) < MOST_LOOKS:
            said = "1 cell is" if len(cells) == 1 else f"{len(cells)} cells are"
            display.note(f"{said} undecided; {TOP_UP_PROCESSES} more processes of each …")
            try:
                anchor = again(candidate, place.results) if verdicts.anchored else None
                api.top_up(candidate, cells, processes=TOP_UP_PROCESSES, on_event=display.on_event, anchor=anchor)
            except UsageError as error:
                refused = str(error)
                break
            verdicts = api.gate(candidate, home=place, baseline=baseline, topping_up=True)
    if len(looks_of(candidate)) == 1:
        # With one look the error rates need not be shared.
        verdicts = api.gate(candidate, home=place, baseline=baseline)
        _, base = find(place.results, baseline, candidate.info.environment)
        refused = refused or why_no_top_up(verdicts, base)
    if refused is not None:
        verdicts = replace(verdicts, warnings=(*verdicts.warnings, f"no top-up: {refused}"))
        write_verdicts(place.reports, verdicts)
    return verdicts


def _say(verdicts: Verdicts, as_json: bool) -> None:
    from suite.judge.verdict_file import document

    if as_json:
        print_json(document(verdicts))
    else:
        print_verdicts(verdicts)
