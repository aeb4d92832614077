from __future__ import annotations

import pytest
import torch
from torch import nn

from suite.measure.census import Census
from suite.measure.device import Arithmetic
from suite.measure.switches import pin_arithmetic, restore, switches, under

CPU = torch.device("cpu")


def test_switches_are_set_read_back_and_restored() -> None:
    pin_arithmetic(Arithmetic.TF32)
    tf32 = switches()
    assert {tf32[f"{name}.fp32_precision"] for name in ("cuda.matmul", "cuda.conv", "cuda.rnn")} == {"tf32"}
    assert {tf32[f"mkldnn.{name}.fp32_precision"] for name in ("matmul", "conv", "rnn")} == {"ieee"}
    pin_arithmetic(Arithmetic.FP32)
    assert {value for name, value in switches().items() if name.endswith("fp32_precision")} == {"ieee"}
    restore(tf32)
    assert switches() == tf32
    pin_arithmetic(Arithmetic.FP32)


def test_contract_with_torch_private_switches() -> None:
    """If this fails, torch has moved what pin_arithmetic sets (checked with 2.14.1): mend the adapter."""
    pin_arithmetic(Arithmetic.TF32)
    backends = torch.backends
    assert backends.cuda.matmul.fp32_precision == "tf32"
    assert backends.cudnn.conv.fp32_precision == "tf32"
    assert backends.cudnn.rnn.fp32_precision == "tf32"
    pin_arithmetic(Arithmetic.FP32)
    assert backends.cuda.matmul.fp32_precision == "ieee"
    assert backends.cudnn.conv.fp32_precision == "ieee"
    assert backends.cudnn.rnn.fp32_precision == "ieee"
    assert backends.mkldnn.matmul.fp32_precision == "ieee"


@pytest.mark.parametrize("arithmetic", [Arithmetic.FP32, Arithmetic.TF32, Arithmetic.BF16])
def test_the_older_switches_say_the_same(arithmetic: Arithmetic) -> None:
    """Inductor reads them, and reading raises where they contradict the newer ones (torch 2.9.1 and 2.14.1)."""
    pin_arithmetic(arithmetic)
    wanted = arithmetic is Arithmetic.TF32
    assert torch.backends.cuda.matmul.allow_tf32 is wanted
    assert torch.backends.cudnn.allow_tf32 is wanted
    assert torch.get_float32_matmul_precision() == ("high" if wanted else "highest")
    pin_arithmetic(Arithmetic.FP32)


def test_an_arithmetic_is_held_for_a_while_also_where_something_raises() -> None:
    pin_arithmetic(Arithmetic.TF32)
    before = switches()
    with under(Arithmetic.FP32):
        assert switches()["cuda.conv.fp32_precision"] == "ieee"
    assert switches() == before
    with pytest.raises(ValueError, match="broke"), under(Arithmetic.FP32):
        raise ValueError("broke")
    assert switches() == before
    pin_arithmetic(Arithmetic.FP32)


def test_the_census_reads_the_switches_where_the_operators_find_them() -> None:
    pin_arithmetic(Arithmetic.FP32)
    model = nn.Linear(4, 4)
    with Census() as census:
        model(torch.ones(2, 4))
        torch.backends.mkldnn.matmul.fp32_precision = "bf16"
        model(torch.ones(2, 4))
        torch.backends.mkldnn.matmul.fp32_precision = "ieee"
    assert census.settings["mkldnn.matmul.fp32_precision"] == "bf16, ieee"
    assert census.settings["cuda.matmul.fp32_precision"] == "ieee"
    assert switches()["mkldnn.matmul.fp32_precision"] == "ieee"
