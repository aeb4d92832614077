"""Which precision the evidence proves. Magnitudes were measured with torch 2.14.1 on a CPU; those of TF32 with inputs
rounded to its ten bits, which is what its units do (NVIDIA A100 whitepaper).
"""

from __future__ import annotations

import pytest

from suite.evidence import effective_precision, follows, fulfils
from suite.record import Attestation

IEEE = {"matmul": 2.1e-7, "convolution": 2.2e-7, "recurrence": 1.6e-7, "attention": 2.9e-7}
TF32 = {"matmul": 2.9e-4, "convolution": 2.9e-4, "recurrence": 3.1e-4, "attention": 3.6e-4}
FP16 = {"matmul": 3.6e-4, "convolution": 3.6e-4, "recurrence": 5.8e-4, "attention": 4.4e-4}
BF16 = {"matmul": 2.9e-3, "convolution": 2.9e-3, "recurrence": 4.5e-3, "attention": 3.6e-3}
OPERATORS = {
    "matmul": "aten.addmm",
    "convolution": "aten.convolution",
    "recurrence": "aten._cudnn_rnn",
    "attention": "aten._scaled_dot_product_efficient_attention",
}


@pytest.mark.parametrize("kind", OPERATORS)
@pytest.mark.parametrize(
    ("dtype", "errors", "name"),
    [
        ("float32", IEEE, "fp32"),
        ("float32", TF32, "tf32"),
        ("float16", FP16, "fp16"),
        ("bfloat16", BF16, "bf16"),
    ],
)
def test_every_kind_of_operator_names_its_arithmetic(
    kind: str, dtype: str, errors: dict[str, float], name: str
) -> None:
    assert effective_precision({f"{OPERATORS[kind]}/{dtype}": 3}, {kind: errors[kind]}) == name


@pytest.mark.parametrize(
    ("operations", "errors", "effective"),
    [
        # Products in IEEE, convolutions in TF32: the library defaults on an Ampere GPU.
        (
            {"aten.mm/float32": 3, "aten.convolution/float32": 1},
            {"matmul": 2e-7, "convolution": 3e-4},
            "mixed (fp32, tf32)",
        ),
        ({"aten.mm/float16": 3, "aten.bmm/float32": 2}, {"matmul": 3e-4}, "fp16 + float32 ×2"),
        # The model's own heaviest product, in another arithmetic than the probe of a fixed size.
        ({"aten.mm/float32": 3}, {"matmul": 2e-7, "matmul 8×16, 16×4": 3e-4}, "mixed (fp32, tf32)"),
        ({"aten.mm/float32": 3}, {"matmul": 3e-4, "matmul 8×16, 16×4": 2e-7}, "mixed (fp32, tf32)"),
        # The heaviest products are float32 ones, and say nothing of a bfloat16 majority.
        (
            {"aten.mm/bfloat16": 3, "aten.bmm/float32": 1},
            {"matmul": 3e-3, "matmul 2×8×16, 2×16×4": 2e-7},
            "bf16 + float32 ×1",
        ),
        # What a minority computes is named by its type; its probe speaks for no operator of the majority.
        (
            {"aten.mm/bfloat16": 3, "aten._cudnn_rnn/float32": 1},
            {"matmul": 3e-3, "recurrence": 2e-7},
            "bf16 + float32 ×1",
        ),
        ({"aten.mm/float16": 2, "aten.bmm/float32": 2}, {"matmul": 3e-4}, "mixed (float16 ×2, float32 ×2)"),
        ({"aten.mm/bfloat16": 1}, {"matmul": 2e-7}, "bfloat16 operators, probe error 2.0e-07"),
        ({"aten.mm/float16": 1}, {"matmul": 3e-3}, "float16 operators, probe error 3.0e-03"),
        ({"aten.mm/float32": 1}, {"matmul": 0.5}, "float32 operators, probe error 5.0e-01"),
        ({"aten.mm/float32": 1}, {}, "unknown (no probe of matmul)"),
        ({"aten.mm/float32": 3, "aten._cudnn_rnn/float32": 1}, {"matmul": 2e-7}, "unknown (no probe of recurrence)"),
        ({}, {}, "unknown (the census found no heavy operator)"),
    ],
)
def test_what_does_not_fit_together_is_described_and_fulfils_nothing(
    operations: dict[str, int], errors: dict[str, float], effective: str
) -> None:
    assert effective_precision(operations, errors) == effective


@pytest.mark.parametrize(
    ("effective", "wanted", "fulfilled"),
    [
        ("fp32", "fp32", True),
        ("tf32", "fp32", False),
        ("fp32", "tf32", False),
        ("fp32 + float16 ×1", "fp32", False),
        ("mixed (fp32, tf32)", "tf32", False),
        ("bf16", "bf16", True),
        ("bf16 + float32 ×6", "bf16", True),
        ("bf16 + float16 ×6", "bf16", False),
        ("fp32 + bfloat16 ×1", "bf16", False),
        ("fp16", "bf16", False),
        ("unknown (no probe of matmul)", "fp32", False),
    ],
)
def test_a_sixteen_bit_mode_may_leave_a_minority_in_float32(effective: str, wanted: str, fulfilled: bool) -> None:
    assert fulfils(effective, wanted) is fulfilled


