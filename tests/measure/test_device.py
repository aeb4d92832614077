from __future__ import annotations

import pytest
import torch

from suite.errors import PrecisionUnsupported, UsageError
from suite.measure.device import Arithmetic, Hardware, choose, hardware, native_or_reason

H200 = Hardware("cuda", "NVIDIA H200", compute_capability=(9, 0))
T4 = Hardware("cuda", "Tesla T4", compute_capability=(7, 5))
AVX2 = Hardware("cpu", "an old CPU", cpu_flags=frozenset({"avx2", "fma"}))
AMX = Hardware("cpu", "a new CPU", cpu_flags=frozenset({"avx512_bf16", "amx_bf16", "avx512_fp16"}))


@pytest.mark.parametrize("arithmetic", list(Arithmetic))
def test_a_hopper_gpu_computes_everything_natively(arithmetic: Arithmetic) -> None:
    assert native_or_reason(arithmetic, H200, onednn=True) is None


def test_bf16_before_ampere_is_emulated_and_says_why() -> None:
    reason = native_or_reason(Arithmetic.BF16, T4, onednn=True)
    assert reason is not None
    assert "Tesla T4 has compute capability 7.5" in reason


def test_tf32_before_ampere_is_unsupported() -> None:
    with pytest.raises(PrecisionUnsupported, match="later; Tesla T4 has compute capability"):
        native_or_reason(Arithmetic.TF32, T4, onednn=True)


def test_tf32_on_a_cpu_is_unsupported() -> None:
    with pytest.raises(PrecisionUnsupported, match="this trial runs on a CPU"):
        native_or_reason(Arithmetic.TF32, AMX, onednn=True)


@pytest.mark.parametrize(
    ("on", "reason"),
    [
        (
            Hardware("cuda", "NVIDIA A100", compute_capability=(8, 0)),
            "float8 products need compute capability 8.9 or later; NVIDIA A100 has compute capability 8.0.",
        ),
        (AMX, "float8 products need an NVIDIA GPU of compute capability 8.9 or later; this trial runs on a CPU."),
    ],
)
def test_float8_before_ada_and_on_a_cpu_is_unsupported(on: Hardware, reason: str) -> None:
    with pytest.raises(PrecisionUnsupported) as caught:
        native_or_reason(Arithmetic.FP8, on, onednn=True)
    assert str(caught.value) == reason


def test_float8_begins_with_compute_capability_8_9() -> None:
    ada = Hardware("cuda", "NVIDIA L4", compute_capability=(8, 9))
    assert native_or_reason(Arithmetic.FP8, ada, onednn=True) is None


@pytest.mark.parametrize("arithmetic", [Arithmetic.FP16, Arithmetic.BF16])
def test_sixteen_bits_on_a_cpu_are_native_only_with_the_instructions_and_onednn(arithmetic: Arithmetic) -> None:
    assert native_or_reason(arithmetic, AMX, onednn=True) is None
    assert "emulated" in str(native_or_reason(arithmetic, AVX2, onednn=True))
    assert "oneDNN is off" in str(native_or_reason(arithmetic, AMX, onednn=False))


def test_fp32_is_always_native() -> None:
    assert native_or_reason(Arithmetic.FP32, AVX2, onednn=False) is None


def test_a_machine_without_cuda_chooses_the_cpu() -> None:
    assert choose("cpu") == torch.device("cpu")
    assert choose(None).type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("wrong", ["gpu", "cuda:x", "cpu:-1", ""])
def test_an_unknown_device_is_refused(wrong: str) -> None:
    with pytest.raises(UsageError, match="give cpu, cuda or cuda:N"):
        choose(wrong)


def test_a_device_that_is_not_here_is_refused_with_the_count() -> None:
    with pytest.raises(UsageError, match=r"'cuda:99' is not here: torch sees \d+ CUDA devices"):
        choose("cuda:99")


def test_the_cpu_has_a_name() -> None:
    assert hardware(torch.device("cpu")).name != ""
