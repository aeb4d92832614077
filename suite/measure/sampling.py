"""A GPU's slow quantities over time: memory in use, clocks, temperature, power, what limits the clock.

The thread touches no CUDA context and lists no processes. What it saw is evaluated once, after the run.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from typing import NamedTuple

from suite.measure.nvml import NvmlDevice, clock_reason_names
from suite.measure.reading import Reading, highest, lowest, mean
from suite.readings import HardwareState

__all__ = [
    "SAMPLE_SECONDS",
    "Sample",
    "Sampler",
    "WindowSamples",
    "clock_reasons_seen",
    "gpu_reasons",
    "joules",
    "window_state",
]

SAMPLE_SECONDS = 0.2
"""5 Hz: fast enough for slow quantities (memory held by a caching allocator, temperature), too slow to disturb."""
LARGEST_GAP_SECONDS = 2.0
"""Power that was not seen for longer than this is not interpolated."""
AT_WORK = frozenset({"sm_clock_mhz", "memory_clock_mhz", "power_watts", "clock_reasons"})
"""What says something of a load only while it runs; an idle device lowers its clocks at once."""
NONE_INSIDE = "no sample fell inside the window"


@dataclass(frozen=True)
class Sample:
    """One look at the device."""

    at_seconds: float
    """On the sampler's clock."""
    used_bytes: Reading
    sm_clock_mhz: Reading
    memory_clock_mhz: Reading
    temperature_celsius: Reading
    power_watts: Reading
    power_limit_watts: Reading
    clock_reasons: Reading

    #: Those that a state of the hardware shows; the bit mask is shown by its names.
    NUMBERS = ("sm_clock_mhz", "memory_clock_mhz", "temperature_celsius", "power_watts", "power_limit_watts")


class WindowSamples(NamedTuple):
    """What was seen of a window."""

    samples: Sequence[Sample]
    """All, with those at its edges, where the device is idle."""
    at_work: Sequence[Sample]
    """Those that were begun and finished while steps ran."""


def _look(device: NvmlDevice, at_seconds: float) -> Sample:
    """Look at the device now."""
    return Sample(
        at_seconds,
        device.used_bytes(),
        device.sm_clock_mhz(),
        device.memory_clock_mhz(),
        device.temperature_celsius(),
        device.power_watts(),
        device.power_limit_watts(),
        device.clock_reasons(),
    )


class Sampler:
    """Looks at a device at 5 Hz from a thread of its own, and whenever `sample` is called."""

    def __init__(
        self,
        device: NvmlDevice,
        interval_seconds: float = SAMPLE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._device = device
        self._interval_seconds = interval_seconds
        self._clock = clock
        self._stop = threading.Event()
        self._samples: list[Sample] = []
        self._thread = threading.Thread(target=self._watch, name="nvml-sampler", daemon=True)
        self._thread.start()

    def sample(self) -> Sample:
        """One sample now."""
        made = _look(self._device, self._clock())
        self._samples.append(made)
        return made

    def now(self) -> float:
        """Seconds on its clock."""
        return self._clock()

    def since(self, seconds: float) -> tuple[Sample, ...]:
        """The samples that were begun since then and are finished."""
        return tuple(sample for sample in self._samples if sample.at_seconds >= seconds)

    def stop(self) -> tuple[Sample, ...]:
        """End the sampling; all samples, oldest first."""
        self._stop.set()
        self._thread.join()
        # Two threads may have taken one at the same time and added them in the other order.
        return tuple(sorted(self._samples, key=lambda sample: sample.at_seconds))

    def _watch(self) -> None:
        while not self._stop.wait(self._interval_seconds):
            self.sample()


def window_state(inside: WindowSamples) -> HardwareState:
    """The device over a window: lowest clocks, highest temperature, mean power, every reason that occurred.

    A quantity of which a sample failed is None: it might have been the lowest, or another reason.
    """
    samples, at_work = inside
    known = highest(s.clock_reasons for s in at_work).value is not None
    return HardwareState(
        sm_clock_mhz=lowest(s.sm_clock_mhz for s in at_work).value,
        memory_clock_mhz=lowest(s.memory_clock_mhz for s in at_work).value,
        temperature_celsius=highest(s.temperature_celsius for s in samples).value,
        power_watts=mean(s.power_watts for s in at_work).value,
        power_limit_watts=lowest(s.power_limit_watts for s in samples).value,
        clock_reasons=clock_reasons_seen(at_work) if known else None,
    )


def clock_reasons_seen(samples: Sequence[Sample]) -> tuple[str, ...]:
    """Names of everything that is known to have limited the clock, even where some samples failed."""
    return clock_reason_names(reduce(int.__or__, (s.clock_reasons.integer or 0 for s in samples), 0))


def gpu_reasons(inside: WindowSamples) -> dict[str, str]:
    """Quantity -> why it is None in such a state: there are no samples, or what the first failed reading said."""
    reasons = {}
    for name in (*Sample.NUMBERS, "clock_reasons"):
        looked_at = inside.at_work if name in AT_WORK else inside.samples
        failed = [reading.reason for s in looked_at if (reading := getattr(s, name)).value is None]
        if failed:
            part = "" if len(failed) == len(looked_at) else f"{len(failed)} of {len(looked_at)} readings failed: "
            reasons[name] = f"{part}{failed[0]}"
        elif not looked_at:
            reasons[name] = NONE_INSIDE
    return reasons


def joules(samples: Sequence[Sample]) -> Reading:
    """Energy between the first and the last sample: power over time by the trapezoidal rule."""
    if (failed := highest(s.power_watts for s in samples)).value is None:
        return failed
    gap = max((later.at_seconds - earlier.at_seconds for earlier, later in pairwise(samples)), default=0.0)
    if gap > LARGEST_GAP_SECONDS:
        return Reading(None, f"the power was not read for {gap:.1f} s on end")
    return Reading(
        sum(
            (later.at_seconds - earlier.at_seconds)
            * ((later.power_watts.value or 0) + (earlier.power_watts.value or 0))
            for earlier, later in pairwise(samples)
        )
        / 2
    )
