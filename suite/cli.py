"""The commands: the only place that prints and exits.

Exit codes: 0 fine · 1 regressed · 2 usage, no data, incomparable · 3 inconclusive, when asked to fail on it ·
4 a trial failed · 130 interrupted (what finished is kept).
"""

from __future__ import annotations

import io
import json
import re
import shlex
import signal
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from suite import api, catalog, profiles, store, terminal
from suite.decode import encode, nearest
from suite.errors import SuiteError, UsageError
from suite.home import Home
from suite.progress import RunDisplay
from suite.record import Outcome

__all__ = ["app", "main"]

app = typer.Typer(
    name="ampmark",
    help="What each precision mode does to a training workload on this hardware, and whether it got worse.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
baseline_app = typer.Typer(no_args_is_help=True, help="Approved baselines: they move only when somebody approves.")
app.add_typer(baseline_app, name="baseline")

HomeOption = Annotated[
    Path | None,
    typer.Option("--home", "--out", help="Folder of results/ and reports/ (default: AMPMARK_HOME or here)."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on stdout instead of text.")]
BaselineOption = Annotated[str, typer.Option("--baseline", help="Name of the approved baseline.")]
FailOption = Annotated[str, typer.Option("--fail-on", help="Verdicts that fail: regressed, inconclusive.")]


def main(arguments: list[str] | None = None) -> None:
    """Run the command line (None: of this process); an ampmark error is one line on stderr and exit status 2."""
    signal.signal(signal.SIGTERM, _terminate)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show × shows ? instead; a table is no reason to fail.
            stream.reconfigure(errors="replace")
    try:
        app(arguments)
    except SuiteError as error:
        print(f"ampmark: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("ampmark: interrupted.", file=sys.stderr)
        sys.exit(130)
    # Whatever else happens must not end with Python's own status 1, which means "regressed" here.
    except Exception as error:  # noqa: BLE001
        traceback.print_exc()
        what = f"{type(error).__name__}: {error}"
        print(f"ampmark: an error in ampmark itself ({what}); please report it.", file=sys.stderr)
        sys.exit(2)


def _terminate(number: int, frame: object) -> None:
    """End like an error does, so that the running trial is killed with its run (CI cancels with this signal)."""
    raise SystemExit(128 + number)


@app.command(epilog="Example: ampmark run --profile quick --workload gpt --precision fp32 --precision bf16")
def run(
    profile: Annotated[str | None, typer.Option(help="quick, standard, smoke, or a TOML file of that form.")] = None,
    workload: Annotated[list[str] | None, typer.Option(help="Only this workload (repeatable).")] = None,
    precision: Annotated[list[str] | None, typer.Option(help="Only this precision (repeatable).")] = None,
    repeats: Annotated[int | None, typer.Option(help="Fresh processes per cell and seed.")] = None,
    seeds: Annotated[str | None, typer.Option(help="Seeds, such as 0,1,2.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or cuda:N (default: the best one here).")] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds one trial may take.")] = None,
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
    }
    api.check_writable(place)
    with RunDisplay(quiet=as_json) as display:
        try:
            if resume is not None:
                _refuse_with_resume(choices)
                finished = api.resume(store.find_run(place.results, resume), on_event=display.on_event)
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
                )
                display.planned(planned)
                finished = api.run(planned, home=place, command=_command(choices), on_event=display.on_event)
        except api.RunInterruptedError as interruption:
            display.interrupted(interruption.run)
            raise typer.Exit(130) from None
    if not as_json:
        terminal.print_run(finished)
    page = api.report(finished, home=place)
    if as_json:
        _print_json({"run": finished.info.run, "report": str(page), "trials": _rows(finished.trials)})
    else:
        print(f"\nreport: {page}")
    broken = [outcome for outcome in finished.trials["outcome"] if Outcome(outcome).broken]
    raise typer.Exit(4 if broken else 0)


@app.command(epilog="Example: ampmark report latest")
def report(
    run: Annotated[str, typer.Argument(help="Run id, the beginning of one, a folder, or latest.")] = "latest",
    baseline: BaselineOption = api.MAIN_BASELINE,
    home: HomeOption = None,
) -> None:
    """Write the HTML report (and Markdown, JSON) of a stored run again."""
    place = Home.choose(home)
    print(api.report(_load(place, run), home=place, baseline=baseline))


@app.command(epilog="Example: ampmark compare 20260101T000000Z-abc123 latest")
def compare(
    base: Annotated[str, typer.Argument(help="The run to measure against.")],
    candidate: Annotated[str, typer.Argument(help="The run to judge.")],
    fail_on: FailOption = "regressed",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Judge one stored run against another, cell by cell."""
    place = Home.choose(home)
    failing = _fail_on(fail_on)
    verdicts = api.compare(_load(place, base), _load(place, candidate))
    _say(verdicts, as_json)
    raise typer.Exit(verdicts.exit_status(failing))


@app.command(epilog="Example: ampmark gate --baseline main --fail-on regressed,inconclusive")
def gate(
    run: Annotated[str, typer.Argument(help="The run to judge.")] = "latest",
    baseline: BaselineOption = api.MAIN_BASELINE,
    fail_on: FailOption = "regressed",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """What CI calls: judge a run against the approved baseline, write verdict.json and the report, exit accordingly."""
    place = Home.choose(home)
    failing = _fail_on(fail_on)
    candidate = _load(place, run)
    if candidate.info.sealed_at is None:
        raise UsageError(
            f"run {candidate.info.run} was cut short and may hide a regression; "
            f"complete it with `ampmark run --resume {candidate.info.run}` first."
        )
    verdicts = api.gate(candidate, home=place, baseline=baseline)
    page = api.report(candidate, home=place, verdicts=verdicts)
    _say(verdicts, as_json)
    print(f"report: {page}", file=sys.stderr if as_json else sys.stdout)
    raise typer.Exit(verdicts.exit_status(failing))


@app.command("list", epilog="Example: ampmark list --json")
def list_(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Stored runs, oldest first; and what can be run here."""
    place = Home.choose(home)
    runs = store.list_runs(place.results)
    if as_json:
        keys = ("run", "created_at", "sealed_at", "command")
        listed = [{key: encode(info)[key] for key in keys} | {"fingerprint": info.fingerprint} for info in runs]
        _print_json(
            {
                "runs": listed,
                "workloads": list(catalog.workloads()),
                "precisions": list(catalog.precisions()),
                "profiles": list(profiles.available()),
            }
        )
    else:
        terminal.print_list(runs, catalog.workloads(), catalog.precisions(), profiles.available())


@app.command(epilog="Example: ampmark show latest")
def show(
    run: Annotated[str, typer.Argument(help="Run id, the beginning of one, a folder, or latest.")] = "latest",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """The table of one stored run."""
    loaded = _load(Home.choose(home), run)
    if as_json:
        _print_json({"run": encode(loaded.info), "trials": _rows(loaded.trials)})
    else:
        terminal.print_run(loaded)


@baseline_app.command(epilog='Example: ampmark baseline approve latest --name main --reason "release 1.0"')
def approve(
    run: Annotated[str, typer.Argument(help="The run that later ones are measured against.")],
    reason: Annotated[str, typer.Option(help="Why this run may be the measure of later ones.")],
    name: Annotated[str, typer.Option(help="Name of the baseline.")] = api.MAIN_BASELINE,
    home: HomeOption = None,
) -> None:
    """Make a run the baseline of its machine; nothing else ever does."""
    from suite.judge.baseline import approve as approve_run

    place = Home.choose(home)
    approval = approve_run(place.results, _load(place, run), name, reason)
    print(f"baseline {approval.name!r} for {approval.device} is now run {approval.run}.")


@baseline_app.command("list", epilog="Example: ampmark baseline list")
def list_baselines(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Approved baselines."""
    from suite.judge.baseline import list_approvals

    approvals = list_approvals(Home.choose(home).results)
    if as_json:
        _print_json([encode(approval) for approval in approvals])
    else:
        terminal.print_baselines(approvals)


def _fail_on(text: str) -> frozenset[str]:
    known = ("regressed", "inconclusive")
    chosen = [part.strip() for part in text.split(",") if part.strip()]
    for name in chosen:
        if name not in known:
            raise UsageError(f"--fail-on {name!r} is not known; {nearest(name, known)}")
    return frozenset(chosen)


def _seeds(text: str | None) -> list[int]:
    if text is None:
        return []
    if not re.fullmatch(r"[0-9]+(,[0-9]+)*", text):
        raise UsageError(f"--seeds {text!r} is not a list of whole numbers; give something like 0,1,2.")
    return [int(part) for part in text.split(",")]


def _refuse_with_resume(choices: Mapping[str, object]) -> None:
    if any(choice not in (None, []) for choice in choices.values()):
        raise UsageError("--resume completes a run as it was planned; leave out every other choice.")


def _load(home: Home, name: str) -> store.Run:
    return store.load_run(store.find_run(home.results, name))


def _command(choices: Mapping[str, object]) -> str:
    """What was asked for, without where it was stored; of a path only the last part, for folders name people."""
    words = ["ampmark", "run"]
    for name, choice in choices.items():
        for value in choice if isinstance(choice, list) else [choice]:
            words += [] if value is None else [name, f"{value:g}" if isinstance(value, float) else str(value)]
    return shlex.join(words)


def _say(verdicts: Any, as_json: bool) -> None:
    if as_json:
        _print_json(encode(verdicts) | {"headline": verdicts.headline})
    else:
        terminal.print_verdicts(verdicts)


def _rows(frame: Any) -> Any:
    # Not DataFrame.to_json, which rounds to ten decimals.
    return encode(frame.astype(object).where(frame.notna(), None).to_dict("records"))


def _print_json(document: Any) -> None:
    print(json.dumps(document, indent=1, default=str))
