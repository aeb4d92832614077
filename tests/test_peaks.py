"""The table of datasheet peaks: the right row or none."""

from __future__ import annotations

import pytest

from suite.peaks import DevicePeaks, dense_peak, table

ARITHMETICS = ("fp32", "tf32", "fp16", "bf16", "fp8")


@pytest.mark.parametrize(
    ("device", "arithmetic", "tflops"),
    [
        ("NVIDIA H200", "bf16", 989),
        ("NVIDIA H200", "tf32", 494.5),
        ("NVIDIA H100 80GB HBM3", "fp16", 989),
        ("NVIDIA H100 PCIe", "fp16", 756),
        ("NVIDIA A100-SXM4-80GB", "bf16", 312),
        ("NVIDIA A100 80GB PCIe", "fp32", 19.5),
        ("NVIDIA L40S", "fp8", 733),
        ("Tesla T4", "fp16", 65),
        ("Tesla V100-PCIE-32GB", "fp16", 112),
        ("NVIDIA GeForce RTX 4090", "fp16", 165.2),  # with float32 accumulation: not the 330 of the reviews
    ],
)
def test_a_known_device_has_its_datasheets_dense_peak(device: str, arithmetic: str, tflops: float) -> None:
    peak = dense_peak("cuda", device, arithmetic)
    assert peak.flops_per_second == tflops * 1e12
    assert peak.source
    assert peak.reason is None


@pytest.mark.parametrize(
    "near_miss",
    [
        "nvidia h200",
        "H200",
        "NVIDIA H200 NVL",
        "NVIDIA H100 NVL",
        "NVIDIA H100",
        "NVIDIA A10G",
        "NVIDIA A100-SXM4-40GB MIG 1g.5gb",
        "NVIDIA L40",
        "NVIDIA GeForce RTX 4090 Laptop GPU",
        "NVIDIA GeForce RTX 4090 D",
        "NVIDIA GeForce RTX 3090 Ti",
        "Tesla V100S-PCIE-32GB",
        "NVIDIA RTX 6000 Ada Generation",
        "",
    ],
)
def test_a_near_miss_has_no_peak_but_a_reason(near_miss: str) -> None:
    peak = dense_peak("cuda", near_miss, "bf16")
    assert (peak.flops_per_second, peak.source) == (None, None)
    assert peak.reason == f"{near_miss!r} is not in the table of peaks (suite/peaks.toml)"


@pytest.mark.parametrize(
    ("device", "arithmetic"), [("Tesla T4", "bf16"), ("NVIDIA H200", "int8"), ("Tesla T4", "tf32")]
)
def test_an_arithmetic_without_a_number_has_a_reason(device: str, arithmetic: str) -> None:
    peak = dense_peak("cuda", device, arithmetic)
    assert peak.flops_per_second is None
    assert peak.reason == f"the table of peaks has no {arithmetic} number for {device!r}"


def test_the_names_of_a_row_are_no_arithmetic() -> None:
    assert dense_peak("cuda", "NVIDIA H200", "source").flops_per_second is None


def test_a_cpu_has_no_datasheet_peak() -> None:
    assert dense_peak("cpu", "NVIDIA H200", "fp32").reason == (
        "no table of CPU peaks: they depend on clocks that no datasheet promises"
    )


def test_no_device_has_two_rows() -> None:
    names = [name for device in table() for name in device.names]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("device", table(), ids=lambda device: device.names[0])
def test_every_row_has_a_source_and_numbers_that_fit_each_other(device: DevicePeaks) -> None:
    assert len(device.source) > 20
    assert device.names
    numbers = {name: getattr(device, name) for name in ARITHMETICS if getattr(device, name) is not None}
    ordered = [numbers[name] for name in ("fp32", "tf32", "fp16", "fp8") if name in numbers]
    assert ordered == sorted(ordered)
    assert all(1 < number < 10_000 for number in ordered)
    assert numbers.get("bf16", numbers["fp16"]) == numbers["fp16"]
    # The units double their rate with each halving of the operands; a sparse number in a dense row breaks the ratio.
    if "tf32" in numbers:
        assert numbers["fp16"] / numbers["tf32"] == pytest.approx(2, rel=0.02)
    if "fp8" in numbers:
        assert numbers["fp8"] / numbers["fp16"] == pytest.approx(2, rel=0.02)
