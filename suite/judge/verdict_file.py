"""verdict.json beside a run's report: written by the gate, read by reports, `explain` and CI."""

from __future__ import annotations

import json
from pathlib import Path

from suite.decode import DecodeError, decode, encode
from suite.errors import DamagedResults
from suite.files import unwritable, write_atomically
from suite.judge.findings import Verdicts

__all__ = ["SCHEMA", "read_verdicts", "write_verdicts"]

SCHEMA = 1
"""Raised with every change that a reader must know of; reports/README.md describes the fields."""
_NAME = "verdict.json"
_SAID = ("schema", "headline", "exit_status")
"""What follows from the rest, so that whoever reads the file need not know the rules."""


def write_verdicts(reports: Path, verdicts: Verdicts) -> None:
    """Write the verdicts of the candidate run into its folder under `reports`.

    Raises:
        UnwritableResults: it cannot be written.
    """
    folder = reports / verdicts.candidate_run
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error
    said = {
        "schema": SCHEMA,
        "headline": verdicts.headline,
        "exit_status": verdicts.exit_status(frozenset({"regressed"})),
    }
    write_atomically(folder / _NAME, json.dumps(said | encode(verdicts), indent=1).encode())


def read_verdicts(reports: Path, run: str) -> Verdicts | None:
    """The verdicts of this run; None where it was not judged yet.

    Raises:
        DamagedResults: the file is not what was written.
    """
    path = reports / run / _NAME
    try:
        data = dict(json.loads(path.read_text(encoding="utf-8")))
        if data.get("schema") != SCHEMA:
            raise ValueError(f"its schema is {data.get('schema')}, this ampmark reads {SCHEMA}")
        return decode(Verdicts, {name: value for name, value in data.items() if name not in _SAID}, str(path))
    except FileNotFoundError:
        return None
    except (OSError, TypeError, ValueError, DecodeError) as error:
        raise DamagedResults(f"{path} is damaged ({error}); `ampmark gate {run}` writes it again.") from error
