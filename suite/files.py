"""Stored files: read with errors that name the file and the remedy, written so that none is ever half there."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suite.errors import DamagedResults, NewerSchema, NoResults, UnwritableResults, UsageError
from suite.record import SCHEMA

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "check_sha256",
    "drop_unfinished_line",
    "held_for_reading",
    "lock",
    "locked",
    "read_json",
    "read_parquet",
    "read_text",
    "refuse_newer",
    "sha256",
    "unwritable",
    "write_atomically",
    "write_parquet",
]


def read_text(path: Path) -> str:
    """A text file; a missing one is NoResults, an unreadable one DamagedResults."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise NoResults(f"{path} does not exist; give the folder of a run (`ampmark list` shows them).") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DamagedResults(f"{path} cannot be read ({error}); restore it from a copy or delete the run.") from error


def read_json(path: Path, text: str, place: str = "") -> dict[str, Any]:
    """A JSON table read from `path`; `place` names the line in messages."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DamagedResults(
            f"{path}{place} is damaged ({error}); restore it from a copy or delete the run."
        ) from error
    if not isinstance(data, dict):
        raise DamagedResults(f"{path}{place} is damaged (not a table); restore it from a copy or delete the run.")
    return data


def refuse_newer(path: Path, data: dict[str, Any]) -> None:
    """Raise NewerSchema where a newer ampmark has written."""
    found = data.get("schema")
    if isinstance(found, int) and found > SCHEMA:
        raise NewerSchema(f"{path} has schema {found}, but this ampmark reads up to {SCHEMA}; update ampmark.")


def check_sha256(path: Path, expected: str) -> None:
    """Raise DamagedResults where a sealed file is missing or changed."""
    if not path.is_file():
        raise DamagedResults(f"{path} is missing from a sealed run; restore it from a copy or delete the run.")
    if sha256(path) != expected:
        raise DamagedResults(f"{path} is not the file that was sealed; restore it from a copy or delete the run.")


def read_parquet(path: Path, columns: Mapping[str, str], schema: int = SCHEMA) -> pd.DataFrame:
    """A sealed frame with these columns and types; one that a table of an older schema lacks is null."""
    import pandas as pd

    try:
        if schema < SCHEMA:
            return pd.read_parquet(path).reindex(columns=list(columns)).astype(dict(columns))
        return pd.read_parquet(path, columns=list(columns)).astype(dict(columns))
    except (OSError, ValueError, KeyError) as error:
        raise DamagedResults(
            f"{path} is not the table it should be ({error}); restore it from a copy or delete the run."
        ) from error


def lock(folder: Path) -> int:
    """Hold a run's folder for writing until the descriptor returned is closed, or its process ends.

    Raises:
        UsageError: another process holds it.
    """
    try:
        held = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise unwritable(folder, error) from error
    try:
        fcntl.lockf(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(held)
        raise UsageError(f"run {folder.name} is being written by another process; wait for it or end it.") from None
    return held


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder for writing; whoever holds it already, in this process or another, is waited for."""
    with (folder / ".lock").open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


@contextmanager
def held_for_reading(folder: Path) -> Iterator[None]:
    """Keep a folder that others read as well from being written; whoever holds it for writing is waited for.

    Nobody writes where nobody has written before, or where a file cannot be locked, and both may be read.
    """
    with ExitStack() as stack:
        with suppress(OSError):
            held = stack.enter_context((folder / ".lock").open("rb"))
            fcntl.flock(held, fcntl.LOCK_SH)
        yield


def write_parquet(frame: pd.DataFrame, path: Path) -> None:
    """Write beside the target, then rename: a reader never sees half a file."""
    with _beside(path) as partial:
        frame.to_parquet(partial, index=False)


def write_atomically(path: Path, data: bytes) -> None:
    """Write beside the target, flush to the disk, then rename."""
    with _beside(path) as partial:
        partial.write_bytes(data)


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A new file to write to, which then takes the place of `path`, or is removed where that fails."""
    # A name of its own, so that two processes that write the same file do not write into one another's.
    partial = path.with_name(f"{path.stem}.{secrets.token_hex(6)}.partial")
    try:
        try:
            yield partial
            with partial.open("rb") as written:
                os.fsync(written.fileno())
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise unwritable(path.parent, error) from error


def unwritable(folder: Path, error: OSError) -> UnwritableResults:
    """The error to raise instead of an operating system's."""
    return UnwritableResults(
        f"{folder} cannot be written to ({error.strerror or error}); give another folder with --out."
    )


def sha256(path: Path) -> str:
    """Digest of a file's content, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def drop_unfinished_line(path: Path) -> None:
    """Cut off what was being written when the run was killed; the next record would be glued to it."""
    data = path.read_bytes()
    finished = data.rfind(b"\n") + 1
    if finished < len(data):
        try:
            os.truncate(path, finished)
        except OSError as error:
            raise unwritable(path.parent, error) from error
