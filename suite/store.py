"""Results on disk: a journal while a run lasts, sealed Parquet when it has ended, pandas frames on the way out.

A finished trial is one fsynced journal line, so a killed run keeps every finished trial. Sealing writes both Parquet
files and then, last, their SHA-256 into run.json; whatever does not fit these sums is refused by name, never skipped.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suite.columns import STEP_COLUMNS, TRIAL_COLUMNS
from suite.decode import DecodeError, decode, encode
from suite.errors import DamagedResults, NewerSchema, NoResults, UnwritableResults
from suite.record import SCHEMA, Environment, TrialRecord
from suite.rows import step_rows, trial_row
from suite.spec import Plan

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Run", "RunInfo", "RunWriter", "create_run", "find_run", "list_runs", "load_run", "reopen_run"]


@dataclass(frozen=True)
class RunInfo:
    """run.json."""

    run: str
    plan: Plan
    environment: Environment
    command: str
    """What the user typed."""
    created_at: str
    schema: int = SCHEMA
    sealed_at: str | None = None
    """None while the run lasts, and for ever if it was interrupted."""
    files: Mapping[str, str] | None = None
    """File name -> SHA-256, once sealed."""

    @property
    def fingerprint(self) -> str:
        """The machine's fingerprint."""
        return self.environment.fingerprint


@dataclass(frozen=True)
class Run:
    """A run as the judging half sees it: two frames and what they were measured on."""

    folder: Path
    info: RunInfo
    trials: pd.DataFrame
    """One row per finished trial."""
    steps: pd.DataFrame
    """One row per optimizer step."""


class RunWriter:
    """An open run: append records, then seal."""

    def __init__(self, folder: Path, info: RunInfo, records: Iterable[TrialRecord] = ()) -> None:
        self.folder = folder
        self.info = info
        self.records = list(records)

    @property
    def finished(self) -> frozenset[str]:
        """Ids of the trials that have a record."""
        return frozenset(record.spec.trial_id for record in self.records)

    def append(self, record: TrialRecord, log: str) -> None:
        """Keep a finished trial for good: its log, then its journal line, both flushed to the disk."""
        line = json.dumps({"schema": SCHEMA, "record": encode(record)}, allow_nan=False)
        try:
            (self.folder / "logs" / f"{record.spec.trial_id}.txt").write_text(log, encoding="utf-8")
            with (self.folder / "trials.jsonl").open("a", encoding="utf-8") as journal:
                journal.write(line + "\n")
                journal.flush()
                os.fsync(journal.fileno())
        except OSError as error:
            raise _unwritable(self.folder, error) from error
        self.records.append(record)

    def seal(self) -> Run:
        """Write the Parquet files and put their sums into run.json; the run is then complete."""
        trials, steps = _frames(self.records, self.info.run)
        _write_parquet(trials, self.folder / "trials.parquet")
        _write_parquet(steps, self.folder / "steps.parquet")
        sealed = encode(self.info) | {
            "sealed_at": _now(),
            "files": {name: _sha256(self.folder / name) for name in _SEALED_FILES},
        }
        _write_atomically(self.folder / "run.json", json.dumps(sealed, indent=1).encode())
        return load_run(self.folder)


_SEALED_FILES = ("trials.jsonl", "trials.parquet", "steps.parquet")


def create_run(results: Path, plan: Plan, environment: Environment, command: str) -> RunWriter:
    """A new folder `results/runs/<utc>-<id>/` with run.json in it.

    Raises:
        UnwritableResults: the folder cannot be made.
    """
    run = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    folder = results / "runs" / run
    info = RunInfo(run=run, plan=plan, environment=environment, command=command, created_at=_now())
    try:
        (folder / "logs").mkdir(parents=True)
        (folder / "trials.jsonl").touch()
        _write_atomically(folder / "run.json", json.dumps(encode(info), indent=1).encode())
    except OSError as error:
        raise _unwritable(folder, error) from error
    return RunWriter(folder, info)


def reopen_run(folder: Path) -> RunWriter:
    """Go on with an interrupted run; its finished trials are kept."""
    info = _read_info(folder)
    return RunWriter(folder, info, _read_journal(folder, info))


