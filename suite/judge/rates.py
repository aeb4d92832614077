"""The rules' own error rates, as measured: what every report says of how far it can be trusted.

`nox -s detectors` writes detectors.json beside this module and docs/detectors.md, which explains it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

__all__ = ["MeasuredRates", "Rate", "measured_rates"]

_PATH = Path(__file__).parent / "detectors.json"


@dataclass(frozen=True)
class Rate:
    """One measured share, with its interval, beside what was asked for."""

    what: str
    wanted: str
    measured: str
    met: bool | None
    """None where it was not measured."""


@dataclass(frozen=True)
class MeasuredRates:
    """All of them, and how they were measured."""

    date: str
    commit: str
    cpu: str
    replicates: int
    """Random series or draws in a quiet cell."""
    rates: tuple[Rate, ...]


def measured_rates(path: Path = _PATH) -> MeasuredRates:
    """What `nox -s detectors` found when it last ran."""
    found = json.loads(path.read_text(encoding="utf-8"))
    rates = tuple(Rate(row["what"], row["wanted"], row["measured"], row["met"]) for row in found["acceptance"])
    return MeasuredRates(found["date"], found["commit"], found["cpu"], found["replicates"], rates)
