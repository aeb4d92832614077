"""Step timers: what is a start, a mark after each step and a stop on each kind of device."""

from __future__ import annotations

import time
from typing import Any, Protocol

import torch

__all__ = ["CudaMeter", "Meter", "WallMeter", "meter_for"]


class Meter(Protocol):
    """Times the steps of one window; nothing in it may wait for the device before `stop`."""

    def start(self) -> None:
        """The window begins."""
        ...

    def mark(self) -> None:
        """A step has been issued; the next one begins."""
        ...

    def resume(self) -> None:
        """What happened since the last mark belongs to no step; the next one begins now."""
        ...

    def stop(self) -> tuple[float, ...]:
        """Seconds of each step, one per mark."""
        ...


class WallMeter:
    """The host's monotonic clock: right where the work is done when the call returns (CPU)."""

    def __init__(self) -> None:
        self._steps: list[tuple[int, int]] = []
        self._begin = 0

    def start(self) -> None:
        self._steps = []
        self.resume()

    def mark(self) -> None:
        now = time.perf_counter_ns()
        self._steps.append((self._begin, now))
        self._begin = now

    def resume(self) -> None:
        self._begin = time.perf_counter_ns()

    def stop(self) -> tuple[float, ...]:
        return tuple((end - begin) / 1e9 for begin, end in self._steps)


class CudaMeter:
    """A CUDA event per step, recorded into the stream and read after one synchronisation at the end.

    `cuda` is the module `torch.cuda`, or a fake with the same functions.
    """

    def __init__(self, device: torch.device, steps: int, cuda: Any = torch.cuda) -> None:
        self._device = device
        self._cuda = cuda
        # Made beforehand: one at the end of each step, one at the start, one for each resume (there is one).
        self._events = [cuda.Event(enable_timing=True) for _ in range(steps + 2)]
        self._steps: list[tuple[Any, Any]] = []
        self._begin: Any = None

    def start(self) -> None:
        self._cuda.synchronize(self._device)
        self.resume()

    def mark(self) -> None:
        now = self._record()
        self._steps.append((self._begin, now))
        self._begin = now

    def resume(self) -> None:
        self._begin = self._record()

    def stop(self) -> tuple[float, ...]:
        self._cuda.synchronize(self._device)
        # elapsed_time is in milliseconds (torch.cuda.Event).
        return tuple(begin.elapsed_time(end) / 1e3 for begin, end in self._steps)

    def _record(self) -> Any:
        event = self._events.pop()
        event.record(self._cuda.current_stream(self._device))
        return event


def meter_for(device: torch.device, steps: int) -> Meter:
    """The meter that is right on this device."""
    return CudaMeter(device, steps) if device.type == "cuda" else WallMeter()
