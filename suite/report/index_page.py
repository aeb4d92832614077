"""The page over all runs: what the nights say of every series, with a sparkline, and every run with its verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from suite.files import unwritable, write_atomically
from suite.judge.findings import Verdict
from suite.judge.followed import MachineHistory
from suite.report import numbers
from suite.report.series_rows import HEAD, LOUD, SeriesRow, badness, counted_states, series_row
from suite.report.signs import DAMAGED, NOT_JUDGED, UNFINISHED, Sign, verdict_sign
from suite.report.sparkline import FLATTEST
from suite.report.templating import templates
from suite.report.text import first_of

__all__ = ["Index", "StoredRun", "index_html", "write_index_page"]


@dataclass(frozen=True)
class StoredRun:
    """One run of the list."""

    run: str
    created_at: str | None = None
    """UTC; like everything that is None, not to be read."""
    machine: str | None = None
    profile: str | None = None
    measured: int | None = None
    """Trials with numbers."""
    planned: int | None = None
    finished: bool = True
    damage: str | None = None
    """Why it cannot be read; it is then no part of the history."""
    verdict: Verdict | None = None
    """The worst one on it."""
    headline: str = ""
    """Of its verdicts, or why there are none."""
    links: Mapping[str, str] = field(default_factory=dict)
    """Files of its report that exist: name -> address, seen from the index."""


@dataclass(frozen=True)
class Index:
    """Everything that the page is made of."""

    runs: tuple[StoredRun, ...] = ()
    """Newest first."""
    machines: int = 0
    """That made them."""
    histories: tuple[MachineHistory, ...] = ()
    """Of the machine of the newest run first."""
    no_history: str | None = None
    """Why the history cannot be judged."""
    hardware: str | None = None
    """Address of the page of machines side by side, where it exists."""


@dataclass(frozen=True)
class RunRow:
    """One run as text."""

    run: StoredRun
    page: str | None
    date: str
    trials: str
    sign: Sign
    headline: str
    files: tuple[tuple[str, str], ...]


def write_index_page(index: Index, reports: Path) -> Path:
    """Write `index.html` into this folder; returns its path.

    Raises:
        UnwritableResults: the folder cannot be made or written to.
    """
    page = index_html(index)
    try:
        reports.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(reports, error) from error
    write_atomically(reports / "index.html", page.encode())
    return reports / "index.html"


def index_html(index: Index) -> str:
    """The whole page as text."""
    pages = {run.run: run.links[_PAGE] for run in index.runs if _PAGE in run.links}
    dates = [_date(run.created_at) for run in index.runs if run.created_at is not None]
    return (
        templates()
        .get_template("index.html.j2")
        .render(
            headline=_headline(index),
            period=" to ".join(dict.fromkeys((dates[-1], dates[0]))) if dates else None,
            damaged=_damaged(index.runs),
            no_history=index.no_history,
            hardware=index.hardware,
            series_head=HEAD,
            flattest=numbers.percent(FLATTEST / 100),
            attention=_attention(index.histories, pages),
            machines=[(machine.label, _series_rows(machine, pages)) for machine in index.histories],
            runs=[_run_row(run) for run in index.runs],
        )
    )


_PAGE = "index.html"


def _headline(index: Index) -> str:
    """How many runs, and what the history says of all series."""
    if not index.runs:
        return "No runs are stored yet."
    where = f" on {_counted(index.machines, 'machine')}" if index.machines else ""
    known = f"{_counted(len(index.runs), 'run')}{where}"
    if index.no_history is not None:
        return f"{known}; what the nights say cannot be judged."
    judged = [pair for machine in index.histories for pair in machine.judged]
    if not judged:
        return f"{known}; none has timed a cell and finished, so there is no history yet."
    return f"{known}; {len(judged)} series over the nights: {counted_states(judged)}."


def _damaged(runs: Sequence[StoredRun]) -> str | None:
    damaged = [run.run for run in runs if run.damage is not None]
    if not damaged:
        return None
    are = "is damaged and no part of the history" if len(damaged) == 1 else "are damaged and no part of the history"
    return f"{numbers.of(len(damaged), len(runs), 'run')} {are}: {first_of(damaged)}."


def _counted(count: int, noun: str) -> str:
    return f"{numbers.count(count)} {noun}{'' if count == 1 else 's'}"


def _date(moment: str) -> str:
    """`2026-01-02 03:04` of an ISO moment."""
    return moment[:16].replace("T", " ")


def _attention(histories: Sequence[MachineHistory], pages: Mapping[str, str]) -> list[SeriesRow]:
    """The series of all machines that somebody should look at, the worst first."""
    loud = [(pair, machine.label) for machine in histories for pair in machine.judged if pair[1].state in LOUD]
    return [series_row(*pair, pages, aside=label) for pair, label in sorted(loud, key=lambda found: badness(found[0]))]


def _series_rows(machine: MachineHistory, pages: Mapping[str, str]) -> list[SeriesRow]:
    """Worst first."""
    of_cell = Counter(series.cell for series, _ in machine.judged)
    of_setup = Counter((series.cell, series.setup_sha256) for series, _ in machine.judged)
    rows = []
    for series, trend in sorted(machine.judged, key=badness):
        setup = [f"setup {series.setup_sha256[:8]}"] * (of_cell[series.cell] > 1)
        seeds = [f"seeds {', '.join(map(str, series.seeds))}"] * (of_setup[series.cell, series.setup_sha256] > 1)
        rows.append(series_row(series, trend, pages, aside=", ".join((*setup, *seeds))))
    return rows


def _run_row(run: StoredRun) -> RunRow:
    planned = numbers.MISSING if run.planned is None else numbers.count(run.planned)
    return RunRow(
        run=run,
        page=run.links.get(_PAGE),
        date=numbers.MISSING if run.created_at is None else _date(run.created_at),
        trials=f"{numbers.count(run.measured)} of {planned}",
        sign=_sign_of(run),
        headline=run.headline if run.damage is None else run.damage,
        files=tuple((name, address) for name, address in run.links.items() if name != _PAGE),
    )


def _sign_of(run: StoredRun) -> Sign:
    if run.damage is not None:
        return DAMAGED
    if not run.finished:
        return UNFINISHED
    return NOT_JUDGED if run.verdict is None else verdict_sign(run.verdict)
