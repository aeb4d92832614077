"""Where a slower step got slower: the operators whose own time grew most between two sides.

The profile is of an untimed pass and its profiler inflates small operators, so it says where and never how much; the
step time is judged without it.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping

import pandas as pd

from suite.judge.findings import OperatorGrowth

__all__ = ["growth"]

MOST_NAMED = 5
REST = "(other)"
"""What a profile calls the operators that it does not name one by one."""
SMALLEST_SHARE = 0.1
"""Of the total growth: less is not where a slow-down comes from."""


def growth(base: pd.DataFrame, candidate: pd.DataFrame) -> tuple[OperatorGrowth, ...]:
    """The operators that grew most; empty where a side has no profile or nothing grew.

    Those that are called more often come first, for a call more is certain where a microsecond more may be a cold
    cache; within both kinds the largest growth comes first.
    """
    before, after = _profile(base), _profile(candidate)
    if not before or not after:
        return ()
    found = [_growth(name, before.get(name), after[name]) for name in after if name != REST]
    grown = [item for item in found if _grew(item) > 0]
    total = sum(map(_grew, grown))
    named = [item for item in grown if _grew(item) >= SMALLEST_SHARE * total]
    return tuple(sorted(named, key=lambda item: (item.candidate_calls <= item.base_calls, -_grew(item)))[:MOST_NAMED])


def _grew(item: OperatorGrowth) -> float:
    return item.candidate_seconds - item.base_seconds


def _growth(name: str, before: tuple[float, float] | None, after: tuple[float, float]) -> OperatorGrowth:
    base_seconds, base_calls = before or (0.0, 0.0)
    return OperatorGrowth(name, base_seconds, after[0], base_calls, after[1])


def _profile(rows: pd.DataFrame) -> Mapping[str, tuple[float, float]]:
    """Operator -> own seconds and calls per step, medians over the processes that have a profile."""
    profiles = [json.loads(text)["operators"] for text in rows["operators"].dropna()]
    tables = [{item["name"]: (item["self_seconds"], item["calls"]) for item in profile} for profile in profiles]
    names = dict.fromkeys(name for table in tables for name in table)
    return {
        name: (
            statistics.median(table.get(name, (0.0, 0.0))[0] for table in tables),
            statistics.median(table.get(name, (0.0, 0.0))[1] for table in tables),
        )
        for name in names
    }
