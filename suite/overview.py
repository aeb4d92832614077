"""The index over all runs, gathered from what is stored; what cannot be read is a row that says so, never an end."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote_from_bytes

from suite import store
from suite.columns import TRIAL_COLUMNS
from suite.errors import DamagedResults, ResultsError
from suite.files import check_sha256, read_parquet
from suite.home import Home
from suite.judge.baseline import list_approvals
from suite.judge.calibration import Calibration
from suite.judge.cells import measured
from suite.judge.findings import ORDER, Verdict
from suite.judge.followed import MachineHistory, histories, machine_labels
from suite.judge.nights import machines, series_of
from suite.judge.verdict_file import read_refusal, read_verdicts
from suite.report.index_page import Index, StoredRun, write_index_page
from suite.store import RunInfo

__all__ = ["write_index"]

_FILES = ("index.html", "verdict.json", "summary.md", "junit.xml")
_HARDWARE = Path("hardware", "index.html")


@dataclass(frozen=True)
class _Reading:
    """What could be read of a stored run."""

    folder: Path
    info: RunInfo | None = None
    measured: int | None = None
    """Trials with numbers."""
    damage: str | None = None


def write_index(home: Home) -> Path:
    """Write `reports/index.html` from the stored runs and their verdicts; returns its path.

    A run whose plan, outcomes or step times cannot be read is damaged: its row says so, and the history is judged
    without it.

    Raises:
        UnwritableResults: the page cannot be written.
    """
    readings = [_read(folder) for folder in store.run_folders(home.results)]
    found, problem = _histories(home.results, readings)
    if problem is not None:
        readings = [_with_nights(home.results, reading) for reading in readings]
        found, problem = _histories(home.results, readings)
    infos = [reading.info for reading in readings if reading.info is not None]
    labels, approved = machine_labels(infos), _approved(home.results)
    index = Index(
        runs=tuple(_stored_run(reading, home.reports, labels, approved) for reading in reversed(readings)),
        machines=len(machines(infos)),
        histories=tuple(found),
        no_history=problem,
        hardware=_HARDWARE.as_posix() if (home.reports / _HARDWARE).is_file() else None,
    )
    return write_index_page(index, home.reports)


def _read(folder: Path) -> _Reading:
    try:
        info = store.read_info(folder, copies=False)
    except ResultsError as error:
        return _Reading(folder, damage=str(error))
    try:
        return _Reading(folder, info, _measured(folder, info))
    except ResultsError as error:
        return _Reading(folder, info, damage=str(error))


def _measured(folder: Path, info: RunInfo) -> int:
    if info.sealed_at is None:
        return len(measured(store.load_run(folder).trials))
    path = folder / "trials.parquet"
    check_sha256(path, (info.files or {})[path.name])
    try:
        return len(measured(read_parquet(path, {"outcome": TRIAL_COLUMNS["outcome"]}, info.schema)))
    except ValueError as error:
        raise DamagedResults(f"{path} has an outcome that this version does not know ({error}).") from error


def _histories(results: Path, readings: Sequence[_Reading]) -> tuple[list[MachineHistory], str | None]:
    """What the nights of the sound runs say, or why that cannot be known."""
    try:
        return histories(results, [reading.info for reading in readings if reading.info and not reading.damage]), None
    except ResultsError as error:
        return [], str(error)


def _with_nights(results: Path, reading: _Reading) -> _Reading:
    """The same; damaged where its nights, its anchor's included, cannot be read."""
    if reading.info is None or reading.damage is not None:
        return reading
    try:
        series_of(results, Calibration(), reading.info, [reading.info])
    except ResultsError as error:
        return replace(reading, damage=str(error))
    return reading


def _approved(results: Path) -> dict[str, str]:
    """By run, the name under which it is a baseline; a damaged one is said where it is used."""
    with suppress(ResultsError):
        return {approval.run: approval.name for approval in list_approvals(results)}
    return {}


def _stored_run(reading: _Reading, reports: Path, labels: Mapping[str, str], approved: Mapping[str, str]) -> StoredRun:
    name, info = reading.folder.name, reading.info
    links = dict(_links(reports, name))
    if info is None:
        return StoredRun(name, damage=reading.damage, links=links)
    verdict, headline = _said(reports, info, approved.get(info.run))
    return StoredRun(
        run=name,
        created_at=info.created_at,
        machine=labels[info.run],
        profile=info.plan.profile,
        measured=reading.measured,
        planned=len(info.plan.trials),
        finished=info.sealed_at is not None,
        damage=reading.damage,
        verdict=verdict,
        headline=headline,
        links=links,
    )


def _said(reports: Path, info: RunInfo, baseline: str | None) -> tuple[Verdict | None, str]:
    """The worst verdict on a run and the headline, or why there is none."""
    try:
        verdicts = read_verdicts(reports, info.run)
        if verdicts is not None:
            worst = min((finding.verdict for finding in verdicts.findings), key=ORDER.__getitem__, default=None)
            return worst, verdicts.headline
        refusal = read_refusal(reports, info.run)
    except ResultsError as error:
        return None, str(error)
    if refusal is not None:
        return None, refusal
    if info.sealed_at is None:
        return None, f"It was cut short, or lasts still; `ampmark run --resume {info.run}` completes it."
    if baseline is not None:
        return None, f"It is baseline {baseline!r}, which later runs are judged against."
    return None, f"No gate has looked at it; `ampmark gate {info.run}` does."


def _links(reports: Path, name: str) -> Iterable[tuple[str, str]]:
    """Files of a run's report that are there, each with its address seen from the index."""
    for file in _FILES:
        if (reports / name / file).is_file():
            yield file, f"{quote_from_bytes(os.fsencode(name))}/{file}"
