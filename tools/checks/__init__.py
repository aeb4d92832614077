"""Checks of ampmark against a real device: what each one is called, how long it may take, and where its code is.

Nothing here imports torch: every check runs in a process of its own, so that one that hangs, dies or spoils the state
of the device takes nothing else with it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

__all__ = ["CHECKS", "Check", "Conditions", "Measurement", "NotRun"]


class NotRun(Exception):
    """The check cannot be made here; the message says why. Nothing is put in its place."""


@dataclass(frozen=True)
class Check:
    """One check. `target` is `module:function`; the function's docstring states the target value and its source."""

    number: int
    name: str
    seconds: float
    """Time limit in the short form on a GPU; the long form and a CPU have `PATIENCE` times as much."""
    target: str
    needs: tuple[str, ...] = ()
    """Modules that must be installed, besides torch and numpy."""
    gpu: bool = False
    """Whether it makes no sense without an NVIDIA GPU."""


@dataclass(frozen=True)
class Conditions:
    """What a check is told."""

    device: str
    """`cpu` or `cuda:0`."""
    full: bool
    """The long form: whole profiles, more repetitions."""
    folder: str
    """An empty folder; runs stored in it are kept."""
    seconds: float
    """The check's own limit, after which its process is killed."""
    started: float = 0.0
    """`time.monotonic()` of the start."""

    @property
    def seconds_left(self) -> float:
        """Until a tenth of the limit is left, which is for writing things down."""
        return self.started + 0.9 * self.seconds - time.monotonic()


@dataclass(frozen=True)
class Measurement:
    """One line of a check's result."""

    name: str
    value: str
    target: str = ""
    """What it should be, in words; empty where there is nothing to be met."""
    met: bool | None = True
    """None where it was not measured for a lack of time, or where noise leaves it open."""


PATIENCE = 4
"""How much longer the long form may take."""

CHECKS = (
    Check(0, "machine", 20, "tools.checks.trials:describe_machine"),
    Check(1, "machine ceilings", 15, "tools.checks.nvidia:ceilings", gpu=True),
    Check(2, "standard matrix", 125, "tools.checks.trials:matrix"),
    Check(3, "attestation", 20, "tools.checks.arithmetic:attestation"),
    Check(4, "overflow recorder", 40, "tools.checks.overflow:overflow_recorder"),
    Check(5, "host syncs", 30, "tools.checks.loop:host_syncs", gpu=True),
    Check(6, "overhead of the window", 60, "tools.checks.loop:overhead", needs=("transformers",)),
    Check(7, "NVML", 30, "tools.checks.nvidia:nvml", needs=("pynvml", "transformers"), gpu=True),
    Check(8, "throughput", 80, "tools.checks.throughput:throughput", gpu=True),
    Check(9, "determinism", 50, "tools.checks.repeats:determinism"),
    Check(10, "A/A", 50, "tools.checks.repeats:same_against_same", needs=("scipy", "statsmodels")),
    Check(12, "broken trials", 20, "tools.checks.faults:broken_trials"),
)
"""Numbered as in the list of checks they implement; 11 (an injected slow-down) is `ampmark gate`'s own test."""
