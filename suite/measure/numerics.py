"""torch's precision switches, and a numerical probe of what computes under them.

float32 inputs may be computed in TF32, which no type shows: the probe compares a seeded product with float64
(`suite.evidence` reads the arithmetic off its error).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from suite.evidence import kind_of
from suite.measure.device import Arithmetic

__all__ = ["pin_arithmetic", "pinned", "probe", "restore", "switches"]

#: Backend and operator as torch's own properties name them. The properties themselves are not used: in torch 2.9 and
#: 2.10 building an LSTM on CUDA replaces `torch.backends.cudnn.rnn` by a module of that name (pytorch issue 159828),
#: and setting the property then sets nothing. tests/measure/test_numerics.py is the contract test (torch 2.14.1).
_SWITCHES = ("cuda.matmul", "cuda.conv", "cuda.rnn", "mkldnn.matmul", "mkldnn.conv", "mkldnn.rnn")


#: How 16-bit products on CUDA may add up, pinned to torch's defaults: they change sums inside one and the same mode.
_REDUCTIONS = {
    "allow_fp16_reduced_precision_reduction": True,
    "allow_bf16_reduced_precision_reduction": True,
    "allow_fp16_accumulation": False,
}
_ATTENTION_REDUCTION = "cuda.allow_fp16_bf16_reduction_math_sdp"
_BENCHMARK = "cudnn.benchmark"
"""Off: it lets cuDNN choose another algorithm in every process, which breaks repeatability."""


def pin_arithmetic(arithmetic: Arithmetic) -> None:
    """Set every float32 switch: TF32 where asked for, IEEE everywhere else; and the defaults of 16-bit reductions.

    Only the `fp32_precision` interface is used (torch ≥ 2.9): mixing it with `allow_tf32` raises.
    """
    wanted = pinned(arithmetic)
    for name in _SWITCHES:
        _set_switch(name, wanted[f"{name}.fp32_precision"])
    for name, allowed in _REDUCTIONS.items():
        setattr(torch.backends.cuda.matmul, name, allowed)
    torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(False)
    torch.backends.cudnn.benchmark = False


def pinned(arithmetic: Arithmetic) -> dict[str, str]:
    """What :func:`pin_arithmetic` sets, by the names of :func:`switches`."""
    tf32 = arithmetic is Arithmetic.TF32
    return {
        **{f"{name}.fp32_precision": "tf32" if tf32 and name.startswith("cuda") else "ieee" for name in _SWITCHES},
        **{f"cuda.matmul.{name}": str(allowed) for name, allowed in _REDUCTIONS.items()},
        _ATTENTION_REDUCTION: "False",
        _BENCHMARK: "False",
    }


def switches() -> dict[str, str]:
    """The precision switches as torch reports them now."""
    cuda = torch.backends.cuda
    return {
        **{f"{name}.fp32_precision": _get_switch(name) for name in _SWITCHES},
        **{f"cuda.matmul.{name}": str(getattr(cuda.matmul, name)) for name in _REDUCTIONS},
        _ATTENTION_REDUCTION: str(cuda.fp16_bf16_reduction_math_sdp_allowed()),
        _BENCHMARK: str(torch.backends.cudnn.benchmark),
    }


def restore(settings: Mapping[str, str]) -> None:
    """Put back the switches as :func:`switches` returned them."""
    for name in _SWITCHES:
        _set_switch(name, settings[f"{name}.fp32_precision"])
    for name in _REDUCTIONS:
        setattr(torch.backends.cuda.matmul, name, settings[f"cuda.matmul.{name}"] == "True")
    torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(settings[_ATTENTION_REDUCTION] == "True")
    torch.backends.cudnn.benchmark = settings[_BENCHMARK] == "True"


def probe(
    operations: Mapping[str, int],
    context: Callable[[], AbstractContextManager[object]],
    device: torch.device,
    probed: Callable[[nn.Module], nn.Module] = lambda operator: operator,
) -> dict[str, float]:
    """Relative error against float64 of a seeded product per kind of operator that the census found.

    `probed` makes of a float32 operator what the precision makes of it in a model.
    """
    errors = {}
    for kind in sorted({kind_of(operation) for operation in operations}):
        module, data = _PROBES[kind]()
        exact = _exact(module, data)
        errors[kind] = _relative_error(probed(module.float().to(device)), data.float().to(device), exact, context)
    return errors


def _exact(module: nn.Module, data: Tensor) -> Tensor:
    with torch.no_grad():
        return _output(module.double()(data.double()))


def _relative_error(
    module: nn.Module, data: Tensor, exact: Tensor, context: Callable[[], AbstractContextManager[object]]
) -> float:
    with torch.no_grad(), context():
        got = _output(module(data))
    difference = got.double().cpu() - exact
    return float(torch.linalg.vector_norm(difference) / torch.linalg.vector_norm(exact))


def _output(result: Any) -> Tensor:
    first: Tensor = result[0] if isinstance(result, tuple) else result
    return first


def _seeded(module: nn.Module, *shape: int) -> tuple[nn.Module, Tensor]:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(generator=generator)
    return module, torch.randn(*shape, generator=generator)


class _Attention(nn.Module):
    """Attention between the three parts of its input, which have the type that a projection under autocast gives."""

    def forward(self, parts: Tensor) -> Tensor:
        queries, keys, values = parts.to(torch.get_autocast_dtype(parts.device.type)) if _casts(parts) else parts
        return functional.scaled_dot_product_attention(queries, keys, values)


def _casts(data: Tensor) -> bool:
    return data.dtype == torch.float32 and torch.is_autocast_enabled(data.device.type)


_PROBES: dict[str, Callable[[], tuple[nn.Module, Tensor]]] = {
    "matmul": lambda: _seeded(nn.Linear(256, 256, bias=False), 256, 256),
    "convolution": lambda: _seeded(nn.Conv2d(32, 32, 3, bias=False), 4, 32, 16, 16),
    "attention": lambda: (_Attention(), torch.randn(3, 2, 4, 64, 64, generator=torch.Generator().manual_seed(0))),
    # Small weights keep the gates off saturation, where every arithmetic gives the same ±1.
    "recurrence": lambda: _gentle(*_seeded(nn.LSTM(64, 64), 1, 32, 64)),
}


def _gentle(module: nn.Module, data: Tensor) -> tuple[nn.Module, Tensor]:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(0.05)
    return module, data


def _set_switch(name: str, value: str) -> None:
    backend, _, operator = name.partition(".")
    torch._C._set_fp32_precision_setter(backend, operator, value)


def _get_switch(name: str) -> str:
    backend, _, operator = name.partition(".")
    return str(torch._C._get_fp32_precision_getter(backend, operator))
