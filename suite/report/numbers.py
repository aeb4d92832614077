"""Numbers as people read them: three significant digits, a unit behind a no-break space, a real minus sign.

Every function takes None and gives :data:`MISSING` for it, because "no value" is None everywhere in the results.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Callable, Sequence

__all__ = [
    "MISSING",
    "between",
    "bounded",
    "bounded_seconds",
    "by_metric",
    "change",
    "count",
    "count_between",
    "interval",
    "joules",
    "memory",
    "number",
    "of",
    "operation_rate",
    "operations",
    "percent",
    "probability",
    "rate",
    "scale",
    "seconds",
    "share",
    "signed",
    "spaced",
    "speed",
    "speed_interval",
    "time_unit",
]

MISSING = "–"
_SPACE = "\u00a0"
_MINUS = "\u2212"

_SECONDS = (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6))

Formatter = Callable[[float | None], str]


def number(value: float | None, digits: int = 3) -> str:
    """`12.3`, `0.00123`, `1,234`: at least `digits` significant digits and never an integer digit less."""
    if value is None:
        return MISSING
    if not math.isfinite(value):
        return "not finite"
    if value == 0:
        return "0"
    magnitude = math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}"))))
    if magnitude < -4 or magnitude > 14:
        mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
        return f"{mantissa}e{int(exponent)}".replace("-", _MINUS)
    return f"{value:,.{max(0, digits - 1 - magnitude)}f}".replace("-", _MINUS)


def count(value: float | None) -> str:
    """`1,234`."""
    return MISSING if value is None else f"{value:,.0f}".replace("-", _MINUS)


def seconds(value: float | None) -> str:
    """`12.3 ms`."""
    return _in_units(value, _SECONDS)


def time_unit(values: Sequence[float]) -> tuple[float, str]:
    """Size in seconds and name of the unit in which these seconds are best written: one for a whole chart."""
    unit, size = _unit_of(statistics.median(values), _SECONDS)
    return size, unit


def bounded_seconds(value: float, low: float | None, high: float | None) -> str:
    """`12.3 ms [12.1, 12.5]`."""
    unit, size = _unit_of(value, _SECONDS)
    below, above = (None if bound is None else bound / size for bound in (low, high))
    return bounded(value / size, below, above, f"{_SPACE}{unit}")


def memory(value: float | None) -> str:
    """Bytes in binary units: `1.50 GiB`."""
    return _in_units(value, (("TiB", 2.0**40), ("GiB", 2.0**30), ("MiB", 2.0**20), ("KiB", 2.0**10), ("B", 1.0)))


def joules(value: float | None) -> str:
    """`1.23 kJ`."""
    return _in_units(value, (("MJ", 1e6), ("kJ", 1e3), ("J", 1.0), ("mJ", 1e-3), ("µJ", 1e-6)))


def operations(value: float | None) -> str:
    """Floating-point operations: `1.20 GFLOP`."""
    sizes = (("PFLOP", 1e15), ("TFLOP", 1e12), ("GFLOP", 1e9), ("MFLOP", 1e6), ("kFLOP", 1e3), ("FLOP", 1.0))
    return _in_units(value, sizes)


def operation_rate(value: float | None) -> str:
    """Floating-point operations per second: `989 TFLOP/s`."""
    return MISSING if value is None else f"{operations(value)}/s"


def scale(value: float | None) -> str:
    """A loss scale: `2^16`, as on the chart's axis; another number where it is no power of two."""
    if value is None or value <= 0 or not math.isfinite(value) or not math.log2(value).is_integer():
        return number(value)
    return f"2^{math.log2(value):.0f}".replace("-", _MINUS)


def rate(value: float | None, what: str = "samples") -> str:
    """`1,234 samples/s`."""
    return MISSING if value is None else f"{number(value)}{_SPACE}{what}/s"


def signed(value: float, digits: int = 2) -> str:
    """`+0.012`, or `±0` for no difference."""
    return "±0" if value == 0 else ("+" if value > 0 else "") + number(value, digits)


def percent(share: float | None) -> str:
    """A size, not a change: `2 %`, `5.4 %`."""
    return (
        number(share)
        if share is None or not math.isfinite(share)
        else f"{_percent_digits(share).removesuffix('.0')}{_SPACE}%"
    )


def share(value: float | None) -> str:
    """A part of a whole: `12.3 %`, `0.00292 %`; 0 only for none of it, 100 only for all."""
    if value is not None and 0 < value < 0.0005:
        return f"{number(100 * value)}{_SPACE}%"
    if value is not None and 0.9995 <= value < 1:
        return f">{_SPACE}99.9{_SPACE}%"
    return percent(value)


