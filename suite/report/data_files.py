"""The files behind a page and beside it, linked relatively: a folder that holds results/ and reports/ can be moved."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from suite.home import Home
from suite.report import numbers
from suite.store import Run

__all__ = ["DataFile", "data_files"]

_BESIDE = {
    "summary.md": "beside this page: at most twenty rows, for the summary of a CI job",
    "junit.xml": "beside this page: the verdicts, or without any the trials, for a CI server",
    "verdict.json": "beside this page: every finding with its numbers, described in reports/README.md",
}


@dataclass(frozen=True)
class DataFile:
    """One row of the list."""

    name: str
    what: str
    sha256: str = numbers.MISSING
    """Once the run is sealed."""
    href: str | None = None
    """Relative to the page; None where the file cannot be reached from it."""


def data_files(run: Run, home: Home | None = None, beside: Iterable[str] = ()) -> tuple[DataFile, ...]:
    """The files in the run's results folder, and those named in `beside`, which lie in the page's folder.

    Without `home` nothing is linked.
    """
    digests = run.info.files or {}
    what = {
        "run.json": "plan, environment, digests",
        "trials.jsonl": "the journal: one record per finished trial",
        "trials.parquet": f"{len(run.trials)} rows, one per trial",
        "steps.parquet": f"{len(run.steps):,} rows, one per step",
        "logs/": "what each trial printed",
    }
    unsealed = run.info.sealed_at is None
    found = [
        DataFile(name, meaning, digests.get(name, numbers.MISSING), _in_results(run, name, home))
        for name, meaning in what.items()
        if not (unsealed and name.endswith(".parquet"))
    ]
    names = set(beside)
    return (*found, *(DataFile(name, said, href=name) for name, said in _BESIDE.items() if name in names))


def _in_results(run: Run, name: str, home: Home | None) -> str | None:
    """`../../results/runs/RUN/NAME`, where the run lies in the results that belong to the page's reports."""
    if home is None:
        return None
    # As the browser does it: symbolic links are not looked through.
    folder = os.path.abspath(home.results / "runs" / run.info.run)
    if os.path.abspath(run.folder) != folder or not Path(folder, name).exists():
        return None
    return f"{Path(os.path.relpath(folder, os.path.abspath(home.reports / run.info.run))).as_posix()}/{name}"
