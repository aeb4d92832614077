"""Approved baselines: a copy of a run, one per name and machine, that moves only when somebody approves it."""

from __future__ import annotations

import json
import re
import secrets
import shutil
import tempfile
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from suite.decode import DecodeError, decode, encode
from suite.errors import DamagedResults, Incomparable, NoBaseline, UsageError
from suite.files import held_for_reading, locked, unwritable, write_atomically
from suite.record import Environment
from suite.store import Run, load_run

__all__ = ["Approval", "approve", "find", "list_approvals", "weaknesses"]

LONGEST_NAME = 255
"""Characters that a folder's name may have."""


@dataclass(frozen=True)
class Approval:
    """baseline.json: who vouches for this copy is in the reason."""

    name: str
    run: str
    fingerprint: str
    device: str
    reason: str
    approved_at: str
    copy: str | None = None
    """Name of the folder, beside this file, that holds the copy; None of an older file: the run's own name."""

    def __post_init__(self) -> None:
        if datetime.fromisoformat(self.approved_at).tzinfo is None:
            raise ValueError(f"approved_at is {self.approved_at!r}; it has a time zone.")


def approve(results: Path, run: Run, name: str, reason: str) -> Approval:
    """Make a run the baseline of this name for its machine; a former one is replaced.

    Raises:
        UsageError: an empty reason, a name that is no file name, or a run that was cut short or has no numbers.
        UnwritableResults: the copy cannot be written.
    """
    _check_name(name)
    if not reason.strip():
        raise UsageError("--reason is empty; say why this run may be the measure of later ones.")
    if run.info.sealed_at is None:
        raise UsageError(
            f"run {run.info.run} was cut short; complete it with `ampmark run --resume {run.info.run}` first."
        )
    if not run.trials["outcome"].isin(["ok", "emulated"]).any():
        raise UsageError(f"run {run.info.run} has no trial with numbers; approve one that has.")
    approval = Approval(
        name=name,
        run=run.info.run,
        fingerprint=run.info.fingerprint,
        device=run.info.environment.device_name,
        reason=reason,
        approved_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    return _store(_folder(results, name, approval.fingerprint), run, approval)


def weaknesses(run: Run) -> tuple[str, ...]:
    """What would weaken every comparison with this run as the base: one sentence each."""
    from suite.judge.cells import disturbances, measured
    from suite.judge.stats import FEWEST

    found = []
    trials = measured(run.trials)
    timed = trials[~trials["deterministic"]]
    few = int((timed.groupby(["workload", "precision"]).size() < FEWEST).sum())
    if few:
        cells, their = ("1 cell has", "its time") if few == 1 else (f"{few} cells have", "their times")
        found.append(
            f"{cells} fewer than {FEWEST} processes, so without --anchor {their} will always be inconclusive; "
            "run with --repeats 5."
        )
    codes = [disturbances(text) for text in trials["cautions"]]
    disturbed = sum(map(bool, codes))
    if disturbed:
        named = ", ".join(dict.fromkeys(code for each in codes for code in each))
        found.append(
            f"{disturbed} of {len(trials)} trials were disturbed ({named}); verdicts that rest on them will be "
            "inconclusive, so approve a run of a quiet machine."
        )
    return tuple(found)


def find(results: Path, name: str, environment: Environment) -> tuple[Approval, Run]:
    """The approved baseline of this name for this machine and software.

    Raises:
        UsageError: a name that no baseline can have.
        NoBaseline: there is none of this name; the message says what there is and how to approve one.
        Incomparable: those of this name are for others; the message lists what differs from the nearest.
    """
    _check_name(name)
    folder = _folder(results, name, environment.fingerprint)
    with held_for_reading(results / "baselines"):
        if not (folder / "baseline.json").exists():
            raise _missing(results, name, environment)
        return _load(folder)


def _check_name(name: str) -> None:
    """It is the name of a folder."""
    if len(name) > LONGEST_NAME:
        raise UsageError(
            f"baseline name {name[:20]!r}… has {len(name)} characters; give one of at most {LONGEST_NAME}."
        )
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise UsageError(f"baseline name {name!r} is not usable; give letters, digits, dots, dashes and underscores.")


def _missing(results: Path, name: str, environment: Environment) -> NoBaseline | Incomparable:
    """Why there is no baseline of this name, and what to do."""
    command = f"`ampmark baseline approve latest --name {name} --reason TEXT`"
    approvals = list_approvals(results)
    namesakes = [_load(_folder(results, name, each.fingerprint)) for each in approvals if each.name == name]
    if not namesakes:
        others = [f"{each.name!r} for {each.device}" for each in approvals]
        known = f" (approved so far: {', '.join(others)})" if others else ""
        return NoBaseline(
            f"no baseline {name!r} is approved for this machine and software{known}; run {command} on a run you trust."
        )
    nearest, differences = max(
        ((approval, base.info.environment.differences(environment)) for approval, base in namesakes),
        key=lambda pair: (-len(pair[1]), pair[0].approved_at),
    )
    return Incomparable(
        f"baseline {name!r} is approved for other machines or software only; what differs from the nearest, run "
        f"{nearest.run} on {nearest.device}: {'; '.join(differences)}. Approve a baseline for this stack with "
        f"{command}, or measure on the old one."
    )


def list_approvals(results: Path) -> list[Approval]:
    """Every approved baseline, by name."""
    return [_read(path) for path in sorted((results / "baselines").glob("*/*/baseline.json"))]


def _load(folder: Path) -> tuple[Approval, Run]:
    approval = _read(folder / "baseline.json")
    return approval, load_run(folder / (approval.copy or approval.run))


def _folder(results: Path, name: str, fingerprint: str) -> Path:
    return results / "baselines" / name / fingerprint[:12]


def _store(folder: Path, run: Run, approval: Approval) -> Approval:
    """Copy the run beside the former one, and put it in its place; of two approvals at once the last one counts."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder.parents[1]):
            return _swap(folder, run, approval)
    except OSError as error:
        raise unwritable(folder, error) from error


def _swap(folder: Path, run: Run, approval: Approval) -> Approval:
    """Point baseline.json at the new copy in one step, then drop the former: whenever it is killed, one is whole."""
    approval = replace(approval, copy=f"{approval.run}.{secrets.token_hex(6)}")
    with tempfile.TemporaryDirectory(dir=folder) as partial:
        shutil.copytree(run.folder, Path(partial) / "copy").rename(folder / str(approval.copy))
    write_atomically(folder / "baseline.json", json.dumps(encode(approval), indent=1).encode())
    for former in folder.iterdir():
        if former.is_dir() and former.name != approval.copy:
            shutil.rmtree(former)
    return approval


def _read(path: Path) -> Approval:
    try:
        return decode(Approval, json.loads(path.read_text(encoding="utf-8")), str(path))
    except (OSError, ValueError, DecodeError) as error:
        raise DamagedResults(f"{path} is damaged ({error}); approve the baseline again.") from error
