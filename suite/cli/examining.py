"""`doctor`: what this machine can measure and what will spoil it."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from suite.checks import Check, Status
from suite.cli.options import HomeOption, JsonOption, print_json
from suite.decode import encode
from suite.doctor import can_measure, examine
from suite.home import Home

__all__ = ["doctor"]

_STYLES = {Status.OK: "green", Status.WARNING: "yellow", Status.UNAVAILABLE: "dim"}


def doctor(
    device: Annotated[str | None, typer.Option(help="cpu, cuda or cuda:N (default: the best one here).")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """What this machine can measure, what will spoil it, and what to do about it."""
    print("loading torch, and watching the machine for a second …", file=sys.stderr)
    checks = examine(Home.choose(home), device)
    possible = can_measure(checks)
    if as_json:
        print_json({"can_measure": possible, "checks": [encode(check) for check in checks]})
    else:
        _print(checks, possible)
    raise typer.Exit(0 if possible else 2)


def _print(checks: list[Check], possible: bool) -> None:
    console = Console(highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else 200)
    table = Table()
    for name in ("check", "verdict"):
        table.add_column(name, no_wrap=True)
    table.add_column("finding")
    table.add_column("what to do")
    for check in checks:
        table.add_row(check.name, Text(check.status.value, _STYLES[check.status]), check.finding, check.remedy or "")
    console.print(table)
    counts = {status: sum(check.status is status for check in checks) for status in Status}
    said = ", ".join(f"{count} {status.value}" for status, count in counts.items())
    console.print(f"{said}. {'Trials can be measured here.' if possible else 'Nothing can be measured here.'}")
