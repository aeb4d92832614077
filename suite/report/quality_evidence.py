"""A quality against float32's in words: the same numbers stand in the matrix and beside every recommended mode."""

from __future__ import annotations

from suite.judge.error_rates import EQUIVALENCE_LEVEL
from suite.judge.findings import PrecisionQuality
from suite.report import numbers
from suite.report.cells import REFERENCE

__all__ = ["concluded", "difference_words", "seed_words"]


def concluded(quality: PrecisionQuality) -> str:
    """`equivalent to fp32`, `worse than fp32`, `undecided against fp32`."""
    joined = {"equivalent": "to", "undecided": "against"}.get(quality.conclusion, "than")
    return f"{quality.conclusion} {joined} {REFERENCE}"


def difference_words(quality: PrecisionQuality) -> str:
    """`0.0120 worse, 90 % interval [−0.026, +0.0020] (above 0 is better), margin 0.0200`."""
    parts = [_amount(quality.difference)]
    if quality.low90 is not None and quality.high90 is not None and any((quality.low90, quality.high90)):
        # Of the gain, as everywhere on the page: in the results a positive difference is a loss.
        ends = f"[{numbers.signed(-quality.high90)}, {numbers.signed(-quality.low90)}]"
        parts.append(f"{numbers.percent(EQUIVALENCE_LEVEL)} interval {ends} (above 0 is better)")
    elif quality.difference:
        parts.append("no interval")
    parts += [f"margin {numbers.number(quality.margin)}"] if quality.margin is not None else []
    return ", ".join(parts)


def seed_words(quality: PrecisionQuality) -> str:
    """`5 seeds`."""
    return f"{quality.seeds} seed{'' if quality.seeds == 1 else 's'}"


def _amount(difference: float) -> str:
    if not difference:
        return "no difference"
    return f"{numbers.number(abs(difference))} {'worse' if difference > 0 else 'better'}"
