"""Precision as one small object: how a model computes, and what happens between the loss and the new parameters.

Adding a mode: one more :class:`Precision` here and its name in `suite/catalog.py`, or, from another package, the
entry-point group `ampmark.precisions`. Nobody else may ask what kind of policy it holds.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from suite.errors import PrecisionUnsupported, UsageError
from suite.measure.device import Arithmetic, Hardware, native_or_reason
from suite.measure.scaling import GradientScaling, NoScaling, ScaleTrace, Scaling
from suite.spec import OptimizerSpec, ScalerSpec

__all__ = [
    "BF16",
    "BF16_PURE",
    "FP16_DYNAMIC",
    "FP16_PURE",
    "FP16_STATIC",
    "FP16_UNSCALED",
    "FP32",
    "TF32",
    "Policy",
    "Precision",
    "TrainingPolicy",
    "global_norm",
]


class Policy(Protocol):
    """What the training loop needs from a precision."""

    def context(self) -> AbstractContextManager[object]:
        """Entered around the forward pass and the loss, and nothing else."""
        ...

    def backward(self, loss: Tensor) -> None:
        """Accumulate gradients of one micro-batch's loss."""
        ...

    def step(self, optimizer: Optimizer) -> None:
        """Unscale, measure the norm, clip, update: one optimizer step, recorded on the device."""
        ...

    def trace(self) -> ScaleTrace:
        """What happened in each step; read once, after the run."""
        ...

    def gradient_norms(self) -> tuple[float, ...]:
        """Global L2 norm of each step's gradients, unscaled and unclipped; read once, after the run."""
        ...


_SCALINGS = ("none", "static", "dynamic")


@dataclass(frozen=True)
class Precision:
    """A mode by name: the arithmetic of the heavy operators, the kind of loss scaling, and what parameters are kept in.

    A mode that is more than these words is a subclass with its own `emulation`, `prepare` and `for_evaluation`.
    """

    name: str
    arithmetic: Arithmetic
    scaling: str
    """`none`, `static` or `dynamic`."""
    summary: str
    parameters: torch.dtype = torch.float32
    """Type of parameters, buffers, gradients and optimizer state; autocast is made for float32 ("master weights")."""

    def __post_init__(self) -> None:
        if self.scaling not in _SCALINGS:
            raise UsageError(f"precision {self.name!r}: scaling is {self.scaling!r}; give {', '.join(_SCALINGS)}.")

    def emulation(self, on: Hardware, *, onednn: bool) -> str | None:
        """None where the hardware computes in this precision; else why the speed does not count.

        Raises:
            PrecisionUnsupported: there is no honest way to run it here.
        """
        return native_or_reason(self.arithmetic, on, onednn=onednn)

    def prepare(self, model: nn.Module, optimizer: OptimizerSpec) -> nn.Module:
        """The workload's float32 model made ready for this precision; before the optimizer is built.

        Raises:
            PrecisionUnsupported: this model or optimizer has no honest form in this precision.
        """
        if self.parameters == torch.float32:
            return model
        if self.parameters == torch.float16 and self.scaling != "none" and not optimizer.fused:
            raise PrecisionUnsupported(
                f"{self.name} keeps gradients in float16, which torch's GradScaler unscales in fused optimizers only; "
                "set fused = true for the optimizer."
            )
        return model.to(self.parameters)

    def for_evaluation(self, model: nn.Module) -> nn.Module:
        """The trained model in float32, for held-out quality; `model` itself stays as training left it."""
        # Every 16-bit value is a float32 value: the conversion is exact.
        return model if self.parameters == torch.float32 else copy.deepcopy(model).float()

    def probed(self, module: nn.Module) -> nn.Module:
        """A single float32 operator as this precision runs it inside its policy's context, for the probe."""
        return module

    def details(self, model: nn.Module) -> Mapping[str, str]:
        """What the attestation says of the prepared model besides torch's switches."""
        return {}

    def policy(self, device: torch.device, steps: int, scaler: ScalerSpec, clip_norm: float | None) -> Policy:
        """A fresh policy for one trial of `steps` optimizer steps."""
        scaling: Scaling = (
            NoScaling()
            if self.scaling == "none"
            else GradientScaling(
                device,
                steps,
                scaler,
                dynamic=self.scaling == "dynamic",
                unscale_in_place=self.parameters == torch.float32,
            )
        )
        return TrainingPolicy(_AUTOCAST.get(self.arithmetic), scaling, device, steps, clip_norm)


