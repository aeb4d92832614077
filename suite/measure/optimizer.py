"""The optimizer and the learning rate of a trial: the same in every precision."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from suite.spec import OptimizerSpec, ScheduleSpec, Setup

__all__ = ["make_optimizer", "parameter_groups", "schedule_factor", "set_learning_rate"]


def make_optimizer(model: nn.Module, spec: OptimizerSpec) -> Optimizer:
    """The optimizer of the spec, over all parameters that are trained."""
    parameters = parameter_groups(model, spec)
    if spec.name == "sgd":
        sgd = SGD(
            parameters,
            lr=spec.learning_rate,
            momentum=spec.momentum,
            weight_decay=spec.weight_decay,
            fused=spec.fused,
        )
        _zero_momentum(sgd)
        return sgd
    return AdamW(
        parameters,
        lr=spec.learning_rate,
        betas=(spec.beta1, spec.beta2),
        eps=spec.epsilon,
        weight_decay=spec.weight_decay,
        fused=spec.fused,
    )


def parameter_groups(model: nn.Module, spec: OptimizerSpec) -> list[dict[str, Any]]:
    """One group of all trained parameters, or a second one, without decay, for those of fewer than two dimensions."""
    trained = [p for p in model.parameters() if p.requires_grad]
    if spec.decay_vectors:
        return [{"params": trained}]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in trained if p.dim() >= 2]},
        {"params": [p for p in trained if p.dim() < 2], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def _zero_momentum(sgd: SGD) -> None:
    """Give every parameter its momentum buffer before the first step, which then does what it always does.

    Fused SGD allocates the buffers uninitialised in its first step and fills them in the kernel; if that step
    overflowed, the kernel fills nothing and every later step uses whatever was in that memory (torch 2.14.1:
    docs/decisions/0006). From zero the first applied step gives momentum · 0 + gradient, the same as from none.
    """
    for group in sgd.param_groups:
        if group["momentum"]:
            for parameter in group["params"]:
                sgd.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)


def set_learning_rate(optimizer: Optimizer, setup: Setup, step: int) -> None:
    """The schedule's rate for this step; it advances on every step, skipped or not, so that all modes see the same."""
    rate = setup.optimizer.learning_rate * schedule_factor(setup.schedule, step, setup.steps)
    for group in optimizer.param_groups:
        group["lr"] = rate


def schedule_factor(schedule: ScheduleSpec, step: int, steps: int) -> float:
    """Share of the full learning rate at `step` (from 0): a linear ramp, then constant or half a cosine to 0."""
    if step < schedule.warmup_steps:
        return (step + 1) / schedule.warmup_steps
    if schedule.kind == "constant":
        return 1.0
    progress = (step - schedule.warmup_steps) / max(1, steps - schedule.warmup_steps)
    return 0.5 * (1.0 + math.cos(math.pi * progress))
