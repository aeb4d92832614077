"""Step timers: what is a start, a mark after each step and a stop on each kind of device."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any, Protocol

import torch

__all__ = ["CudaMeter", "Meter", "WallMeter", "meter_for"]


class Meter(Protocol):
    """Times the steps of one window; nothing in it may wait for the device before `stop`."""

    def start(self) -> None:
        """The window begins."""
        ...

    def mark(self) -> None:
        """A step has been issued."""
        ...

    def stop(self) -> tuple[float, ...]:
        """Seconds of each step, one per mark."""
        ...


class WallMeter:
    """The host's monotonic clock: right where the work is done when the call returns (CPU)."""

    def __init__(self) -> None:
        self._marks: list[int] = []

    def start(self) -> None:
        self._marks = [time.perf_counter_ns()]

    def mark(self) -> None:
        self._marks.append(time.perf_counter_ns())

    def stop(self) -> tuple[float, ...]:
        return tuple((after - before) / 1e9 for before, after in pairwise(self._marks))


class CudaMeter:
    """A CUDA event per step, recorded into the stream and read after one synchronisation at the end.

    `cuda` is the module `torch.cuda`, or a fake with the same functions.
    """

    def __init__(self, device: torch.device, steps: int, cuda: Any = torch.cuda) -> None:
        self._device = device
        self._cuda = cuda
        self._events = [cuda.Event(enable_timing=True) for _ in range(steps + 1)]
        self._recorded = 0

    def start(self) -> None:
        self._cuda.synchronize(self._device)
        self._recorded = 0
        self.mark()

    def mark(self) -> None:
        self._events[self._recorded].record(self._cuda.current_stream(self._device))
        self._recorded += 1

    def stop(self) -> tuple[float, ...]:
        self._cuda.synchronize(self._device)
        events = self._events[: self._recorded]
        # elapsed_time is in milliseconds (torch.cuda.Event).
        return tuple(before.elapsed_time(after) / 1e3 for before, after in pairwise(events))


def meter_for(device: torch.device, steps: int) -> Meter:
    """The meter that is right on this device."""
    return CudaMeter(device, steps) if device.type == "cuda" else WallMeter()
