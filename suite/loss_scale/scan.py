"""What the flush meter counted, and the static loss scales that follow from it. Standard library only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from suite.spec import TrialSpec

__all__ = [
    "LARGEST_FLUSHED_SHARE",
    "OVERFLOW_MARGIN",
    "SCALES",
    "GradientCounts",
    "ScalePoint",
    "ScaleScan",
    "ScaleWindow",
    "power",
    "scale_window",
]

LARGEST_FLUSHED_SHARE = 0.01
"""A scale is large enough when no more than this share of the gradient values becomes zero. A choice: Adam still
reaches float32's loss with a third of them gone (`ampmark demo underflow`), but what is lost is not random, and other
optimizers have nothing that makes up for it."""
OVERFLOW_MARGIN = 8.0
"""A scale is small enough when a gradient this many times the largest one seen is still finite. Only some steps are
looked at: in the quick profile's gpt the largest gradient of every second step (2.61) is 5.5 times the largest one that
a scan sees (0.471); torch 2.14.1 on a CPU."""
LARGEST_FLOAT16 = 65504.0

SCALES = tuple(2.0**power for power in range(25))
"""Loss scales of a scan: 2^0 … 2^24."""


@dataclass(frozen=True)
class GradientCounts:
    """Gradient values of one training step, and what float16 does to them at each of some loss scales."""

    values: int
    """Non-zero and finite."""
    zeros: int
    """Exactly zero in float32 already (ReLU, padding): no loss scale brings them back."""
    nonfinite: int
    """Infinite or NaN in float32 already."""
    largest: float | None
    """Largest finite magnitude; None where all are zero."""
    flushed: tuple[int, ...]
    """Of `values`, how many become zero; one entry per scale."""
    overflowed: tuple[int, ...]
    """Of `values`, how many become infinite."""


@dataclass(frozen=True)
class ScalePoint:
    """The counts at one moment of the training, at every scale of `SCALES`."""

    step: int
    """Optimizer steps done so far."""
    counts: GradientCounts


@dataclass(frozen=True)
class ScaleScan:
    """One float32 training with the flush meter at several points."""

    spec: TrialSpec
    points: tuple[ScalePoint, ...]
    losses: tuple[float, ...]
    """Training loss of every step."""

    @property
    def flushed_shares(self) -> tuple[float | None, ...]:
        """Per scale, the worst point's share of values that become zero; None where no value was seen."""
        return self._worst([[count / p.counts.values for count in p.counts.flushed] for p in self._seen])

    @property
    def overflowed_shares(self) -> tuple[float | None, ...]:
        """Per scale, the worst point's share of values that become infinite; None where no value was seen."""
        return self._worst([[count / p.counts.values for count in p.counts.overflowed] for p in self._seen])

    @property
    def largest(self) -> float | None:
        """Largest finite gradient of all points; None where there was none but zero."""
        return max((p.counts.largest for p in self._seen if p.counts.largest is not None), default=None)

    @property
    def _seen(self) -> list[ScalePoint]:
        return [point for point in self.points if point.counts.values]

    @staticmethod
    def _worst(points: Sequence[Sequence[float]]) -> tuple[float | None, ...]:
        return tuple(map(max, zip(*points, strict=True))) if points else (None,) * len(SCALES)


@dataclass(frozen=True)
class ScaleWindow:
    """The static scales that fit a scan."""

    low: float | None
    """Smallest scale that flushes little enough; None where none does, or where nothing can be said."""
    high: float | None
    """Largest scale that overflows nowhere, with the margin; None where none is so small."""
    sentence: str
    """The window in words, or why there is none."""

    @property
    def found(self) -> bool:
        """Whether some scale is large enough and small enough."""
        return self.low is not None and self.high is not None and self.low <= self.high


def scale_window(scan: ScaleScan) -> ScaleWindow:
    """The scales of `SCALES` with a flushed share up to `LARGEST_FLUSHED_SHARE` and `OVERFLOW_MARGIN` to spare."""
    largest = scan.largest
    infinite = [point.step for point in scan.points if point.counts.nonfinite]
    if infinite:
        return ScaleWindow(
            None, None, f"After {infinite[0]} steps float32 itself has gradients that are not finite; no scale helps."
        )
    if largest is None:
        return ScaleWindow(None, None, "No gradient that autocast would hold in float16 differs from zero.")
    shares = zip(SCALES, scan.flushed_shares, strict=True)
    enough = [scale for scale, share in shares if share is not None and share <= LARGEST_FLUSHED_SHARE]
    spare = [scale for scale in SCALES if largest * OVERFLOW_MARGIN * scale <= LARGEST_FLOAT16]
    low, high = (enough[0] if enough else None), (spare[-1] if spare else None)
    return ScaleWindow(low, high, _window_sentence(low, high))


def power(scale: float) -> str:
    """`2^10` for a power of two, else the number."""
    mantissa, exponent = math.frexp(scale)
    return f"2^{exponent - 1}" if mantissa == 0.5 else f"{scale:g}"


def _window_sentence(low: float | None, high: float | None) -> str:
    limit = f"at most {100 * LARGEST_FLUSHED_SHARE:g} % of the gradient values become zero"
    margin = f"a gradient {OVERFLOW_MARGIN:g} times the largest one seen stays finite"
    if low is not None and high is not None and low <= high:
        safe = f"Only the scale {power(low)} is" if low == high else f"Scales from {power(low)} to {power(high)} are"
        return f"{safe} safe: {limit}, and {margin}."
    above = f"only from {power(low)} on" if low is not None else f"at no scale up to {power(SCALES[-1])}"
    below = f"only up to {power(high)}" if high is not None else "at no scale, not even 1"
    return f"No static scale is safe: {limit} {above}, and {margin} {below}. Use a dynamic scale or bf16."
