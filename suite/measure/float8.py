"""fp8: the linear layers in float8 through torchao, everything else as in `bf16`.

torchao's default recipe (`torchao.float8`, checked with 0.18.0): inputs and weights in e4m3, gradients in e5m2, one
scale per tensor computed anew in every step, so there is no loss scale to tune. Parameters stay float32.

A linear layer takes part if both its sizes are multiples of 16, which the hardware's product asks for; the batch's
tokens, the inner length of the weight gradient, are padded. Layers of other sizes, attention and convolutions stay in
bfloat16, and the attestation names them. torchao means float8 to be compiled (`compile = true`): run eagerly, each
cast and scale is a kernel of its own and may cost more than the faster product saves.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from suite.errors import PrecisionUnsupported
from suite.measure.device import Arithmetic
from suite.measure.layers import exchange, linear_from_conv1d, linear_with, require_torchao, torchao_version
from suite.measure.precision import Precision
from suite.spec import OptimizerSpec

__all__ = ["FP8", "Float8"]

MULTIPLE = 16
"""Sizes of a float8 product (torch._scaled_mm)."""


@dataclass(frozen=True)
class Float8(Precision):
    """Linear layers through torchao.float8."""

    emulate: bool = False
    """torchao's float32 emulation of the float8 product, for tests of the conversion; never in a trial of `fp8`."""

    def prepare(self, model: nn.Module, optimizer: OptimizerSpec) -> nn.Module:
        require_torchao(self.name, "fp8")
        return self._converted(exchange(model, linear_from_conv1d))

    def for_evaluation(self, model: nn.Module) -> nn.Module:
        # The copy's layers are plain ones around the same weights.
        shared = {id(parameter): parameter for parameter in model.parameters()}
        return exchange(copy.deepcopy(model, shared), _plain)

    def probed(self, module: nn.Module) -> nn.Module:
        return self._converted(module) if isinstance(module, nn.Linear) else module

    def details(self, model: nn.Module) -> Mapping[str, str]:
        linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
        return {
            "torchao": torchao_version(),
            "fp8.recipe": "tensorwise dynamic scales, e4m3 inputs and weights, e5m2 gradients",
            "fp8.layers": f"{sum(map(_is_float8, linear))} of {len(linear)} linear layers",
        }

    def _converted(self, model: nn.Module) -> nn.Module:
        """The model with its linear layers in float8.

        Raises:
            PrecisionUnsupported: it has none of fitting sizes.
        """
        from torchao.float8 import Float8LinearConfig, convert_to_float8_training

        config = Float8LinearConfig(emulate=self.emulate, pad_inner_dim=True)
        converted: nn.Module = convert_to_float8_training(model, module_filter_fn=_fits, config=config)
        if not any(map(_is_float8, converted.modules())):
            raise PrecisionUnsupported(
                f"{self.name} converts linear layers whose sizes are multiples of {MULTIPLE}, and this model has none."
            )
        return converted


def _fits(module: nn.Module, name: str) -> bool:
    return isinstance(module, nn.Linear) and not (module.in_features % MULTIPLE or module.out_features % MULTIPLE)


def _is_float8(module: nn.Module) -> bool:
    from torchao.float8.float8_linear import Float8Linear

    return isinstance(module, Float8Linear)


def _plain(module: nn.Module) -> nn.Module | None:
    return linear_with(module.weight, module.bias) if isinstance(module, nn.Linear) and _is_float8(module) else None


FP8 = Float8("fp8", Arithmetic.FP8, "none", "torchao float8 in the linear layers, autocast bfloat16 in the rest")
