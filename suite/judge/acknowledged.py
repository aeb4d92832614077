"""Levels that somebody accepted, with a reason: results/acknowledged.jsonl."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from suite.decode import DecodeError, decode, encode
from suite.errors import DamagedResults, UsageError
from suite.files import unwritable
from suite.judge.nights import Series
from suite.judge.trends import ALARMS, Trend

__all__ = ["Acknowledgement", "acknowledge", "acknowledgements"]


@dataclass(frozen=True)
class Acknowledgement:
    """Somebody accepts a new level: one line of results/acknowledged.jsonl."""

    workload: str
    precision: str
    setup_sha256: str
    run: str
    """The first at the new level."""
    reason: str
    at: str


def acknowledge(results: Path, series: Series, trend: Trend, reason: str) -> Acknowledgement:
    """Accept the level that a series has reached.

    Raises:
        UsageError: there is nothing to acknowledge, or no reason.
        UnwritableResults: the line cannot be written.
    """
    if not reason.strip():
        raise UsageError("--reason is empty; say why the new level is accepted.")
    if trend.state not in ALARMS or trend.first_run is None:
        raise UsageError(f"{series.cell} is {trend.state}; only a regression, a suspect or a drift is accepted.")
    made = Acknowledgement(
        series.workload,
        series.precision,
        series.setup_sha256,
        trend.last_run or trend.first_run,
        reason,
        datetime.now(UTC).isoformat(timespec="seconds"),
    )
    try:
        with (results / "acknowledged.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(encode(made)) + "\n")
    except OSError as error:
        raise unwritable(results, error) from error
    return made


def acknowledgements(results: Path) -> list[Acknowledgement]:
    """Every accepted level, oldest first."""
    path = results / "acknowledged.jsonl"
    if not path.exists():
        return []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return [decode(Acknowledgement, json.loads(line), str(path)) for line in lines if line.strip()]
    except (OSError, ValueError, DecodeError) as error:
        raise DamagedResults(f"{path} is damaged ({error}); restore it from a copy.") from error
