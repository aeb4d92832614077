from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from fakes import FakeCuda, FakeNvml, memory, process

from suite.measure.memory import Instruments
from suite.measure.nvml import NvmlDevice

CUDA = torch.device("cuda:0")


def _on_gpu(**answers: object) -> NvmlDevice:
    usual = {
        "nvmlDeviceGetMemoryInfo": [memory(1_000), memory(1_000), memory(9_000)],
        "nvmlDeviceGetComputeRunningProcesses": [[process(os.getpid(), 7_000)]],
        "nvmlDeviceGetTotalEnergyConsumption": [10_000, 40_000],
        "nvmlDeviceGetCurrentClocksEventReasons": 0,
    }
    return NvmlDevice(FakeNvml(**(usual | answers)), "GPU-0")


def test_on_a_cpu_device_layers_are_none_with_reasons_and_resident_memory_is_read() -> None:
    instruments = Instruments(torch.device("cpu"), "not an NVIDIA device")
    instruments.window_begins()
    found, energy, cautions = instruments.finish(10.0, 100)
    assert found.peak_device_bytes is None
    assert found.peak_allocated_bytes is None
    assert found.reasons["peak_device_bytes"] == "not an NVIDIA device"
    assert found.reasons["peak_allocated_bytes"] == "torch keeps no allocator statistics on the CPU"
    assert found.peak_rss_bytes is not None
    assert found.peak_rss_bytes > 10_000_000
    assert "peak_rss_bytes" not in found.reasons
    assert (energy.joules, energy.reason) == (None, "not an NVIDIA device")
    assert cautions == ()


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the peak can only be reset through /proc")
def test_the_resident_peak_does_not_remember_what_was_freed_before() -> None:
    big = bytearray(200_000_000)
    big[::4096] = b"x" * len(big[::4096])
    del big
    instruments = Instruments(torch.device("cpu"), "none")
    instruments.training_begins()
    found, _, _ = instruments.finish(1.0, 1)
    assert found.peak_rss_bytes is not None
    assert found.rss_before_bytes is not None
    assert found.peak_rss_bytes - found.rss_before_bytes < 50_000_000


def test_device_memory_is_counted_above_the_idle_reading() -> None:
    instruments = Instruments(CUDA, _on_gpu(), FakeCuda([1, 1]))
    instruments.window_begins()
    assert instruments.finish(10.0, 100)[0].peak_device_bytes == 8_000


def test_peaks_with_and_without_warm_up_are_both_kept() -> None:
    cuda = FakeCuda([500, 300], reserved=[800, 700], retries=2)
    instruments = Instruments(CUDA, _on_gpu(), cuda)
    instruments.window_begins()
    found = instruments.finish(10.0, 100)[0]
    assert (found.peak_allocated_bytes, found.peak_allocated_bytes_with_warmup) == (300, 500)
    assert (found.peak_reserved_bytes, found.allocator_retries, found.peak_process_bytes) == (800, 2, 7_000)
    assert cuda.resets == 1
    assert found.reasons == {}


def test_energy_is_the_difference_of_two_readings() -> None:
    instruments = Instruments(CUDA, _on_gpu(), FakeCuda([1, 1]))
    instruments.window_begins()
    energy = instruments.finish(10.0, 100)[1]
    assert (energy.joules, energy.steps, energy.source) == (30.0, 100, "NVML total energy counter")


def test_a_short_window_has_no_energy() -> None:
    instruments = Instruments(CUDA, _on_gpu(), FakeCuda([1, 1]))
    instruments.window_begins()
    energy = instruments.finish(0.5, 100)[1]
    assert energy.joules is None
    assert energy.reason is not None
    assert "0.50 s is shorter than the 2 s" in energy.reason


def test_a_counter_that_went_backwards_has_no_energy() -> None:
    nvml = _on_gpu(nvmlDeviceGetTotalEnergyConsumption=[40_000, 10])
    instruments = Instruments(CUDA, nvml, FakeCuda([1, 1]))
    instruments.window_begins()
    assert instruments.finish(10.0, 100)[1].joules is None


def test_a_held_back_clock_is_a_caution() -> None:
    instruments = Instruments(CUDA, _on_gpu(nvmlDeviceGetCurrentClocksEventReasons=0x40), FakeCuda([1, 1]))
    instruments.window_begins()
    (caution,) = instruments.finish(10.0, 100)[2]
    assert caution.code == "clock_throttled"
    assert "hardware thermal" in caution.message
