"""Where a training step's time goes: the self time of every operator, as torch's own profiler sees it.

After everything else the training loop runs a few steps more, untimed, with a meter that profiles each step instead of
timing it; so the optimizer, the loss scaling and torch.compile's code are in the profile as they are in the timed
steps. The profiler costs microseconds per operator, which inflates the small ones: the profile says where a step's time
goes, and never how long a step takes.

Every step is a profile of its own, and each operator has the median of its steps, so that one disturbed step does not
count: profiles are compared between processes.

No time counts twice. On a CPU, self time is an event's duration less that of the events inside it on the same thread;
wrappers (`autograd::engine::evaluate_function: …`, `Optimizer.step#…`) keep what is spent in none of their operators.
On CUDA it is the duration of the kernels that an operator itself launched; a kernel that no operator owns up to stands
under its own name. What torch calls events there and are no work of the device (`cudaLaunchKernel`, the profiler's
`Activity Buffer Request`, annotations that span kernels) has no such time and is left out.
"""

from __future__ import annotations

import gc
import math
import re
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from typing import Any, Protocol

import torch
from torch import nn
from torch.optim import Optimizer

from suite.errors import one_line
from suite.measure.loop import train
from suite.measure.precision import Precision
from suite.readings import OperatorProfile, OperatorTime
from suite.record import OTHER_OPERATORS, TrialRecord
from suite.spec import ScalerSpec
from workloads.base import Workload

__all__ = [
    "Profiler",
    "ProfilingMeter",
    "operators_of_cpu",
    "operators_of_device",
    "profile_steps",
    "profiler_of",
    "reason_for_none",
    "summary",
]

BUDGET_SECONDS = 0.5
"""When so much time has passed, profiling and reading what was seen included, no further step is profiled."""
FEWEST_STEPS, MOST_STEPS = 2, 10
"""Of profiled steps; one that nobody profiles comes before them."""
KEPT_SHARE = 0.99
"""The operators that together take this share of the self time are kept by name."""
MOST_OPERATORS = 40
LONGEST_NAME = 120
"""A kernel's C++ name with its template arguments can have thousands of letters, and its beginning tells it."""

_FAILURES = (RuntimeError, AssertionError, AttributeError, LookupError, TypeError, ValueError, StopIteration)
"""What torch's profiler raises (its half in Python also where another release names something differently), and what a
step may raise that is computed once more: no memory, most of all."""


class Profiler(Protocol):
    """What is needed of `torch.profiler.profile`."""

    def __enter__(self) -> Any: ...

    def __exit__(self, *error: Any) -> Any: ...

    def events(self) -> Iterable[Any] | None:
        """What happened inside the block."""
        ...


def profiler_of(device: torch.device) -> Profiler:
    """A profiler of torch's: of the host's operators, and on CUDA of the device's kernels as well."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    if device.type == "cuda":
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    return torch.profiler.profile(activities=activities)


def reason_for_none(record: TrialRecord) -> str | None:
    """Why a trial that trained is not profiled; None for one that is."""
    if record.spec.deterministic:
        return "only deterministic kernels were allowed, and those are never timed"
    if not record.outcome.measured:
        return f"the trial's outcome is {record.outcome}, so its times are compared with no others"
    return None


def profile_steps(
    record: TrialRecord,
    workload: Workload,
    model: nn.Module,
    called: nn.Module,
    optimizer: Optimizer,
    precision: Precision,
    make_profiler: Callable[[torch.device], Profiler] = profiler_of,
) -> tuple[OperatorProfile | None, str | None]:
    """Train a few steps more and say where their time went; or why that is not known.

    `called` is what the training loop called in the model's place: torch.compile's module. The model is of no further
    use: its parameters and its buffers have moved on.
    """
    setup = replace(record.spec.setup, steps=1 + MOST_STEPS, warmup_steps=0)
    device = next(model.parameters()).device
    # No more batches are asked for than the training took, should somebody's not be as endless as they must be.
    meter = ProfilingMeter(lambda: make_profiler(device), device, record.spec.setup.steps - 1)
    try:
        model.to(precision.parameters).train()  # the flush meter may leave it in float32
        optimizer.zero_grad(set_to_none=True)
        policy = precision.policy(device, setup.steps, _settled(record), setup.clip_norm)
        with suppress(_Enough), _nothing_to_collect(), meter:
            train(workload, called, optimizer, policy, setup, meter, lambda: None)
    except _FAILURES as error:
        return None, f"profiling failed: {type(error).__name__}: {one_line(error)}"
    profile = summary(meter.found, "cuda" if device.type == "cuda" else "cpu")
    if not profile.operators:
        return None, "torch's profiler saw no work of the device"
    return profile, None


def _settled(record: TrialRecord) -> ScalerSpec:
    """The trial's loss scaling as its last step left it.

    From the beginning, a dynamic scale would overflow at first, and the optimizer does nothing in a skipped step.
    """
    scaler, last = record.spec.scaler, record.steps.last_scale if record.steps else None
    return scaler if last is None or not 1 <= last < math.inf else replace(scaler, initial_scale=last)


@contextmanager
def _nothing_to_collect() -> Iterator[None]:
    """Spare the loop's garbage collection before its first step: half a second, and nothing is timed here."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


