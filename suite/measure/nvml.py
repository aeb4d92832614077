"""NVML behind a seam: one device, found by UUID, whose every reading is a value or a reason.

The device is never looked up by index: NVML counts in PCI order, CUDA in its own. Process lists are read once per
trial and never polled (a poll of several milliseconds holds the driver's lock and stalls submissions).
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from typing import Any, NamedTuple

__all__ = ["DeviceHistory", "NvmlDevice", "Reading", "Sampler", "open_device"]

SAMPLE_SECONDS = 0.2
"""5 Hz: fast enough for slow quantities (memory held by a caching allocator, temperature), too slow to disturb."""

#: Clock-event reasons that mean the clock was held back by something other than the load (nvml.h,
#: nvmlClocksEventReasons). GpuIdle is masked; SwPowerCap is normal at full load and only recorded.
_SLOWDOWNS = {0x08: "hardware slowdown", 0x20: "software thermal", 0x40: "hardware thermal", 0x80: "power brake"}


class Reading(NamedTuple):
    """A number, or None and the reason."""

    value: float | None
    reason: str | None = None

    @property
    def integer(self) -> int | None:
        """The value as a whole number (bytes, millijoules)."""
        return None if self.value is None else int(self.value)


class NvmlDevice:
    """One NVIDIA device. `api` is the module `pynvml`, or a fake with the same functions."""

    def __init__(self, api: Any, uuid: str) -> None:
        self._api = api
        self._handle = api.nvmlDeviceGetHandleByUUID(uuid)

    def used_bytes(self) -> Reading:
        """Device memory in use by everybody, the driver's own reserve not counted (memory info version 2)."""
        return self._read(lambda: self._memory().used, "memory in use")

    def process_bytes(self) -> Reading:
        """This process's device memory. Containers see host process ids, so "not listed" is not zero."""

        def ask() -> int | None:
            processes = self._api.nvmlDeviceGetComputeRunningProcesses(self._handle)
            mine = [p.usedGpuMemory for p in processes if p.pid == os.getpid()]
            return mine[0] if mine else None

        return self._read(ask, "this process's memory (not listed: a container, WSL or MIG hides it)")

    def energy_joules(self) -> Reading:
        """Energy since the driver was loaded; the counter is in millijoules and moves about every 100 ms."""
        return self._read(lambda: self._api.nvmlDeviceGetTotalEnergyConsumption(self._handle) / 1e3, "energy counter")

    def clock_reasons(self) -> Reading:
        """Bit mask of what limits the clock now."""
        api = self._api
        ask = getattr(api, "nvmlDeviceGetCurrentClocksEventReasons", None) or (
            api.nvmlDeviceGetCurrentClocksThrottleReasons
        )
        return self._read(lambda: ask(self._handle), "clock-event reasons")

    def text(self, function: str, *arguments: Any) -> str | None:
        """Any other fact as text for the environment, None where the device does not tell."""
        try:
            return str(getattr(self._api, function)(self._handle, *arguments))
        except (self._api.NVMLError, AttributeError):
            return None

    def _memory(self) -> Any:
        try:
            return self._api.nvmlDeviceGetMemoryInfo(self._handle, version=self._api.nvmlMemory_v2)
        except (self._api.NVMLError, AttributeError):
            # Version 1 counts the driver's reserve as used; the idle reading that is subtracted holds it as well.
            return self._api.nvmlDeviceGetMemoryInfo(self._handle)

    def _read(self, ask: Any, what: str) -> Reading:
        try:
            value = ask()
        except self._api.NVMLError as error:
            return Reading(None, f"NVML does not give {what}: {error}.")
        return Reading(None, f"NVML does not give {what}.") if value is None else Reading(float(value))


def open_device(uuid: str | None) -> NvmlDevice | str:
    """The device, or the reason why NVML cannot be used for it."""
    if uuid is None:
        return "not an NVIDIA device"
    import pynvml  # here, because the module is of no use on a machine without the driver

    try:
        pynvml.nvmlInit()
        return NvmlDevice(pynvml, uuid)
    except pynvml.NVMLError as error:
        return f"NVML is not usable: {error}"


@dataclass(frozen=True)
class DeviceHistory:
    """What the sampler saw."""

    peak_used: Reading
    slowdowns: tuple[str, ...]
    """Names of the clock slow-downs that occurred."""


class Sampler:
    """Reads a device at 5 Hz from a thread that touches no CUDA context."""

    def __init__(self, device: NvmlDevice, interval_seconds: float = SAMPLE_SECONDS) -> None:
        self._device = device
        self._interval_seconds = interval_seconds
        self._stop = threading.Event()
        self._peak = device.used_bytes()
        self._reasons = 0
        self._thread = threading.Thread(target=self._watch, name="nvml-sampler", daemon=True)
        self._thread.start()

    def stop(self) -> DeviceHistory:
        """End the sampling, with one last sample."""
        self._stop.set()
        self._thread.join()
        self._sample()
        return DeviceHistory(self._peak, tuple(name for bit, name in _SLOWDOWNS.items() if self._reasons & bit))

    def _watch(self) -> None:
        while not self._stop.wait(self._interval_seconds):
            self._sample()

    def _sample(self) -> None:
        used = self._device.used_bytes()
        if used.value is None or self._peak.value is None:
            # One failed reading in the middle could have been the peak: an unknown peak is not a smaller peak.
            self._peak = used if used.value is None else self._peak
        else:
            self._peak = max(self._peak, used, key=lambda reading: reading.value or 0.0)
        self._reasons |= self._device.clock_reasons().integer or 0
