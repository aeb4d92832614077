"""The history of one machine: every series judged, worst first, and levels accepted."""

from __future__ import annotations

from pathlib import Path

from suite.decode import nearest
from suite.errors import NoResults, UsageError
from suite.judge.calibration import calibration_for
from suite.judge.history import State, Trend, acknowledge, acknowledgements, trend_of
from suite.judge.nights import series_of
from suite.store import RunInfo, list_runs

__all__ = ["accept", "follow", "newest_run", "suspects"]

_ORDER = {state: place for place, state in enumerate(State)}


def follow(results: Path) -> tuple[str, list[Trend]]:
    """The name of the device, and what each series of its newest machine says, worst first.

    Raises:
        NoResults: there is no finished run.
    """
    runs = _finished(results)
    newest, accepted = runs[-1], acknowledgements(results)
    calibration = calibration_for(results, newest.fingerprint)
    trends = [trend_of(series, accepted) for series in series_of(results, calibration, newest, runs)]
    return newest.environment.device_name, sorted(trends, key=lambda trend: _ORDER[trend.state])


def suspects(results: Path) -> list[tuple[str, str]]:
    """Cells that a fresh run would decide."""
    _, trends = follow(results)
    return [(trend.workload, trend.precision) for trend in trends if trend.state is State.SUSPECT]


def accept(results: Path, cell: str, reason: str) -> None:
    """Accept the level that the cell called `gpt/bf16` has reached.

    Raises:
        UsageError: there is no such series, nothing to accept, or no reason.
    """
    runs = _finished(results)
    found = series_of(results, calibration_for(results, runs[-1].fingerprint), runs[-1], runs)
    series = {f"{item.workload}/{item.precision}": item for item in found}
    if cell not in series:
        raise UsageError(f"there is no series {cell!r}; {nearest(cell, series)}")
    trend = trend_of(series[cell], acknowledgements(results))
    acknowledge(results, series[cell], trend, reason)


def newest_run(results: Path) -> RunInfo:
    """The newest finished run.

    Raises:
        NoResults: there is none.
    """
    return _finished(results)[-1]


def _finished(results: Path) -> list[RunInfo]:
    runs = [info for info in list_runs(results) if info.sealed_at is not None]
    if not runs:
        raise NoResults(f"no finished runs are stored under {results}; run `ampmark run` first, or give --home.")
    return runs
