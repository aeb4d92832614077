"""What is asked of our detectors. The limits are the protocol's and are not loosened; what misses one is shown.

Beside the protocol's demands stand two kinds of our own, for what users meet: a change in one of many cells, and the
anchored history, which alone says `regressed`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tools.detectors import Call, Kind
from tools.detectors.cells import ALL_GATES, HIERARCHICAL, USUAL, Cell, title_of
from tools.detectors.changes import STEPS_UP
from tools.detectors.ours import FOLLOWED, FOLLOWED_ANCHORED, IN_TURN_OF_MANY, MANY, WELCH, WELCH_OF_MANY
from tools.detectors.programme import Results
from tools.detectors.tally import Share

__all__ = ["HISTORY_LIMITS", "Row", "acceptance", "shown"]

GATE_FALSE_ALARMS = 0.01
GATE_POWER = 0.95
GATE_UNCHANGED = 0.90
HISTORY_LIMITS = (
    ("iid-1", FOLLOWED, 0.02),
    ("ar-0.5", FOLLOWED, 0.05),
    ("spikes", FOLLOWED, 0.08),
    ("sticky", FOLLOWED_ANCHORED, 0.02),
)
"""Noise, detector and the largest share of series with a false alarm in 30 nights."""
HISTORY_POWER = 0.90
"""Of a series; and of one cell of many, which is ours."""
HISTORY_POWER_NOISES = ("iid-1", "spikes")
HISTORY_PATIENCE = 4
POWER_AT = "+3"


@dataclass(frozen=True)
class Row:
    """One demand."""

    what: str
    wanted: str
    measured: str
    met: bool | None
    """None where it was not measured."""


def shown(share: Share) -> str:
    """`0.4 % [0.1, 1.0]`, the interval Wilson's; empty where nothing was measured."""
    if not share.of:
        return ""
    low, high = (f"{100 * bound:.1f}" for bound in share.interval)
    return f"{100 * share.value:.1f} % [{low}, {high}]"


def acceptance(results: Results) -> Iterator[Row]:
    """Every demand, in the protocol's order."""
    setting = f"two sides, {USUAL} processes each: "
    quiet, slow = Cell(HIERARCHICAL, "none", USUAL), Cell(HIERARCHICAL, POWER_AT, USUAL)
    yield _at_most(setting + "false alarms", _said(results, quiet, Call.SLOWER), GATE_FALSE_ALARMS)
    yield _at_least(setting + "3 % found", _said(results, slow, Call.SLOWER), GATE_POWER)
    yield _at_least(setting + "A/A called `unchanged`", _said(results, quiet, Call.UNCHANGED), GATE_UNCHANGED)
    yield _against_peers(results, quiet, slow, setting)
    for gate, how in ((WELCH_OF_MANY, ""), (IN_TURN_OF_MANY, ", run in turn")):
        what = f"{setting}3 % found in one of {MANY} cells{how}"
        yield _at_least(what, _said(results, slow, Call.SLOWER, gate.name), HISTORY_POWER)
    yield _too_few(results)
    for noise, detector, limit in HISTORY_LIMITS:
        tally = results.watch(Cell(noise, "none"), detector.name)
        what = f"30 nights, {title_of(noise)}{_anchored(detector is FOLLOWED_ANCHORED)}: series with a false alarm"
        yield _at_most(what, tally.false_alarms, limit)
    for detector in (FOLLOWED, FOLLOWED_ANCHORED):
        for noise in HISTORY_POWER_NOISES:
            tally = results.watch(Cell(noise, POWER_AT), detector.name)
            beside = _anchored(detector is FOLLOWED_ANCHORED)
            what = f"nights, {title_of(noise)}{beside}: 3 % found within {HISTORY_PATIENCE} nights"
            yield _at_least(what, tally.found_within(HISTORY_PATIENCE), HISTORY_POWER)


def _said(results: Results, cell: Cell, call: Call, detector: str = WELCH.name) -> Share:
    return results.gate(cell, detector).share(call)


def _anchored(anchored: bool) -> str:
    return ", with anchor" if anchored else ""


def _at_most(what: str, share: Share, limit: float) -> Row:
    return _row(what, share, f"≤ {limit:.0%}", lambda value: value <= limit)


def _at_least(what: str, share: Share, limit: float) -> Row:
    return _row(what, share, f"≥ {limit:.0%}", lambda value: value >= limit)


def _row(what: str, share: Share, wanted: str, holds: Callable[[float], bool]) -> Row:
    met = holds(share.value) if share.of else None
    return Row(what, wanted.replace("%", " %"), shown(share), met)


def _against_peers(results: Results, quiet: Cell, slow: Cell, setting: str) -> Row:
    """Nobody has both: no more false alarms than ours, and no less power at 3 %."""
    what, wanted = setting + "other tools with no more false alarms and no less power at 3 %", "none"
    ours = _said(results, quiet, Call.SLOWER), _said(results, slow, Call.SLOWER)
    if not ours[0].of or not ours[1].of:
        return Row(what, wanted, "", None)
    as_good, asked = [], 0
    for name, gate in ALL_GATES.items():
        alarms, power = _said(results, quiet, Call.SLOWER, name), _said(results, slow, Call.SLOWER, name)
        if gate.kind is Kind.OURS or not alarms.of or not power.of:
            continue
        asked += 1
        if alarms.value <= ours[0].value and power.value >= ours[1].value:
            as_good.append(name)
    return Row(what, wanted, f"{', '.join(as_good) or 'none'} of {asked}", None if not asked else not as_good)


def _too_few(results: Results) -> Row:
    """One or two processes a side decide nothing, whatever happened."""
    hits = of = 0
    for processes in (1, 2):
        for change in ("none", *STEPS_UP):
            share = _said(results, Cell(HIERARCHICAL, change, processes), Call.NOTHING)
            hits, of = hits + share.hits, of + share.of
    share = Share(hits, of)
    return Row("two sides, 1 or 2 processes each: `inconclusive`", "always", shown(share), hits == of if of else None)
