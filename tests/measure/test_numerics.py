from __future__ import annotations

import pytest
import torch
from torch import nn

from suite.evidence import effective_precision
from suite.measure import numerics
from suite.measure.census import Census
from suite.measure.device import Arithmetic
from suite.measure.divergence import first_nonfinite

CPU = torch.device("cpu")


def test_the_census_counts_heavy_operators_by_input_type() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 1))
    with Census() as census:
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(torch.ones(2, 4)).sum()
        loss.backward()
    assert census.operations["aten.addmm/bfloat16"] == 2
    assert {name.rpartition("/")[2] for name in census.operations} == {"bfloat16"}


@pytest.mark.parametrize(("dtype", "effective"), [(None, "fp32"), (torch.float16, "fp16"), (torch.bfloat16, "bf16")])
@pytest.mark.parametrize(
    ("operation", "kind"),
    [("aten.mm", "matmul"), ("aten.convolution", "convolution"), ("aten._scaled_dot_product_attention", "attention")],
)
def test_the_probe_reads_the_arithmetic_off_the_error(
    operation: str, kind: str, dtype: torch.dtype | None, effective: str
) -> None:
    numerics.pin_arithmetic(Arithmetic.FP32)
    operations = {f"{operation}/{str(dtype or torch.float32).removeprefix('torch.')}": 1}
    errors = numerics.probe(operations, lambda: torch.autocast("cpu", dtype, enabled=dtype is not None), CPU)
    assert list(errors) == [kind]
    assert effective_precision(operations, errors) == effective


def test_a_recurrence_is_probed_with_a_recurrence() -> None:
    errors = numerics.probe({"aten.mkldnn_rnn_layer/float32": 1}, lambda: torch.autocast("cpu", enabled=False), CPU)
    assert errors["recurrence"] < 1e-5


def test_switches_are_set_read_back_and_restored() -> None:
    numerics.pin_arithmetic(Arithmetic.TF32)
    tf32 = numerics.switches()
    assert {tf32[f"{name}.fp32_precision"] for name in ("cuda.matmul", "cuda.conv", "cuda.rnn")} == {"tf32"}
    assert {tf32[f"mkldnn.{name}.fp32_precision"] for name in ("matmul", "conv", "rnn")} == {"ieee"}
    numerics.pin_arithmetic(Arithmetic.FP32)
    assert {value for name, value in numerics.switches().items() if name.endswith("fp32_precision")} == {"ieee"}
    numerics.restore(tf32)
    assert numerics.switches() == tf32
    numerics.pin_arithmetic(Arithmetic.FP32)


def test_contract_with_torch_private_switches() -> None:
    """If this fails, torch has moved what pin_arithmetic sets (checked with 2.14.1): mend the adapter."""
    numerics.pin_arithmetic(Arithmetic.TF32)
    backends = torch.backends
    assert backends.cuda.matmul.fp32_precision == "tf32"
    assert backends.cudnn.conv.fp32_precision == "tf32"
    assert backends.cudnn.rnn.fp32_precision == "tf32"
    numerics.pin_arithmetic(Arithmetic.FP32)
    assert backends.cuda.matmul.fp32_precision == "ieee"
    assert backends.cudnn.conv.fp32_precision == "ieee"
    assert backends.cudnn.rnn.fp32_precision == "ieee"
    assert backends.mkldnn.matmul.fp32_precision == "ieee"


def test_the_census_reads_the_switches_where_the_operators_find_them() -> None:
    numerics.pin_arithmetic(Arithmetic.FP32)
    model = nn.Linear(4, 4)
    with Census() as census:
        model(torch.ones(2, 4))
        torch.backends.mkldnn.matmul.fp32_precision = "bf16"
        model(torch.ones(2, 4))
        torch.backends.mkldnn.matmul.fp32_precision = "ieee"
    assert census.settings["mkldnn.matmul.fp32_precision"] == "bf16, ieee"
    assert census.settings["cuda.matmul.fp32_precision"] == "ieee"
    assert numerics.switches()["mkldnn.matmul.fp32_precision"] == "ieee"


def test_a_poisoned_buffer_is_found_by_name() -> None:
    model = nn.BatchNorm1d(2)
    assert first_nonfinite(model) is None
    model.running_var[1] = torch.inf
    assert first_nonfinite(model) == "running_var"
