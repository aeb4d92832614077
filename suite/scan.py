"""What the flush meter counted, and the static loss scales that follow from it. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass

from suite.spec import TrialSpec

__all__ = ["SCALES", "GradientCounts", "ScalePoint", "ScaleScan", "ScaleWindow", "scale_window"]

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
