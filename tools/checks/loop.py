"""The timed loop itself: it waits for the device nowhere, and costs no more than a loop written by hand."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from suite import catalog, profiles
from suite.decode import decode
from suite.errors import PrecisionUnsupported
from suite.measure.device import hardware
from suite.measure.loop import train
from suite.measure.meters import CudaMeter, Meter, meter_for
from suite.measure.optimizer import make_optimizer
from suite.measure.precision import BF16, FP16_DYNAMIC, FP32, Precision
from suite.measure.switches import pin_arithmetic
from suite.spec import ScalerSpec, Setup
from tools.checks import Conditions, Measurement
from tools.checks.trials import usable
from workloads.base import Workload

__all__ = ["compared", "host_syncs", "overhead"]

SYNC_STEPS, SYNC_WARMUP = 8, 4
BLOCK_STEPS, BLOCK_WARMUP = 15, 5
FEWEST_BLOCKS, MOST_BLOCKS = 5, 20

Trained = tuple[nn.Module, Optimizer]
"""What a loop changes."""


class SyncGuard(CudaMeter):
    """Makes every wait for the device an error from the last step of the warm-up to the last step's mark."""

    def __init__(self, device: torch.device, steps: int) -> None:
        super().__init__(device, steps)
        self._resumed = 0

    def resume(self) -> None:
        super().resume()
        self._resumed += 1  # once at the start, once before the last step of the warm-up
        if self._resumed == 2:
            torch.cuda.set_sync_debug_mode("error")

    def stop(self) -> tuple[float, ...]:
        torch.cuda.set_sync_debug_mode("default")
        return super().stop()


def host_syncs(conditions: Conditions) -> Iterator[Measurement]:
    """Every workload in every mode (profile `smoke`), with torch raising on each operation that waits for the device.

    Target: none in the timed window (the design's list, 5; torch.cuda.set_sync_debug_mode).
    """
    device = torch.device(conditions.device)
    names, missing = usable()
    profile = profiles.load("smoke")
    for name in names:
        setup = replace(profile.workloads[name], steps=SYNC_STEPS, warmup_steps=SYNC_WARMUP)
        for mode in profile.precisions:
            yield _guarded(name, setup, catalog.load(catalog.precisions()[mode]), device)
    for name, reason in missing.items():
        yield Measurement(name, reason)


def _guarded(name: str, setup: Setup, precision: Precision, device: torch.device) -> Measurement:
    cell = f"{name} × {precision.name}"
    try:
        precision.emulation(hardware(device), onednn=setup.onednn)
    except PrecisionUnsupported as reason:
        return Measurement(cell, f"unsupported: {reason}")
    pin_arithmetic(precision.arithmetic)
    try:
        workload = _workload(name, setup, device)
        _train(workload, _trained(workload, setup), setup, precision, device, SyncGuard(device, setup.steps))
    except RuntimeError as error:
        torch.cuda.set_sync_debug_mode("default")
        return Measurement(cell, str(error).splitlines()[0], "no wait", met=False)
    return Measurement(cell, "none", "no wait")


def overhead(conditions: Conditions) -> Iterator[Measurement]:
    """The suite's window against a bare loop that does the same training, in one process, block by block in turn.

    Target: ratio of the medians ≤ 1.005 on a GPU (the design's list, 6), ≤ 1.01 on a CPU. On a GPU at the size of
    `standard`: `gpt`, whose clipping computes the gradient norm anyway, in bf16 and beside a bare GradScaler, and
    `resnet`, which does not clip. On a CPU `gpt` in fp32 at the size of `quick`.
    """
    device = torch.device(conditions.device)
    on_gpu = device.type == "cuda"
    on_a_gpu = [("gpt", BF16), ("resnet", BF16), ("gpt", FP16_DYNAMIC)]
    cells = [cell for cell in (on_a_gpu if on_gpu else [("gpt", FP32)]) if cell[0] in usable()[0]]
    for done, (name, precision) in enumerate(cells):
        seconds = conditions.seconds_left / (len(cells) - done)
        yield from _overhead_of(name, precision, device, seconds, 1.005 if on_gpu else 1.01)


