from __future__ import annotations

import importlib.util
from importlib.machinery import ModuleSpec

import pytest
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from suite.errors import PrecisionUnsupported
from suite.measure.layers import exchange, linear_from_conv1d, require_torchao


def test_a_linear_layer_made_from_conv1d_computes_the_same_forward_and_backward() -> None:
    generator = torch.Generator().manual_seed(0)
    conv = Conv1D(5, 3).double()
    linear = linear_from_conv1d(conv)
    assert linear is not None
    inputs = torch.randn(2, 4, 3, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(linear(inputs), conv(inputs), rtol=1e-12, atol=1e-12)
    conv(inputs).square().sum().backward()
    linear(inputs).square().sum().backward()
    assert conv.weight.grad is not None
    assert linear.weight.grad is not None
    torch.testing.assert_close(linear.weight.grad, conv.weight.grad.t(), rtol=1e-12, atol=1e-12)
    assert linear.bias is conv.bias


def test_other_modules_are_left_alone() -> None:
    assert linear_from_conv1d(nn.Conv1d(1, 1, 1)) is None
    assert linear_from_conv1d(nn.Linear(1, 1)) is None


def test_modules_are_exchanged_at_any_depth_and_at_the_root() -> None:
    model = nn.Sequential(nn.ReLU(), nn.Sequential(nn.ReLU(), nn.Linear(1, 1)))
    changed = exchange(model, lambda module: nn.Tanh() if isinstance(module, nn.ReLU) else None)
    assert changed is model
    assert [type(module).__name__ for module in model.modules()] == [
        "Sequential", "Tanh", "Sequential", "Tanh", "Linear"
    ]  # fmt: skip
    assert isinstance(exchange(nn.ReLU(), lambda module: nn.Tanh()), nn.Tanh)


def test_a_missing_torchao_is_refused_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = importlib.util.find_spec

    def without(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name == "torchao" else installed(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", without)
    with pytest.raises(PrecisionUnsupported) as caught:
        require_torchao("fp8", "fp8")
    assert str(caught.value) == ("fp8 needs torchao, which is not installed; run: python -m pip install 'ampmark[fp8]'")
