"""The operator census: what the heavy operators of one untimed training step computed in, and how much.

They are counted by the type of their input, so a float32 product under the label `bf16` is seen, and weighed by their
floating-point operations, so that one large product outweighs many small ones. Of a compiled step those are seen that
the compiled code calls from a library; what a generated kernel computes by itself (a Triton product, where
`max_autotune` chose one) is not.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from suite.measure.switches import switches

__all__ = ["HEAVY", "Census", "Like", "Operation"]

#: Prefixes of the operators that carry a model's floating-point work.
HEAVY = (
    "aten.mm",
    "aten.addmm",
    "aten.bmm",
    "aten.baddbmm",
    "aten.addbmm",
    "aten.mv",
    "aten.addmv",
    "aten.dot",
    "aten.linear",  # as it is, for jagged tensors
    "aten._trilinear",  # nn.Bilinear
    "aten.convolution",
    "aten._scaled_dot_product",
    "aten._scaled_mm",
    "aten.mkldnn_rnn_layer",
    "aten._cudnn_rnn",
)


class Operation(NamedTuple):
    """One call of a heavy operator: enough to make it again with other numbers."""

    flops: int
    operator: Any
    arguments: tuple[Any, ...]
    """Tensors by what they are and not by their values."""
    options: Mapping[str, Any]


class Like(NamedTuple):
    """A tensor without its values."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device


class Census(TorchDispatchMode):
    """Counts heavy operators by name and type of their first floating-point input, and reads the switches at each."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations: Counter[str] = Counter()
        self.flops: Counter[str] = Counter()
        """Floating-point operations by the same type."""
        self.heaviest: dict[str, Operation] = {}
        """By the same names as `operations`, the call that did most work."""
        self._settings: list[dict[str, str]] = []

    @classmethod
    def ignore_compile_internals(cls) -> bool:
        """Asked by torch.compile, which under any other mode would run the step eagerly.

        Private; tests/measure/test_compilation.py is the contract test (torch 2.9.1 and 2.14.1).
        """
        return True

    @property
    def settings(self) -> dict[str, str]:
        """The switches as the operators found them; `ieee, tf32` for one that was moved in between."""
        seen = self._settings or [switches()]
        return {name: ", ".join(sorted({state[name] for state in seen})) for name in seen[0]}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if set(types) - {Tensor, nn.Parameter}:
            # A tensor that computes in its own way, such as torchao's float8: it calls the operators that really run.
            return NotImplemented
        name = str(func).removesuffix(".default").removesuffix(".out")  # compiled code names its outputs
        if name.startswith(HEAVY):
            state = switches()
            if state not in self._settings:
                self._settings.append(state)
            result = func(*args, **(kwargs or {}))
            kind = next((str(a.dtype) for a in args if isinstance(a, Tensor) and a.is_floating_point()), "none")
            kind = kind.removeprefix("torch.")
            flops = _flops(func, args, kwargs or {}, result)
            self.operations[f"{name}/{kind}"] += 1
            self.flops[kind] += flops
            if f"{name}/{kind}" not in self.heaviest or flops > self.heaviest[f"{name}/{kind}"].flops:
                options = {key: value for key, value in (kwargs or {}).items() if key != "out"}
                self.heaviest[f"{name}/{kind}"] = Operation(flops, func.overloadpacket, _without_values(args), options)
            return result
        return func(*args, **(kwargs or {}))


def _flops(operator: Any, args: tuple[Any, ...], options: Mapping[str, Any], result: Any) -> int:
    """By torch's own counter where it has a formula, else by the shapes; a backward pass is twice the forward.

    Precise enough to say which type did most of the work, which is all that it is for.
    """
    formula = flop_registry.get(operator.overloadpacket)
    if formula is not None:
        return int(formula(*args, **options, out_val=result))
    name = str(operator)
    floats = [value for value in _flat(args) if isinstance(value, Tensor) and value.is_floating_point()]
    twice = 2 if "backward" in name else 1
    if "rnn" in name:
        # Every step of every sequence multiplies all weights: those are the matrices among the arguments.
        steps = math.prod(floats[0].shape[:-1])
        return twice * 2 * steps * sum(value.numel() for value in floats[1:] if value.dim() == 2)
    if "attention" in name:
        queries, keys = floats[1:3] if twice == 2 else floats[:2]
        return twice * 4 * queries.numel() * keys.shape[-2]
    return 2 * max(value.numel() for value in floats)


def _without_values(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(
        Like(tuple(value.shape), value.stride(), value.dtype, value.device) if isinstance(value, Tensor) else value
        for value in arguments
    )


def _flat(values: Any) -> list[Any]:
    """Arguments, those inside lists included (a recurrence gets its weights as one)."""
    return [inner for value in values for inner in (_flat(value) if isinstance(value, list | tuple) else [value])]
