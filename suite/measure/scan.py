"""A float32 training that is stopped now and then to ask what float16 would do to its gradients."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import torch
from torch import nn

from suite.loss_scale.scan import SCALES, ScalePoint, ScaleScan
from suite.measure.device import Arithmetic
from suite.measure.flush import count_gradients
from suite.measure.loop import train
from suite.measure.optimizer import make_optimizer
from suite.measure.precision import FP32
from suite.measure.switches import pin_arithmetic
from suite.spec import TrialSpec
from workloads.base import Workload, derive_seed

__all__ = ["scan_scales"]

PARTS = 8
"""Gradients are looked at before the first step and after each eighth of the training."""


def scan_scales(
    spec: TrialSpec, make_workload: Callable[[], Workload], device: torch.device, phase: Callable[[str], None]
) -> ScaleScan:
    """Train as `spec` says, but in float32; count at nine points, each time on the batch that is trained on next."""
    setup = spec.setup
    torch.set_num_threads(spec.threads)
    torch.backends.mkldnn.set_flags(setup.onednn)
    pin_arithmetic(Arithmetic.FP32)
    phase("building the model")
    workload = make_workload()
    model = workload.model()
    optimizer = make_optimizer(model, setup.optimizer)
    policy = FP32.policy(device, setup.steps, spec.scaler, setup.clip_norm)
    phase(f"training {setup.steps} steps in float32")
    torch.manual_seed(derive_seed(spec.seed, "dropout"))
    watch = _Watch(workload, model, spec)
    _, losses = train(workload, model, optimizer, policy, setup, watch, lambda: None)
    return ScaleScan(spec, tuple(watch.points), tuple(losses.tolist()))


class _Watch:
    """Stands where the clock stands in a trial: it is told of every step, and counts instead of timing."""

    def __init__(self, workload: Workload, model: nn.Module, spec: TrialSpec) -> None:
        self._workload, self._model, self._setup = workload, model, spec.setup
        self._looks = {round(spec.setup.steps * part / PARTS) for part in range(PARTS + 1)}
        self._batches = workload.batches()
        self._drawn = self._done = 0
        self.points: list[ScalePoint] = []

    def start(self) -> None:
        self._look()

    def resume(self) -> None:
        pass

    def mark(self) -> None:
        self._done += 1
        if self._done in self._looks:
            self._look()

    def stop(self) -> tuple[float, ...]:
        return ()

    def _look(self) -> None:
        accumulation = self._setup.accumulation
        batch = next(islice(self._batches, self._done * accumulation - self._drawn, None))
        self._drawn = self._done * accumulation + 1
        counts = count_gradients(self._workload, self._model, batch, accumulation, SCALES)
        self.points.append(ScalePoint(self._done, counts))
