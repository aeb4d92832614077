"""The page over all runs: what the nights say of every series, with a sparkline, and every run with its verdict."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from markupsafe import Markup

from suite.files import unwritable, write_atomically
from suite.judge.findings import Verdict
from suite.judge.followed import ORDER, MachineHistory
from suite.judge.nights import Series
from suite.judge.trends import ALARMS, State, Trend
from suite.report import numbers
from suite.report.series_anchor import series_anchor
from suite.report.signs import DAMAGED, NOT_JUDGED, UNFINISHED, Sign, state_sign, verdict_sign
from suite.report.sparkline import FLATTEST, sparkline
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
class SeriesRow:
    """One series as text."""

    workload: str
    precision: str
    aside: str
    """What tells it from other series of its cell."""
    sign: Sign
    change: str
    p: str | None
    nights: str
    anchored: str
    last: str
    """Step time of the last night."""
    from_median: str
    picture: Markup
    between: tuple[tuple[str, str | None], ...]
    """Runs, each with the address of its page where that exists."""
    why: str
    anchor: str | None = None
    """Where the pages of its runs lead to; a series that needs attention stands on the page twice."""


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
            flattest=numbers.percent(FLATTEST / 100),
            attention=_attention(index.histories, pages),
            machines=[(machine.label, _series_rows(machine, pages)) for machine in index.histories],
            runs=[_run_row(run) for run in index.runs],
        )
    )


_PAGE = "index.html"
_LOUD = (*ALARMS, State.WITHOUT_NUMBERS)
"""What somebody should look at."""


def _headline(index: Index) -> str:
    """How many runs, and what the history says of all series."""
    if not index.runs:
        return "No runs are stored yet."
    where = f" on {_counted(index.machines, 'machine')}" if index.machines else ""
    known = f"{_counted(len(index.runs), 'run')}{where}"
    if index.no_history is not None:
        return f"{known}; what the nights say cannot be judged."
    trends = [trend for machine in index.histories for _, trend in machine.judged]
    if not trends:
        return f"{known}; none has timed a cell and finished, so there is no history yet."
    counts = Counter(trend.state for trend in trends)
    states = ", ".join(f"{counts[state]} {state}" for state in ORDER if counts[state])
    return f"{known}; {len(trends)} series over the nights: {states}."


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
    loud = [
        (series, trend, machine.label)
        for machine in histories
        for series, trend in machine.judged
        if trend.state in _LOUD
    ]
    ordered = sorted(loud, key=lambda found: _badness(found[1]))
    return [_series_row(series, trend, label, pages) for series, trend, label in ordered]


def _series_rows(machine: MachineHistory, pages: Mapping[str, str]) -> list[SeriesRow]:
    """Worst first: by state, and within a state by the size of the change."""
    of_cell = Counter(series.cell for series, _ in machine.judged)
    of_setup = Counter((series.cell, series.setup_sha256) for series, _ in machine.judged)
    rows = []
    for series, trend in sorted(machine.judged, key=lambda pair: _badness(pair[1])):
        setup = [f"setup {series.setup_sha256[:8]}"] * (of_cell[series.cell] > 1)
        seeds = [f"seeds {', '.join(map(str, series.seeds))}"] * (of_setup[series.cell, series.setup_sha256] > 1)
        place = series_anchor(machine.newest, series.workload, series.precision, series.setup_sha256, series.seeds)
        rows.append(replace(_series_row(series, trend, ", ".join((*setup, *seeds)), pages), anchor=place))
    return rows


def _badness(trend: Trend) -> tuple[int, float]:
    return ORDER[trend.state], -abs(trend.change or 0.0)


def _series_row(series: Series, trend: Trend, aside: str, pages: Mapping[str, str]) -> SeriesRow:
    runs = [run for run in dict.fromkeys((trend.first_run, trend.last_run)) if run is not None]
    nights = len(series.nights)
    values = [night.value for night in series.nights]
    return SeriesRow(
        workload=series.workload,
        precision=series.precision,
        aside=aside,
        sign=state_sign(trend.state),
        change=numbers.change(trend.change),
        p=None if trend.p is None else numbers.probability(trend.p),
        nights=str(nights) if trend.nights == nights else f"{trend.nights} of {nights}",
        anchored="yes" if trend.anchored else "no",
        last=numbers.seconds(math.exp(values[-1])),
        from_median=numbers.change(math.expm1(values[-1] - statistics.median(values))),
        picture=sparkline(series, trend),
        between=tuple((run, pages.get(run)) for run in runs),
        why="; ".join(trend.reasons),
    )


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
