"""The section about the nights up to this run: the state of every cell, and charts of those that are not steady."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from suite.judge.trends import State, Trend
from suite.report.drawing import draw
from suite.report.nights_chart import nights_chart
from suite.report.series_rows import SeriesRow, badness, counted_states, series_row
from suite.report.signs import Sign, state_sign
from suite.report.sparkline import description
from suite.report.text import anchor, first_of

if TYPE_CHECKING:
    from suite.judge.followed import Past
    from suite.judge.nights import Series

__all__ = ["HistorySection", "history_anchor", "history_section"]

MOST_FIGURES = 6
"""The worst ones; the table has a small picture of each."""
_UNREMARKABLE = (State.STEADY, State.TOO_SHORT, State.WITHOUT_NUMBERS)


@dataclass(frozen=True)
class NightsFigure:
    """One cell over the nights."""

    workload: str
    precision: str
    sign: Sign
    picture: Markup
    anchored: bool
    """Whether the anchor's step time is drawn beside it."""


@dataclass(frozen=True)
class HistorySection:
    """`sentence` says what the nights say, or why they say nothing; then there are no rows."""

    sentence: str
    rows: tuple[SeriesRow, ...] = ()
    """Worst first."""
    figures: tuple[NightsFigure, ...] = ()


def history_section(past: Past | None, pages: Mapping[str, str]) -> HistorySection:
    """None is a past that nobody looked for; `pages` are addresses of other runs' pages."""
    if past is None or past.unknown is not None:
        why = "this page was made without them" if past is None else past.unknown
        return HistorySection(f"The nights before this run are not shown: {why}.")
    if not past.judged:
        return HistorySection("No cell of this run was timed, now or in an earlier run on this machine.")
    lost = f" Left out, for they cannot be read: {first_of(past.damaged)}." if past.damaged else ""
    if all(len(series.nights) == 1 for series, _ in past.judged):
        first = "This is the first night of all its cells on this machine: no earlier run has the same setup and seeds."
        return HistorySection(first + lost)
    judged = sorted(past.judged, key=badness)
    nights = len({night.run for series, _ in judged for night in series.nights})
    counted = f"{len(judged)} cell{'s' * (len(judged) > 1)} over {nights} nights: {counted_states(judged)}."
    rows = (series_row(*pair, pages, anchor=history_anchor(pair[0].workload, pair[0].precision)) for pair in judged)
    remarkable = [pair for pair in judged if pair[1].state not in _UNREMARKABLE]
    counted += lost
    if len(remarkable) > MOST_FIGURES:
        counted += f" The {MOST_FIGURES} worst of {len(remarkable)} have a chart."
    return HistorySection(counted, tuple(rows), tuple(_figure(*pair) for pair in remarkable[:MOST_FIGURES]))


def _figure(series: Series, trend: Trend) -> NightsFigure:
    return NightsFigure(
        series.workload,
        series.precision,
        state_sign(trend.state),
        draw(nights_chart(series, trend), description(series, trend)),
        any(night.anchor is not None for night in series.nights),
    )


def history_anchor(workload: str, precision: str) -> str:
    """Where the row of a cell is: a run has one setup of each."""
    return f"nights-{anchor(workload, precision)}"
