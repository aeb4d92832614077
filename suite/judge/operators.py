"""Where a slower step got slower: the operators whose own time grew most between two sides.

The profile is of an untimed pass and its profiler inflates small operators, so it says where and never how much; the
step time is judged without it. A profile names its largest operators and has the rest in one entry: of one that is not
named no more is known than that it took no longer than that.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence

import pandas as pd

from suite.judge.findings import OperatorGrowth
from suite.record import OTHER_OPERATORS

__all__ = ["growth"]

MOST_NAMED = 5
SMALLEST_SHARE = 0.1
"""Of the total growth: less is not where a slow-down comes from."""

Profile = Mapping[str, tuple[float, float]]
"""Operator -> own seconds and calls per step, of one process."""
NOTHING = (0.0, 0.0)


def growth(base: pd.DataFrame, candidate: pd.DataFrame) -> tuple[OperatorGrowth, ...]:
    """The operators that grew most; empty where a side has no profile or nothing grew.

    Those that are called more often come first, for a call more is certain where a microsecond more may be a cold
    cache; within both kinds the largest growth comes first.
    """
    before, after = _profiles(base), _profiles(candidate)
    if not any(before) or not any(after):
        return ()
    names = dict.fromkeys(name for profile in after for name in profile if name != OTHER_OPERATORS)
    grown = [item for item in (_growth(name, before, after) for name in names) if _grew(item) > 0]
    total = sum(map(_grew, grown))
    named = [item for item in grown if _grew(item) >= SMALLEST_SHARE * total]
    return tuple(sorted(named, key=lambda item: (not _called_more(item), -_grew(item)))[:MOST_NAMED])


def _grew(item: OperatorGrowth) -> float:
    return item.candidate_seconds - item.base_seconds


def _called_more(item: OperatorGrowth) -> bool:
    before, after = item.base_calls, item.candidate_calls
    return before is not None and after is not None and after > before


def _growth(name: str, before: Sequence[Profile], after: Sequence[Profile]) -> OperatorGrowth:
    """Medians over the processes; of seconds that are not known the bounds by which the growth is smallest."""
    return OperatorGrowth(
        name,
        statistics.median(profile.get(name, profile.get(OTHER_OPERATORS, NOTHING))[0] for profile in before),
        statistics.median(profile.get(name, NOTHING)[0] for profile in after),
        _calls(name, before),
        _calls(name, after),
    )


def _calls(name: str, profiles: Sequence[Profile]) -> float | None:
    """None where the operator may be in the rest of most profiles."""
    known = [p.get(name, NOTHING)[1] for p in profiles if name in p or OTHER_OPERATORS not in p]
    return statistics.median(known) if 2 * len(known) > len(profiles) else None


def _profiles(rows: pd.DataFrame) -> list[Profile]:
    """Of the processes that have one."""
    profiles = [json.loads(text)["operators"] for text in rows["operators"].dropna()]
    return [{item["name"]: (item["self_seconds"], item["calls"]) for item in profile} for profile in profiles]
