"""What only an NVIDIA GPU has: its ceilings, and NVML's numbers against torch's and against one another."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise

import torch

from suite import profiles
from suite.measure.environment import device_uuid
from suite.measure.nvml import NvmlDevice, open_device
from tools.checks import Conditions, Measurement, NotRun
from tools.checks.trials import machine_of, plan_of, run_trials, shown

__all__ = ["ceilings", "nvml"]

SIDE = 8192
COPY_BYTES = 4 * 2**30
STEADY_SECONDS, LOAD_SECONDS = 3.0, 11.0
SAMPLE_SECONDS = 0.1


def ceilings(conditions: Conditions) -> Iterator[Measurement]:
    """Largest rates of the device: a bf16 product of 8192³ on random data, and a copy within the device.

    Target on an H200: ≥ 750 TFLOP/s and ≥ 4.1 TB/s, bytes read and written both counted (the design's list, 1; zeros
    would run 13 % faster). Other devices have no target here.
    """
    device = torch.device(conditions.device)
    h200 = "H200" in torch.cuda.get_device_name(device)
    a, b = (torch.randn(SIDE, SIDE, device=device, dtype=torch.bfloat16) for _ in range(2))
    seconds = _seconds_of(lambda: torch.mm(a, b), device)
    rate = 2 * SIDE**3 / seconds / 1e12
    yield Measurement("bf16 matmul", f"{rate:.0f} TFLOP/s", "≥ 750 TFLOP/s" if h200 else "", not h200 or rate >= 750)
    source = torch.randint(0, 256, (COPY_BYTES,), device=device, dtype=torch.uint8)
    destination = torch.empty_like(source)
    seconds = _seconds_of(lambda: destination.copy_(source), device)
    moved = 2 * COPY_BYTES / seconds / 1e12
    yield Measurement("copy", f"{moved:.2f} TB/s", "≥ 4.1 TB/s" if h200 else "", not h200 or moved >= 4.1)


def _seconds_of(work: Callable[[], object], device: torch.device, times: int = 20) -> float:
    """Mean seconds of one call, between two events around `times` calls."""
    for _ in range(3):
        work()
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record(torch.cuda.current_stream(device))
    for _ in range(times):
        work()
    end.record(torch.cuda.current_stream(device))
    torch.cuda.synchronize(device)
    milliseconds: float = begin.elapsed_time(end)
    return milliseconds / 1e3 / times


def nvml(conditions: Conditions) -> Iterator[Measurement]:
    """NVML's device, memory, energy and clock reasons.

    Target: the device is found by UUID and has torch's name; a trial's peak in use is torch's peak reserved and at
    most 2 GiB more (context and libraries); the energy counter is within 5 % of the integrated power over ≥ 10 s; the
    clock reasons can be read (the design's list, 7).
    """
    device = torch.device(conditions.device)
    opened = open_device(device_uuid(device))
    if not isinstance(opened, NvmlDevice):
        raise NotRun(opened)
    names = opened.text("nvmlDeviceGetName"), torch.cuda.get_device_name(device)
    yield Measurement("device found by its UUID", f"NVML {names[0]}, torch {names[1]}", "equal", names[0] == names[1])
    reasons = opened.clock_reasons()
    yield Measurement("clock reasons", str(reasons.value or reasons.reason), "readable", reasons.value is not None)
    yield from _energy(opened, device)
    yield from _memory(conditions)


def _energy(opened: NvmlDevice, device: torch.device) -> Iterator[Measurement]:
    """The counter against the trapezoid over power samples, under a steady load."""
    a, b = (torch.randn(SIDE, SIDE, device=device, dtype=torch.bfloat16) for _ in range(2))

    def work_until(end: float) -> None:
        while time.monotonic() < end:
            torch.mm(a, b)
            torch.cuda.synchronize(device)  # a short queue: the load ends with the window

    # Since Ampere the power is a mean over the last second (nvml.h, nvmlDeviceGetPowerUsage).
    work_until(time.monotonic() + STEADY_SECONDS)
    before, samples, end = opened.energy_joules(), list[tuple[float, float]](), time.monotonic() + LOAD_SECONDS
    while time.monotonic() < end:
        # NVML gives milliwatts.
        samples.append((time.monotonic(), float(opened.text("nvmlDeviceGetPowerUsage") or "nan") / 1e3))
        work_until(time.monotonic() + SAMPLE_SECONDS)
    after = opened.energy_joules()
    if before.value is None or after.value is None:
        yield Measurement("energy counter", f"unreadable: {before.reason or after.reason}", "readable", met=False)
        return
    integrated = sum((t1 - t0) * (p0 + p1) / 2 for (t0, p0), (t1, p1) in pairwise(samples))
    # The samples end one pause before the counter is read.
    integrated += (time.monotonic() - samples[-1][0]) * samples[-1][1]
    counted = after.value - before.value
    value = (
        f"counter {counted:.0f} J, {len(samples)} power samples {integrated:.0f} J, ratio {counted / integrated:.3f}"
    )
    yield Measurement("energy", value, "within 5 %", abs(counted / integrated - 1) <= 0.05)


def _memory(conditions: Conditions) -> Iterator[Measurement]:
    machine = machine_of(conditions)
    profile = profiles.load("standard")
    setup = replace(profile.workloads["gpt"], steps=25, warmup_steps=8)
    small = replace(profile, workloads={"gpt": setup}, precisions=("bf16",), repeats=1)
    records = run_trials(plan_of(small, machine), machine, conditions)
    if not records or not records[0].outcome.measured:
        yield Measurement("memory", shown(records) or "no time was left", "measured", met=False if records else None)
        return
    record = records[0]
    used, reserved = record.memory.peak_device_bytes, record.memory.peak_reserved_bytes
    if used is None or reserved is None:
        yield Measurement("peak memory", f"not read: {dict(record.memory.reasons)}", "readable", met=False)
        return
    value = f"NVML above idle {used / 2**30:.2f} GiB, torch reserved {reserved / 2**30:.2f} GiB"
    yield Measurement("peak memory", value, "0 to 2 GiB above torch's", 0 <= used - reserved <= 2 * 2**30)
