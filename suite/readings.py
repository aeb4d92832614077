"""What instruments read around a trial: memory, energy, the state of the hardware, what its arithmetic could do, and
where a step's time goes.

Every quantity is a number, or None with a reason beside it; never 0 for "not known". Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = [
    "Ceiling",
    "Compilation",
    "Energy",
    "FlushShare",
    "Hardware",
    "HardwareState",
    "Memory",
    "OperatorProfile",
    "OperatorTime",
]


@dataclass(frozen=True)
class Memory:
    """Peak memory in layers, in bytes. A layer that cannot be read is None and `reasons` says why."""

    peak_allocated_bytes: int | None = None
    """Largest sum of live tensors from the last step of the fixed warm-up on (torch allocator)."""
    peak_allocated_bytes_with_warmup: int | None = None
    peak_reserved_bytes: int | None = None
    """Largest memory held by the torch allocator, warm-up included."""
    allocator_retries: int | None = None
    """Times the allocator had to free its cache and try again: above 0, the peak is the device's limit."""
    peak_device_bytes: int | None = None
    """Device memory in use (NVML, sampled) minus what was in use before the trial touched the device."""
    peak_process_bytes: int | None = None
    """This process's device memory as the driver sees it (NVML): the peak where the driver keeps accounts, else at the
    end of the window, when a caching allocator still holds its peak."""
    peak_rss_bytes: int | None = None
    """Largest resident memory of the trial process on the host from the last step of the fixed warm-up on."""
    peak_rss_bytes_with_warmup: int | None = None
    """The same from the first training step on."""
    rss_before_bytes: int | None = None
    """Resident memory before the model was built: mostly libraries shared with the other trials."""
    device_source: str | None = None
    """How `peak_device_bytes` was read (the version of the driver's answer, the interval), and `peak_process_bytes`."""
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Field name -> why it is None."""


@dataclass(frozen=True)
class Energy:
    """Energy from the last step of the fixed warm-up to the last of all; None with a reason if that is unknown."""

    joules: float | None = None
    steps: int | None = None
    """Optimizer steps between the two readings: the timed ones, and the last of the fixed warm-up."""
    source: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class HardwareState:
    """The device and its host at one moment or, of the window, in sum. What the machine does not tell is None.

    The window is that of the instruments: from the last step of the fixed warm-up to the last of all. A GPU is idle at
    its edges, so clocks, power and clock reasons of a window are those of the samples in between.
    """

    sm_clock_mhz: float | None = None
    """Of the GPU; over a window the lowest sample."""
    memory_clock_mhz: float | None = None
    temperature_celsius: float | None = None
    """Of the GPU, or of the CPU package; over a window the highest sample."""
    power_watts: float | None = None
    """Of the GPU; over a window the mean of the samples."""
    power_limit_watts: float | None = None
    clock_reasons: tuple[str, ...] | None = None
    """What limits the GPU's clock (nvml.h, nvmlClocksEventReasons), except idling; over a window, all that occurred."""
    foreign_processes: int | None = None
    """Other processes computing on the GPU, over a window the most of before the model is built and after the last
    step; None where the driver's list cannot be matched with this process."""
    cpu_clock_mhz: float | None = None
    """Mean over the processors this process may use; over a window the lower of its edges."""
    run_queue: int | None = None
    """Tasks of other processes that run or wait for a processor; over a window the most at its edges."""
    foreign_cpu_share: float | None = None
    """Share of the processors' time that other processes took; of a window only."""
    steal_share: float | None = None
    """Share of the processors' time that the hypervisor gave to others; of a window only."""
    throttled_share: float | None = None
    """Share of the CPU quota's periods in which the container was stopped (0 without a quota); of a window only."""


@dataclass(frozen=True)
class Hardware:
    """The machine before the model is built, during the window, and after the last step."""

    before: HardwareState | None = None
    during: HardwareState | None = None
    after: HardwareState | None = None
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Field name of the state -> why it is None."""


@dataclass(frozen=True)
class FlushShare:
    """What float16 does to the gradients of one training step at one loss scale (see `measure.flush`)."""

    scale: float
    values: int
    """Non-zero, finite gradient values that were looked at."""
    flushed: int
    """Of these, how many become zero in float16 when multiplied by `scale`."""
    overflowed: int
    """Of these, how many become infinite."""


@dataclass(frozen=True)
class Compilation:
    """What torch.compile did before the timed steps."""

    seconds: float
    """Compilation in all of the trial's steps; timed steps hold only what is counted by `recompiled_in_window`."""
    graphs: int
    graph_breaks: int
    recompiled_in_window: int
    """Graphs compiled again after the warm-up: above 0, timed steps hold compilation."""
    break_reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class OperatorTime:
    """One operator of a training step; all of its calls together."""

    name: str
    """As torch's profiler names it (`aten::mm`), or `(other)`."""
    calls: float
    """Calls per step."""
    self_seconds: float
    """Seconds per step, without those of the operators that it calls."""


@dataclass(frozen=True)
class OperatorProfile:
    """Where the time of a training step goes (see `measure.operators`).

    The profiler's own cost is in it: it says where, and never how long a step takes.
    """

    steps: int
    """Profiled steps; every number is the median over them."""
    clock: str
    """`cpu`: time on the host; `cuda`: time of the device's kernels."""
    operators: tuple[OperatorTime, ...]
    """The longest first; last, `(other)` has the sum of those that are not worth a name."""


@dataclass(frozen=True)
class Ceiling:
    """What the device could do at best in this precision: from a table, and measured beside the trial."""

    peak_flops_per_second: float | None = None
    """Dense datasheet peak of this device and arithmetic."""
    peak_source: str | None = None
    matmul_flops_per_second: float | None = None
    """Fastest large matrix product on random data, measured in the trial's process after its training."""
    matmul_shape: tuple[int, ...] | None = None
    """Rows, inner length and columns of that product."""
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Field name -> why it is None."""