def _overhead_of(
    name: str, precision: Precision, device: torch.device, seconds: float, limit: float
) -> Iterator[Measurement]:
    end, cell = time.monotonic() + seconds, f"{name} × {precision.name}"
    setup = profiles.load("standard" if device.type == "cuda" else "quick").workloads[name]
    setup = replace(setup, steps=BLOCK_STEPS, warmup_steps=BLOCK_WARMUP)
    pin_arithmetic(precision.arithmetic)
    workload = _workload(name, setup, device)
    ours, bare = list[float](), list[float]()
    sides = [(ours, _suite_block, _trained(workload, setup)), (bare, _bare_block, _trained(workload, setup))]
    pair_seconds = 0.0
    while len(ours) < MOST_BLOCKS and time.monotonic() + pair_seconds < end:
        began = time.monotonic()
        for found, block, trained in sides if len(ours) % 2 == 0 else sides[::-1]:
            gc.collect()  # as a trial does before its warm-up; what it leaves behind must burden neither side alone
            found.append(block(workload, trained, setup, precision, device))
        pair_seconds = time.monotonic() - began
    if len(ours) < FEWEST_BLOCKS:
        yield Measurement(cell, f"time for {len(ours)} pairs of blocks, {FEWEST_BLOCKS} are needed", met=None)
        return
    yield replace(compared(ours, bare, limit), name=f"suite / bare, {cell}")
    yield Measurement(f"bare step, {cell}", f"{1e3 * statistics.median(bare):.3f} ms")
    yield Measurement(f"blocks, {cell}", f"{len(ours)} of {BLOCK_STEPS - BLOCK_WARMUP} steps each, in turn")


def compared(ours: Sequence[float], bare: Sequence[float], limit: float) -> Measurement:
    """The ratio of the medians. Above the limit it is a miss only if three in four pairs of blocks are above it too:
    else the machine was too restless to tell."""
    ratio = statistics.median(ours) / statistics.median(bare)
    low, _, high = statistics.quantiles([a / b for a, b in zip(ours, bare, strict=True)], n=4)
    met = True if ratio <= limit else False if low > limit else None
    value = f"{ratio:.4f}, pairs of blocks mostly {low:.4f} to {high:.4f}"
    return Measurement("suite / bare", value + (", too noisy to tell" if met is None else ""), f"≤ {limit}", met)


def _suite_block(
    workload: Workload, trained: Trained, setup: Setup, precision: Precision, device: torch.device
) -> float:
    """Mean seconds of the timed steps, as the suite measures them."""
    seconds = _train(workload, trained, setup, precision, device, meter_for(device, setup.steps))
    return statistics.fmean(seconds[setup.warmup_steps :])


def _train(
    workload: Workload, trained: Trained, setup: Setup, precision: Precision, device: torch.device, meter: Meter
) -> tuple[float, ...]:
    policy = precision.policy(device, setup.steps, ScalerSpec(), setup.clip_norm)
    return train(workload, *trained, policy, setup, meter, lambda: None)[0]


_AUTOCAST = {BF16.name: torch.bfloat16, FP16_DYNAMIC.name: torch.float16}


def _bare_block(
    workload: Workload, trained: Trained, setup: Setup, precision: Precision, device: torch.device
) -> float:
    """What a practitioner writes; mean seconds of the steps after the warm-up, which are timed as a whole."""
    model, optimizer = trained
    batches, kind = workload.batches(), _AUTOCAST.get(precision.name)
    scaler = torch.amp.GradScaler(device.type, enabled=precision is FP16_DYNAMIC)
    meter = meter_for(device, 1)
    for step in range(setup.steps):
        if step == setup.warmup_steps:
            meter.start()
        with torch.autocast(device.type, kind, enabled=kind is not None):
            loss = workload.loss(model, next(batches))
        scaler.scale(loss).backward()
        if setup.clip_norm is not None:
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), setup.clip_norm)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad(set_to_none=True)
    meter.mark()
    return meter.stop()[0] / (setup.steps - setup.warmup_steps)


def _trained(workload: Workload, setup: Setup) -> Trained:
    model = workload.model()
    return model, make_optimizer(model, setup.optimizer)


def _workload(name: str, setup: Setup, device: torch.device) -> Workload:
    kind: Any = catalog.load(catalog.workloads()[name])
    settings = decode(kind.Settings, dict(setup.settings), f"settings of workload {name!r}")
    made: Workload = kind(settings, batch_size=setup.batch_size, seed=0, device=device)
    return made
