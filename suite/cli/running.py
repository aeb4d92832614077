"""`ampmark run`: plan, run, store, print a table, write the report."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from suite import api, store
from suite.cli.options import HomeOption, JsonOption, command_text, print_json, rewrite_index
from suite.errors import UsageError
from suite.home import Home
from suite.record import Outcome
from suite.terminal.progress import RunDisplay
from suite.terminal.runs import print_run

if TYPE_CHECKING:
    from suite.anchor import Anchor

__all__ = ["run"]


def run(
    profile: Annotated[str | None, typer.Option(help="quick, standard, smoke, or a TOML file of that form.")] = None,
    workload: Annotated[list[str] | None, typer.Option(help="Only this workload (repeatable).")] = None,
    precision: Annotated[list[str] | None, typer.Option(help="Only this precision (repeatable).")] = None,
    repeats: Annotated[int | None, typer.Option(help="Fresh processes per cell and seed.")] = None,
    seeds: Annotated[str | None, typer.Option(help="Seeds, such as 0,1,2.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or cuda:N (default: the best one here).")] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds one trial may take.")] = None,
    compiled: Annotated[bool, typer.Option("--compile", help="Run every workload through torch.compile.")] = False,
    deterministic: Annotated[bool, typer.Option("--deterministic", help="To be verified, never timed.")] = False,
    batch_scale: Annotated[int | None, typer.Option(help="So many times the profile's batch.")] = None,
    anchor: Annotated[
        str | None, typer.Option(help="Run the code of this approved baseline in turn, so that a slow night shows.")
    ] = None,
    anchor_python: Annotated[
        str | None, typer.Option(help="Python that has the baseline's code (default: a git worktree of its commit).")
    ] = None,
    resume: Annotated[str | None, typer.Option(help="Complete this interrupted run (an id, or latest).")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Plan, run, store, print a table, write the report."""
    place = Home.choose(home)
    choices = {
        "--profile": profile and Path(profile).name,
        "--workload": workload,
        "--precision": precision,
        "--repeats": repeats,
        "--seeds": seeds,
        "--device": device,
        "--timeout": timeout,
        "--compile": compiled or None,
        "--deterministic": deterministic,
        "--batch-scale": batch_scale,
        "--anchor": anchor,
    }
    place.check_writable()
    with RunDisplay(quiet=as_json) as display:
        try:
            if resume is not None:
                finished = _resumed(display, resume, place, choices | {"--anchor-python": anchor_python})
            else:
                display.surveying()
                planned = api.plan(
                    profile,
                    device=device,
                    workloads=workload or (),
                    precisions=precision or (),
                    seeds=_seeds(seeds),
                    repeats=repeats,
                    timeout_seconds=timeout,
                    compiled=compiled,
                    deterministic=deterministic,
                    batch_scale=1 if batch_scale is None else batch_scale,
                )
                finished = _measured(display, planned, place, choices, _anchor(planned, place, anchor, anchor_python))
        except api.RunInterruptedError as interruption:
            display.interrupted(interruption.run)
            raise typer.Exit(130) from None
    _end(finished, place, as_json)


def _measured(
    display: RunDisplay, planned: api.Planned, place: Home, choices: Mapping[str, object], anchor: Anchor | None
) -> store.Run:
    display.planned(planned)
    command = command_text("run", choices)
    return api.run(planned, home=place, command=command, on_event=display.on_event, anchor=anchor)


def _anchor(planned: api.Planned, place: Home, name: str | None, python: str | None) -> Anchor | None:
    if name is None:
        if python is not None:
            raise UsageError("--anchor-python says where an anchor's code is; name the baseline with --anchor as well.")
        return None
    return api.prepare_anchor(planned, home=place, baseline=name, python=python)


def _end(finished: store.Run, place: Home, as_json: bool) -> NoReturn:
    """The table first, for it is there even if the report cannot be written; then where that is; then the status."""
    if not as_json:
        print_run(finished)
    page = api.report(finished, home=place)
    if as_json:
        from suite.interchange.tables import rows_of_frame

        print_json({"run": finished.info.run, "report": str(page), "trials": rows_of_frame(finished.trials)})
    else:
        print(f"\nreport: {page}")
    rewrite_index(place)
    raise typer.Exit(4 if any(Outcome(outcome).broken for outcome in finished.trials["outcome"]) else 0)


def _seeds(text: str | None) -> list[int]:
    if text is None:
        return []
    if not re.fullmatch(r"[0-9]{1,18}(,[0-9]{1,18})*", text):
        raise UsageError(f"--seeds {text[:80]!r} is not a list of whole numbers; give something like 0,1,2.")
    return [int(part) for part in text.split(",")]


def _resumed(display: RunDisplay, name: str, place: Home, choices: Mapping[str, object]) -> store.Run:
    if any(choice not in (None, []) and choice is not False for choice in choices.values()):
        raise UsageError("--resume completes a run as it was planned; leave out every other choice.")
    return api.resume(store.find_run(place.results, name), on_event=display.on_event)
