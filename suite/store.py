"""Results on disk: a journal while a run lasts, sealed Parquet when it has ended, pandas frames on the way out.

A finished trial is one fsynced journal line, so a killed run keeps every finished trial. Sealing writes both Parquet
files and then, last, their SHA-256 into run.json; whatever does not fit these sums is refused by name, never skipped.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import weakref
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suite.columns import STEP_COLUMNS, TRIAL_COLUMNS
from suite.decode import DecodeError, decode, encode
from suite.errors import DamagedResults, NoResults, UsageError
from suite.files import (
    check_sha256,
    drop_unfinished_line,
    lock,
    read_json,
    read_parquet,
    read_text,
    refuse_newer,
    sha256,
    unwritable,
    write_atomically,
    write_parquet,
)
from suite.record import SCHEMA, Environment, TrialRecord
from suite.rows import step_rows, trial_row
from suite.spec import Plan

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Run",
    "RunInfo",
    "RunWriter",
    "create_run",
    "find_run",
    "list_runs",
    "load_records",
    "load_run",
    "read_info",
    "reopen_run",
    "run_folders",
]


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

    def __post_init__(self) -> None:
        # The id becomes part of paths.
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", self.run):
            raise ValueError(f"the run's id {self.run!r} is no name; it has letters, digits, dots, dashes and _.")
        if datetime.fromisoformat(self.created_at).tzinfo is None:
            raise ValueError(f"created_at is {self.created_at!r}; it has a time zone.")

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
        self._release = weakref.finalize(self, os.close, lock(folder))

    @property
    def finished(self) -> frozenset[str]:
        """Ids of the trials that have a record."""
        return frozenset(record.spec.trial_id for record in self.records)

    def append(self, record: TrialRecord, log: str) -> None:
        """Keep a finished trial for good: its log, then its journal line, which is flushed to the disk."""
        line = json.dumps({"schema": SCHEMA, "record": encode(record)}, allow_nan=False)
        try:
            (self.folder / "logs" / f"{record.spec.trial_id}.txt").write_text(log, encoding="utf-8")
            with (self.folder / "trials.jsonl").open("a", encoding="utf-8") as journal:
                journal.write(line + "\n")
                journal.flush()
                os.fsync(journal.fileno())
        except OSError as error:
            raise unwritable(self.folder, error) from error
        self.records.append(record)

    def seal(self) -> Run:
        """Write the Parquet files and put their sums into run.json; the run is then complete."""
        trials, steps = _frames(self.records, self.info.run)
        write_parquet(trials, self.folder / "trials.parquet")
        write_parquet(steps, self.folder / "steps.parquet")
        digests = {name: sha256(self.folder / name) for name in _SEALED_FILES}
        sealed = encode(self.info) | {"sealed_at": _now(), "files": digests}
        write_atomically(self.folder / "run.json", json.dumps(sealed, indent=1).encode())
        self._release()
        return load_run(self.folder)


_SEALED_FILES = ("trials.jsonl", "trials.parquet", "steps.parquet")


def create_run(results: Path, plan: Plan, environment: Environment, command: str, profile_text: str = "") -> RunWriter:
    """A new folder `results/runs/<utc>-<id>/` with run.json and the profile in it.

    Raises:
        UnwritableResults: the folder cannot be made.
    """
    now = datetime.now(UTC)
    # To the millisecond: names sort by time, and `latest` is the last one.
    run = f"{now:%Y%m%dT%H%M%S}.{now.microsecond // 1000:03d}Z-{secrets.token_hex(3)}"
    folder = results / "runs" / run
    info = RunInfo(run=run, plan=plan, environment=environment, command=command, created_at=_now())
    try:
        (folder / "logs").mkdir(parents=True)
        (folder / "trials.jsonl").touch()
        (folder / "profile.toml").write_text(profile_text, encoding="utf-8")
        write_atomically(folder / "run.json", json.dumps(encode(info), indent=1).encode())
    except OSError as error:
        raise unwritable(folder, error) from error
    return RunWriter(folder, info)


def reopen_run(folder: Path) -> RunWriter:
    """Go on with an interrupted run; its finished trials are kept."""
    info = read_info(folder)
    records = _read_journal(folder, info.plan)
    if info.sealed_at is None:
        drop_unfinished_line(folder / "trials.jsonl")
    return RunWriter(folder, info, records)


def load_run(folder: Path) -> Run:
    """A run's frames: from the sealed Parquet, or from the journal of a run that was cut short.

    Raises:
        NoResults: there is no run in the folder.
        DamagedResults: a file is unreadable or is not what was sealed.
        NewerSchema: written by a newer ampmark.
    """
    info = read_info(folder)
    if info.sealed_at is None:
        return Run(folder, info, *_frames(_read_journal(folder, info.plan), info.run))
    for name in _SEALED_FILES:
        check_sha256(folder / name, (info.files or {})[name])
    trials = read_parquet(folder / "trials.parquet", TRIAL_COLUMNS, info.schema)
    return Run(folder, info, trials, read_parquet(folder / "steps.parquet", STEP_COLUMNS, info.schema))


def load_records(folder: Path) -> tuple[RunInfo, list[TrialRecord]]:
    """A run's complete records, in the order of its plan; from the journal, whether sealed or not.

    Raises:
        NoResults, DamagedResults, NewerSchema: as :func:`load_run`; damaged also where the tables of a sealed run,
            which all reports are made from, are not those that follow from the records.
    """
    run = load_run(folder)
    records = sorted(_read_journal(folder, run.info.plan), key=lambda record: record.order)
    if run.info.sealed_at is not None and run.info.schema == SCHEMA:
        for name, stored, made in zip(
            ("trials", "steps"), (run.trials, run.steps), _frames(records, run.info.run), strict=True
        ):
            if not stored.equals(made):
                raise DamagedResults(
                    f"{folder / name}.parquet is not what follows from trials.jsonl; restore both from a copy."
                )
    return run.info, records


def list_runs(results: Path) -> list[RunInfo]:
    """Every run under a results folder, oldest first; a copy of one, which would count as one more, is damage."""
    return [read_info(folder, copies=False) for folder in run_folders(results)]


def run_folders(results: Path) -> list[Path]:
    """The folder of every run under a results folder, damaged ones too, oldest first."""
    return sorted(path.parent for path in (results / "runs").glob("*/run.json"))


def find_run(results: Path, name: str) -> Path:
    """The folder of a run given by id, by the beginning of its id, by path, or as `latest`.

    Raises:
        NoResults: nothing fits, or more than one does.
    """
    if name and os.path.exists(Path(name) / "run.json"):  # unlike Path.exists, False where it is too long to be a path
        return Path(name)
    runs = run_folders(results)
    if not runs:
        raise NoResults(f"no runs are stored under {results}; run `ampmark run` first, or give --home.")
    if name == "latest":
        return runs[-1]
    found = [folder for folder in runs if name and folder.name.startswith(name)]
    if len(found) != 1:
        what = "no run" if not found else f"{len(found)} runs"
        raise NoResults(f"{what} under {results} begin with {name!r}; `ampmark list` shows their ids.")
    return found[0]


def _frames(records: list[TrialRecord], run: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    records = sorted(records, key=lambda record: record.order)
    trials = [trial_row(record, run) for record in records]
    steps = [row for record in records for row in step_rows(record, run)]
    return _frame(trials, TRIAL_COLUMNS), _frame(steps, STEP_COLUMNS)


def _frame(rows: list[dict[str, Any]], columns: Mapping[str, str]) -> pd.DataFrame:
    import pandas as pd

    # Column by column: a frame made of rows holds integers beside gaps as floats, which are not exact above 2^53.
    return pd.DataFrame(
        {name: pd.Series([row.get(name) for row in rows], dtype=kind) for name, kind in columns.items()}
    )


def read_info(folder: Path, *, copies: bool = True) -> RunInfo:
    """run.json, with errors as of `load_run`; without `copies`, one under another name than its own is damage."""
    path = folder / "run.json"
    data = read_json(path, read_text(path))
    refuse_newer(path, data)
    try:
        info = decode(RunInfo, data, str(path))
    except (DecodeError, UsageError) as error:
        raise DamagedResults(f"{path} is not a run description: {error}") from error
    if info.sealed_at is not None and set(info.files or ()) != set(_SEALED_FILES):
        raise DamagedResults(f"{path} does not seal {', '.join(_SEALED_FILES)}; restore it from a copy.")
    if not copies and folder.name != info.run:
        raise DamagedResults(f"{folder} holds run {info.run} under another name; remove the copy.")
    return info


def _read_journal(folder: Path, plan: Plan) -> list[TrialRecord]:
    path = folder / "trials.jsonl"
    if not path.exists():
        raise DamagedResults(f"{path} is missing from a run; restore it from a copy or delete the run.")
    lines = read_text(path).split("\n")
    # A line without its newline is the one that was being written when the run was killed: it was never finished.
    records = []
    for number, line in enumerate(lines[:-1], start=1):
        data = read_json(path, line, f", line {number}")
        refuse_newer(path, data)
        try:
            records.append(decode(TrialRecord, data["record"], f"{path}, line {number}"))
        except (DecodeError, KeyError, UsageError) as error:
            raise DamagedResults(f"{path}, line {number} is not a trial record: {error}") from error
    _check_plan(path, records, plan)
    return records


def _check_plan(path: Path, records: Sequence[TrialRecord], plan: Plan) -> None:
    """Each record is of a planned trial, and no trial has two."""
    planned, seen = {spec.trial_id: spec for spec in plan.trials}, set[str]()
    for number, spec in enumerate((record.spec for record in records), start=1):
        if planned.get(spec.trial_id) != spec or spec.trial_id in seen:
            wrong = "has two records" if spec.trial_id in seen else "is not as planned"
            raise DamagedResults(f"{path}, line {number}: {spec.trial_id} {wrong}; restore it from a copy.")
        seen.add(spec.trial_id)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
