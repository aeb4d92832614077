"""What a workload is: five members, always in this order.

A workload knows its model, its data and what it is judged by. It knows nothing of precision, timing, optimizers or
processes: the harness supplies those, identically for every precision, so that two rows differ in one setting only.

Every random choice draws from a generator of its own purpose, derived from the trial's seed
(:func:`derive_seed`): the same seed gives the same initial weights and the same batch order in every precision.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn


class WorkloadUnavailable(Exception):
    """Something this workload needs is not installed on this machine; the message says what and how to get it."""


class DataDamaged(Exception):
    """A vendored file is missing or does not have the SHA-256 its data card states; the message names the file."""


@dataclass(frozen=True)
class Cost:
    """Work done by one optimizer step over one batch, from the analytic formula in the workload's module."""

    samples: int
    """Training examples consumed per step (sequences, images, windows)."""
    tokens: int | None
    """Tokens (or time steps) consumed per step; None where the unit makes no sense (images)."""
    flops: int
    """Floating-point operations of one forward and backward pass (a multiply-add counts as two)."""


@dataclass(frozen=True)
class Evaluation:
    """Held-out quality after training, and what knowing nothing would have scored on the same held-out data."""

    metrics: Mapping[str, float]
    """Named metrics; names carry the unit where there is one (`rmse_fahrenheit`)."""
    primary: str
    """The key of `metrics` that the workload is judged by."""
    higher_is_better: bool
    baseline: float
    """The same metric for a predictor that ignores the input (majority class, unigram entropy, persistence)."""
    baseline_name: str


class Workload(Protocol):
    """One training task.

    An implementation is constructed as ``W(settings, batch_size=…, seed=…, device=…)``, where ``settings`` is an
    instance of the frozen dataclass ``W.Settings`` (sizes of the model and of the data, with defaults).
    """

    Settings: type[Any]

    def model(self) -> nn.Module:
        """The model on the device: float32 parameters, in training mode, initialised from the trial's seed."""
        ...

    def batches(self) -> Iterator[Any]:
        """Endless batches, already on the device, in an order that depends on the seed alone."""
        ...

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        """Scalar training loss of one batch; called inside the precision policy's context."""
        ...

    def evaluate(self, model: nn.Module) -> Evaluation:
        """Quality on held-out data. The harness has put the model in eval mode and disabled gradients."""
        ...

    def cost(self) -> Cost:
        """Samples, tokens and analytic FLOPs of one batch."""
        ...


def check_loss_weight(weight: float) -> None:
    """Refuse a factor of the training loss that is not a positive number.

    1/A makes one batch weigh what one of A identical accumulated micro-batches weighs: every gradient is A times
    smaller. An optimizer that divides the gradient by its own size (Adam with a tiny epsilon) is indifferent to it, so
    in exact arithmetic nothing changes; in float16 the smallest gradients vanish.
    """
    if not (weight > 0 and math.isfinite(weight)):
        raise ValueError(f"loss_weight = {weight}: set a number above 0")


def derive_seed(seed: int, purpose: str) -> int:
    """A 63-bit seed for one purpose (`"init"`, `"order"`, `"dropout"`), independent of every other purpose's."""
    digest = hashlib.sha256(f"{seed}:{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, purpose: str, device: torch.device | str = "cpu") -> torch.Generator:
    """A torch generator for one purpose of one trial."""
    return torch.Generator(device=device).manual_seed(derive_seed(seed, purpose))