_AUTOCAST = {Arithmetic.FP16: torch.float16, Arithmetic.BF16: torch.bfloat16, Arithmetic.FP8: torch.bfloat16}


class TrainingPolicy:
    """torch.autocast (or none) with one kind of loss scaling."""

    def __init__(
        self, autocast: torch.dtype | None, scaling: Scaling, device: torch.device, steps: int, clip_norm: float | None
    ) -> None:
        self._autocast = autocast
        self._scaling = scaling
        self._device_type = device.type
        self._clip_norm = clip_norm
        self._norms = torch.zeros(steps, device=device)
        self._step = 0

    def context(self) -> AbstractContextManager[object]:
        if self._autocast is None:
            return nullcontext()
        return torch.autocast(self._device_type, self._autocast)

    def backward(self, loss: Tensor) -> None:
        self._scaling.scale(loss).backward()

    def step(self, optimizer: Optimizer) -> None:
        carried = self._scaling.unscale(optimizer)
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        # Looked up once: each `.grad` makes a Python object anew, microseconds a parameter.
        norm = global_norm([gradient for p in parameters if (gradient := p.grad) is not None])
        if carried is not None:
            norm = norm / carried
        self._norms[self._step].copy_(norm)
        self._step += 1
        if self._clip_norm is not None:
            # Multiplies by limit ÷ norm (at most 1): right for gradients that still carry the scale, too.
            nn.utils.clip_grads_with_norm_(parameters, self._clip_norm, norm)
        self._scaling.step(optimizer)

    def trace(self) -> ScaleTrace:
        return self._scaling.trace(self.gradient_norms())

    def gradient_norms(self) -> tuple[float, ...]:
        return tuple(self._norms[: self._step].tolist())


def global_norm(gradients: Sequence[Tensor]) -> Tensor:
    """L2 norm of all elements together, float32 `[]`, computed in float32 whatever the gradients' type.

    torch's own `get_total_norm` answers in their type: a float16 norm ends at 65504, a bfloat16 one has three digits.
    """
    norms = torch._foreach_norm(list(gradients), 2.0, dtype=torch.float32)
    total: Tensor = torch.linalg.vector_norm(torch.stack(norms))
    return total


FP32 = Precision("fp32", Arithmetic.FP32, "none", "IEEE float32 in matmul, convolution and recurrence")
TF32 = Precision("tf32", Arithmetic.TF32, "none", "float32 with TF32 tensor cores (NVIDIA Ampere and later)")
FP16_STATIC = Precision("fp16-static", Arithmetic.FP16, "static", "autocast float16, constant loss scale")
FP16_DYNAMIC = Precision("fp16-dynamic", Arithmetic.FP16, "dynamic", "autocast float16, torch's dynamic loss scale")
BF16 = Precision("bf16", Arithmetic.BF16, "none", "autocast bfloat16")
FP16_UNSCALED = Precision("fp16-unscaled", Arithmetic.FP16, "none", "autocast float16, no loss scaling: the control")
BF16_PURE = Precision(
    "bf16-pure", Arithmetic.BF16, "none", "bf16 without float32 master weights: the control", torch.bfloat16
)
FP16_PURE = Precision(
    "fp16-pure", Arithmetic.FP16, "static", "fp16-static without float32 master weights: the control", torch.float16
)
