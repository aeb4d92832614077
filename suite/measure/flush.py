"""The gradient flush meter: which gradients of a training step float16 would lose, at any loss scale.

One step is computed in float32, and looked at is what its products (matrix products, convolutions, attention, recurrent
layers; and PReLU) hold in float16 under torch.autocast: for each of them the gradient of its output, and what it
contributes to the gradient of each of its inputs and weights. Multiplying the loss by S multiplies each of them by S,
so one backward pass tells for every S how many would become zero or infinite.

Not looked at: the gradients that element-wise operators between two products (activations, residual additions, pooling)
also hold in float16, the inside of a fused recurrence (cuDNN, oneDNN) or of a torch.autograd.Function, and the sums of
contributions. Earlier losses are not propagated: where float16 would already have lost the gradients further up, the
real share can be larger.

Which products are float16 is not read off a list: it depends on the device (torch.amp, "CUDA Ops" and "CPU Ops that can
autocast to float16") and on regions where the model switches autocast off. A forward pass under torch.autocast comes
first and shows it: the gradient of an output has the output's type. The products of both passes are matched in the
order in which they were computed.

Products are found in the autograd graph by the names of their backward nodes: composite functions (einsum,
nn.MultiheadAttention, an LSTM without oneDNN) have been taken apart there, as autocast sees them.
tests/measure/test_flush.py is the contract test of the names (torch 2.14.1).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node

from suite.errors import Unsupported, one_line
from suite.loss_scale.scan import GradientCounts
from suite.measure.device import Arithmetic
from suite.measure.divergence import first_nonfinite
from suite.measure.switches import under
from suite.readings import FlushShare
from suite.spec import Setup
from workloads.base import Workload

__all__ = ["count_gradients", "flush_after_training"]

BECOMES_ZERO = 2.0**-25
"""Up to half of float16's smallest number, 2^-24, a magnitude rounds to zero: the tie goes to the even 0 (IEEE 754)."""
BECOMES_INFINITE = 65520.0
"""From halfway between float16's largest number, 65504, and 65536 on, a magnitude rounds to infinity (IEEE 754)."""
VALUES_AT_A_TIME = 1 << 22
"""Bounds the memory of counting: the gradient of the logits of a language model has 10^8 values."""

_NODES = frozenset(
    f"{operator}Backward"
    for operator in (
        *("Mm", "Addmm", "Bmm", "Baddbmm", "Addbmm", "Mv", "Addmv", "Addr", "Linear"),
        *("Convolution", "ConvTbc", "PreluKernel"),
        *("CudnnRnn", "MkldnnRnnLayer", "ThnnFusedLstmCell", "ThnnFusedGruCell"),
    )
)
_ATTENTION = "ScaledDotProduct"
"""Beginning of the nodes of scaled_dot_product_attention, of which there is one per kernel."""

_ONLY_ZERO = "the step after the last one has no finite gradient but zero"
_NO_PRODUCT = "no matrix product, convolution, attention or recurrent layer was seen to run in float16"


def flush_after_training(
    workload: Workload, model: nn.Module, setup: Setup, arithmetic: Arithmetic, last_scale: float | None
) -> tuple[FlushShare | None, str | None]:
    """What float16 loses of the step after the last one, at the last loss scale (1 without scaling); or why not.

    The model is in training mode, and float32 afterwards.
    """
    if arithmetic is not Arithmetic.FP16:
        return None, f"{arithmetic} does not hold gradients in float16"
    bad = first_nonfinite(model)
    if bad is not None:
        return None, f"{bad} is not finite after training"
    scale = 1.0 if last_scale is None else last_scale
    batch = next(islice(workload.batches(), setup.steps * setup.accumulation, None))
    try:
        counts = count_gradients(workload, model, batch, setup.accumulation, [scale])
    except Unsupported as error:
        return None, str(error)
    except RuntimeError as error:  # out of memory, most of all: float32 takes more than the trial did
        return None, f"the step in float32 failed: {one_line(error)}"
    if not counts.values:
        return None, _ONLY_ZERO if counts.zeros or counts.nonfinite else _NO_PRODUCT
    return FlushShare(scale, counts.values, counts.flushed[0], counts.overflowed[0]), None


def count_gradients(
    workload: Workload, model: nn.Module, batch: Any, accumulation: int, scales: Sequence[float]
) -> GradientCounts:
    """Count over one float32 forward and backward pass of `batch`, the loss divided by `accumulation` as in the loop.

    The model is float32 afterwards; gradients, buffers and random-number streams are what they were before.

    Raises:
        Unsupported: what the forward pass computes under autocast cannot be matched with what it computes in float32.
    """
    device = next(model.parameters()).device
    with _undisturbed(model), torch.autocast(device.type, torch.float16):
        under_autocast = [_seen(node) for node in _products(workload.loss(model, batch))]
    model.float()  # where the parameters were float16, their own gradients would be rounded before they are seen
    tally = _Tally(scales)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    with _undisturbed(model), under(Arithmetic.FP32):
        loss = workload.loss(model, batch) / accumulation
        products = _products(loss)
        _check_alike([size for size, _ in under_autocast], [_seen(node)[0] for node in products])
        for node, (_, kind) in zip(products, under_autocast, strict=True):
            if kind == torch.float16:
                node.register_hook(tally.add)
        torch.autograd.grad(loss, parameters, allow_unused=True)
    return tally.counts()


