"""Machines side by side: which runs stand for them, and the page that compares them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from suite import store
from suite.errors import NoResults, UsageError
from suite.home import Home
from suite.store import Run

__all__ = ["newest_of_each_machine", "report_hardware"]


def newest_of_each_machine(home: Home) -> list[Run]:
    """The newest complete run of each device, in the order in which the devices came.

    Raises:
        NoResults: there is no finished run.
    """
    runs = store.list_runs(home.results)
    newest = {info.environment.device_name: info for info in runs if info.sealed_at is not None}
    if not newest:
        raise NoResults(f"no finished runs are stored under {home.results}; run `ampmark run` first, or give --home.")
    return [store.load_run(home.results / "runs" / info.run) for info in newest.values()]


def report_hardware(runs: Sequence[Run], home: Home, prices: Path | None = None, *, inline: bool = False) -> Path:
    """Write `reports/hardware/index.html`; returns its path. With `inline` it is one file, script and all.

    Raises:
        UsageError: the price file cannot be used, or two of the runs are of one device.
        UnwritableResults: the page cannot be written.
    """
    from suite.purchase.comparison import offers
    from suite.purchase.prices import read_prices
    from suite.report.hardware_sheet import hardware_sheet
    from suite.report.sheet import write_sheet

    names = [run.info.environment.device_name for run in runs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"several of these runs are of {twice[0]}; give one of each machine.")
    known = None if prices is None else read_prices(prices)
    sheet = hardware_sheet(runs, offers(runs, known), known)
    return write_sheet(sheet, home.reports, "hardware/index.html", inline=inline)