@pytest.mark.parametrize(
    ("operations", "error", "effective", "fulfilled"),
    [
        ({"aten._scaled_mm/float8_e4m3fn": 4, "aten._scaled_mm/float8_e5m2": 8}, 3.8e-2, "fp8", True),
        (
            {"aten._scaled_mm/float8_e4m3fn": 4, "aten._scaled_dot_product/bfloat16": 2},
            3.8e-2,
            "fp8 + bfloat16 ×2",
            True,
        ),
        # Half of the operators is no majority, however the rest is computed.
        (
            {"aten._scaled_mm/float8_e4m3fn": 2, "aten.mm/bfloat16": 2},
            3.8e-2,
            "mixed (float8 ×2, bfloat16 ×2)",
            False,
        ),
        ({"aten._scaled_mm/float8_e4m3fn": 4, "aten.mm/float16": 1}, 3.8e-2, "fp8 + float16 ×1", False),
        # The operator's name says float8, its error says bfloat16.
        ({"aten._scaled_mm/float8_e4m3fn": 4}, 2.9e-3, "float8 operators, probe error 2.9e-03", False),
        ({"aten.mm/bfloat16": 4}, 2.9e-3, "bf16", False),
    ],
)
def test_what_counts_as_fp8(operations: dict[str, int], error: float, effective: str, fulfilled: bool) -> None:
    assert effective_precision(operations, {"matmul": error}) == effective
    assert fulfils(effective, "fp8") is fulfilled


@pytest.mark.parametrize(
    ("attestation", "genuine"),
    [
        (Attestation("tf32", {"aten.mm/float32": 3}, {"matmul": TF32["matmul"]}), True),
        (Attestation("fp16", {"aten.mm/float16": 3}, {"matmul": FP16["matmul"]}), True),
        # Claimed, but the error is that of IEEE float32; claimed, but nothing of that type ran; evidence taken away.
        (Attestation("tf32", {"aten.mm/float32": 3}, {"matmul": IEEE["matmul"]}), False),
        (Attestation("fp16", {"aten.mm/float32": 3}, {"matmul": FP16["matmul"]}), False),
        (Attestation("fp16", {"aten.mm/float16": 3}, {"matmul": IEEE["matmul"]}), False),
        (Attestation("fp16", {"aten.mm/float16": 3}, {}), False),
        (Attestation("fp32", {}, {}), False),
    ],
)
def test_a_forged_attestation_does_not_follow_from_its_evidence(attestation: Attestation, genuine: bool) -> None:
    assert follows(attestation) is genuine


def test_attention_in_float32_on_cuda_has_no_tf32_switch() -> None:
    """torch's only float32 attention kernel there is as exact as IEEE in both modes."""
    operations = {"aten.addmm/float32": 8, "aten._scaled_dot_product_efficient_attention/float32": 2}
    tf32 = effective_precision(operations, {"matmul": 2.9e-4, "matmul 8×16, 16×4": 2.9e-4, "attention": 1e-6})
    assert tf32 == "tf32 + attention in fp32"
    assert fulfils(tf32, "tf32")
    assert not fulfils(tf32, "fp32")
    assert effective_precision(operations, {"matmul": 2e-7, "attention": 1e-6}) == "fp32"
    # A product in IEEE under tf32 is still a mismatch, and so is attention alone in TF32.
    assert effective_precision(operations, {"matmul": 2e-7, "attention": 3e-4}) == "mixed (fp32, tf32)"


def test_the_type_that_does_most_of_the_work_is_the_one_that_counts() -> None:
    operations, errors = {"aten.mm/bfloat16": 12, "aten.addmm/float32": 6}, {"matmul": 2.9e-3}
    light = effective_precision(operations, errors, {"bfloat16": 9_800, "float32": 200})
    assert light == "bf16 + float32 ×6 (2.0% of the FLOPs)"
    assert fulfils(light, "bf16")
    # Six float32 products against twelve in bfloat16, but nearly all of the work.
    heavy = effective_precision(operations, errors, {"bfloat16": 200, "float32": 9_800})
    assert heavy == "float32 operators, probe error 2.9e-03 + bfloat16 ×12 (2.0% of the FLOPs)"
    assert not fulfils(heavy, "bf16")
    even = effective_precision(operations, errors, {"bfloat16": 500, "float32": 500})
    assert even == "mixed (bfloat16 ×12 (50.0% of the FLOPs), float32 ×6 (50.0% of the FLOPs))"
    # Work of a type that the census never saw.
    assert not fulfils(effective_precision({"aten.mm/float32": 1}, errors, {"bfloat16": 10}), "bf16")
