"""The ceiling: a product that takes a known time on a fake device, and the smallest real one."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from suite.measure.ceiling import Product, ceiling, ceiling_of, fastest_seconds, side_that_fits
from suite.measure.device import Arithmetic, Hardware
from suite.readings import Ceiling
from suite.record import Outcome, TrialRecord
from suite.spec import OptimizerSpec, ScalerSpec, Setup, TrialSpec

CPU = torch.device("cpu")
HERE = Hardware("cpu", "test")
SETUP = Setup(steps=2, warmup_steps=1, batch_size=1, optimizer=OptimizerSpec("sgd", 0.1))
SPEC = TrialSpec("tiny", "fp32", 0, 0, "cpu", 1, "test", 10.0, ScalerSpec(), SETUP)
RECORD = TrialRecord(SPEC, Outcome.OK, "2026-01-01T00:00:00+00:00")


def test_the_fastest_product_counts_and_three_are_the_least() -> None:
    times = iter([0.5, 0.25, 1.0])
    assert fastest_seconds(lambda: next(times), clock=iter([0.0, 9.0]).__next__) == 0.25


def test_products_are_repeated_for_a_fifth_of_a_second() -> None:
    times = iter([0.5, 0.25, 1.0, 0.125, 0.01])
    assert fastest_seconds(lambda: next(times), clock=iter([0.0, 0.1, 0.3]).__next__) == 0.125


@pytest.mark.parametrize(
    ("free_bytes", "side"),
    [
        (None, 1024),
        (12 * 1024**2, 1024),  # three float16 matrices of side 1024 take 6 MiB, half of it
        (12 * 1024**2 - 1, 512),
        (3 * 2**18, 256),
        (3 * 2**18 - 1, None),
    ],
)
def test_the_product_is_as_large_as_half_the_free_memory_allows(free_bytes: int | None, side: int | None) -> None:
    assert side_that_fits(1024, torch.float16, free_bytes) == side


def test_a_real_product_leaves_the_random_stream_alone() -> None:
    before = torch.get_rng_state()
    assert Product(CPU, torch.float32, 64).seconds() > 0
    assert torch.equal(torch.get_rng_state(), before)


class FakeCuda:
    """Events that are two milliseconds apart, and a log of what was called."""

    def __init__(self) -> None:
        self.log: list[str] = []

    def Event(self, enable_timing: bool) -> SimpleNamespace:
        assert enable_timing
        return SimpleNamespace(record=lambda: self.log.append("record"), elapsed_time=self._elapsed)

    def synchronize(self, device: torch.device) -> None:
        self.log.append("synchronize")

    def _elapsed(self, end: object) -> float:
        self.log.append("read")
        return 2.0


def test_a_cuda_product_is_timed_by_events_that_are_read_after_a_synchronisation() -> None:
    cuda = FakeCuda()
    product = Product(CPU, torch.float32, 16, cuda)
    product._device = torch.device("cuda")
    assert product.seconds() == 0.002
    assert cuda.log == ["record", "record", "synchronize", "read"]


def test_a_cpu_has_a_measured_product_and_no_datasheet_peak() -> None:
    found = ceiling(Arithmetic.FP16, HERE, CPU, native=False)
    assert found.matmul_shape == (256, 256, 256)
    assert found.matmul_flops_per_second is not None
    assert found.matmul_flops_per_second > 1e8
    assert found.peak_flops_per_second is None
    assert set(found.reasons) == {"peak_flops_per_second"}


def test_float8_has_a_product_of_its_own() -> None:
    assert Product(CPU, torch.float8_e4m3fn, 64).seconds() > 0


def test_an_emulated_trial_has_no_datasheet_peak_on_any_device() -> None:
    known = Hardware("cuda", "NVIDIA H200", compute_capability=(9, 0))
    found = ceiling(Arithmetic.FP32, known, CPU, native=False)
    assert (found.peak_flops_per_second, found.peak_source) == (None, None)
    reason = "the speed of an emulated trial is not held against a datasheet"
    assert found.reasons == {"peak_flops_per_second": reason}
    assert ceiling(Arithmetic.FP32, known, CPU, native=True).peak_flops_per_second is not None


def test_what_ran_in_another_arithmetic_has_no_ceiling() -> None:
    record = replace(RECORD, outcome=Outcome.PRECISION_MISMATCH)
    reason = "something other than bf16 ran, so its ceiling is not this trial's"
    assert ceiling_of(record, Arithmetic.BF16, HERE, CPU) == Ceiling(
        reasons={"peak_flops_per_second": reason, "matmul_flops_per_second": reason}
    )


def test_a_ceiling_that_cannot_be_measured_is_a_reason_and_not_the_trials_failure() -> None:
    def broken(device: torch.device, kind: torch.dtype, side: int) -> Product:
        raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED")

    found = ceiling_of(RECORD, Arithmetic.FP32, HERE, CPU, broken)
    assert found.matmul_flops_per_second is None
    reason = "the product could not be measured: CUDA error: CUBLAS_STATUS_ALLOC_FAILED"
    assert found.reasons["matmul_flops_per_second"] == reason


def test_an_emulated_trial_is_held_against_a_small_product() -> None:
    record = replace(RECORD, outcome=Outcome.EMULATED, emulation="no units for it")
    assert ceiling_of(record, Arithmetic.FP16, HERE, CPU).matmul_shape == (256, 256, 256)