def load_run(folder: Path) -> Run:
    """A run's frames: from the sealed Parquet, or from the journal of a run that was cut short.

    Raises:
        NoResults: there is no run in the folder.
        DamagedResults: a file is unreadable or is not what was sealed.
        NewerSchema: written by a newer ampmark.
    """
    info = _read_info(folder)
    if info.files is None:
        return Run(folder, info, *_frames(_read_journal(folder, info), info.run))
    import pandas as pd

    for name, expected in info.files.items():
        _check(folder / name, expected)
    trials = pd.read_parquet(folder / "trials.parquet").astype(TRIAL_COLUMNS)
    return Run(folder, info, trials, pd.read_parquet(folder / "steps.parquet").astype(STEP_COLUMNS))


def list_runs(results: Path) -> list[RunInfo]:
    """Every run under a results folder, oldest first."""
    folders = sorted((results / "runs").glob("*/run.json"))
    return [_read_info(path.parent) for path in folders]


def find_run(results: Path, name: str) -> Path:
    """The folder of a run given by id, by the beginning of its id, by path, or as `latest`.

    Raises:
        NoResults: nothing fits, or more than one does.
    """
    as_path = Path(name)
    if (as_path / "run.json").exists():
        return as_path
    runs = sorted(path.parent for path in (results / "runs").glob("*/run.json"))
    if not runs:
        raise NoResults(f"no runs are stored under {results}; run `ampmark run` first, or give --results.")
    if name == "latest":
        return runs[-1]
    found = [folder for folder in runs if folder.name.startswith(name)]
    if len(found) != 1:
        what = "no run" if not found else f"{len(found)} runs"
        raise NoResults(f"{what} under {results} begin with {name!r}; `ampmark list` shows their ids.")
    return found[0]


def _frames(records: list[TrialRecord], run: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    import pandas as pd

    records = sorted(records, key=lambda record: record.order)
    trials = [trial_row(record, run) for record in records]
    steps = [row for record in records for row in step_rows(record, run)]
    return (
        pd.DataFrame(trials, columns=list(TRIAL_COLUMNS)).astype(TRIAL_COLUMNS),
        pd.DataFrame(steps, columns=list(STEP_COLUMNS)).astype(STEP_COLUMNS),
    )


def _read_info(folder: Path) -> RunInfo:
    path = folder / "run.json"
    data = _read_json(path, _read_text(path))
    _refuse_newer(path, data)
    try:
        return decode(RunInfo, data, str(path))
    except (DecodeError, ValueError) as error:
        raise DamagedResults(f"{path} is not a run description: {error}") from error


def _read_journal(folder: Path, info: RunInfo) -> list[TrialRecord]:
    path = folder / "trials.jsonl"
    lines = _read_text(path).split("\n")
    # A line without its newline is the one that was being written when the run was killed: it was never finished.
    records = []
    for number, line in enumerate(lines[:-1], start=1):
        data = _read_json(path, line, f", line {number}")
        _refuse_newer(path, data)
        try:
            records.append(decode(TrialRecord, data["record"], f"{path}, line {number}"))
        except (DecodeError, KeyError, ValueError) as error:
            raise DamagedResults(f"{path}, line {number} is not a trial record: {error}") from error
    return records


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise NoResults(f"{path} does not exist; give the folder of a run (`ampmark list` shows them).") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DamagedResults(f"{path} cannot be read ({error}); restore it from a copy or delete the run.") from error


def _read_json(path: Path, text: str, place: str = "") -> dict[str, Any]:
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise DamagedResults(
            f"{path}{place} is damaged ({error}); restore it from a copy or delete the run."
        ) from error
    if not isinstance(data, dict):
        raise DamagedResults(f"{path}{place} is damaged (not a table); restore it from a copy or delete the run.")
    return data


def _refuse_newer(path: Path, data: dict[str, Any]) -> None:
    found = data.get("schema")
    if isinstance(found, int) and found > SCHEMA:
        raise NewerSchema(f"{path} has schema {found}, but this ampmark reads up to {SCHEMA}; update ampmark.")


def _check(path: Path, expected: str) -> None:
    if not path.exists():
        raise DamagedResults(f"{path} is missing from a sealed run; restore it from a copy or delete the run.")
    if _sha256(path) != expected:
        raise DamagedResults(f"{path} is not the file that was sealed; restore it from a copy or delete the run.")


def _write_parquet(frame: pd.DataFrame, path: Path) -> None:
    partial = path.with_suffix(".partial")
    try:
        frame.to_parquet(partial, index=False)
        os.replace(partial, path)
    except OSError as error:
        raise _unwritable(path.parent, error) from error


def _write_atomically(path: Path, data: bytes) -> None:
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def _unwritable(folder: Path, error: OSError) -> UnwritableResults:
    return UnwritableResults(f"{folder} cannot be written to ({error.strerror}); give another folder with --out.")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
