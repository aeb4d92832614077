"""Machines side by side: which runs stand for them, and the page that compares them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from suite import store
from suite.errors import NoResults, UsageError
from suite.home import Home
from suite.store import Run, RunInfo

__all__ = ["newest_of_each_machine", "report_hardware"]

LARGEST_FIRST = ("standard", "quick", "smoke")
"""Built-in profiles; a user's own comes after them, because its size is not known here."""


def newest_of_each_machine(home: Home) -> list[Run]:
    """For each device its newest complete run of the profile that most devices have, in the order in which they came.

    A device that has no run of it stands with the newest of its largest profile.

    Raises:
        NoResults: there is no finished run.
    """
    runs = [info for info in store.list_runs(home.results) if info.sealed_at is not None]
    if not runs:
        raise NoResults(f"no finished runs are stored under {home.results}; run `ampmark run` first, or give --home.")
    shared = _shared_profile(runs)
    chosen = []
    for device in dict.fromkeys(info.environment.device_name for info in runs):
        own = [info for info in runs if info.environment.device_name == device]
        profile = shared if any(info.plan.profile == shared for info in own) else _shared_profile(own)
        chosen.append([info for info in own if info.plan.profile == profile][-1])
    return [store.load_run(home.results / "runs" / info.run) for info in chosen]


def _shared_profile(runs: Sequence[RunInfo]) -> str:
    """The profile that most devices have; of equally many the largest, of those of unknown size the newest."""
    devices: dict[str, set[str]] = {}
    newest: dict[str, int] = {}
    for place, info in enumerate(runs):
        devices.setdefault(info.plan.profile, set()).add(info.environment.device_name)
        newest[info.plan.profile] = place

    def fitness(profile: str) -> tuple[int, int, int]:
        size = -LARGEST_FIRST.index(profile) if profile in LARGEST_FIRST else -len(LARGEST_FIRST)
        return len(devices[profile]), size, newest[profile]

    return max(devices, key=fitness)


def report_hardware(runs: Sequence[Run], home: Home, prices: Path | None = None, *, inline: bool = False) -> Path:
    """Write `reports/hardware/index.html`; returns its path. With `inline` it is one file, script and all.

    Raises:
        UsageError: the price file cannot be used, or two of the runs are of devices of one name.
        UnwritableResults: the page cannot be written.
    """
    from suite.judge.calibration import calibration_for
    from suite.purchase.comparison import offers
    from suite.purchase.prices import read_prices
    from suite.report.hardware_sheet import hardware_sheet
    from suite.report.sheet import write_sheet

    _one_of_each(runs)
    known = None if prices is None else read_prices(prices)
    every = offers(runs, known, lambda run: calibration_for(home.results, run.info.fingerprint))
    sheet = hardware_sheet(runs, every, known, None if prices is None else prices.name)
    return write_sheet(sheet, home.reports, "hardware/index.html", inline=inline)


def _one_of_each(runs: Sequence[Run]) -> None:
    of: dict[str, list[str]] = {}
    for run in runs:
        of.setdefault(run.info.environment.device_name, []).append(run.info.run)
    for device, names in of.items():
        if len(names) > 1:
            raise UsageError(
                f"runs {', '.join(names)} are all of {device}, and machines are told apart by the device's name; "
                "give only one of these runs."
            )
