"""A workload of a few layers whose every detail a check decides: kind of operator, overflows, a spoilt switch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from suite.spec import OptimizerSpec, ScalerSpec, Setup, TrialSpec
from workloads.base import Cost, Evaluation, derive_seed, generator

__all__ = ["KINDS", "Small", "SmallSettings", "spec_of"]

KINDS = ("matmul", "convolution", "recurrence")
WIDTH = 64


@dataclass(frozen=True)
class SmallSettings:
    """What the network is made of, and what is done to its training."""

    kind: str = "matmul"
    overflowing: tuple[int, ...] = ()
    """Micro-batches, from 0, whose loss is infinite."""
    spoil: bool = False
    """Whether the loss sets the float32 switch to a shorter mantissa, as a careless library would."""


class Small:
    """Regression of random numbers on random numbers."""

    Settings = SmallSettings

    def __init__(self, settings: SmallSettings, *, batch_size: int, seed: int, device: torch.device) -> None:
        self._settings = settings
        self._batch_size = batch_size
        self._seed = seed
        self._device = device

    def model(self) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(self._seed, "init"))
            return _build(self._settings.kind).to(self._device)

    def batches(self) -> Iterator[tuple[Tensor, float]]:
        x = torch.randn(self._batch_size, *_shape(self._settings.kind), generator=generator(self._seed, "data"))
        x, micro_batch = x.to(self._device), 0
        while True:
            yield x, float("inf") if micro_batch in self._settings.overflowing else 1.0
            micro_batch += 1

    def loss(self, model: nn.Module, batch: tuple[Tensor, float]) -> Tensor:
        if self._settings.spoil:
            spoil(self._device)
        x, factor = batch
        found = model(x)
        out = found[0] if isinstance(found, tuple) else found
        # A target far off keeps every gradient away from zero.
        return functional.mse_loss(out.float(), torch.full_like(out, 0.5, dtype=torch.float32)) * factor

    def evaluate(self, model: nn.Module) -> Evaluation:
        x, _ = next(self.batches())
        return Evaluation({"loss": float(self.loss(model, (x, 1.0)))}, "loss", False, 1.0, "none")

    def cost(self) -> Cost:
        return Cost(self._batch_size, None, 1)


def spoil(device: torch.device) -> None:
    """What must not go unseen: float32 products with a mantissa of 10 bits (CUDA: TF32) or 7 (CPU: bf16)."""
    if device.type == "cuda":
        torch.backends.cuda.matmul.fp32_precision = "tf32"
    else:
        torch.backends.mkldnn.matmul.fp32_precision = "bf16"  # type: ignore[attr-defined]


def spec_of(device: torch.device, precision: str, setup: Setup | None = None) -> TrialSpec:
    """A trial of four steps."""
    made = setup or Setup(steps=4, warmup_steps=1, batch_size=64, optimizer=OptimizerSpec("sgd", 0.01))
    return TrialSpec(
        workload="small",
        precision=precision,
        seed=0,
        repeat=0,
        device=str(device),
        threads=torch.get_num_threads(),
        profile="check",
        timeout_seconds=60.0,
        scaler=ScalerSpec(),
        setup=made,
    )


def _build(kind: str) -> nn.Module:
    if kind == "matmul":
        return nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh(), nn.Linear(WIDTH, WIDTH))
    if kind == "convolution":
        return nn.Sequential(nn.Conv2d(8, 32, 3), nn.Tanh(), nn.Conv2d(32, 8, 3))
    return nn.LSTM(WIDTH, WIDTH, batch_first=True)


def _shape(kind: str) -> tuple[int, ...]:
    return {"matmul": (WIDTH,), "convolution": (8, 16, 16), "recurrence": (8, WIDTH)}[kind]
