"""Peak memory in layers and energy over the window: two small state machines around the training loop.

Call order: construct (before the model exists), `training_begins`, `window_begins` (end of the fixed warm-up), `finish`
(after the last step). A layer that cannot be read stays None with its reason.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path
from typing import Any

import torch

from suite.measure.nvml import DeviceHistory, NvmlDevice, Reading, Sampler
from suite.readings import Energy, Memory
from suite.record import Caution

__all__ = ["Instruments"]

SHORTEST_ENERGY_SECONDS = 2.0
"""The counter moves about every 100 ms (zeus documentation): a 2 s window is off by 5 % at most."""


class Instruments:
    """Everything that is read around the loop and not inside it.

    `nvml` is the device behind NVML, or the reason why there is none; `cuda` is `torch.cuda`, or a fake.
    """

    def __init__(self, device: torch.device, nvml: NvmlDevice | str, cuda: Any = torch.cuda) -> None:
        self._device = device
        self._cuda = cuda
        self._nvml = nvml
        self._rss_before = _resident_bytes("VmRSS")
        self._idle = nvml.used_bytes() if isinstance(nvml, NvmlDevice) else Reading(None, nvml)
        self._sampler = Sampler(nvml) if isinstance(nvml, NvmlDevice) else None
        self._warmup_allocated = self._warmup_reserved = 0
        self._energy_before = Reading(None, None)
        self._resident_since_start = False

    def training_begins(self) -> None:
        """Before the first step: the host's peak counts from here."""
        self._resident_since_start = not _reset_resident_peak()

    def window_begins(self) -> None:
        """End of the fixed warm-up: remember its peak and start counting afresh."""
        if self._device.type == "cuda":
            self._cuda.synchronize(self._device)
            self._warmup_allocated = self._cuda.max_memory_allocated(self._device)
            self._warmup_reserved = self._cuda.max_memory_reserved(self._device)
            self._cuda.reset_peak_memory_stats(self._device)
        self._energy_before = self._joules()

    def finish(self, window_seconds: float, window_steps: int) -> tuple[Memory, Energy, tuple[Caution, ...]]:
        """Read everything once; the device is idle."""
        energy = self._energy(window_seconds, window_steps)
        history = self._sampler.stop() if self._sampler else DeviceHistory(self._idle, ())
        return self._memory(history.peak_used), energy, _cautions(history)

    def _joules(self) -> Reading:
        return self._nvml.energy_joules() if isinstance(self._nvml, NvmlDevice) else Reading(None, self._nvml)

    def _energy(self, window_seconds: float, window_steps: int) -> Energy:
        after = self._joules()
        if after.value is None or self._energy_before.value is None:
            return Energy(reason=after.reason or self._energy_before.reason)
        if window_seconds < SHORTEST_ENERGY_SECONDS:
            return Energy(
                reason=f"the window of {window_seconds:.2f} s is shorter than the {SHORTEST_ENERGY_SECONDS:g} s "
                "that the energy counter needs; use more steps"
            )
        if after.value < self._energy_before.value:
            return Energy(reason="the energy counter went backwards (driver reloaded or counter wrapped)")
        return Energy(after.value - self._energy_before.value, window_steps, "NVML total energy counter")

    def _memory(self, peak_used: Reading) -> Memory:
        used = _minus(peak_used, self._idle)
        process = self._nvml.process_bytes() if isinstance(self._nvml, NvmlDevice) else Reading(None, self._nvml)
        rss = _resident_bytes("VmHWM")
        if self._resident_since_start:
            rss = Reading(rss.value, "this system does not let the peak be reset: it includes building the model")
        allocator = self._allocator()
        readings = {"peak_device_bytes": used, "peak_process_bytes": process, "peak_rss_bytes": rss} | allocator
        peaks: dict[str, Any] = {name: reading.integer for name, reading in readings.items()}
        return Memory(
            **peaks,
            rss_before_bytes=self._rss_before.integer,
            reasons={name: reading.reason for name, reading in readings.items() if reading.reason},
        )

    def _allocator(self) -> dict[str, Reading]:
        names = ("peak_allocated_bytes", "peak_allocated_bytes_with_warmup", "peak_reserved_bytes", "allocator_retries")
        if self._device.type != "cuda":
            return {name: Reading(None, "torch keeps no allocator statistics on the CPU") for name in names}
        statistics = self._cuda.memory_stats(self._device)
        peak = self._cuda.max_memory_allocated(self._device)
        values = (
            peak,
            max(peak, self._warmup_allocated),
            max(self._cuda.max_memory_reserved(self._device), self._warmup_reserved),
            statistics.get("num_alloc_retries", 0),
        )
        return {name: Reading(value) for name, value in zip(names, values, strict=True)}


def _minus(peak: Reading, idle: Reading) -> Reading:
    if peak.value is None or idle.value is None:
        return Reading(None, peak.reason or idle.reason)
    return Reading(max(0.0, peak.value - idle.value))


def _cautions(history: DeviceHistory) -> tuple[Caution, ...]:
    if not history.slowdowns:
        return ()
    reasons = ", ".join(history.slowdowns)
    return (Caution("clock_throttled", f"The GPU's clock was held back ({reasons}); cool it or lift the limit."),)


def _resident_bytes(field: str) -> Reading:
    """`VmRSS` (now) or `VmHWM` (highest) of this process, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith(field + ":"):
                return Reading(int(line.split()[1]) * 1024)
    if field == "VmHWM":
        # ru_maxrss is in kilobytes, on macOS in bytes (getrusage(2)).
        unit = 1 if sys.platform == "darwin" else 1024
        return Reading(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
    return Reading(None, "this system has no /proc/self/status")


def _reset_resident_peak() -> bool:
    """Forget the resident high-water mark (proc(5), clear_refs, value 5); False where the system does not allow it."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True
