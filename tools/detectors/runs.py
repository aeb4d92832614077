"""Two sides to be compared: processes in the order A B B A, each with its correlated steps (N6), or recorded ones (N7).

A process is a draw of run-to-run noise (0.6 % in the reference model); its 200 steps scatter by 1.2 % around it,
correlated by 0.6 from one to the next, and one in a hundred is 3 to 15 % slower.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import signal

from tools.detectors import Sides, Values
from tools.detectors.changes import Change
from tools.detectors.noise import NOISES
from tools.detectors.recorded import REAL, consecutive

__all__ = ["STEPS", "STEP_SECONDS", "draw_sides", "steps_of"]

STEPS = 200
STEP_SECONDS = 0.1
SPREAD = 0.012
CORRELATION = 0.6
SPIKES = 0.01
ORDER = (0, 1, 1, 0)
"""Which side runs, over and over: neither side is always the first of a pair."""


def draw_sides(noise: str, processes: int, change: Change, rng: np.random.Generator) -> Sides:
    """`processes` a side; the candidate's are changed as told."""
    turn = np.resize(np.array(ORDER), 2 * processes)
    if noise == REAL:
        logs = np.log(consecutive(rng, 2 * processes))
        base, candidate = logs[turn == 0], logs[turn == 1]
        middle = np.median(candidate)
        return Sides(np.exp(base), np.exp(middle + change.spread * (candidate - middle) + change.shift))
    levels = NOISES[noise].draw(rng, 2 * processes)[0]
    scatter = steps_of(rng, 2 * processes)
    deviations = levels[:, None] + scatter
    base, candidate = deviations[turn == 0], change.spread * deviations[turn == 1] + change.shift
    return Sides(STEP_SECONDS * np.exp(base), STEP_SECONDS * np.exp(candidate))


def steps_of(rng: np.random.Generator, processes: int) -> Values:
    """Deviations of the steps from their process, one row each."""
    shocks = rng.normal(0.0, SPREAD * math.sqrt(1.0 - CORRELATION**2), (processes, STEPS))
    shocks[:, 0] /= math.sqrt(1.0 - CORRELATION**2)
    noise = np.asarray(signal.lfilter([1.0], [1.0, -CORRELATION], shocks, axis=1), dtype=float)
    hit = rng.random((processes, STEPS)) < SPIKES
    return noise + np.where(hit, np.log1p(rng.uniform(0.03, 0.15, (processes, STEPS))), 0.0)
