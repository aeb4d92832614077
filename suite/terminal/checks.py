"""What `verify` and `selfcheck` show on the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from suite.replay import Conclusion, Verification
from suite.terminal.console import plain_console

if TYPE_CHECKING:
    from suite.judge.selfcheck import CellNoise, SelfCheck

__all__ = ["print_self_check", "print_verifications"]


def print_verifications(run: str, found: Sequence[Verification]) -> None:
    """One row per trial, and how many came to what."""
    table = Table()
    for name in ("trial", "conclusion"):
        table.add_column(name, no_wrap=True)
    table.add_column("why")
    for item in found:
        style = "red" if item.conclusion.failed else "green" if item.conclusion is Conclusion.VERIFIED else "dim"
        table.add_row(item.trial, Text(item.conclusion.value, style), item.reason or "every value is the same")
    console = plain_console()
    console.print(table)
    counts = Counter(item.conclusion for item in found)
    summary = ", ".join(f"{counts[kind]} {kind}" for kind in Conclusion if counts[kind])
    console.print(f"run {run}: {summary}")


def print_self_check(checked: SelfCheck) -> None:
    """One row per cell: its noise, and what the rules can see through it."""
    table = Table()
    table.add_column("cell", no_wrap=True)
    for name in ("processes a side", "run to run", "sees 9 in 10 times", f"processes for {checked.delta:.0%}"):
        table.add_column(name, justify="right")
    table.add_column("alarm")
    table.add_column("notes")
    for cell in checked.cells:
        notes = [*cell.reasons, *(["emulated"] if cell.emulated else [])]
        table.add_row(
            *_noise_texts(cell), Text("; ".join(cell.alarms) or "none", "red" if cell.alarms else ""), "; ".join(notes)
        )
    console = plain_console()
    console.print(table)
    console.print(checked.headline)
    console.print(f"run {checked.run}; `ampmark report {checked.run}` shows it.")


def _noise_texts(cell: CellNoise) -> list[str]:
    if cell.variation is None or cell.minimum_detectable is None:
        return [cell.cell, str(cell.processes), "–", "–", "–"]
    from suite.judge.stats import MOST_RUNS

    needed = f"≥ {MOST_RUNS}" if cell.processes_needed is None else str(cell.processes_needed)
    return [cell.cell, str(cell.processes), f"± {cell.variation:.2%}", f"≥ {cell.minimum_detectable:.1%}", needed]
