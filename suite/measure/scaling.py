"""Loss scaling that records what it did, on the device, without one host sync.

torch's GradScaler knows whether a step overflowed, but says so nowhere: fused optimizers skip inside their kernel,
so counting `optimizer.step` calls is wrong, and `get_scale()` waits for the device. :class:`RecordingScaler` reads
the `found_inf` tensors where they are complete (after `step`, before `update` throws them away) and copies them and
the scale into buffers on the device. They are read once, after the run.

The tensors sit in GradScaler's private `_per_optimizer_states`; `tests/measure/test_scaling.py` is the contract test
(checked with torch 2.14.1; the attribute has been there since 1.6).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import torch
from torch import Tensor
from torch.optim import Optimizer

from suite.spec import ScalerSpec

__all__ = ["GradientScaling", "NoScaling", "RecordingScaler", "ScaleTrace", "Scaling"]


@dataclass(frozen=True)
class ScaleTrace:
    """What happened to the gradients in each optimizer step; `scales` and `last_scale` are None without scaling."""

    overflowed: tuple[bool, ...]
    scales: tuple[float, ...] | None
    last_scale: float | None
    skips_overflow: bool


class Scaling(Protocol):
    """The three moments at which loss scaling touches a step, and the trace it leaves."""

    def scale(self, loss: Tensor) -> Tensor:
        """The loss to call `backward` on."""
        ...

    def unscale(self, optimizer: Optimizer) -> Tensor | None:
        """Bring the gradients back to their true size, or say (float32 `[]`) by which factor they stay too large."""
        ...

    def step(self, optimizer: Optimizer) -> None:
        """Update the parameters (or not), then the scale, and record the step."""
        ...

    def trace(self, gradient_norms: Sequence[float]) -> ScaleTrace:
        """Read the record; waits for the device, so call it once, after the run.

        `gradient_norms` are the global norms of the same steps.
        """
        ...


class NoScaling:
    """fp32, tf32, bf16 and the unscaled control: nothing is skipped, yet overflow is measured, not assumed.

    The global gradient norm, which every mode computes anyway, is non-finite exactly when a gradient is (or when the
    sum of squares leaves float32's range, at a norm above 1.8e19, where training is over as well).
    """

    def scale(self, loss: Tensor) -> Tensor:
        return loss

    def unscale(self, optimizer: Optimizer) -> Tensor | None:
        return None

    def step(self, optimizer: Optimizer) -> None:
        optimizer.step()

    def trace(self, gradient_norms: Sequence[float]) -> ScaleTrace:
        overflowed = tuple(not math.isfinite(norm) for norm in gradient_norms)
        return ScaleTrace(overflowed, None, None, skips_overflow=False)


class GradientScaling:
    """Static or dynamic loss scaling through torch's own GradScaler.

    `unscale_in_place=False` is for 16-bit gradients: divided by the scale they would underflow, which is what scaling
    is against, so they stay scaled until the optimizer's fused kernel divides them in float32. (For float16 ones
    GradScaler would refuse.)
    """

    def __init__(
        self, device: torch.device, steps: int, spec: ScalerSpec, *, dynamic: bool, unscale_in_place: bool
    ) -> None:
        self._scaler = RecordingScaler(device, steps, spec, dynamic=dynamic)
        self._unscale_in_place = unscale_in_place

    def scale(self, loss: Tensor) -> Tensor:
        return self._scaler.scale(loss)

    def unscale(self, optimizer: Optimizer) -> Tensor | None:
        if not self._unscale_in_place:
            return self._scaler.current_scale()
        self._scaler.unscale_(optimizer)
        return None

    def step(self, optimizer: Optimizer) -> None:
        self._scaler.step(optimizer)
        self._scaler.update()

    def trace(self, gradient_norms: Sequence[float]) -> ScaleTrace:
        return self._scaler.trace()


class RecordingScaler(torch.amp.GradScaler):
    """GradScaler that writes each step's scale and overflow flag to device buffers.

    `dynamic=False` is *constant*: `update` puts the scale back to `spec.static_scale` after every step. (No
    constructor argument gives that: a huge growth interval still backs off and never recovers.) An overflowing step
    is skipped and counted in both.
    """

    def __init__(self, device: torch.device, steps: int, spec: ScalerSpec, *, dynamic: bool) -> None:
        super().__init__(
            device.type,
            init_scale=spec.initial_scale if dynamic else spec.static_scale,
            growth_factor=spec.growth_factor,
            backoff_factor=spec.backoff_factor,
            growth_interval=spec.growth_interval,
        )
        # torch takes a float here and nothing else for a number.
        self._constant_scale = None if dynamic else float(spec.static_scale)
        self._overflowed = torch.zeros(steps, device=device)
        self._scales = torch.zeros(steps, device=device)
        self._step = 0

    def update(self, new_scale: float | Tensor | None = None) -> None:
        """Record the step, then update the scale (`new_scale` as in torch)."""
        found = [
            flag.to(self._overflowed.device, non_blocking=True)
            for state in self._per_optimizer_states.values()
            for flag in state["found_inf_per_device"].values()
        ]
        self._overflowed[self._step].copy_(torch.stack(found).amax())
        # It is changed in place below, so this is the moment to copy.
        self._scales[self._step].copy_(self.current_scale())
        self._step += 1
        super().update(self._constant_scale if new_scale is None else new_scale)

    def current_scale(self) -> Tensor:
        """The scale of this step on the device, float32 `[]`; `scale` ran before in this step, and creates it."""
        return cast(Tensor, self._scale).squeeze()

    def trace(self) -> ScaleTrace:
        """The record so far; waits for the device."""
        scales = tuple(self._scales[: self._step].tolist())
        return ScaleTrace(_flags(self._overflowed[: self._step]), scales, float(self.get_scale()), skips_overflow=True)


def _flags(buffer: Tensor) -> tuple[bool, ...]:
    return tuple(value > 0 for value in buffer.tolist())
