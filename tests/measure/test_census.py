"""The census on real operators: how many, of which type, and how much work."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from suite.measure.census import Census


def _flops(model: nn.Module, *inputs: torch.Tensor) -> dict[str, int]:
    with Census() as census:
        outputs = model(*inputs)
        (outputs[0] if isinstance(outputs, tuple) else outputs).float().sum().backward()
    return dict(census.flops)


def test_a_product_and_its_backward_pass_are_weighed_by_type() -> None:
    # Forward 2 · 8 · 16 · 4; backward once for the weights, the input needs no gradient.
    assert _flops(nn.Linear(16, 4), torch.ones(8, 16)) == {"float32": 2 * 2 * 8 * 16 * 4}
    with torch.autocast("cpu", torch.bfloat16):
        assert _flops(nn.Linear(16, 4), torch.ones(8, 16)) == {"bfloat16": 2 * 2 * 8 * 16 * 4}


def test_a_recurrence_is_weighed_by_its_weights_and_steps() -> None:
    # 5 hours of 3 windows, four gates: 2 · 15 · 4 · 8 · (6 + 8), and twice that backward.
    lstm = nn.LSTM(6, 8, batch_first=True)
    once = 2 * 15 * 4 * 8 * (6 + 8)
    # The backward operator gets the last states as matrices as well, which is a little too much.
    assert _flops(lstm, torch.ones(3, 5, 6))["float32"] == pytest.approx(3 * once, rel=0.2)


def test_attention_is_weighed_by_its_scores() -> None:
    class Attention(nn.Module):
        def forward(self, parts: torch.Tensor) -> torch.Tensor:
            return functional.scaled_dot_product_attention(*parts)

    # 2 heads of 16 positions and width 8: two products of 2 · 16 · 16 · 8 each, and twice that backward.
    parts = torch.ones(3, 1, 2, 16, 8, requires_grad=True)
    assert _flops(Attention(), parts)["float32"] == 3 * 2 * 2 * (2 * 16 * 16 * 8)


def test_a_large_float32_head_outweighs_many_small_products() -> None:
    small, head = nn.Sequential(*(nn.Linear(64, 64) for _ in range(4))), nn.Linear(64, 8192)
    with Census() as census, torch.autocast("cpu", torch.bfloat16):
        hidden = small(torch.ones(8, 64))
        with torch.autocast("cpu", enabled=False):
            head(hidden.float())
    assert census.operations == {"aten.addmm/bfloat16": 4, "aten.addmm/float32": 1}
    assert census.flops["float32"] > 30 * census.flops["bfloat16"]


def test_the_census_counts_heavy_operators_by_input_type() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 1))
    with Census() as census:
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(torch.ones(2, 4)).sum()
        loss.backward()
    assert census.operations["aten.addmm/bfloat16"] == 2
    assert {name.rpartition("/")[2] for name in census.operations} == {"bfloat16"}
