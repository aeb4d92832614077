"""What `scan-scale` and `demo underflow` show on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from suite.loss_scale.findings import RULE, Found, headline
from suite.loss_scale.scan import SCALES, ScaleScan, power, scale_window
from suite.terminal.console import number

__all__ = ["print_scan", "print_underflow"]

BAR_CHARACTERS = 20


def print_scan(scan: ScaleScan, console: Console) -> None:
    """One row per scale with a bar of what is lost, then the window."""
    window = scale_window(scan)
    table = Table()
    table.add_column("scale", justify="right", no_wrap=True)
    for name in ("become zero", "become infinite"):
        table.add_column(name, justify="right", no_wrap=True)
        table.add_column("", min_width=BAR_CHARACTERS, no_wrap=True)
    table.add_column("", no_wrap=True)
    scaler = scan.spec.scaler
    shares = zip(SCALES, scan.flushed_shares, scan.overflowed_shares, strict=True)
    for scale, flushed, overflowed in shares:
        notes = ["safe"] if window.found and (window.low or 0) <= scale <= (window.high or 0) else []
        notes += ["static"] if scale == scaler.static_scale else []
        notes += ["dynamic starts"] if scale == scaler.initial_scale else []
        table.add_row(
            power(scale), _percent(flushed), _bar(flushed), _percent(overflowed), _bar(overflowed), ", ".join(notes)
        )
    console.print(table)
    console.print(
        f"{scan.spec.workload}, profile {scan.spec.profile}, seed {scan.spec.seed}, {scan.spec.setup.steps} steps in "
        f"float32: worst of {len(scan.points)} moments; largest gradient {number(scan.largest)}."
    )
    console.print(window.sentence)


def print_underflow(found: Sequence[Found], console: Console) -> None:
    """A table per experiment, what each one shows, and the verdict on all."""
    for one in found:
        table = Table(title=f"{one.experiment.workload}: {one.experiment.title}", title_justify="left")
        table.add_column("mode", no_wrap=True)
        for name in ("final loss", "missing of fp32's gain", "become zero", "overflows", "last scale"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("verdict", no_wrap=True)
        for row in one.rows:
            table.add_row(
                row.title,
                number(row.final_loss),
                "–" if row.missing is None else f"{100 * row.missing:.1f} %".replace("-0.0", "0.0"),
                _percent(row.flushed_share),
                "–" if row.overflows is None else str(row.overflows),
                "–" if row.last_scale is None else power(row.last_scale),
                row.verdict.value,
            )
        console.print(table)
        for row in one.rows:
            if row.record.reason and not row.record.outcome.measured:
                console.print(f"{row.title}: {row.record.reason}")
        console.print(one.sentence)
    console.print(RULE)
    console.print(headline(found))


def _percent(share: float | None) -> str:
    """`0.36 %`; 0 only for none of them and 100 only for all."""
    if share is None:
        return "–"
    return "> 99.9 %" if 0.9995 <= share < 1 else f"{100 * share:.3g} %"


def _bar(share: float | None) -> str:
    """A bar of linear length; a share too small for one character has none."""
    return "█" * round(BAR_CHARACTERS * (share or 0.0))
