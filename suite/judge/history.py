"""What the nights say of each series: steady, suspect, regressed, acknowledged, fixed, improved, drifting.

A change is called a regression only if a lasting change point is accepted and a fresh run after it confirms it, and
only where a same-night anchor stands beside the series: history alone cannot tell a machine's mood from a slower
program (measured in docs/detectors.md), so without one the strongest word is `suspect`. Statistics are in `changes.py`.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace

from suite.judge.acknowledged import Acknowledgement
from suite.judge.changes import ChangePoint
from suite.judge.drift import crept, drift
from suite.judge.last_night import noise, out_of_line, out_of_line_of_few, worth_a_run
from suite.judge.levels import FEWEST_NIGHTS, Kind, Standing, standing
from suite.judge.nights import Night, Series
from suite.judge.robust import FEWEST_AFTER, FEWEST_BEFORE, MOST_BEFORE
from suite.judge.samples import DELTA
from suite.judge.segments import (
    JOINED,
    Segment,
    environments,
    kept,
    left_out,
    newly_approved,
    of_nights,
    since_accepted,
    values_of,
)
from suite.judge.trends import ALARMS, State, Trend

__all__ = ["trend_of"]

_DECIDES = "a fresh run decides (`ampmark history --confirm`)"


def trend_of(series: Series, acknowledged: Sequence[Acknowledgement] = (), delta: float = DELTA) -> Trend:
    """Judge one series: the nights of its newest environment."""
    accepted = {
        item.run: item.reason
        for item in acknowledged
        if (item.workload, item.precision, item.setup_sha256)
        == (series.workload, series.precision, series.setup_sha256)
    }
    newest, *others = environments(series.nights) or [()]
    trend = _of_environment(series, newest, accepted, delta, next(iter(others), ()))
    if trend.state not in ALARMS and trend.state is not State.ACKNOWLEDGED:
        longest = next((nights for nights in others if len(nights) >= FEWEST_NIGHTS), ())
        before = _of_environment(series, longest, accepted, delta, ())
        if before.state in ALARMS:
            trend = _carried(before, longest, newest, delta) or trend
    return _with_gaps(trend, series)


def _carried(before: Trend, old: Sequence[Night], new: Sequence[Night], delta: float) -> Trend | None:
    """What the environment before was alarmed by, as long as the newest one does not show that it is gone; else None.

    Times of two environments cannot be compared. Their distances from one anchor can, which is the same code in both:
    it is gone once that distance is what it was before the change.
    """
    place = next((place for place, night in enumerate(old) if night.run == before.first_run), 0)
    gaps = _gaps(old[:place]), _gaps(new)
    programs = set(gaps[0]) & set(gaps[1])
    for program in programs:
        was, now = (gap[program] for gap in gaps)
        if min(len(was), len(now)) >= FEWEST_AFTER:
            grown = statistics.median(now[-MOST_BEFORE:]) - statistics.median(was[-MOST_BEFORE:])
            if grown < math.log1p(delta):
                return None
            said = f"in the newest environment it is {math.expm1(grown):+.1%} beside the same anchor"
            return replace(before, worth_a_run=False, reasons=(*before.reasons, said))
    few = f"{of_nights(len(new))} of the newest environment cannot say that it is gone"
    return replace(before, worth_a_run=False, reasons=(*before.reasons, few))


def _gaps(nights: Sequence[Night]) -> dict[str, list[float]]:
    """How far each night stands above its anchor, by the program that the anchor was."""
    found: dict[str, list[float]] = {}
    for night in nights:
        if night.anchor is not None and night.anchor_run is not None and not night.disturbed:
            found.setdefault(night.anchor_run, []).append(night.value - night.anchor)
    return found


def _with_gaps(trend: Trend, series: Series) -> Trend:
    """The same with what the newest runs did not measure, so that what crashes does not stay steady."""
    if series.without_numbers:
        runs = len(series.without_numbers)
        gap = f"{runs} runs have no time of it, the first {series.without_numbers[0]}"
        if runs == 1:
            gap = f"run {series.without_numbers[0]} has no time of it"
    elif series.nights and series.nights[-1].failed:
        newest = series.nights[-1]
        gap = f"{newest.failed} of {newest.failed + newest.processes} trials of run {newest.run} have no time"
        if newest.failed <= newest.processes:
            return replace(trend, reasons=(*trend.reasons, gap))
    else:
        gap = None
    if gap is not None:
        state = trend.state if trend.state is State.REGRESSED else State.WITHOUT_NUMBERS
        last = f"what the last times say is {trend.state}"
        return replace(trend, state=state, worth_a_run=False, reasons=(*trend.reasons, gap, last))
    if series.ended:
        return replace(trend, worth_a_run=False, reasons=(*trend.reasons, f"not run since {series.nights[-1].run}"))
    return trend


def _of_environment(
    series: Series,
    nights: tuple[Night, ...],
    accepted: Mapping[str, str],
    delta: float,
    earlier: tuple[Night, ...],
) -> Trend:
    """What the nights of one environment say; `earlier` are those of the one before it."""
    notes = left_out(len(series.nights) - len(nights), "of other environments")
    every = nights
    nights, said = since_accepted(every, accepted)
    segment = kept(nights)
    reasons = (*notes, *([] if said is None else [said]), *segment.notes)
    trend = Trend(
        series.workload,
        series.precision,
        State.STEADY,
        len(segment.nights),
        segment.anchored,
        reasons=reasons,
        setup_sha256=series.setup_sha256,
    )
    if len(segment.nights) < FEWEST_NIGHTS:
        count = len(segment.nights)
        since = " since then" if notes or said is not None else ""
        few = f"{of_nights(count)}{since}; a change needs {FEWEST_BEFORE} before and {FEWEST_AFTER} after it"
        trend = replace(trend, state=State.TOO_SHORT if said is None else State.ACKNOWLEDGED, reasons=(*reasons, few))
        return _of_few(trend, segment.nights, every[: len(every) - len(nights)] or earlier, delta)
    found = _judged(trend, segment.nights, delta)
    if segment.later and found.state not in ALARMS:
        found = _with_later(found, trend, segment, delta)
    if said is not None and found.state is State.STEADY:
        return replace(found, state=State.ACKNOWLEDGED)
    return found


def _of_few(trend: Trend, nights: Sequence[Night], earlier: tuple[Night, ...], delta: float) -> Trend:
    """Suspect, where the last of a few nights is out of line: the level is a new one, and the noise that of before."""
    before = kept(earlier)
    one_night = noise(values_of(before.nights, anchored=before.anchored))
    if one_night is None:
        return trend
    accepted = trend.state is State.ACKNOWLEDGED
    above = out_of_line_of_few(values_of(nights, anchored=trend.anchored), one_night, delta, accepted=accepted)
    return trend if above is None else _out_of_line(trend, nights, above)


def _out_of_line(trend: Trend, nights: Sequence[Night], above: float) -> Trend:
    why = f"one night is out of line, {above:+.1%}; {_DECIDES}"
    last = nights[-1].run
    found = replace(trend, state=State.SUSPECT, change=above, first_run=last, last_run=last, worth_a_run=True)
    return replace(found, reasons=(*trend.reasons, why))


def _with_later(found: Trend, trend: Trend, segment: Segment, delta: float) -> Trend:
    """Suspect, where the nights left out at the end show something; else what was found without them."""
    nights = (*segment.nights, *segment.later)
    anchored = all(night.anchor is not None for night in nights)
    reasons = trend.reasons[: len(trend.reasons) - len(segment.notes)]
    seen = _judged(replace(trend, nights=len(nights), anchored=anchored, reasons=reasons), nights, delta)
    # A change in the last nights that were kept is one that they were too few to show.
    unseen = {night.run for night in nights[len(segment.nights) - FEWEST_AFTER + 1 :]}
    if seen.state not in ALARMS or seen.last_run not in unseen:
        return found
    weak = f"the nights since run {segment.later[0].run} are disturbed or without an anchor"
    return replace(seen, state=State.SUSPECT, worth_a_run=True, reasons=(*seen.reasons, weak))


def _judged(trend: Trend, nights: Sequence[Night], delta: float) -> Trend:
    values = values_of(nights, anchored=trend.anchored)
    found = _fitted(trend, nights, values, delta)
    if found.p is not None:
        return found
    # One or two nights after a regression do not end it: it takes three to see a new level.
    for missing in range(1, FEWEST_AFTER):
        if len(nights) - missing > FEWEST_NIGHTS:
            before = _fitted(trend, nights[:-missing], values[:-missing], delta)
            if before.state is State.REGRESSED:
                return replace(before, reasons=(*before.reasons, f"the {of_nights(missing)} since cannot end it"))
    return found


def _fitted(trend: Trend, nights: Sequence[Night], values: Sequence[float], delta: float) -> Trend:
    """What these nights say by themselves."""
    now = standing(values, delta, [not night.disturbed for night in nights])
    if now.kind is Kind.SLOWER:
        return _slower(trend, nights, now)
    # After a change for the better a night is measured by the new level.
    values = values[now.newest :]
    above = out_of_line(values, delta)
    if above is not None:
        return _out_of_line(trend, nights, above)
    trend = replace(trend, worth_a_run=worth_a_run(values, delta))
    slow = next((found for found in (drift(values, delta), crept(values, delta)) if found and found.change > 0), None)
    if slow is not None:
        what = f"{slow.change:+.1%} [{slow.low:+.1%}, {slow.high:+.1%}] over {slow.nights} nights, in no single step"
        first, last = nights[-slow.nights].run, nights[-1].run
        start = len(nights) - slow.nights
        approved = newly_approved(nights, start + JOINED + 1, len(nights)) if trend.anchored else None
        surely = trend.anchored and slow.low >= delta and approved is None
        if approved is not None:
            what += f"; the anchor is another baseline's since run {approved}, so it may be the machine"
        found = replace(trend, change=slow.change, first_run=first, last_run=last, surely_drifting=surely)
        return replace(found, state=State.DRIFTING, reasons=(*trend.reasons, what))
    if now.point is None or now.kind is Kind.LEVEL:
        return trend
    found = _with_point(trend, nights, now.point, now.change)
    if now.kind is Kind.FIXED and now.began is not None:
        slow_since = f"it was slower since run {nights[now.began.index].run}"
        return replace(found, state=State.FIXED, reasons=(*trend.reasons, slow_since))
    return replace(found, state=State.IMPROVED)


def _slower(trend: Trend, nights: Sequence[Night], now: Standing) -> Trend:
    """Regressed or suspect, and why no more than that."""
    point, began = now.point, now.began
    if point is None or began is None:
        return trend
    since = f"slower since run {nights[point.index].run}, most likely"
    said = [f"{since}, and confirmed" if now.confirmed else f"{since}; {_DECIDES}"]
    if began.index != point.index:
        said.append(f"in several steps, the first with run {nights[began.index].run}")
    if now.recovered:
        said.append("partly recovered")
    state = State.REGRESSED if now.confirmed else State.SUSPECT
    approved = newly_approved(nights, point.first, point.last) if trend.anchored else None
    if now.confirmed and not trend.anchored:
        state = State.SUSPECT
        said.append("no anchor was run, so it may be the machine: `ampmark run --anchor NAME` tells")
    elif now.confirmed and approved is not None:
        state = State.SUSPECT
        said.append(f"the anchor is another baseline's since run {approved}, so it may be the machine")
    elif not now.confirmed and nights[-1].disturbed:
        said.append("the last run was disturbed, so it confirms nothing")
    found = _with_point(trend, nights, point, now.change)
    # What is confirmed and still a suspect lacks an anchor, which a fresh run does not bring.
    return replace(found, state=state, worth_a_run=not now.confirmed, reasons=(*trend.reasons, *said))


def _with_point(trend: Trend, nights: Sequence[Night], point: ChangePoint, change: float) -> Trend:
    return replace(
        trend,
        change=change,
        p=point.p,
        first_run=nights[point.first].run,
        last_run=nights[point.last].run,
        commits=(nights[max(0, point.first - 1)].commit, nights[point.last].commit),
    )
