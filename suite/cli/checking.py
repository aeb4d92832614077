"""`verify` and `selfcheck`: whether a record repeats bit for bit, and what this machine's noise hides."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from suite import api, runner, store, verification
from suite.cli.options import HomeOption, JsonOption, command_text, print_json
from suite.decode import encode, nearest
from suite.errors import UsageError
from suite.home import Home
from suite.record import Outcome, TrialRecord
from suite.replay import Conclusion, Verification
from suite.spec import LONGEST_SECONDS
from suite.terminal.checks import print_self_check, print_verifications
from suite.terminal.progress import RunDisplay

__all__ = ["selfcheck", "verify"]


def verify(
    run: Annotated[str, typer.Argument(help="Run id, the beginning of one, a folder, or latest.")] = "latest",
    trial: Annotated[list[str] | None, typer.Argument(help="Only these trials, such as gpt-bf16-s0-r0.")] = None,
    workload: Annotated[list[str] | None, typer.Option(help="Only this workload (repeatable).")] = None,
    precision: Annotated[list[str] | None, typer.Option(help="Only this precision (repeatable).")] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds one replay may take (default: as recorded).")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train recorded trials again in deterministic mode and compare every value, bit for bit."""
    if timeout is not None and not 0 < timeout <= LONGEST_SECONDS:
        raise UsageError(f"--timeout is {timeout}; give seconds above 0, at most {LONGEST_SECONDS:g}.")
    info, records = store.load_records(store.find_run(Home.choose(home).results, run))
    chosen = _chosen(records, trial or [], workload or [], precision or [])
    found: list[Verification] = []
    with RunDisplay(quiet=as_json) as display:
        display.surveying()
        machine = runner.survey(info.plan.device)
        verification.check_machine(info, machine)
        for difference in verification.other_code(info, machine):
            display.note(f"recorded by another ampmark: {difference}")
        for event in verification.verify(chosen, machine, timeout):
            if isinstance(event, Verification):
                found.append(event)
                display.advance(_line(event))
            else:
                display.on_event(event)
    counts = Counter(item.conclusion for item in found)
    if as_json:
        print_json({"run": info.run, "counts": {str(key): counts[key] for key in Conclusion}, "trials": encode(found)})
    else:
        print_verifications(info.run, found)
    if all(item.conclusion is Conclusion.SKIPPED for item in found):
        raise UsageError(f"run {info.run} has nothing to verify: none of these trials has numbers; choose others.")
    raise typer.Exit(4 if any(item.conclusion.failed for item in found) else 0)


def selfcheck(
    profile: Annotated[str | None, typer.Option(help="quick, standard, smoke, or a TOML file of that form.")] = None,
    workload: Annotated[list[str] | None, typer.Option(help="Only this workload (repeatable).")] = None,
    precision: Annotated[list[str] | None, typer.Option(help="Only this precision (repeatable).")] = None,
    repeats: Annotated[int, typer.Option(help="Fresh processes a side, per cell and seed.")] = 5,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or cuda:N (default: the best one here).")] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds one trial may take.")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run every cell twice over, side by side, and judge one half against the other: what can this machine see?"""
    from suite.judge.selfcheck import self_check
    from suite.judge.stats import FEWEST

    if repeats < FEWEST:
        raise UsageError(f"--repeats is {repeats}; give at least {FEWEST} processes a side (5 are usual).")
    place = Home.choose(home)
    choices = {
        "--profile": profile and Path(profile).name,
        "--workload": workload,
        "--precision": precision,
        "--repeats": repeats,
        "--device": device,
        "--timeout": timeout,
    }
    place.check_writable()
    with RunDisplay(quiet=as_json) as display:
        display.surveying()
        planned = api.plan(
            profile,
            device=device,
            workloads=workload or (),
            precisions=precision or (),
            repeats=2 * repeats,
            timeout_seconds=timeout,
        )
        display.planned(planned)
        try:
            finished = api.run(
                planned, home=place, command=command_text("selfcheck", choices), on_event=display.on_event
            )
        except api.RunInterruptedError as interruption:
            display.interrupted(interruption.run)
            raise typer.Exit(130) from None
    checked = self_check(finished)
    if as_json:
        print_json(encode(checked) | {"headline": checked.headline})
    else:
        print_self_check(checked)
    broken = any(Outcome(outcome).broken for outcome in finished.trials["outcome"])
    raise typer.Exit(4 if checked.alarmed or broken else 0)


def _chosen(
    records: list[TrialRecord], trials: list[str], workloads: list[str], precisions: list[str]
) -> list[TrialRecord]:
    for name in trials:
        known = [record.spec.trial_id for record in records]
        if name not in known:
            raise UsageError(f"the run has no trial {name!r}; {nearest(name, known)}")
    chosen = [
        record
        for record in records
        if (not trials or record.spec.trial_id in trials)
        and (not workloads or record.spec.workload in workloads)
        and (not precisions or record.spec.precision in precisions)
    ]
    if not chosen:
        raise UsageError("no finished trial of the run fits these choices; `ampmark show` lists what it has.")
    return chosen


def _line(item: Verification) -> str:
    return f"{item.trial:28} {item.conclusion}" + (f" · {item.reason}" if item.reason else "")
