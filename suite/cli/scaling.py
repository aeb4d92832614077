"""`scan-scale` and `demo underflow`: what loss scaling is for, measured."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console

from suite import api, runner
from suite.cli.options import HomeOption, JsonOption, print_json
from suite.decode import decode, encode
from suite.home import Home
from suite.loss_scale.findings import Found, headline, judge
from suite.loss_scale.scan import SCALES, ScaleScan, scale_window
from suite.loss_scale.underflow import underflow_plan
from suite.record import TrialRecord
from suite.runner import Finished, Machine
from suite.spec import Setup, TrialSpec
from suite.terminal.loss_scales import print_scan, print_underflow
from suite.terminal.progress import RunDisplay

__all__ = ["demo", "scan_scale", "underflow"]

demo = typer.Typer(no_args_is_help=True, help="Findings of the literature, repeated on this machine.")

DeviceOption = Annotated[str | None, typer.Option(help="cpu, cuda or cuda:N (default: the best one here).")]


def scan_scale(
    workload: Annotated[str, typer.Argument(help="The workload whose gradients are looked at.")],
    profile: Annotated[str | None, typer.Option(help="quick, standard, smoke, or a TOML file of that form.")] = None,
    steps: Annotated[int | None, typer.Option(help="Optimizer steps (default: the profile's).")] = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of weights and data order (default: the profile's first).")
    ] = None,
    device: DeviceOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train in float32, and say which static loss scales lose neither small nor large gradients in float16."""
    place = Home.choose(home)
    place.check_writable()
    with RunDisplay(quiet=True) as display:
        display.surveying()
        planned = api.plan(
            profile,
            device=device,
            workloads=[workload],
            precisions=["fp32"],
            seeds=[] if seed is None else [seed],
            repeats=1,
        )
        spec = planned.plan.trials[0]
        if steps is not None:
            spec = replace(spec, setup=_with_steps(spec.setup, steps))
        where = planned.machine.environment.device_name
        print(f"{spec.workload}: {spec.setup.steps} steps in float32 on {where} …", file=sys.stderr)
        scan = _ask_for_scan(spec, planned.machine)
    from suite.report.scan_sheet import scan_sheet
    from suite.report.sheet import write_sheet

    made_at, stamp = _now()
    sheet = scan_sheet(scan, planned.machine.environment, made_at)
    page = write_sheet(sheet, place.reports, f"scan-scale-{workload}-{stamp}.html")
    if as_json:
        print_json(
            _scan_document(scan, made_at) | {"environment": encode(planned.machine.environment), "page": str(page)}
        )
        return
    print_scan(scan, _console())
    print(f"\nreport: {page}")


@demo.command(epilog="Example: ampmark demo underflow")
def underflow(device: DeviceOption = None, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show that float16 needs loss scaling: three workloads in six modes, about a minute on two CPU cores.

    Exit status 4 where a trial failed or a mode did not come out as in the papers.
    """
    place = Home.choose(home)
    place.check_writable()
    with RunDisplay(quiet=True) as display:
        display.surveying()
        machine = runner.survey(device)
        records = _run(machine, display)
    found = judge(records)
    from suite.report.sheet import write_sheet
    from suite.report.underflow_sheet import underflow_sheet

    made_at, stamp = _now()
    sheet = underflow_sheet(found, machine.environment, made_at)
    page = write_sheet(sheet, place.reports, f"demo-underflow-{stamp}.html")
    if as_json:
        print_json(
            _underflow_document(found, made_at) | {"environment": encode(machine.environment), "page": str(page)}
        )
    else:
        print_underflow(found, _console())
        print(f"\nreport: {page}")
    raise typer.Exit(0 if all(one.as_in_the_papers for one in found) else 4)


def _with_steps(setup: Setup, steps: int) -> Setup:
    """No step of a scan is timed, so that a warm-up may be as short as it must."""
    return replace(setup, steps=steps, warmup_steps=min(setup.warmup_steps, max(0, steps - 1)))


def _ask_for_scan(spec: TrialSpec, machine: Machine) -> ScaleScan:
    request = {"spec": encode(spec), "device_uuid": machine.device_uuid}
    return decode(ScaleScan, runner.ask("scan", request, spec.timeout_seconds)["scan"], "the scan")


def _run(machine: Machine, display: RunDisplay) -> list[TrialRecord]:
    records = []
    for event in runner.run_plan(underflow_plan(machine.environment.device), machine):
        display.on_event(event)
        if isinstance(event, Finished):
            records.append(event.record)
    return records


def _scan_document(scan: ScaleScan, made_at: str) -> dict[str, Any]:
    return {
        "made_at": made_at,
        "window": encode(scale_window(scan)) | {"found": scale_window(scan).found},
        "scales": list(SCALES),
        "flushed_shares": list(scan.flushed_shares),
        "overflowed_shares": list(scan.overflowed_shares),
        "scan": encode(scan),
    }


def _underflow_document(found: tuple[Found, ...], made_at: str) -> dict[str, Any]:
    return {
        "made_at": made_at,
        "headline": headline(found),
        "experiments": [
            {
                "workload": one.experiment.workload,
                "loss_weight": one.experiment.loss_weight,
                "as_in_the_papers": one.as_in_the_papers,
                "sentence": one.sentence,
                "rows": [
                    {
                        "title": row.title,
                        "final_loss": row.final_loss,
                        "missing": row.missing,
                        "flushed_share": row.flushed_share,
                        "overflows": row.overflows,
                        "last_scale": row.last_scale,
                        "verdict": row.verdict.value,
                        "expected": row.mode.expected.value,
                        "record": encode(row.record),
                    }
                    for row in one.rows
                ],
            }
            for one in found
        ],
    }


def _now() -> tuple[str, str]:
    """Date and time in UTC, as people read it and as a file's name has it."""
    now = datetime.now(UTC)
    return f"{now:%Y-%m-%d %H:%M} UTC", f"{now:%Y%m%dT%H%M%SZ}"


def _console() -> Console:
    return Console(highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else 200)
