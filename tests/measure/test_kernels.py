"""oneDNN's own report of which kernels ran."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from ampmark_tiny import Tiny, TinySettings
from torch import nn
from trials import CPU, SPEC, bench

from suite.measure.device import Arithmetic
from suite.measure.kernels import by_reference, kernels_of, reported_kernels
from suite.measure.precision import BF16, FP16_STATIC
from suite.measure.trial import run_trial
from suite.record import Outcome

REPORT = """\
onednn_verbose,v1,info,oneDNN v3.11.0 (commit abc)
onednn_verbose,v1,primitive,create:cache_miss,cpu,convolution,ref:any,backward_weights,src:f16:a:blocked:abcd::f0 w
onednn_verbose,v1,primitive,exec,cpu,convolution,ref:any,backward_weights,src:f16:a:blocked:abcd::f0 w,x,163
onednn_verbose,v1,primitive,exec,cpu,convolution,ref:any,backward_weights,src:f16:a:blocked:abcd::f0 w,x,160
onednn_verbose,v1,primitive,exec,cpu,matmul,brg_matmul:avx10_1_512,undef,src:f16::blocked:ab::f0 wei:f16::blocked,x,0.5
onednn_verbose,v1,primitive,exec,cpu,reorder,jit:uni,undef,src:f16::blocked:abcd::f0 dst:f16::blocked,x,0.1
a line of the workload's own
onednn_verbose,exec,cpu,matmul,gemm:jit,undef,src_f32::blocked:ab:f0 wei_f32::blocked:ab:f0 dst_f32::blocked:ab:f0,x,0.2
"""
REFERENCE = "convolution backward_weights f16 ref:any"


def test_products_are_counted_by_kind_direction_type_and_kernel() -> None:
    assert kernels_of(REPORT) == {
        REFERENCE: 2,
        "matmul undef f16 brg_matmul:avx10_1_512": 1,
        "matmul undef f32 gemm:jit": 1,
    }


def test_nothing_reported_is_nothing_counted() -> None:
    assert kernels_of("") == {}


def test_reference_kernels_of_the_trials_own_type_make_it_emulated() -> None:
    reason = by_reference(kernels_of(REPORT), Arithmetic.FP16)
    assert reason == (
        "oneDNN has no fp16 kernel of this CPU for 2 of 3 products of a step (convolution backward_weights) and takes "
        "its reference implementation; read the numerics, not the speed."
    )
    assert by_reference(kernels_of(REPORT), Arithmetic.BF16) is None
    assert by_reference({"matmul undef f32 ref:any": 3}, Arithmetic.FP32) is None
    assert by_reference({"matmul undef bf16 brg_matmul:avx10_1_512_amx": 3}, Arithmetic.BF16) is None


def test_the_contract_with_onednn() -> None:
    """If this fails, oneDNN reports in another form (checked with torch 2.9.1 and 2.14.1)."""
    convolution, x = nn.Conv2d(16, 16, 3), torch.randn(2, 16, 8, 8)
    with reported_kernels(CPU) as kernels:
        convolution(x).sum().backward()
    assert {name.rpartition(" ")[0] for name in kernels} == {
        "convolution forward_training f32",
        "convolution backward_weights f32",
    }
    with reported_kernels(CPU) as nothing:
        pass
    assert nothing == {}


def test_what_is_printed_inside_and_afterwards_is_not_lost(capfd: pytest.CaptureFixture[str]) -> None:
    print("before")
    with reported_kernels(CPU):
        print("inside")
        os.system("echo from a child")
        nn.Conv2d(16, 16, 3)(torch.randn(2, 16, 8, 8))
    print("after")
    assert sorted(capfd.readouterr().out.split("\n")) == sorted(["", "before", "inside", "from a child", "after"])


def test_standard_output_comes_back_after_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="broke"), reported_kernels(CPU):
        raise ValueError("broke")
    print("still here")
    assert "still here" in capfd.readouterr().out


def test_a_device_without_onednn_has_no_report() -> None:
    with reported_kernels(torch.device("meta")) as kernels:
        torch.ones(2, 2) @ torch.ones(2, 2)
    assert kernels == {}


def test_a_trial_on_capable_hardware_is_emulated_where_its_kernels_are_reference() -> None:
    @contextmanager
    def reported(device: torch.device) -> Iterator[Counter[str]]:
        yield Counter({REFERENCE: 9})

    def run(precision_name: str) -> tuple[Outcome, str | None]:
        precision = {"fp16-static": FP16_STATIC, "bf16": BF16}[precision_name]
        spec = replace(SPEC, precision=precision_name)
        made = replace(bench(), reported_kernels=reported)
        record = run_trial(spec, lambda: Tiny(TinySettings(), batch_size=8, seed=0, device=CPU), precision, made)
        assert record.attestation is not None
        assert record.attestation.kernels == {REFERENCE: 9}
        assert record.reason == record.emulation
        return record.outcome, record.reason

    outcome, reason = run("fp16-static")
    assert outcome is Outcome.EMULATED
    assert reason is not None
    assert reason.startswith("oneDNN has no fp16 kernel of this CPU for 9 of 9 products")
    assert run("bf16") == (Outcome.OK, None)
