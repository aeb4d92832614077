"""What the machine did around a cell's trials: one sentence about the window, and a table of all three moments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from suite.report import numbers
from suite.report.cells import Cell, from_json
from suite.report.tables import Table
from suite.report.text import shorten

__all__ = ["by_reason", "hardware_sentence", "hardware_table", "state_labels"]

MOMENTS = ("before", "during", "after")


def _with_unit(unit: str) -> numbers.Formatter:
    return lambda value: f"{numbers.number(value)}\u00a0{unit}"


#: Field of `HardwareState` -> what it is called, and how its number is written.
_NUMBERS: Mapping[str, tuple[str, numbers.Formatter]] = {
    "sm_clock_mhz": ("GPU clock (during: lowest)", _with_unit("MHz")),
    "memory_clock_mhz": ("memory clock (during: lowest)", _with_unit("MHz")),
    "temperature_celsius": ("temperature (during: highest)", _with_unit("°C")),
    "power_watts": ("power (during: mean)", _with_unit("W")),
    "power_limit_watts": ("power limit", _with_unit("W")),
    "foreign_processes": ("other processes on the GPU", numbers.count),
    "cpu_clock_mhz": ("CPU clock (during: lowest)", _with_unit("MHz")),
    "run_queue": ("runnable tasks (during: most)", numbers.count),
    "foreign_cpu_share": ("processors' time taken by other processes", numbers.share),
    "steal_share": ("processors' time taken by other virtual machines", numbers.share),
    "throttled_share": ("periods in which the CPU quota stopped the container", numbers.share),
}
_CLOCK_REASONS = "clock_reasons"


def state_labels() -> dict[str, str]:
    """Field of the state -> its short name, for lists of what was not measured."""
    return {name: label.partition(" (")[0] for name, (label, _) in _NUMBERS.items()} | {
        _CLOCK_REASONS: "what limits the clock"
    }


def hardware_sentence(cell: Cell) -> Iterator[str]:
    """What was read during the timed window, over all processes; nothing where nothing was read."""
    parts = [
        *_reading(cell, "sm_clock_mhz_lowest", "GPU clock at least {}", _with_unit("MHz")),
        *_limit_words(cell),
        *_reading(cell, "temperature_celsius_highest", "temperature at most {}", _with_unit("°C")),
        *_reading(cell, "power_watts_mean", "{} on average", _with_unit("W")),
        *_reading(cell, "foreign_cpu_share", "other processes took {} of the processors' time", numbers.share),
        *_reading(cell, "steal_share", "other virtual machines took {}", numbers.share),
    ]
    if parts:
        yield f"Hardware during the window: {', '.join(parts)}."


def hardware_table(cell: Cell) -> Table:
    """One row per quantity that was read, and one per reason why others were not."""
    found = [from_json(row["hardware"], {}) for row in cell.measured]
    states = {moment: [whole[moment] for whole in found if whole.get(moment)] for moment in MOMENTS}
    if not any(states.values()):
        return Table.of("Hardware", (), ())
    rows = [(label, *(_between(states[m], name, shown) for m in MOMENTS)) for name, (label, shown) in _NUMBERS.items()]
    rows.append(("what limits the clock", *(_limits(states[moment]) for moment in MOMENTS)))
    rows = [row for row in rows if set(row[1:]) != {numbers.MISSING}]
    missing = by_reason(next((whole["reasons"] for whole in found if whole.get("reasons")), {}), state_labels())
    rows += [(names, f"not measured: {shorten(why, 300)}", "", "") for why, names in missing.items()]
    head = ("Quantity", "Before", "During the window", "After")
    return Table.of("Hardware, lowest to highest over processes", head, rows)


def by_reason(reasons: Mapping[str, str], labels: Mapping[str, str]) -> dict[str, str]:
    """Reason -> the names of everything that is missing for it: a reason shared by five quantities is said once."""
    grouped: dict[str, list[str]] = {}
    for field, why in reasons.items():
        grouped.setdefault(why, []).append(labels.get(field, field))
    return {why: ", ".join(names) for why, names in grouped.items()}


def _reading(cell: Cell, column: str, words: str, shown: numbers.Formatter) -> Iterator[str]:
    if values := cell.values(column):
        yield words.format(numbers.between(shown, values))


def _limit_words(cell: Cell) -> Iterator[str]:
    known = [from_json(row["clock_reasons"], None) for row in cell.measured if row["clock_reasons"] is not None]
    if known:
        yield f"limited by {', '.join(_union(known)) or 'nothing'}"


def _between(states: Sequence[Mapping[str, Any]], name: str, shown: numbers.Formatter) -> str:
    return numbers.between(shown, [state[name] for state in states if state[name] is not None])


def _limits(states: Sequence[Mapping[str, Any]]) -> str:
    known = [state[_CLOCK_REASONS] for state in states if state[_CLOCK_REASONS] is not None]
    return (", ".join(_union(known)) or "nothing") if known else numbers.MISSING


def _union(lists: Sequence[Sequence[str]]) -> list[str]:
    return [shorten(name, 60) for name in dict.fromkeys(name for names in lists for name in names)]
