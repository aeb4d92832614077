"""Literal series over the nights, and the rows of a page's table as text."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from suite.judge.nights import Night, Series
from suite.judge.trends import State, Trend

HOSTILE = '<script>alert(1)</script>{{ 7*7 }}"></svg>\u202e'


def series_of(seconds: Sequence[float], workload: str = "gpt", precision: str = "bf16", **fields: Any) -> Series:
    """One night per step time, with the runs run-0, run-1, …"""
    nights = tuple(
        Night(f"run-{place}", "2026-01-01T00:00:00+00:00", None, "f", math.log(value), 5)
        for place, value in enumerate(seconds)
    )
    return replace(Series(workload, precision, "a" * 64, "median", nights), **fields)


def trend_of(state: State, workload: str = "gpt", precision: str = "bf16", **fields: Any) -> Trend:
    return replace(Trend(workload, precision, state, nights=4, anchored=False), **fields)


STEADY = (series_of([0.010] * 4, "lstm"), trend_of(State.STEADY, "lstm"))
REGRESSED = (
    series_of([0.010, 0.010, 0.0112, 0.0112]),
    trend_of(
        State.REGRESSED,
        change=0.12,
        p=0.0012,
        first_run="run-1",
        last_run="run-2",
        anchored=True,
        nights=3,
        reasons=("slower since run run-2, most likely, and confirmed", "partly recovered"),
    ),
)
SLOWER = (series_of([0.010, 0.020], "bert"), trend_of(State.REGRESSED, "bert", change=1.0, nights=2))
SHORT = (
    series_of([0.010], "resnet"),
    trend_of(State.TOO_SHORT, "resnet", nights=1, reasons=("1 night; a change needs 8 before",)),
)


def rows_of(html: str, caption: str) -> list[str]:
    """Text of every row of the table's body."""
    (table,) = (found for found in re.findall(r"<table.*?</table>", html, re.S) if caption in found)
    rows = re.findall(r"<tr>(.*?)</tr>", table.partition("<tbody>")[2], re.S)
    plain = [re.sub(r"<[^>]+>", " ", re.sub(r"<svg.*?</svg>", "", row, flags=re.S)) for row in rows]
    return [" ".join(row.replace("\u00a0", " ").split()) for row in plain]
