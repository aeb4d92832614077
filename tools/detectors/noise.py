"""Noise as benchmarks meet it, on the scale of logarithms: 0.01 is 1 %. Every source is a function of seeded numbers.

N1 to N5 of the protocol. Where machine state is shared, the anchor (the pinned baseline, run in the same night) has it
too. Sizes follow the pilot study: spread of nights 1 %, spikes of 3 to 15 % in a twentieth of the nights, a machine
that is 3 % slower for about twenty nights on end.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import signal

from tools.detectors import Values

__all__ = ["NOISES", "Noise", "Source", "autoregressive", "drifting", "independent", "spiky", "sticky"]

Source = Callable[[np.random.Generator, int], Values]


def independent(spread: float) -> Source:
    """Normal, night by night."""
    return lambda rng, count: rng.normal(0.0, spread, count)


def autoregressive(phi: float, spread: float) -> Source:
    """AR(1) whose marginal standard deviation is `spread`, stationary from the first night."""

    def draw(rng: np.random.Generator, count: int) -> Values:
        shocks = rng.normal(0.0, spread * math.sqrt(1.0 - phi**2), count)
        shocks[0] /= math.sqrt(1.0 - phi**2)
        return np.asarray(signal.lfilter([1.0], [1.0, -phi], shocks), dtype=float)

    return draw


def spiky(spread: float, share: float = 0.05, smallest: float = 0.03, largest: float = 0.15) -> Source:
    """Normal with single nights that are slower by `smallest` to `largest`."""

    def draw(rng: np.random.Generator, count: int) -> Values:
        heights = np.log1p(rng.uniform(smallest, largest, count))
        hit = rng.random(count) < share
        return rng.normal(0.0, spread, count) + np.where(hit, heights, 0.0)

    return draw


def sticky(jump: float = 0.03, stay: float = 20.0) -> Source:
    """Two states of a machine; it changes its state every `stay` nights on average."""

    def draw(rng: np.random.Generator, count: int) -> Values:
        changes = rng.random(count) < 1.0 / stay
        changes[0] = rng.random() < 0.5
        return math.log1p(jump) * (np.cumsum(changes) % 2).astype(float)

    return draw


def drifting(slope: float) -> Source:
    """Slower by `slope` every night."""
    return lambda rng, count: math.log1p(slope) * np.arange(count, dtype=float)


def _nothing(rng: np.random.Generator, count: int) -> Values:
    del rng
    return np.zeros(count)


@dataclass(frozen=True)
class Noise:
    """What a night has of its own, and what it shares with the same night's anchor."""

    name: str
    title: str
    own: Source
    shared: Source = _nothing
    phi: float = 0.0
    """How far a second run of a night follows the first one, of what is not shared."""

    def draw(self, rng: np.random.Generator, count: int) -> tuple[Values, Values, Values, Values]:
        """Deviations of the nights, of their anchors, and of a second run of both in the same night."""
        state = self.shared(rng, count)
        first = self.own(rng, count), self.own(rng, count)
        again = [self.phi * one + math.sqrt(1.0 - self.phi**2) * self.own(rng, count) for one in first]
        return state + first[0], state + first[1], state + again[0], state + again[1]


NOISES = {
    noise.name: noise
    for noise in (
        Noise("iid-0.3", "independent, 0.3 %", independent(0.003)),
        Noise("iid-1", "independent, 1 %", independent(0.01)),
        Noise("iid-3", "independent, 3 %", independent(0.03)),
        Noise("ar-0.5", "AR(1) φ 0.5, 1 %", autoregressive(0.5, 0.01), phi=0.5),
        Noise("ar-0.8", "AR(1) φ 0.8, 1 %", autoregressive(0.8, 0.01), phi=0.8),
        Noise("ar-machine", "machine AR(1) φ 0.8, 1 %, own 0.5 %", independent(0.005), autoregressive(0.8, 0.01)),
        Noise("spikes", "1 %, and one in twenty 3–15 % slower", spiky(0.01)),
        Noise("sticky", "machine 3 % slower for about 20 in a row, own 0.5 %", independent(0.005), sticky()),
        Noise("sticky-1", "machine 3 % slower for about 20 in a row, own 1 %", independent(0.01), sticky()),
        Noise(
            "sticky-spikes",
            "machine 3 % slower for about 20 in a row, own 0.5 % and one in twenty 3–15 % slower",
            spiky(0.005),
            sticky(),
        ),
        Noise("drift", "machine 0.05 % slower every night, own 1 %", independent(0.01), drifting(0.0005)),
        Noise("processes", "hierarchical: processes 0.6 %, steps 1.2 % with AR(1) 0.6 and spikes", independent(0.006)),
    )
}
"""By name. `processes` is the run-to-run part of the hierarchical model, which gates.steps adds its steps to."""
