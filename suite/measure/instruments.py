"""Everything that is read around the training loop and not inside it.

Call order: construct (before the model exists and before this process touches the device), `training_begins`,
`window_begins` (before the last step of the fixed warm-up), `finish` (after the last step). What cannot be read is None
with its reason. On a GPU a thread samples slow quantities at 5 Hz; on a CPU, where it would take the time of what is
measured, nothing runs and the kernel's own counters are read at the edges.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from suite.measure.cautions import cautions
from suite.measure.energy import EnergyMeter, GpuMeter, PackageMeter
from suite.measure.host import Host, Shares, shares
from suite.measure.memory import AllocatorPeaks, ResidentPeaks, device_layer, memory_of
from suite.measure.nvml import NvmlDevice
from suite.measure.processes import Listed, distrust, foreign_count
from suite.measure.reading import Reading, highest, lowest
from suite.measure.sampling import Sample, Sampler, WindowSamples, clock_reasons_seen, gpu_reasons, window_state
from suite.readings import Energy, Hardware, HardwareState, Memory
from suite.record import Caution

__all__ = ["Instruments", "Observed"]

_GPU_FIELDS = (*Sample.NUMBERS, "clock_reasons", "foreign_processes")


@dataclass(frozen=True)
class Observed:
    """What the instruments saw, by the names of the record's fields."""

    memory: Memory
    energy: Energy
    hardware: Hardware
    cautions: tuple[Caution, ...]


@dataclass(frozen=True)
class _Edge:
    """The machine at one moment."""

    host: Mapping[str, Reading]
    gpu: Sample | None


class Instruments:
    """The instruments of one trial.

    `nvml` is the device behind NVML, or the reason why there is none; `cuda` is `torch.cuda`, or a fake; `sampler`
    makes what looks at the device meanwhile.
    """

    def __init__(
        self,
        device: torch.device,
        nvml: NvmlDevice | str,
        cuda: Any = torch.cuda,
        host: Host | None = None,
        sampler: Callable[[NvmlDevice], Sampler] = Sampler,
    ) -> None:
        self._device = device
        self._nvml = nvml
        self._host = host or Host()
        self._allocator = AllocatorPeaks(device, cuda)
        self._resident = ResidentPeaks()
        self._sampler = sampler(nvml) if isinstance(nvml, NvmlDevice) else None
        self._idle_processes = self._processes()
        self._before = self._window = self._edge()
        self._at_work_since = self._now()
        self._counters = self._host.counters()
        self._energy: EnergyMeter = PackageMeter(self._host.powercap) if device.type == "cpu" else GpuMeter(nvml)

    def training_begins(self) -> None:
        """Before the first step: the host's peak counts from here."""
        self._resident.stage()

    def window_begins(self) -> None:
        """Before the last step of the fixed warm-up: remember the peaks so far and count afresh, the counters last.

        It waits for the device and leaves it without work, so the step that follows must be one that is not timed. The
        driver's list of processes, which takes milliseconds, is not asked for.
        """
        self._allocator.window_begins()
        self._resident.stage()
        self._window = self._edge()
        self._counters = self._host.counters()
        self._energy.begin()
        self._at_work_since = self._now()

    def finish(self, window_seconds: float, window_steps: int) -> Observed:
        """Read everything once, counters first; the device is idle. Called as soon as the last step is over."""
        at_work = self._sampler.since(self._at_work_since) if self._sampler else ()
        self._energy.end()
        shared = shares(self._counters, self._host.counters())
        after, processes = self._edge(), self._processes()
        samples = self._sampler.stop() if self._sampler else ()
        inside = _between(samples, self._window.gpu, after.gpu)
        foreign = _foreign(self._idle_processes, processes)
        edges = self._before, self._window, after
        hardware = _hardware(edges, foreign, WindowSamples(inside, at_work), shared, self._nvml)
        return Observed(
            self._memory(processes, samples),
            self._energy.energy(inside, window_seconds, window_steps),
            hardware,
            cautions(
                hardware.during or HardwareState(),
                clock_reasons_seen(inside),  # a slowdown that is seen at an edge still, or already, counts too
                shared,
                uses_all_processors=self._device.type == "cpu" and torch.get_num_threads() >= shared.processors,
                held_before_bytes=None if self._before.gpu is None else self._before.gpu.used_bytes.value,
            ),
        )

    def _processes(self) -> Listed:
        return self._nvml.processes() if isinstance(self._nvml, NvmlDevice) else self._nvml

    def _now(self) -> float:
        return self._sampler.now() if self._sampler else 0.0

    def _edge(self) -> _Edge:
        host = {"cpu_clock_mhz": self._host.clock_mhz(), "run_queue": self._host.run_queue()}
        if self._sampler is None:
            host["temperature_celsius"] = self._host.temperature_celsius()
        return _Edge(host, self._sampler.sample() if self._sampler else None)

    def _memory(self, processes: Listed, samples: Sequence[Sample]) -> Memory:
        device, source = device_layer(self._nvml, self._idle_processes, processes, samples)
        readings = self._allocator.readings() | device | self._resident.readings()
        return memory_of(readings, self._resident.before, source)


def _between(samples: Sequence[Sample], first: Sample | None, last: Sample | None) -> list[Sample]:
    """From one to the other, both included; none without a GPU."""
    if first is None or last is None:
        return []
    return [sample for sample in samples if first.at_seconds <= sample.at_seconds <= last.at_seconds]


def _foreign(idle: Listed, listed: Listed) -> tuple[Reading, Reading]:
    """Other processes on the GPU before this one touched it, and after the last step."""
    distrusted = distrust(os.getpid(), idle, listed)
    return foreign_count(os.getpid(), idle, distrusted), foreign_count(os.getpid(), listed, distrusted)


def _hardware(
    edges: tuple[_Edge, _Edge, _Edge],
    foreign: tuple[Reading, Reading],
    inside: WindowSamples,
    shared: Shares,
    nvml: NvmlDevice | str,
) -> Hardware:
    """Before the model, at the window's beginning and after the last step, to before, during and after."""
    before, window, after = edges
    at_edges = {
        "cpu_clock_mhz": lowest([window.host["cpu_clock_mhz"], after.host["cpu_clock_mhz"]]),
        "run_queue": highest([window.host["run_queue"], after.host["run_queue"]]),
        "foreign_processes": highest(foreign),
    }
    if "temperature_celsius" in window.host:
        at_edges["temperature_celsius"] = highest(e.host["temperature_celsius"] for e in (window, after))
    during = at_edges | {
        "foreign_cpu_share": shared.foreign,
        "steal_share": shared.steal,
        "throttled_share": shared.throttled,
    }
    gpu = dict.fromkeys(_GPU_FIELDS, nvml) if isinstance(nvml, str) else gpu_reasons(inside)
    reasons = gpu | {name: reading.reason for name, reading in during.items() if reading.value is None}
    return Hardware(
        _state(_moment(before.gpu), {**before.host, "foreign_processes": foreign[0]}),
        _state(inside, during),
        _state(_moment(after.gpu), {**after.host, "foreign_processes": foreign[1]}),
        {name: reason for name, reason in reasons.items() if reason},
    )


def _moment(sample: Sample | None) -> WindowSamples:
    samples = () if sample is None else (sample,)
    return WindowSamples(samples, samples)


def _state(samples: WindowSamples, host: Mapping[str, Reading]) -> HardwareState:
    """One state from the GPU's samples and everything else."""
    whole = ("run_queue", "foreign_processes")
    values: dict[str, Any] = {name: r.integer if name in whole else r.value for name, r in host.items()}
    return replace(window_state(samples), **values)
