"""docs/detectors.md: every measured rate, ours and the other tools', in tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from suite.judge.stats import FEWEST
from tools.detectors import Call, Detector
from tools.detectors.acceptance import acceptance, shown
from tools.detectors.cells import (
    ALL_GATES,
    ALL_WATCHES,
    CLEAN,
    HIERARCHICAL,
    HISTORY_NOISES,
    OTHER_GATE_NOISES,
    OTHER_SHARE,
    POWER_SHARE,
    PROCESSES,
    QUIET_ONLY,
    USUAL,
    Cell,
    title_of,
)
from tools.detectors.changes import CHANGES, STEPS_UP
from tools.detectors.ours import GATES
from tools.detectors.programme import SEED, Results
from tools.detectors.surroundings import Surroundings
from tools.detectors.tally import PATIENCE, Share
from tools.detectors.words import LIMITS, OPENING, READING, REDUCED

__all__ = ["page", "table"]

AT = "+3"
HOW_SOON = ("iid-1", "spikes", "sticky")
"""Noises for which the page says night by night how soon a change is found."""


def page(results: Results, made: Surroundings, *, full: bool) -> str:
    """The whole page."""
    parts = [OPENING, *([] if full else [REDUCED]), _made(results, made), READING]
    parts += ["## What was asked of ours", _acceptance(results)]
    parts += ["## Two sides", *_gate_tables(results)]
    parts += ["## Nights", *_history_tables(results)]
    parts += ["## The detectors", _detectors(results), LIMITS]
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Markdown; columns in which nothing was measured are left out, and rows as well."""
    kept = [row for row in rows if any(row[1:])]
    if not kept:
        return "Not measured."
    columns = [place for place in range(len(head)) if place == 0 or any(row[place] for row in kept)]
    lines = [[head[place] for place in columns], ["---"] * len(columns)]
    lines += [[row[place].replace("|", "\\|") for place in columns] for row in kept]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _made(results: Results, made: Surroundings) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in made.versions.items())
    commit = f"{made.commit or 'no checkout'}{' with changes not committed' if made.commit and made.dirty else ''}"
    return (
        f"Measured {made.date} at commit {commit} on {made.cores} cores of {made.cpu}; Python {made.python}, "
        f"{versions}. Seed {SEED}; {results.replicates} series or draws in a quiet cell, "
        f"{round(POWER_SHARE * results.replicates)} in one with a slow-down; {OTHER_SHARE:.2g} times as many series of "
        f"noises that nothing is asked of, fewer for slow detectors (last table). {results.seconds / 60:.0f} minutes."
    )


def _acceptance(results: Results) -> str:
    words = {True: "met", False: "**missed**", None: "not measured"}
    rows = [(row.what, row.wanted, row.measured, words[row.met]) for row in acceptance(results)]
    return table(("demand", "wanted", "measured", ""), rows)


def _rows(detectors: Iterable[str], columns: Sequence[Callable[[str], str]]) -> Iterator[tuple[str, ...]]:
    for name in detectors:
        yield (name, *(column(name) for column in columns))


def _slower(results: Results, cell: Cell) -> Callable[[str], str]:
    def column(name: str) -> str:
        tally = results.gate(cell, name)
        return shown(tally.share(Call.SLOWER))

    return column


def _gate_tables(results: Results) -> Iterator[str]:
    counts = [f"{processes} a side" for processes in PROCESSES]
    for change, words in (("none", "**False alarms**, by number of processes"), (AT, "**3 % slower**, found")):
        columns = [_slower(results, Cell(HIERARCHICAL, change, processes)) for processes in PROCESSES]
        yield f"{words}; {title_of(HIERARCHICAL)} (N6)."
        yield table(("called slower", *counts), _rows(ALL_GATES, columns))
    changes = ("none", *STEPS_UP, "-5", "spread")
    columns = [_slower(results, Cell(HIERARCHICAL, change, USUAL)) for change in changes]
    yield f"**By change**, {USUAL} processes a side, the same noise. Only the slow-downs should be called slower."
    yield table(("called slower", *(CHANGES[change].title for change in changes)), _rows(ALL_GATES, columns))
    for change in ("none", AT):
        columns = [_slower(results, Cell(noise, change, USUAL)) for noise in OTHER_GATE_NOISES]
        yield f"**Where the machine wanders** from process to process, {USUAL} a side, A B B A: {_title(change)}."
        yield table(("called slower", *map(title_of, OTHER_GATE_NOISES)), _rows(ALL_GATES, columns))
    yield "**Our verdicts**, and how often our intervals held the true change."
    yield table(
        ("", "slower", "faster", "unchanged", "inconclusive", "90 % interval", "98 % interval"), _verdicts(results)
    )