def change(share: float | None) -> str:
    """A relative change with its sign: `+3.1 %`."""
    return number(share) if share is None or not math.isfinite(share) else f"{_signed_percent(share)}{_SPACE}%"


def interval(low: float | None, high: float | None) -> str:
    """`[+2.2, +4.0]`, in percent; empty where there is none."""
    return "" if low is None or high is None else f"[{_signed_percent(low)}, {_signed_percent(high)}]"


def probability(p: float | None) -> str:
    """`0.0123`, `< 0.0001`."""
    if p is None:
        return MISSING
    return f"<{_SPACE}0.0001" if p < 0.0001 else f"{p:.4f}"


def speed(ratio: float | None, low: float | None = None, high: float | None = None) -> str:
    """How many times as fast: `1.52× faster`, `36.0× slower`; where the interval does not tell, no order is said."""
    if ratio is None or not math.isfinite(ratio) or ratio <= 0:
        return MISSING
    if low is None or high is None:
        return f"{number(ratio)}× as fast"
    if low <= 1 <= high:
        return f"{number(ratio)}× as fast, not told apart"
    digits = 3 if abs(ratio - 1) >= 0.005 else 5  # an order that its number does not show would contradict it
    return f"{number(ratio, digits)}× faster" if low > 1 else f"{number(1 / ratio, digits)}× slower"


def speed_interval(low: float, high: float) -> str:
    """The bounds of what :func:`speed` says: `[1.49, 1.55]`, of a slower one turned likewise."""
    ends = (1 / high, 1 / low) if high < 1 else (low, high)
    return f"[{number(ends[0])},{_SPACE}{number(ends[1])}]"


def bounded(value: float, low: float | None, high: float | None, unit: str = "") -> str:
    """`1,234 [1,210, 1,260]` on one line, `unit` right behind the number; without an interval `1,234 (1 process)`."""
    if low is None or high is None:
        return f"{number(value)}{unit}{_SPACE}(1{_SPACE}process)"
    return f"{number(value)}{unit}{_SPACE}[{number(low)},{_SPACE}{number(high)}]"


def spaced(text: str) -> str:
    """A sentence of the results, its `5%` as `5 %`; what comes after a percent sign keeps it as it is (`%20`)."""
    return re.sub(r"(?<=\d)%(?!\w)", f"{_SPACE}%", text)


def between(shown: Formatter, values: Sequence[float]) -> str:
    """`12.1–12.5 ms`: the lowest and the highest, or one value where they look alike."""
    if not values:
        return MISSING
    low, high = shown(min(values)), shown(max(values))
    if low == high:
        return low
    low_number, _, low_unit = low.partition(_SPACE)
    unit = high.partition(_SPACE)[2]
    return f"{low_number}–{high}" if low_unit == unit else f"{low} – {high}"


def count_between(values: Sequence[float]) -> str:
    """`3`, or `2–4` where trials differ."""
    return between(count, values)


def of(amount: int, whole: int, noun: str) -> str:
    """`3 of 5 trials`."""
    return f"{amount} of {whole} {noun}{'' if whole == 1 else 's'}"


def by_metric(metric: str) -> Formatter:
    """How a value of this metric is written; the unit is in the metric's name."""
    endings = (("_seconds", seconds), ("_bytes", memory), ("_joules", joules), ("_steps", count))
    return next((shown for ending, shown in endings if metric.endswith(ending)), lambda value: number(value, 4))


def _in_units(value: float | None, units: Sequence[tuple[str, float]]) -> str:
    if value is None or not math.isfinite(value):
        return number(value)
    unit, size = _unit_of(value, units)
    shown = count(value) if unit == "B" else number(value / size)
    return f"{shown}{_SPACE}{unit}"


def _unit_of(value: float, units: Sequence[tuple[str, float]]) -> tuple[str, float]:
    # Zero stands in the plain unit, what is smaller than every unit in the smallest.
    enough = value if value else 1.0
    return next((pair for pair in units if abs(enough) >= pair[1]), units[-1])


def _signed_percent(share: float) -> str:
    return ("+" if share > 0 else "") + _percent_digits(share)


def _percent_digits(share: float) -> str:
    value = 100 * share
    if value == 0:
        return "0"
    decimals = 2 if abs(value) < 0.1 else 1 if abs(value) < 100 else 0
    text = f"{value:,.{decimals}f}"
    return "0" if float(text.replace(",", "")) == 0 else text.replace("-", _MINUS)