class _Enough(Exception):
    """Ends the training loop, which has no other way to end early."""


class ProfilingMeter(AbstractContextManager["ProfilingMeter"]):
    """A meter of the training loop that profiles each step but the first, which may compile or allocate.

    `most` bounds the profiled steps from above; `now` is a clock in seconds.
    """

    def __init__(
        self,
        make: Callable[[], Profiler],
        device: torch.device,
        most: int = MOST_STEPS,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._make = make
        self._device = device
        self._read = operators_of_device if device.type == "cuda" else operators_of_cpu
        self._most = max(FEWEST_STEPS, min(most, MOST_STEPS))
        self._now = now
        self._began: float | None = None
        self._running: Profiler | None = None
        self.found: list[dict[str, OperatorTime]] = []
        """Of each profiled step: the operators by name."""

    def __exit__(self, *error: object) -> None:
        self._end()  # a profiler left running would slow down everything after an error

    def start(self) -> None:
        pass

    def resume(self) -> None:
        pass

    def mark(self) -> None:
        ended = self._end()
        if ended is not None:
            self.found.append(self._read(ended.events() or ()))
        if self._began is None:
            if self._device.type == "cuda":
                torch.cuda.synchronize(self._device)  # or kernels of the first step would be the second one's
            self._began = self._now()
        seconds = self._now() - self._began
        if len(self.found) >= self._most or (len(self.found) >= FEWEST_STEPS and seconds >= BUDGET_SECONDS):
            raise _Enough
        started = self._make()
        started.__enter__()
        self._running = started

    def stop(self) -> tuple[float, ...]:
        return ()

    def _end(self) -> Profiler | None:
        ended, self._running = self._running, None
        if ended is not None:
            ended.__exit__(None, None, None)  # waits for the device
        return ended


def operators_of_cpu(events: Iterable[Any]) -> dict[str, OperatorTime]:
    """Calls and self time on the host by operator, of one step's events."""
    # Asynchronous events, which may overlap others, have no self time.
    return _merged((event.name, 1, event.self_cpu_time_total) for event in events)


def operators_of_device(events: Iterable[Any]) -> dict[str, OperatorTime]:
    """Calls and time of their kernels by operator, of one step's events.

    torch gives each kernel twice, as an event of the device and in the list of the operator that launched it.
    """
    times: list[tuple[str, int, float]] = []
    launched, seen = Counter[str](), Counter[str]()
    unowned: dict[str, float] = {}
    for event in events:
        if event.device_type.name == "CPU":
            times.append((event.name, 1, event.self_device_time_total))
            for kernel in event.kernels:
                launched[kernel.name] += 1
                unowned[kernel.name] = unowned.get(kernel.name, 0.0) - kernel.duration
        elif not event.is_user_annotation:
            seen[event.name] += 1
            unowned[event.name] = unowned.get(event.name, 0.0) + event.self_device_time_total
    times += [(name, calls, unowned[name]) for name, calls in (seen - launched).items()]
    return _merged(times)


def summary(steps: Sequence[Mapping[str, OperatorTime]], clock: str) -> OperatorProfile:
    """One profile out of those of the steps: medians, the longest first, the small ones in one entry."""
    names = sorted({name for step in steps for name in step})
    middle = [_median(name, [step.get(name) or OperatorTime(name, 0.0, 0.0) for step in steps]) for name in names]
    ranked = sorted((operator for operator in middle if operator.self_seconds > 0), key=lambda o: -o.self_seconds)
    enough = KEPT_SHARE * math.fsum(operator.self_seconds for operator in ranked)
    kept: list[OperatorTime] = []
    for operator in ranked[:MOST_OPERATORS]:
        if math.fsum(one.self_seconds for one in kept) >= enough:
            break
        kept.append(operator)
    rest = ranked[len(kept) :]
    if rest:
        calls = math.fsum(operator.calls for operator in rest)
        # In one entry, so that the sum stays the total.
        kept.append(OperatorTime(OTHER_OPERATORS, calls, math.fsum(operator.self_seconds for operator in rest)))
    return OperatorProfile(len(steps), clock, tuple(kept))


def _median(name: str, times: Sequence[OperatorTime]) -> OperatorTime:
    calls = statistics.median(time.calls for time in times)
    return OperatorTime(name, calls, statistics.median(time.self_seconds for time in times))


def _merged(times: Iterable[tuple[str, int, float]]) -> dict[str, OperatorTime]:
    """Name, calls and microseconds, added up by name; what took no time is left out."""
    calls, microseconds = Counter[str](), dict[str, float]()
    for name, count, took in times:
        if took > 0:
            short = _in_short(name)
            calls[short] += count
            microseconds[short] = microseconds.get(short, 0.0) + took
    return {name: OperatorTime(name, float(calls[name]), took / 1e6) for name, took in microseconds.items()}


def _in_short(name: str) -> str:
    # torch.compile names a graph by the key of its cache, which changes with every release and every option.
    return re.sub(r"(CompiledFxGraph) \w+", r"\1", name)[:LONGEST_NAME]
