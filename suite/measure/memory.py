"""Peak memory in layers: torch's allocator, the device as the driver sees it, the host.

A layer is told twice where that is possible: with the warm-up, which decides whether a job fits (autotuning may need
more than any later step), and without it, which is what the steps need.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from suite.measure.nvml import NvmlDevice
from suite.measure.processes import Listed, own_bytes
from suite.measure.reading import Reading, highest
from suite.measure.sampling import SAMPLE_SECONDS, Sample
from suite.readings import Memory

__all__ = ["AllocatorPeaks", "ResidentPeaks", "device_layer", "memory_of"]


class AllocatorPeaks:
    """torch's CUDA allocator; `cuda` is `torch.cuda`, or a fake."""

    def __init__(self, device: torch.device, cuda: Any) -> None:
        self._device = device
        self._cuda = cuda
        self._warmup_allocated = self._warmup_reserved = 0

    def window_begins(self) -> None:
        """Remember the warm-up's peak and start counting afresh."""
        if self._device.type == "cuda":
            self._cuda.synchronize(self._device)
            self._warmup_allocated = self._cuda.max_memory_allocated(self._device)
            self._warmup_reserved = self._cuda.max_memory_reserved(self._device)
            self._cuda.reset_peak_memory_stats(self._device)

    def readings(self) -> dict[str, Reading]:
        """Fields of :class:`Memory`."""
        names = ("peak_allocated_bytes", "peak_allocated_bytes_with_warmup", "peak_reserved_bytes", "allocator_retries")
        if self._device.type != "cuda":
            return dict.fromkeys(names, Reading(None, "torch keeps no allocator statistics on the CPU"))
        peak = self._cuda.max_memory_allocated(self._device)
        reserved = max(self._cuda.max_memory_reserved(self._device), self._warmup_reserved)
        retries = self._cuda.memory_stats(self._device).get("num_alloc_retries")
        if not peak or not reserved:
            unused = Reading(None, "torch's caching allocator counted nothing: it is switched off or replaced")
            return dict.fromkeys(names, unused)
        return {
            "peak_allocated_bytes": Reading(peak),
            "peak_allocated_bytes_with_warmup": Reading(max(peak, self._warmup_allocated)),
            "peak_reserved_bytes": Reading(reserved),
            "allocator_retries": Reading(retries, "this allocator does not count retries" if retries is None else None),
        }


class ResidentPeaks:
    """Resident memory of this process on the host, from the kernel's high-water mark, which is reset at each stage.

    Where it cannot be reset, a stage's peak is known only if it is above every earlier one. A forked process begins
    with what is resident at the fork, not with what its parent once held; one that was *executed* keeps its parent's
    mark in `ru_maxrss` for ever, which is why /proc is read first (tests/measure/test_memory.py shows both).
    """

    def __init__(self, proc: Path = Path("/proc/self")) -> None:
        self._proc = proc
        self._marks: list[tuple[int, bool]] = []
        self.before = self._status("VmRSS")

    def stage(self) -> None:
        """The training begins; the window begins."""
        self._marks.append((self._high_water_mark(), self._reset()))

    def readings(self) -> dict[str, Reading]:
        """Fields of :class:`Memory`: after the last stage, and after the first."""
        if len(self._marks) < 2:
            never = Reading(None, "the trial did not reach the end of its warm-up")
            return {"peak_rss_bytes": never, "peak_rss_bytes_with_warmup": never}
        (earlier, reset_then), (warmup, reset_now) = self._marks
        window = self._high_water_mark()
        return {
            "peak_rss_bytes": _since(warmup, window, reset_now),
            "peak_rss_bytes_with_warmup": _since(earlier, max(warmup, window), reset_then),
        }

    def _high_water_mark(self) -> int:
        if (peak := self._status("VmHWM").integer) is not None:
            return peak
        # ru_maxrss is in kilobytes, on macOS in bytes (getrusage(2)).
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

    def _reset(self) -> bool:
        """Forget the mark (proc(5), clear_refs, value 5); False where the system does not allow it."""
        try:
            (self._proc / "clear_refs").write_text("5", encoding="ascii")
        except OSError:
            return False
        return True

    def _status(self, field: str) -> Reading:
        """`VmRSS` (now) or `VmHWM` (highest), which are in KiB."""
        try:
            lines = (self._proc / "status").read_text(encoding="utf-8").splitlines()
        except OSError:
            lines = []
        found = next((int(line.split()[1]) * 1024 for line in lines if line.startswith(field + ":")), None)
        return Reading(found, None if found else f"this system has no {field} in /proc/self/status")


def _since(earlier: int, now: int, was_reset: bool) -> Reading:
    if was_reset or now > earlier:
        return Reading(now)
    return Reading(None, f"it stayed below the {earlier} bytes of before, and this system lets no peak be reset")


def device_layer(
    nvml: NvmlDevice | str, idle: Listed, listed: Listed, samples: Sequence[Sample]
) -> tuple[dict[str, Reading], str | None]:
    """What the driver says, as fields of :class:`Memory`, and how it was read.

    `idle` and the first sample are from before this process touched the device, `listed` is from after the training.
    """
    if isinstance(nvml, str):
        return dict.fromkeys(("peak_device_bytes", "peak_process_bytes"), Reading(None, nvml)), None
    device = _above_idle(highest(sample.used_bytes for sample in samples), samples[0].used_bytes)
    process = own_bytes(os.getpid(), idle, listed, nvml.total_bytes())
    source = f"NVML memory info version {nvml.memory_version}, sampled every {SAMPLE_SECONDS * 1e3:.0f} ms"
    if process.value is not None:
        # Driver-side, so nothing is missed between two samples.
        accounted = nvml.accounted_peak_bytes(os.getpid())
        source += "; of the process " + ("at the end" if accounted.value is None else "by the driver's accounting")
        process = process if accounted.value is None else highest((process, accounted))
    return {"peak_device_bytes": device, "peak_process_bytes": process}, source


def _above_idle(peak: Reading, idle: Reading) -> Reading:
    if peak.value is None or idle.value is None:
        return peak if peak.value is None else idle
    if peak.value <= idle.value:
        return Reading(None, "the device held less than before the trial: other processes gave memory back meanwhile")
    return Reading(peak.value - idle.value)


def memory_of(readings: Mapping[str, Reading], before: Reading, device_source: str | None) -> Memory:
    """The record: values, and a reason for each that is missing."""
    fields: dict[str, Any] = {name: reading.integer for name, reading in readings.items()}
    everything = {**readings, "rss_before_bytes": before}
    return Memory(
        **fields,
        rss_before_bytes=before.integer,
        device_source=device_source,
        reasons={
            name: reading.reason for name, reading in everything.items() if reading.value is None and reading.reason
        },
    )
