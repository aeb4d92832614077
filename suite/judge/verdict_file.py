"""verdict.json beside a run's report: written by the gate, read by reports, `explain` and CI."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from suite.decode import decode, encode
from suite.errors import DamagedResults
from suite.files import unwritable, write_atomically
from suite.judge.findings import Verdicts

__all__ = ["SCHEMA", "document", "read_refusal", "read_verdicts", "write_refusal", "write_verdicts"]

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
    _write(reports / verdicts.candidate_run, document(verdicts))


def write_refusal(reports: Path, run: str, why: str) -> None:
    """Write that this run could not be judged, in the place of what was said of it before.

    Raises:
        UnwritableResults: it cannot be written.
    """
    _write(reports / run, {"schema": SCHEMA, "headline": why, "exit_status": 2, "findings": []})


def document(verdicts: Verdicts) -> dict[str, Any]:
    """The content of the file, which `--json` prints as well."""
    status = verdicts.exit_status(frozenset({"regressed"}))
    encoded: dict[str, Any] = encode(verdicts)
    return {"schema": SCHEMA, "headline": verdicts.headline, "exit_status": status} | encoded


def read_verdicts(reports: Path, run: str) -> Verdicts | None:
    """The verdicts of this run; None where it was not judged yet, or could not be.

    Raises:
        DamagedResults: the file is not what was written, or another version of ampmark wrote it.
    """
    said = _read(reports, run)
    return said if isinstance(said, Verdicts) else None


def read_refusal(reports: Path, run: str) -> str | None:
    """Why this run could not be judged; None where it was, or where no gate has looked at it.

    Raises:
        DamagedResults: as :func:`read_verdicts`.
    """
    said = _read(reports, run)
    return said if isinstance(said, str) else None


def _read(reports: Path, run: str) -> Verdicts | str | None:
    """The verdicts, or why there are none; None without the file."""
    path = reports / run / _NAME
    again = f"`ampmark gate {run}` writes it again."
    try:
        data = dict(json.loads(path.read_text(encoding="utf-8")))
        schema = data.get("schema")
        if type(schema) is int and schema != SCHEMA:
            other = f"was written by another version of ampmark (schema {schema}, this one reads {SCHEMA})"
            raise DamagedResults(f"{path} {other}; {again}")
        return _decoded(data, run, str(path))
    except FileNotFoundError:
        return None
    except (OSError, RecursionError, TypeError, ValueError) as error:
        raise DamagedResults(f"{path} is damaged ({error}); {again}") from error


def _decoded(data: dict[str, Any], run: str, where: str) -> Verdicts | str:
    if data.get("schema") != SCHEMA:
        raise ValueError(f"its schema is {data.get('schema')!r}")
    if data.keys() == {*_SAID, "findings"} and data["findings"] == []:
        return str(data["headline"])
    verdicts = decode(Verdicts, {name: value for name, value in data.items() if name not in _SAID}, where)
    if verdicts.candidate_run != run:
        raise ValueError(f"it is of run {verdicts.candidate_run}")
    return verdicts


def _write(folder: Path, content: dict[str, Any]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error
    write_atomically(folder / _NAME, json.dumps(content, indent=1).encode())
