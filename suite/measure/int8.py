"""int8-qat: training that simulates int8 inference, for the quality that is left after quantisation (torchao).

Every product's input and weight are rounded to 8 bits and back in the forward pass; gradients pass through the
rounding unchanged (straight-through). The arithmetic is float32, so the speed says nothing about int8 and is never
ranked. What counts is the held-out quality: it is that of the simulated int8 network, not of the float32 one.

Linear layers: torchao's eager quantisation-aware layer, weights symmetric per output channel, inputs asymmetric per
token with ranges taken anew each time: to the last bits what torchao's Int8DynamicActivationInt8WeightConfig computes
with act_mapping_type ASYMMETRIC (its default is symmetric, for which torchao has no simulation). Convolutions, for
which torchao has no eager layer: the fake quantisers of its export flow on the same two tensors, weights symmetric per
output channel, inputs asymmetric per tensor with a moving average of the ranges seen in training. (The flow itself does
not serve: torchao 0.18's X86InductorQuantizer refuses torchvision's residual blocks, "Input partition has more than one
output node".) Batch normalisation is not folded into the convolutions: with one weight scale per channel, folding
multiplies the channel and its scale alike, so the integers are the same.

Attention's products, embeddings, normalisation and activations stay in float32. Checked with torchao 0.18.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

from suite.errors import PrecisionUnsupported
from suite.measure.device import Arithmetic, Hardware
from suite.measure.layers import exchange, linear_from_conv1d, require_torchao, torchao_version
from suite.measure.precision import Precision
from suite.spec import OptimizerSpec

__all__ = ["INT8_QAT", "Int8Aware", "QuantisedConv2d"]

#: Layers that carry work and for which there is no honest simulation here.
WITHOUT_SIMULATION = (
    nn.RNNBase,
    nn.Conv1d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)


@dataclass(frozen=True)
class Int8Aware(Precision):
    """Quantisation-aware training of linear layers and 2-D convolutions."""

    def emulation(self, on: Hardware, *, onednn: bool) -> str | None:
        return "int8 is simulated in float32 during training; read the quality, not the speed."

    def prepare(self, model: nn.Module, optimizer: OptimizerSpec) -> nn.Module:
        require_torchao(self.name, "int8")
        found = sorted({type(module).__name__ for module in model.modules() if isinstance(module, WITHOUT_SIMULATION)})
        if found:
            raise PrecisionUnsupported(
                f"{self.name} simulates linear layers and 2-D convolutions; "
                f"torchao has nothing for the {', '.join(found)} of this model."
            )
        prepared = exchange(exchange(model, linear_from_conv1d), _quantised)
        if not any(map(_is_quantised, prepared.modules())):
            raise PrecisionUnsupported(
                f"{self.name} simulates linear layers and 2-D convolutions, and this model has none."
            )
        return prepared

    def details(self, model: nn.Module) -> Mapping[str, str]:
        kinds = [type(module).__name__ for module in model.modules() if _is_quantised(module)]
        layers = ", ".join(f"{name} ×{kinds.count(name)}" for name in sorted(set(kinds)))
        return {"torchao": torchao_version(), "int8.layers": layers, "int8.quality": "of the simulated int8 network"}


class QuantisedConv2d(nn.Conv2d):
    """A convolution whose input and weight are rounded to 8 bits and back; ranges are learnt in training mode only."""

    input_quantiser: nn.Module
    weight_quantiser: nn.Module

    @classmethod
    def of(cls, plain: nn.Conv2d) -> Self:
        """Around the parameters of an existing convolution."""
        from torchao.quantization.pt2e import fake_quantize

        made = cls(
            plain.in_channels,
            plain.out_channels,
            plain.kernel_size,  # type: ignore[arg-type]
            stride=plain.stride,  # type: ignore[arg-type]
            padding=plain.padding,  # type: ignore[arg-type]
            dilation=plain.dilation,  # type: ignore[arg-type]
            groups=plain.groups,
            bias=plain.bias is not None,
            padding_mode=plain.padding_mode,
            device="meta",  # no second set of weights, and no random numbers drawn
        )
        made.weight, made.bias = plain.weight, plain.bias
        made.input_quantiser = fake_quantize.default_fused_act_fake_quant().to(plain.weight.device)
        made.weight_quantiser = fake_quantize.default_fused_per_channel_wt_fake_quant().to(plain.weight.device)
        # Sized here, one range per channel: the digest of the initial state is taken before the first forward pass, and
        # a tensor that numpy has looked at can no longer be resized.
        made.weight_quantiser(plain.weight.detach())
        return made.train(plain.training)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name is nn.Conv2d's
        """As nn.Conv2d, of the rounded input and the rounded weight."""
        rounded: Tensor = self.input_quantiser(input)
        weight: Tensor = self.weight_quantiser(self.weight)
        output: Tensor = self._conv_forward(rounded, weight, self.bias)
        return output

    def train(self, mode: bool = True) -> Self:
        """Held-out data must not move the ranges, so they are observed in training mode only."""
        super().train(mode)
        for quantiser in self.children():
            quantiser.enable_observer(mode)  # type: ignore[operator]
        return self


def _quantised(module: nn.Module) -> nn.Module | None:
    """The simulating form of a layer; None for one that stays as it is."""
    if isinstance(module, nn.Conv2d):
        return QuantisedConv2d.of(module)
    if isinstance(module, nn.Linear):
        from torchao.quantization.qat import FakeQuantizedLinear

        with torch.random.fork_rng(devices=[]):  # it initialises weights that are replaced at once
            made: nn.Module = FakeQuantizedLinear.from_linear(module, **_linear_configs())
        return made.train(module.training)
    return None


def _linear_configs() -> dict[str, Any]:
    from torchao.quantization.qat import IntxFakeQuantizeConfig

    return {
        "activation_config": IntxFakeQuantizeConfig(torch.int8, "per_token", is_symmetric=False),
        "weight_config": IntxFakeQuantizeConfig(torch.int8, "per_channel", is_symmetric=True),
    }


def _is_quantised(module: nn.Module) -> bool:
    from torchao.quantization.qat import FakeQuantizedLinear

    return isinstance(module, QuantisedConv2d | FakeQuantizedLinear)


INT8_QAT = Int8Aware(
    "int8-qat", Arithmetic.FP32, "none", "float32 training that simulates int8 (torchao), for the quality after it"
)
