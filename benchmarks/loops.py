"""The suite's training window beside the loop a practitioner would write: the same model, the same work, in turns."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from itertools import pairwise

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from suite import catalog, profiles
from suite.decode import decode
from suite.measure.device import Arithmetic
from suite.measure.loop import train
from suite.measure.optimizer import make_optimizer, schedule_factor
from suite.measure.precision import Precision
from suite.measure.switches import pin_arithmetic
from suite.spec import Setup
from workloads.base import Workload

__all__ = ["Pair"]

CPU = torch.device("cpu")
BLOCK_STEPS = 10


@dataclass
class Times:
    """Seconds of each step so far, by the clock on the wall and by what the thread itself computed."""

    wall: list[float] = field(default_factory=list)
    thread: list[float] = field(default_factory=list)

    def add(self, marks: list[tuple[float, float]]) -> None:
        """From marks at the end of each step of a block; the first step is not counted, for it draws the batches."""
        self.wall += [end - begin for (begin, _), (end, _) in pairwise(marks)]
        self.thread += [end - begin for (_, begin), (_, end) in pairwise(marks)]


class BothClocks:
    """The suite's meter of a CPU, with a second clock."""

    def __init__(self) -> None:
        self.marks: list[tuple[float, float]] = []

    def start(self) -> None:
        self.marks = []

    def mark(self) -> None:
        self.marks.append((time.perf_counter(), time.thread_time()))

    def resume(self) -> None:
        pass

    def stop(self) -> tuple[float, ...]:
        return ()


class Pair:
    """One model of the quick profile that a bare loop and the suite's window train in turns, block by block.

    It is the same model, for where its weights lie in memory alone moves a step by some percent.
    """

    def __init__(self, name: str, precision: Precision) -> None:
        profile = profiles.load("quick")
        self.setup: Setup = replace(profile.workloads[name], steps=BLOCK_STEPS + 1, warmup_steps=1)
        self.precision = precision
        self.scaler = profile.scaler
        self.bare, self.suite = Times(), Times()
        torch.backends.mkldnn.set_flags(self.setup.onednn)
        pin_arithmetic(precision.arithmetic)
        kind = catalog.load(catalog.workloads()[name])
        settings = decode(kind.Settings, dict(self.setup.settings), name)
        self.workload: Workload = kind(settings, batch_size=self.setup.batch_size, seed=0, device=CPU)
        self.model = self.workload.model()
        self.optimizer = make_optimizer(self.model, self.setup.optimizer)
        self._order: list[Callable[[], None]] = [self._bare_block, self._suite_block]

    def round(self) -> None:
        """One block of each, every second time in the other order.

        Both begin with a heap from which garbage has been collected, as a trial does before its warm-up: what the
        collector leaves behind (cold caches, empty free lists) costs the steps after it up to a percent.
        """
        for block in self._order:
            gc.collect()
            block()
        self._order.reverse()

    def ratio(self, clock: str) -> float:
        """Median step of the suite's window over the bare loop's; `clock` is `wall` or `thread`."""
        return statistics.median(getattr(self.suite, clock)) / statistics.median(getattr(self.bare, clock))

    def _suite_block(self) -> None:
        policy = self.precision.policy(CPU, self.setup.steps, self.scaler, self.setup.clip_norm)
        meter = BothClocks()
        train(self.workload, self.model, self.optimizer, policy, self.setup, meter, lambda: None)
        self.suite.add(meter.marks)

    def _bare_block(self) -> None:
        meter = BothClocks()
        batches = self.workload.batches()
        for group in self.optimizer.param_groups:
            group["initial_lr"] = self.setup.optimizer.learning_rate  # the suite has left a later one in its place
        schedule = LambdaLR(self.optimizer, lambda step: schedule_factor(self.setup.schedule, step, self.setup.steps))
        for _ in range(self.setup.steps):
            with self._autocast():
                loss = self.workload.loss(self.model, next(batches))
            loss.backward()
            if self.setup.clip_norm is not None:
                nn.utils.clip_grad_norm_(self.model.parameters(), self.setup.clip_norm)
            self.optimizer.step()
            self.optimizer.zero_grad()
            schedule.step()
            meter.mark()
        self.bare.add(meter.marks)

    def _autocast(self) -> AbstractContextManager[object]:
        return torch.autocast("cpu", torch.bfloat16) if self.precision.arithmetic is Arithmetic.BF16 else nullcontext()