class _Tally:
    """Magnitudes sorted into the intervals between the thresholds of all scales, in one pass over each tensor.

    A finite value v is lost at scale S when v ≤ 2^-25 / S, and infinite when v ≥ 65520 / S, which is the same as not
    v ≤ t for the double t next below 65520 / S. The thresholds are doubles: exact where S is a power of two.
    """

    def __init__(self, scales: Sequence[float]) -> None:
        self._zero_up_to = [BECOMES_ZERO / scale for scale in scales]
        self._finite_up_to = [math.nextafter(BECOMES_INFINITE / scale, 0.0) for scale in scales]
        self._thresholds = sorted({*self._zero_up_to, *self._finite_up_to})
        self._intervals = [0] * (len(self._thresholds) + 1)
        self._zeros = self._nonfinite = 0
        self._largest: float | None = None

    def add(self, contributions: Sequence[Tensor | None], outputs: Sequence[Tensor | None]) -> None:
        """A hook of an autograd node; sees what the node got and what it gave."""
        for gradient in (*outputs, *contributions):
            if gradient is not None and gradient.is_floating_point():
                for part in gradient.detach().reshape(-1).split(VALUES_AT_A_TIME):
                    self._count(part.abs())

    def counts(self) -> GradientCounts:
        """What was counted, per scale in the order in which the scales were given."""
        values = sum(self._intervals)
        return GradientCounts(
            values=values,
            zeros=self._zeros,
            nonfinite=self._nonfinite,
            largest=self._largest,
            flushed=tuple(self._up_to(limit) for limit in self._zero_up_to),
            overflowed=tuple(values - self._up_to(limit) for limit in self._finite_up_to),
        )

    def _count(self, magnitudes: Tensor) -> None:
        finite = magnitudes[torch.isfinite(magnitudes)]
        nonzero = finite[finite > 0].double()
        self._nonfinite += magnitudes.numel() - finite.numel()
        self._zeros += finite.numel() - nonzero.numel()
        if nonzero.numel():
            thresholds = torch.tensor(self._thresholds, dtype=torch.float64, device=nonzero.device)
            found = torch.bucketize(nonzero, thresholds, out_int32=True)
            added = torch.bincount(found, minlength=len(self._intervals)).tolist()
            self._intervals = [before + more for before, more in zip(self._intervals, added, strict=True)]
            self._largest = max(self._largest or 0.0, float(nonzero.max()))

    def _up_to(self, threshold: float) -> int:
        return sum(self._intervals[: self._thresholds.index(threshold) + 1])


def _products(loss: Tensor) -> list[Node]:
    """The backward nodes of all products behind the loss, each once, in the order in which they were computed."""
    seen, waiting, found = set(), [loss.grad_fn], []
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        waiting += [behind for behind, _ in node.next_functions]
        if _is_attention(node) or node.name().rstrip("0123456789") in _NODES:
            found.append(node)
    return sorted(found, key=lambda node: node._sequence_nr())


def _is_attention(node: Node) -> bool:
    return node.name().startswith(_ATTENTION)


def _seen(product: Node) -> tuple[int | None, torch.dtype]:
    """How many values the (first) output of a product has, and their type.

    The number and not the name, which the layout of the inputs decides too: casting makes a slice contiguous, and a
    linear layer of contiguous inputs is one Addmm, of others an Mm or Bmm. None for attention: some kernels pad.
    """
    output = product._input_metadata[0]
    return None if _is_attention(product) else math.prod(output.shape), output.dtype


def _check_alike(under_autocast: Sequence[int | None], in_float32: Sequence[int | None]) -> None:
    if under_autocast != in_float32:
        raise Unsupported(
            f"the {len(under_autocast)} products of the forward pass under float16 autocast are not the "
            f"{len(in_float32)} of the one in float32, in number or size, so which gradients would be float16 is not "
            "known; the flush meter needs a model that computes the same products, in the same order, in both."
        )


@contextmanager
def _undisturbed(model: nn.Module) -> Iterator[None]:
    """Put back what a forward pass changes: buffers (BatchNorm's statistics) and the random-number streams."""
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    devices = {parameter.device for parameter in model.parameters() if parameter.device.type == "cuda"}
    try:
        with torch.random.fork_rng(devices=list(devices)):
            yield
    finally:
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
