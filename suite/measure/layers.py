"""Layers exchanged inside a model, for the precisions that replace operators instead of casting their inputs."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from suite.errors import PrecisionUnsupported

__all__ = ["exchange", "linear_from_conv1d", "linear_with", "require_torchao", "torchao_version"]


def exchange(model: nn.Module, made: Callable[[nn.Module], nn.Module | None]) -> nn.Module:
    """`model` with every module that `made` has an answer for replaced by it; the answer's own children stay.

    The model is changed in place, and returned because the outermost module may be exchanged as well.
    """
    replacement = made(model)
    if replacement is not None:
        return replacement
    for name, child in model.named_children():
        setattr(model, name, exchange(child, made))
    return model


def linear_from_conv1d(module: nn.Module) -> nn.Linear | None:
    """An nn.Linear that computes what transformers' Conv1D (GPT-2's linear layer, weight `[inputs, outputs]`) does.

    None for any other module. Libraries that convert models look for nn.Linear and pass Conv1D by.
    """
    kind = type(module)
    if (kind.__module__, kind.__qualname__) != ("transformers.pytorch_utils", "Conv1D"):
        return None
    weight = module.get_parameter("weight")
    return linear_with(nn.Parameter(weight.detach().t().contiguous()), module.get_parameter("bias"))


def linear_with(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    """An nn.Linear around existing parameters: weight `[outputs, inputs]`, bias `[outputs]`."""
    with torch.device("meta"):  # no second set of weights, and no random numbers drawn
        linear = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    linear.register_parameter("weight", cast(nn.Parameter, weight))
    linear.register_parameter("bias", cast(nn.Parameter | None, bias))
    return linear


def require_torchao(precision: str, extra: str) -> None:
    """Refuse in words where torchao is not installed.

    Raises:
        PrecisionUnsupported: it is not; the message says how to install it.
    """
    if importlib.util.find_spec("torchao") is None:
        raise PrecisionUnsupported(
            f"{precision} needs torchao, which is not installed; run: python -m pip install 'ampmark[{extra}]'"
        )


def torchao_version() -> str:
    """As its package states it."""
    return importlib.metadata.version("torchao")
