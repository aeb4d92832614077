"""Arithmetic read off errors: of seeded products, and of a model's own heaviest ones."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from suite.evidence import effective_precision
from suite.measure.census import Census
from suite.measure.device import Arithmetic
from suite.measure.probe import probe, probe_heaviest
from suite.measure.switches import pin_arithmetic

CPU = torch.device("cpu")


@pytest.mark.parametrize(("dtype", "effective"), [(None, "fp32"), (torch.float16, "fp16"), (torch.bfloat16, "bf16")])
@pytest.mark.parametrize(
    ("operation", "kind"),
    [("aten.mm", "matmul"), ("aten.convolution", "convolution"), ("aten._scaled_dot_product_attention", "attention")],
)
def test_the_probe_reads_the_arithmetic_off_the_error(
    operation: str, kind: str, dtype: torch.dtype | None, effective: str
) -> None:
    pin_arithmetic(Arithmetic.FP32)
    operations = {f"{operation}/{str(dtype or torch.float32).removeprefix('torch.')}": 1}
    errors = probe(operations, lambda: torch.autocast("cpu", dtype, enabled=dtype is not None), CPU)
    assert list(errors) == [kind]
    assert effective_precision(operations, errors) == effective


def test_a_recurrence_is_probed_with_a_recurrence() -> None:
    errors = probe({"aten.mkldnn_rnn_layer/float32": 1}, lambda: torch.autocast("cpu", enabled=False), CPU)
    assert errors["recurrence"] < 1e-5


def _heaviest(model: nn.Module, x: torch.Tensor, dtype: torch.dtype | None = None) -> dict[str, float]:
    with Census() as census:
        with torch.autocast("cpu", dtype, enabled=dtype is not None):
            out = model(x)
        out.float().sum().backward()
    return probe_heaviest(census.heaviest)


def test_the_heaviest_float32_product_of_each_kind_is_made_again_in_its_own_shape() -> None:
    layers = (nn.Conv2d(3, 8, 3, stride=2), nn.Conv2d(8, 16, 3), nn.Flatten(), nn.Linear(16 * 25, 7))
    errors = _heaviest(nn.Sequential(*layers), torch.randn(4, 3, 16, 16))
    # 4 · 16 · 5² values of 8 · 3² products each, against 4 · 8 · 7² of 3 · 3²; of the linear layer, the backward one.
    assert set(errors) == {"convolution 4×8×7×7, 16×8×3×3", "matmul 4×7, 7×400"}
    assert max(errors.values()) < 1e-6


def test_layout_and_grouping_are_those_of_the_model() -> None:
    depthwise = nn.Conv2d(8, 8, 3, groups=8, padding=1, bias=False).to(memory_format=torch.channels_last)
    x = torch.randn(2, 8, 6, 6).to(memory_format=torch.channels_last)
    (error,) = _heaviest(depthwise, x).values()
    assert error < 1e-6


def test_sixteen_bit_products_name_themselves_and_are_not_made_again() -> None:
    assert _heaviest(nn.Linear(16, 4), torch.randn(8, 16), torch.bfloat16) == {}


def test_a_product_that_cannot_be_made_again_is_left_out() -> None:
    with Census() as census:
        nn.Linear(16, 4)(torch.randn(8, 16))
    (name,) = census.heaviest

    def full(*arguments: object, **options: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    assert probe_heaviest({name: census.heaviest[name]._replace(operator=full)}) == {}


def test_a_product_too_large_for_a_second_copy_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("suite.measure.probe.LARGEST_OPERANDS", 8 * 16)
    assert _heaviest(nn.Linear(16, 4), torch.randn(8, 16)) == {}
