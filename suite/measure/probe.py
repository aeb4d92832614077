"""What computes behind a type: products whose exact result is known from float64, under the trial's own switches.

float32 inputs may be computed in TF32, which no type shows; the relative error does (`suite.evidence` reads the
arithmetic off it). Two products are looked at for each kind of operator that the census found: a seeded one of a fixed
size, and, for float32 matrix products and convolutions, the model's own heaviest one with random numbers in it, because
the libraries choose their kernel by the shape.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from suite.evidence import kind_of
from suite.measure.census import Like, Operation

__all__ = ["probe", "probe_heaviest"]

LARGEST_OPERANDS = 2**27
"""Values of all operands of a product that is made again: its float64 copy then takes a gibibyte at most."""
_AGAIN = ("aten.mm", "aten.addmm", "aten.bmm", "aten.baddbmm", "aten.convolution")
"""Operators whose result is one tensor, and which have a float64 form everywhere."""


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


def probe_heaviest(heaviest: Mapping[str, Operation]) -> dict[str, float]:
    """The same for the model's own heaviest float32 product of each kind, by its shapes: `matmul 512×128, 128×384`.

    `heaviest` is the census's. Only float32: a 16-bit type says what it computes in by itself. A product that cannot be
    made again (too large, or the device's memory is full) is left out: it does not cost a trial its result.
    """
    found: dict[str, tuple[int, str]] = {}
    for name, operation in heaviest.items():
        operator, _, kind = name.rpartition("/")
        if operator in _AGAIN and kind == "float32" and 0 < _values(operation) <= LARGEST_OPERANDS:
            found[kind_of(name)] = max(found.get(kind_of(name), (0, "")), (operation.flops, name))
    errors = {}
    for kind, (_, name) in sorted(found.items()):
        operands = [value for value in heaviest[name].arguments if isinstance(value, Like)]
        factors = operands[:2] if kind == "convolution" else operands[-2:]  # a bias comes last, or first
        shapes = ", ".join("×".join(map(str, value.shape)) for value in factors)
        with suppress(RuntimeError):
            errors[f"{kind} {shapes}"] = _error_of(heaviest[name])
    return errors


def _error_of(operation: Operation) -> float:
    """Relative error of the operator on random numbers against the same operator in float64, on the same device."""
    source = torch.Generator().manual_seed(0)
    arguments = [_filled(value, source) if isinstance(value, Like) else value for value in operation.arguments]
    doubles = [value.double() if isinstance(value, Tensor) else value for value in arguments]
    with torch.no_grad(), torch.autocast(_device(operation).type, enabled=False):
        got = cast(Tensor, operation.operator(*arguments, **operation.options)).double()
        exact = cast(Tensor, operation.operator(*doubles, **operation.options))
        return float(torch.linalg.vector_norm(got - exact) / torch.linalg.vector_norm(exact))


def _filled(like: Like, source: torch.Generator) -> Tensor:
    values = torch.randn(like.shape, generator=source).to(like.device, like.dtype)
    # An expanded bias has a stride of 0; every other layout decides, with the shape, which kernel is chosen.
    if 0 in like.stride:
        return values
    return torch.empty_strided(like.shape, like.stride, dtype=like.dtype, device=like.device).copy_(values)


def _values(operation: Operation) -> int:
    return sum(math.prod(value.shape) for value in operation.arguments if isinstance(value, Like))


def _device(operation: Operation) -> torch.device:
    return next(value.device for value in operation.arguments if isinstance(value, Like))


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
