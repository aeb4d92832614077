"""The overflow recorder against an oracle that knows nothing of it: did the parameters move?"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn

from suite.measure.device import Arithmetic
from suite.measure.optimizer import make_optimizer
from suite.measure.precision import FP16_DYNAMIC, FP16_STATIC, Precision
from suite.measure.switches import pin_arithmetic
from suite.spec import OptimizerSpec, ScalerSpec
from tools.checks import Conditions, Measurement
from tools.checks.small import Small, SmallSettings

__all__ = ["Case", "disagreement", "overflow_recorder", "train_case"]

STEPS = 12
SHARE = 0.3
"""Of the steps that overflow."""
SCALER = ScalerSpec(initial_scale=1024.0, static_scale=1024.0, growth_interval=3)
OPTIMIZERS = (
    OptimizerSpec("adamw", 1e-3, weight_decay=0.1, fused=True),
    OptimizerSpec("adamw", 1e-3, weight_decay=0.1, fused=False),
    OptimizerSpec("sgd", 1e-2, momentum=0.9, fused=True),
    OptimizerSpec("sgd", 1e-2, momentum=0.9, fused=False),
)


@dataclass(frozen=True)
class Case:
    """One way to train."""

    precision: Precision
    optimizer: OptimizerSpec
    accumulation: int
    clip_norm: float | None
    compiled: bool = False

    @property
    def name(self) -> str:
        """`fp16-static, adamw fused, 2 micro-batches, clipped`."""
        parts = [self.precision.name, self.optimizer.name + (" fused" if self.optimizer.fused else "")]
        parts += [f"{self.accumulation} micro-batches"] if self.accumulation > 1 else []
        parts += ["clipped"] if self.clip_norm is not None else []
        return ", ".join([*parts, *(["compiled"] if self.compiled else [])])


def overflow_recorder(conditions: Conditions) -> Iterator[Measurement]:
    """Random patterns of infinite losses over optimizers × scaling × accumulation × clipping, eager and compiled.

    Target: the recorded steps are exactly the injected ones, and on exactly these steps no parameter moved (the
    design's list, 4). The patterns are drawn from a seed, so that a miss can be repeated.
    """
    device = torch.device(conditions.device)
    pin_arithmetic(Arithmetic.FP16)
    crossed = itertools.product((FP16_STATIC, FP16_DYNAMIC), OPTIMIZERS, (1, 3), (None, 1.0))
    cases = [Case(*case) for case in crossed]
    cases += [Case(precision, OPTIMIZERS[0], 3, 1.0, compiled=True) for precision in (FP16_STATIC, FP16_DYNAMIC)]
    patterns = 5 if conditions.full else 2
    wrong = []
    for number, (case, pattern) in enumerate(itertools.product(cases, range(patterns))):
        found = _checked(case, device, random.Random(1000 * number + pattern))  # noqa: S311 -- a test pattern, to be drawn again
        if found:
            wrong.append(found)
    ran = len(cases) * patterns
    yield Measurement("cases that agree with the oracle", f"{ran - len(wrong)} of {ran}", "all", not wrong)
    backend = "inductor" if device.type == "cuda" else "aot_eager"
    yield Measurement("of these compiled", f"{2 * patterns}, backend {backend}")
    for line in wrong:
        yield Measurement("disagreement", line, met=False)


def _checked(case: Case, device: torch.device, draw: random.Random) -> str | None:
    """One random pattern."""
    injected = [draw.random() < SHARE for _ in range(STEPS)]
    bad = [step * case.accumulation + draw.randrange(case.accumulation) for step in range(STEPS) if injected[step]]
    workload = Small(SmallSettings(overflowing=tuple(bad)), batch_size=16, seed=draw.randrange(1000), device=device)
    recorded, moved = train_case(case, workload, device)
    return disagreement(case.name, injected, recorded, moved)


def disagreement(name: str, injected: Sequence[bool], recorded: Sequence[bool], moved: Sequence[bool]) -> str | None:
    """None where the recorder names exactly the injected steps and exactly the others moved the parameters."""
    applied = [not overflowed for overflowed in injected]
    if list(recorded) == list(injected) and list(moved) == applied:
        return None
    steps = [[step for step, flag in enumerate(flags) if flag] for flags in (injected, recorded, moved)]
    return f"{name}: overflow injected in steps {steps[0]}, recorded in {steps[1]}; parameters moved in {steps[2]}"


def train_case(case: Case, workload: Small, device: torch.device) -> tuple[list[bool], list[bool]]:
    """What the recorder says of each step, and whether any parameter changed in it."""
    model = workload.model()
    called = _compiled(model, device) if case.compiled else model
    optimizer = make_optimizer(model, case.optimizer)
    policy = case.precision.policy(device, STEPS, SCALER, case.clip_norm)
    batches, moved = workload.batches(), []
    for _ in range(STEPS):
        before = [parameter.detach().clone() for parameter in model.parameters()]
        for _ in range(case.accumulation):
            with policy.context():
                loss = workload.loss(called, next(batches))
            policy.backward(loss / case.accumulation)
        policy.step(optimizer)
        optimizer.zero_grad(set_to_none=True)
        pairs = zip(before, model.parameters(), strict=True)
        moved.append(any(not torch.equal(old, new) for old, new in pairs))
    return list(policy.trace().overflowed), moved


def _compiled(model: nn.Module, device: torch.device) -> nn.Module:
    torch.compiler.reset()
    return cast(nn.Module, torch.compile(model, backend="inductor" if device.type == "cuda" else "aot_eager"))
