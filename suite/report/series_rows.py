"""Series over the nights as rows of text: the same on the page of all runs and on the page of one."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from suite.judge.trends import ALARMS, ORDER, State, Trend
from suite.report import numbers
from suite.report.signs import Sign, state_sign
from suite.report.sparkline import sparkline

if TYPE_CHECKING:
    from suite.judge.nights import Series

__all__ = ["HEAD", "LOUD", "SeriesRow", "badness", "counted_states", "series_row"]

HEAD = (
    "Cell",
    "State",
    "Change",
    "Nights",
    "Anchored",
    "Step time over the nights",
    "Last night",
    "Between runs",
    "Why",
)
LOUD = (*ALARMS, State.WITHOUT_NUMBERS)
"""What somebody should look at."""


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
    """Where links to it lead."""


def badness(judged: tuple[Series, Trend]) -> tuple[int, float]:
    """Sorts the worst first: by state, and within a state by the size of the change."""
    _, trend = judged
    return ORDER[trend.state], -abs(trend.change or 0.0)


def counted_states(judged: Iterable[tuple[Series, Trend]]) -> str:
    """`1 regressed, 2 steady`, worst first."""
    counts = Counter(trend.state for _, trend in judged)
    return ", ".join(f"{counts[state]} {state}" for state in ORDER if counts[state])


def series_row(
    series: Series, trend: Trend, pages: Mapping[str, str], *, aside: str = "", anchor: str | None = None
) -> SeriesRow:
    """`pages` are addresses of the pages of runs."""
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
        anchor=anchor,
    )
