"""A workload and a precision from another package: linear regression that trains in milliseconds, with faults."""

from __future__ import annotations

import itertools
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from suite.measure.device import Arithmetic
from suite.measure.precision import Precision
from workloads.base import Cost, Evaluation, derive_seed, generator

BF16_AGAIN = Precision("bf16-again", Arithmetic.BF16, "none", "bf16 under another name")


@dataclass(frozen=True)
class TinySettings:
    width: int = 16
    fault: str = "none"
    fault_step: int = 3
    delay_seconds: float = 0.0
    perturbation: str = ""
    """A file that says what is not as specified, as if somebody had changed it: see `_perturbation`."""


class Tiny:
    """y = X w + noise; `settings.fault` happens in the loss of step `settings.fault_step`."""

    Settings = TinySettings

    def __init__(self, settings: TinySettings, *, batch_size: int, seed: int, device: torch.device) -> None:
        self._settings = settings
        self._batch_size = batch_size
        self._seed = seed
        self._device = device
        self._calls = 0
        self._perturbed, self._perturbed_step = _perturbation(settings.perturbation)
        source = generator(seed, "data")
        self._x = torch.randn(256, settings.width, generator=source).to(device)
        self._y = self._x @ torch.randn(settings.width, 1, generator=source).to(device)

    def model(self) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(self._seed, "init"))
            model = nn.Linear(self._settings.width, 1)
        if self._perturbed == "weight":
            with torch.no_grad():
                model.weight[0, 0] = torch.nextafter(model.weight[0, 0], torch.tensor(math.inf))
        return model.to(self._device)

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        draws = torch.randint(len(self._x), (1024, self._batch_size), generator=generator(self._seed, "order"))
        if self._perturbed == "batch":
            draws[self._perturbed_step] = (draws[self._perturbed_step] + 1) % len(self._x)
        for rows in itertools.cycle(draws.to(self._device)):
            yield self._x[rows], self._y[rows]

    def loss(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        x, y = batch
        if self._perturbed == "copies":
            for _ in range(self._perturbed_step):
                x = x.clone()
        loss = nn.functional.mse_loss(model(x).float(), y)
        _busy(self._settings.delay_seconds)
        if self._perturbed == "chance" and self._calls == self._perturbed_step:
            loss = loss * (1 + int.from_bytes(os.urandom(4)) / 2**32)
        if self._perturbed == "raise":
            raise RuntimeError("the workload broke since")
        self._calls += 1
        if self._calls == self._settings.fault_step + 1:
            return _FAULTS.get(self._settings.fault, _nothing)(loss)
        return loss

    def evaluate(self, model: nn.Module) -> Evaluation:
        if self._settings.fault == "evaluate":
            raise RuntimeError("no evaluation")
        rmse = float(nn.functional.mse_loss(model(self._x), self._y).sqrt())
        wrong: Any = "good" if self._settings.fault == "wrong-metric" else rmse
        return Evaluation({"rmse": wrong}, "rmse", False, float(self._y.std()), "mean")

    def cost(self) -> Cost:
        flops: Any = 6 * self._batch_size * self._settings.width
        return Cost(self._batch_size, None, flops / 1 if self._settings.fault == "wrong-cost" else flops)


def _perturbation(path: str) -> tuple[str, int]:
    """`weight`, `batch 4` (its rows of step 4), `chance 4` (its loss, different in every process), `copies 400` (so
    many of each batch) or `raise`."""
    words = Path(path).read_text(encoding="utf-8").split() if path else []
    return (words or ["none"])[0], int(words[1]) if len(words) > 1 else 0


def _busy(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def _die(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


def _flood(loss: Tensor) -> Tensor:
    line = "x" * 1023 + "\n"
    for _ in range(100 * 1024):
        sys.stdout.write(line)
    return loss


def _hang(loss: Tensor) -> Tensor:
    time.sleep(3600)
    return loss


def _chatter(loss: Tensor) -> Tensor:
    """Never ends and never falls silent."""
    while True:
        print("still here")


def _leave_child(loss: Tensor) -> Tensor:
    """A child that outlives the trial, keeps its pipes open and keeps printing."""
    subprocess.Popen(["sh", "-c", "while :; do echo chatter; sleep 0.01; done"])
    return loss


def _use_data_loader(loss: Tensor) -> Tensor:
    """A worker process of the trial's own."""
    loader = torch.utils.data.DataLoader(range(4), num_workers=1, multiprocessing_context="fork")
    return loss + sum(len(batch) for batch in loader) - 4


def _kill(loss: Tensor) -> Tensor:
    _die(signal.SIGKILL)
    return loss


def _raise(loss: Tensor) -> Tensor:
    raise RuntimeError("the <workload> broke")


def _out_of_memory(loss: Tensor) -> Tensor:
    return loss + torch.empty(1 << 50).sum()


def _put(loss: Tensor) -> Tensor:
    """An operator without a deterministic form, on every device."""
    return loss + torch.zeros(2).put_(torch.tensor([0]), torch.tensor([0.0])).sum()


def _nothing(loss: Tensor) -> Tensor:
    return loss


_FAULTS = {
    "raise": _raise,
    "exit": lambda loss: os._exit(7),
    "kill": _kill,
    "hang": _hang,
    "flood": _flood,
    "child": _leave_child,
    "chatter": _chatter,
    "loader": _use_data_loader,
    "memory": _out_of_memory,
    "put": _put,
    "overflow": lambda loss: loss * math.inf,
}
