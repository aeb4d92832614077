"""NVML behind a seam: one device, found by UUID, whose every reading is a value or a reason.

The device is never looked up by index: NVML counts in PCI order, CUDA in its own. Process lists are read at the edges
of the window and never polled (one takes milliseconds, holds the driver's lock and stalls submissions).

A GPU in MIG mode has two handles: the GPU's own, whose memory, processes and energy are those of all its instances
together, and the instance's, which has no clocks and no power. Each quantity is asked of the handle it is true of.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from suite.measure.reading import Reading

__all__ = ["CLOCK_REASONS", "SLOWDOWNS", "NvmlDevice", "clock_reason_names", "open_device"]

_GPU_IDLE = 0x001
#: What limits the clock (nvml.h, nvmlClocksEventReasons; the last two only under the older name, ThrottleReasons).
CLOCK_REASONS = {
    0x002: "application clocks setting",
    0x004: "software power cap",
    0x008: "hardware slowdown",
    0x010: "sync boost",
    0x020: "software thermal",
    0x040: "hardware thermal",
    0x080: "power brake",
    0x100: "display clock setting",
    0x200: "board limit",
    0x400: "reliability voltage",
}
SLOWDOWNS = frozenset(CLOCK_REASONS[bit] for bit in (0x008, 0x020, 0x040, 0x080))
"""Those that are no ordinary state. The power cap is one: a power-limited board is at it whenever it is busy."""

_DIVIDED = (
    "the GPU is divided (MIG) and which instance this process has is not known, so the whole GPU's reading would count "
    "its neighbours; set CUDA_VISIBLE_DEVICES to the full UUID of the instance (MIG-…)"
)


class NvmlDevice:
    """One NVIDIA device. `api` is the module `pynvml`, or a fake with the same functions.

    `visible` is CUDA_VISIBLE_DEVICES, which names the instance where the GPU is in MIG mode.

    Raises:
        NVMLError: NVML has no such device.
    """

    def __init__(self, api: Any, uuid: str, visible: str = "") -> None:
        self._api = api
        self.divided = False
        """Whether the GPU is in MIG mode."""
        self._gpu, self._own = self._find(uuid, visible)
        self.memory_version = self._memory_version()
        """Which of NVML's two memory readings answers, the same for the whole trial: version 1 counts the driver's
        reserve as used, version 2 does not."""

    @property
    def own_known(self) -> bool:
        """Whether it is known what this process has of the device; without MIG that is all of it."""
        return self._own is not None

    def used_bytes(self) -> Reading:
        """Device memory in use by everybody."""
        return self._of_own("the memory in use", lambda handle: self._memory(handle).used)

    def total_bytes(self) -> Reading:
        """Size of the device's memory."""
        return self._of_own("the size of its memory", lambda handle: self._memory(handle).total)

    def processes(self) -> Mapping[int, int | None] | str:
        """Process id -> device memory in bytes (None where hidden: WDDM, WSL) of all that compute on it, or why not."""
        if self._own is None:
            return _DIVIDED
        try:
            listed = self._api.nvmlDeviceGetComputeRunningProcesses(self._own)
        except self._errors() as error:
            return f"NVML does not list the processes: {error}"
        return {process.pid: process.usedGpuMemory for process in listed}

    def accounted_peak_bytes(self, pid: int) -> Reading:
        """The driver's own record of a process's highest memory; there is one only where root switched it on."""

        def ask(handle: Any) -> float | None:
            if self._api.nvmlDeviceGetAccountingMode(handle) != 1:
                return None
            peak: float | None = self._api.nvmlDeviceGetAccountingStats(handle, pid).maxMemoryUsage
            return peak or None

        return self._of_own("accounting", ask)

    def energy_joules(self) -> Reading:
        """Energy since the driver was loaded; the counter is in millijoules and moves about every 100 ms."""
        return self._of_own("an energy counter", lambda h: self._api.nvmlDeviceGetTotalEnergyConsumption(h) / 1e3)

    def power_watts(self) -> Reading:
        """Power; NVML gives milliwatts, from Ampere on (but not on GA100) as the mean of the last second."""
        return self._of_own("the power", lambda handle: self._api.nvmlDeviceGetPowerUsage(handle) / 1e3)

    def power_limit_watts(self) -> Reading:
        """The limit in force."""
        return self._of_gpu("the power limit", lambda h: self._api.nvmlDeviceGetEnforcedPowerLimit(h) / 1e3)

    def sm_clock_mhz(self) -> Reading:
        """Clock of the multiprocessors (nvmlClockType_t: NVML_CLOCK_SM = 1)."""
        return self._of_gpu("the clock", lambda handle: self._api.nvmlDeviceGetClockInfo(handle, 1) or None)

    def memory_clock_mhz(self) -> Reading:
        """Clock of the memory (nvmlClockType_t: NVML_CLOCK_MEM = 2)."""
        return self._of_gpu("the memory clock", lambda handle: self._api.nvmlDeviceGetClockInfo(handle, 2) or None)

    def temperature_celsius(self) -> Reading:
        """Of the die (nvmlTemperatureSensors_t: NVML_TEMPERATURE_GPU = 0)."""
        return self._of_gpu("the temperature", lambda handle: self._api.nvmlDeviceGetTemperature(handle, 0))

    def clock_reasons(self) -> Reading:
        """Bit mask of what limits the clock now; older drivers and bindings have it under its older name."""
        newer = self._clock_reasons("nvmlDeviceGetCurrentClocksEventReasons")
        if newer.value is not None:
            return newer
        older = self._clock_reasons("nvmlDeviceGetCurrentClocksThrottleReasons")
        return newer if older.value is None else older

    def text(self, function: str, *arguments: Any) -> str | None:
        """Any other fact as text for the environment, None where the device does not tell."""
        try:
            return str(getattr(self._api, function)(self._gpu, *arguments))
        except self._errors():
            return None

    def _clock_reasons(self, function: str) -> Reading:
        def ask(handle: Any) -> float:
            mask: float = getattr(self._api, function)(handle)
            return mask

        return self._of_gpu("clock-event reasons", ask)

    def _find(self, uuid: str, visible: str) -> tuple[Any, Any]:
        """Handles of the GPU and of what this process has of it, which is None where that is not known.

        torch gives a UUID without saying whether it is a GPU's or an instance's, so both are tried.
        """
        try:
            gpu = self._api.nvmlDeviceGetHandleByUUID(uuid)
        except self._api.NVMLError:
            self.divided = True
            instance = self._api.nvmlDeviceGetHandleByUUID(uuid.replace("GPU-", "MIG-", 1))
            return self._gpu_of(instance), instance
        self.divided = self._is_divided(gpu)
        return gpu, self._instance(visible) if self.divided else gpu

    def _is_divided(self, gpu: Any) -> bool:
        """Whether MIG mode is on now; a device that cannot say so is too old for it."""
        try:
            return bool(self._api.nvmlDeviceGetMigMode(gpu)[0])
        except self._errors():
            return False

    def _instance(self, visible: str) -> Any:
        """CUDA gives a process the first instance of its list and no second one (CUDA programming guide, MIG)."""
        named = next((name.strip() for name in visible.split(",") if name.strip().startswith("MIG-")), None)
        try:
            return None if named is None else self._api.nvmlDeviceGetHandleByUUID(named)
        except self._errors():
            return None

    def _gpu_of(self, instance: Any) -> Any:
        try:
            return self._api.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(instance)
        except self._errors():
            return instance  # which has no clocks, and says so

    def _memory_version(self) -> int:
        """2 where it works; it does not in WSL and under old drivers."""
        try:
            self._api.nvmlDeviceGetMemoryInfo(self._own or self._gpu, version=self._api.nvmlMemory_v2)
        except self._errors():
            return 1
        return 2

    def _memory(self, handle: Any) -> Any:
        version = {"version": self._api.nvmlMemory_v2} if self.memory_version == 2 else {}
        found = self._api.nvmlDeviceGetMemoryInfo(handle, **version)
        if not 0 <= found.used <= found.total or found.total == 0:
            raise _Implausible(f"it says {found.used} of {found.total} bytes, which cannot be")
        return found

    def _of_own(self, what: str, ask: Callable[[Any], float | None]) -> Reading:
        return Reading(None, _DIVIDED) if self._own is None else self._read(what, ask, self._own)

    def _of_gpu(self, what: str, ask: Callable[[Any], float | None]) -> Reading:
        return self._read(what, ask, self._gpu)

    def _read(self, what: str, ask: Callable[[Any], float | None], handle: Any) -> Reading:
        try:
            value = ask(handle)
        except self._errors() as error:
            return Reading(None, f"NVML does not give {what}: {error}")
        return Reading(None, f"NVML does not give {what}") if value is None else Reading(float(value))

    def _errors(self) -> tuple[type[Exception], ...]:
        """A driver's refusal, a function that the driver or the bindings do not have, an answer that cannot be, and
        what the bindings raise when they cannot read one."""
        mismatch = getattr(self._api, "NVMLLibraryMismatchError", self._api.NVMLError)  # older bindings lack it
        return (self._api.NVMLError, mismatch, AttributeError, OSError, ValueError, TypeError, _Implausible)


class _Implausible(Exception):
    """An answer that contradicts itself, as from a driver whose structures are not those of the bindings."""


def clock_reason_names(mask: int) -> tuple[str, ...]:
    """What limits the clock, lowest bit first; idling is left out, and a bit without a known name keeps its number."""
    bits = [1 << place for place in range(mask.bit_length()) if mask >> place & 1]
    return tuple(CLOCK_REASONS.get(bit, f"reason {bit:#x}") for bit in bits if bit != _GPU_IDLE)


def open_device(uuid: str | None) -> NvmlDevice | str:
    """The device, or the reason why NVML cannot be used for it."""
    if uuid is None:
        return "not an NVIDIA device"
    import pynvml  # here, because the module is of no use on a machine without the driver

    try:
        pynvml.nvmlInit()
        return NvmlDevice(pynvml, uuid, os.environ.get("CUDA_VISIBLE_DEVICES", ""))
    except pynvml.NVMLError as error:
        return f"NVML is not usable: {error}"
