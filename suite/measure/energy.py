"""Energy of a window: from counters at its two edges, or from sampled power where there is no counter.

A window below 2 s has none: counters move about every 100 ms (zeus documentation), so that 2 s are right within 5 %.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from suite.measure.nvml import NvmlDevice
from suite.measure.reading import Reading
from suite.measure.sampling import SAMPLE_SECONDS, Sample, joules
from suite.readings import Energy

__all__ = ["SHORTEST_ENERGY_SECONDS", "EnergyMeter", "GpuMeter", "PackageMeter"]

SHORTEST_ENERGY_SECONDS = 2.0
LARGEST_PACKAGE_WATTS = 500.0
"""No processor package of today takes more for long (AMD EPYC 9965, Intel Xeon 6980P: 500 W); it bounds how soon a
counter can wrap twice."""

PackageCounters = Mapping[str, tuple[float, float]] | str
"""Package -> joules counted until now and joules at which the counter starts again; or why there is none."""


class EnergyMeter(Protocol):
    """Reads a counter at both edges of the window."""

    def begin(self) -> None:
        """The window begins; the last call counts."""
        ...

    def end(self) -> None:
        """The window has ended."""
        ...

    def energy(self, samples: Sequence[Sample], window_seconds: float, window_steps: int) -> Energy:
        """What was used in between; `samples` are those of the window."""
        ...


class GpuMeter:
    """NVML's energy counter; `nvml` is the device, or the reason why there is none."""

    def __init__(self, nvml: NvmlDevice | str) -> None:
        self._nvml = nvml
        self._before = self._after = self._joules()

    def begin(self) -> None:
        self._before = self._joules()

    def end(self) -> None:
        self._after = self._joules()

    def energy(self, samples: Sequence[Sample], window_seconds: float, window_steps: int) -> Energy:
        if isinstance(self._nvml, str):
            return Energy(reason=self._nvml)
        return _gpu_energy(self._before, self._after, samples, window_seconds, window_steps)

    def _joules(self) -> Reading:
        return Reading(None, self._nvml) if isinstance(self._nvml, str) else self._nvml.energy_joules()


class PackageMeter:
    """The processors' own counters (RAPL), under a folder of the form of /sys/class/powercap."""

    def __init__(self, powercap: Path) -> None:
        self._powercap = powercap
        self._before = self._after = _package_counters(powercap)
        self.reason = self._before if isinstance(self._before, str) else None
        """Why there is no energy to be had from them; None where there is."""

    def begin(self) -> None:
        self._before = _package_counters(self._powercap)

    def end(self) -> None:
        self._after = _package_counters(self._powercap)

    def energy(self, samples: Sequence[Sample], window_seconds: float, window_steps: int) -> Energy:
        return _package_energy(self._before, self._after, window_seconds, window_steps)


def _gpu_energy(
    before: Reading, after: Reading, samples: Sequence[Sample], window_seconds: float, window_steps: int
) -> Energy:
    """From NVML's energy counter; without one from the power samples of the window."""
    if window_seconds < SHORTEST_ENERGY_SECONDS:
        return _too_short(window_seconds)
    if before.value is not None and after.value is not None:
        if after.value < before.value:
            return Energy(reason="the energy counter went backwards (driver reloaded or counter wrapped)")
        if after.value == before.value:
            return Energy(reason=f"the energy counter did not move in {window_seconds:.1f} s")
        return Energy(after.value - before.value, window_steps, "NVML total energy counter")
    no_counter = before.reason or after.reason
    sampled = joules(samples)
    if not sampled.value:
        return Energy(reason=f"{no_counter}; nor can power be summed up: {sampled.reason or 'it was 0 W'}")
    source = f"NVML power, sampled every {SAMPLE_SECONDS * 1e3:.0f} ms and integrated (no energy counter)"
    return Energy(sampled.value, window_steps, source)


def _package_counters(powercap: Path) -> PackageCounters:
    """RAPL counters of every processor package (Linux powercap; Intel, and AMD from Zen on).

    Only `package-…` domains: the cores' are inside them, `psys` holds them, and `intel-rapl-mmio` repeats them.
    """
    counters = {}
    for domain in sorted(powercap.glob("intel-rapl:*")):
        try:
            name = (domain / "name").read_text(encoding="ascii").strip()
            if re.fullmatch(r"intel-rapl:\d+", domain.name) and name.startswith("package-"):
                # In microjoules.
                counted, wraps_at = (
                    int((domain / file).read_text(encoding="ascii")) / 1e6
                    for file in ("energy_uj", "max_energy_range_uj")
                )
                counters[name] = (counted, wraps_at)
        except PermissionError:
            return "the processor's energy counter (RAPL) is readable by root only"
        except (OSError, ValueError):
            return f"the processor's energy counter (RAPL, {domain.name}) cannot be read"
    return counters or "this machine shows no energy counter of its processors (RAPL; virtual machines hide it)"


def _package_energy(
    before: PackageCounters, after: PackageCounters, window_seconds: float, window_steps: int
) -> Energy:
    """The packages' energy, which is that of everything that ran on them."""
    if isinstance(before, str) or isinstance(after, str):
        return Energy(reason=before if isinstance(before, str) else str(after))
    if window_seconds < SHORTEST_ENERGY_SECONDS:
        return _too_short(window_seconds)
    if before.keys() != after.keys():
        return Energy(reason="the processors' energy counters changed during the window")
    wraps_at = min(limit for _, limit in after.values())
    if window_seconds * LARGEST_PACKAGE_WATTS > wraps_at:
        return Energy(
            reason=f"the processor's energy counter starts again after {wraps_at:.0f} J, "
            f"in {window_seconds:.0f} s perhaps more than once; use fewer steps"
        )
    # A counter that is lower than before has started again, once.
    total = sum((after[name][0] - before[name][0]) % after[name][1] for name in after)
    if total == 0:
        return Energy(reason=f"the processors' energy counters did not move in {window_seconds:.1f} s")
    packages = f"{len(after)} package{'s' * (len(after) > 1)}"
    return Energy(total, window_steps, f"RAPL counters of {packages}, everything that ran on them, without memory")


def _too_short(window_seconds: float) -> Energy:
    # Cut, not rounded: 1.999 s is no 2.00 s.
    shown = math.floor(100 * window_seconds) / 100
    return Energy(
        reason=f"the window of {shown:.2f} s is shorter than the {SHORTEST_ENERGY_SECONDS:g} s "
        "that an energy counter needs; use more steps"
    )
