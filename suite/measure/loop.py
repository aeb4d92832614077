"""The one training loop, for all workloads and precisions. Nothing in it waits for the device."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from suite.measure.meters import Meter
from suite.measure.optimizer import set_learning_rate
from suite.measure.precision import Policy
from suite.record import StepTrace
from suite.spec import Setup
from suite.window import first_observed, warmup_cut
from workloads.base import Workload

__all__ = ["step_trace", "train"]


def train(
    workload: Workload,
    model: nn.Module,
    optimizer: Optimizer,
    policy: Policy,
    setup: Setup,
    meter: Meter,
    window_begins: Callable[[], None],
    warmup_ends: Callable[[], None] = lambda: None,
) -> tuple[tuple[float, ...], Tensor]:
    """The timed loop. Returns seconds and losses of every step, warm-up included; losses are on the host, float32.

    `window_begins` may wait for the device: it is called before the step `first_observed`, and belongs to no step.
    `warmup_ends` may not: it is called in the last step of the fixed warm-up, and never without one.
    """
    batches = workload.batches()
    losses = torch.zeros(setup.steps, device=next(model.parameters()).device)
    with _no_garbage_collection():
        meter.start()
        for step in range(setup.steps):
            if step == first_observed(setup.warmup_steps):
                window_begins()
                meter.resume()
            set_learning_rate(optimizer, setup, step)
            for _ in range(setup.accumulation):
                with policy.context():
                    loss = workload.loss(model, next(batches))
                if setup.accumulation > 1:
                    loss = loss / setup.accumulation
                policy.backward(loss)
                losses[step].add_(loss.detach())  # `+=` would write the sum back into its own place once more
            policy.step(optimizer)
            optimizer.zero_grad(set_to_none=True)
            if step == setup.warmup_steps - 1:
                warmup_ends()
            meter.mark()
        return meter.stop(), losses.cpu()


def step_trace(step_seconds: tuple[float, ...], losses: Tensor, policy: Policy, minimum_warmup: int) -> StepTrace:
    """Read the device's records once, after the run."""
    scales = policy.trace()
    return StepTrace(
        seconds=step_seconds,
        losses=tuple(losses.tolist()),
        gradient_norms=policy.gradient_norms(),
        overflowed=scales.overflowed,
        scales=scales.scales,
        skips_overflow=scales.skips_overflow,
        last_scale=scales.last_scale,
        warmup_steps=warmup_cut(step_seconds, minimum_warmup),
    )


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """The collector pauses a step at random moments; it runs before the loop instead."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