def _title(change: str) -> str:
    return CHANGES[change].title


def _verdicts(results: Results) -> Iterator[tuple[str, ...]]:
    for gate in GATES:
        for processes in (count for count in PROCESSES if count >= FEWEST):
            for change in ("none", "+2", "+3", "+5", "-5", "spread"):
                tally = results.gate(Cell(HIERARCHICAL, change, processes), gate.name)
                held = (Share(inside, tally.intervals) for inside in (tally.inside90, tally.inside98))
                calls = (tally.share(call) for call in Call)
                yield f"{gate.name}, {processes} a side, {_title(change)}", *map(shown, (*calls, *held))


def _history_tables(results: Results) -> Iterator[str]:
    def false_alarms(noise: str, change: str = "none") -> Callable[[str], str]:
        def column(name: str) -> str:
            tally = results.watch(Cell(noise, change), name)
            return shown(tally.false_alarms)

        return column

    yield "**False alarms**: series with at least one in 30 quiet nights."
    yield table(
        ("series with an alarm", *map(title_of, HISTORY_NOISES)),
        _rows(ALL_WATCHES, [false_alarms(noise) for noise in HISTORY_NOISES]),
    )
    yield "**False alarms per 100 nights** of one series."
    columns = [_per_hundred(results, noise) for noise in HISTORY_NOISES]
    yield table(("alarms", *map(title_of, HISTORY_NOISES)), _rows(ALL_WATCHES, columns))
    for noise in HISTORY_NOISES:
        if noise in QUIET_ONLY:
            continue
        columns = [_found(results, Cell(noise, change), PATIENCE[-1]) for change in STEPS_UP]
        yield f"**Found within {PATIENCE[-1]} nights** (median delay), {title_of(noise)}."
        yield table(("named the night ±2", *map(_title, STEPS_UP)), _rows(ALL_WATCHES, columns))
        if noise not in HOW_SOON:
            continue
        columns = [_within(results, Cell(noise, AT), nights) for nights in PATIENCE]
        columns.append(_placed(results, Cell(noise, AT)))
        yield f"**{_title(AT)}**, how soon, {title_of(noise)}."
        head = (
            "found within",
            *(f"{nights} night{'s' * (nights > 1)}" for nights in PATIENCE),
            "first alarm names the right night",
        )
        yield table(head, _rows(ALL_WATCHES, columns))
    yield f"**What is no slow-down**, {title_of(CLEAN)}. None should raise an alarm, and a spike should not stay."
    columns = [false_alarms(CLEAN, change) for change in ("-5", "spread", "spike")] + [_standing(results)]
    head = ("series with an alarm", *map(_title, ("-5", "spread", "spike")), "spike still reported 20 nights later")
    yield table(head, _rows(ALL_WATCHES, columns))


def _per_hundred(results: Results, noise: str) -> Callable[[str], str]:
    def column(name: str) -> str:
        tally = results.watch(Cell(noise, "none"), name)
        return f"{100 * tally.alarms / tally.nights:.2f}" if tally.nights else ""

    return column


def _found(results: Results, cell: Cell, nights: int) -> Callable[[str], str]:
    def column(name: str) -> str:
        tally = results.watch(cell, name)
        delay = "" if tally.delay is None else f" ({tally.delay:g})"
        return shown(tally.found_within(nights)) + delay

    return column


def _within(results: Results, cell: Cell, nights: int) -> Callable[[str], str]:
    def column(name: str) -> str:
        tally = results.watch(cell, name)
        return shown(tally.found_within(nights))

    return column


def _placed(results: Results, cell: Cell) -> Callable[[str], str]:
    def column(name: str) -> str:
        tally = results.watch(cell, name)
        return shown(tally.placed)

    return column


def _standing(results: Results) -> Callable[[str], str]:
    def column(name: str) -> str:
        tally = results.watch(Cell(CLEAN, "spike"), name)
        return shown(Share(tally.standing, tally.series))

    return column


def _detectors(results: Results) -> str:
    def row(detector: Detector, what: str) -> tuple[str, ...]:
        draws = "not installed" if detector.name in results.missing else f"{100 * detector.portion:.0f} %"
        return detector.name, what, detector.rule, detector.kind.value, detector.source, draws

    rows = [row(gate, "two sides") for gate in ALL_GATES.values()]
    rows += [row(watch, "nights") for watch in ALL_WATCHES.values()]
    return table(("detector", "looks at", "rule", "code", "source", "share of the draws"), rows)
