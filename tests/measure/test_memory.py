from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from fakes import FakeCuda, FakeNvml, NVMLError, memory

from suite.measure.memory import AllocatorPeaks, ResidentPeaks, device_layer, memory_of
from suite.measure.nvml import NvmlDevice
from suite.measure.reading import Reading
from suite.measure.sampling import Sampler

CUDA = torch.device("cuda:0")
MIB = 2**20
LINUX = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="the mark can only be reset through /proc"
)


def _hold(size_bytes: int) -> None:
    held = bytearray(size_bytes)
    held[::4096] = b"x" * len(held[::4096])


def test_allocator_peaks_with_and_without_warm_up_are_both_kept() -> None:
    cuda = FakeCuda([500, 300], reserved=[800, 700], retries=2)
    peaks = AllocatorPeaks(CUDA, cuda)
    peaks.window_begins()
    assert {name: reading.value for name, reading in peaks.readings().items()} == {
        "peak_allocated_bytes": 300,
        "peak_allocated_bytes_with_warmup": 500,
        "peak_reserved_bytes": 800,
        "allocator_retries": 2,
    }
    assert cuda.resets == 1


def test_an_allocator_that_counts_nothing_has_no_peak_of_zero() -> None:
    peaks = AllocatorPeaks(CUDA, FakeCuda([0, 0], reserved=[0, 0]))
    peaks.window_begins()
    assert {reading.value for reading in peaks.readings().values()} == {None}


def test_retries_that_an_allocator_does_not_count_are_not_zero() -> None:
    peaks = AllocatorPeaks(CUDA, FakeCuda([5, 5], reserved=[5, 5], retries=None))
    peaks.window_begins()
    assert peaks.readings()["allocator_retries"] == (None, "this allocator does not count retries")


def test_a_cpu_has_no_allocator_statistics() -> None:
    readings = AllocatorPeaks(torch.device("cpu"), None).readings()
    assert set(readings.values()) == {(None, "torch keeps no allocator statistics on the CPU")}


@LINUX
def test_the_resident_peak_of_each_stage_does_not_remember_what_was_freed_before() -> None:
    _hold(300 * MIB)
    peaks = ResidentPeaks()
    peaks.stage()
    _hold(200 * MIB)
    peaks.stage()
    _hold(100 * MIB)
    before = peaks.before.integer
    assert before is not None
    found = {name: (reading.integer or 0) - before for name, reading in peaks.readings().items()}
    assert found["peak_rss_bytes"] == pytest.approx(100 * MIB, abs=30 * MIB)
    assert found["peak_rss_bytes_with_warmup"] == pytest.approx(200 * MIB, abs=30 * MIB)


def _proc(folder: Path, high_water_kib: int) -> Path:
    """A /proc/self whose clear_refs cannot be written to: it is a folder."""
    (folder / "clear_refs").mkdir(exist_ok=True)
    (folder / "status").write_text(f"VmHWM:\t {high_water_kib} kB\nVmRSS:\t 10 kB\n", encoding="ascii")
    return folder


def test_without_a_reset_a_peak_above_all_earlier_ones_is_this_stages_own(tmp_path: Path) -> None:
    peaks = ResidentPeaks(_proc(tmp_path, 100))
    for mark in (100, 200, 300):
        _proc(tmp_path, mark)
        if mark < 300:
            peaks.stage()
    assert {name: reading.integer for name, reading in peaks.readings().items()} == {
        "peak_rss_bytes": 300 * 1024,
        "peak_rss_bytes_with_warmup": 300 * 1024,
    }


def test_without_a_reset_a_peak_below_an_earlier_one_is_unknown(tmp_path: Path) -> None:
    peaks = ResidentPeaks(_proc(tmp_path, 100))
    peaks.stage()
    _proc(tmp_path, 200)
    peaks.stage()
    readings = peaks.readings()
    assert readings["peak_rss_bytes_with_warmup"].integer == 200 * 1024
    assert readings["peak_rss_bytes"].value is None
    assert "no peak be reset" in str(readings["peak_rss_bytes"].reason)


def test_a_trial_that_did_not_reach_its_window_has_no_peak() -> None:
    assert ResidentPeaks().readings()["peak_rss_bytes"].value is None


_LINEAGE = """
import os, resource, sys

def marks(who):
    found = dict(line.split(":", 1) for line in open("/proc/self/status") if line.startswith("Vm"))
    kib = [int(found[name].split()[0]) for name in ("VmRSS", "VmHWM")]
    kib.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    print(who, *(value // 1024 for value in kib), flush=True)

if len(sys.argv) > 1:
    marks("executed")
    sys.exit()
held = bytearray(400 << 20)
held[::4096] = b"x" * len(held[::4096])
del held
marks("parent")
if os.fork() == 0:
    marks("forked")
    os._exit(0)
os.wait()
open("/proc/self/clear_refs", "w").write("5")
marks("reset")
held = bytearray(400 << 20)
held[::4096] = b"x" * len(held[::4096])
os.execv(sys.executable, [sys.executable, __file__, "again"])
"""


@LINUX
def test_what_a_process_inherits_of_a_high_water_mark(tmp_path: Path) -> None:
    """The kernel's rules (Linux: `dup_mm` and `exec_mmap`) that make VmHWM after a reset the right thing to read."""
    script = tmp_path / "lineage.py"
    script.write_text(_LINEAGE, encoding="utf-8")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    # MiB: resident now, VmHWM, ru_maxrss.
    marks = {who: list(map(int, numbers)) for who, *numbers in map(str.split, done.stdout.splitlines())}
    resident, high_water, maxrss = marks["parent"]
    assert resident < 50
    assert min(high_water, maxrss) > 380
    assert max(marks["forked"]) < 50, "a fork begins with what is resident, not with what its parent once held"
    assert max(marks["reset"][:2]) < 50, "the reset works, though not on ru_maxrss"
    resident, high_water, maxrss = marks["executed"]
    assert max(resident, high_water) < 50
    assert maxrss > 380, "a program executed by a large one keeps that in ru_maxrss: VmHWM is read instead"


def _layer(
    used: list[object], idle: object = None, listed: object = None, **answers: object
) -> tuple[dict[str, Reading], str | None]:
    """The device layer of three samples, the first one idle."""
    nvml = NvmlDevice(FakeNvml(nvmlDeviceGetMemoryInfo=[memory(1), *used], **answers), "GPU-0")
    sampler = Sampler(nvml, 3600.0)
    for _ in range(3):
        sampler.sample()
    here = {os.getpid(): 7_000} if listed is None else listed
    return device_layer(nvml, idle or {}, here, sampler.stop())  # type: ignore[arg-type]


def test_device_memory_is_the_peak_above_the_idle_reading_and_says_how_it_was_read() -> None:
    readings, source = _layer([memory(1_000), memory(9_000), memory(3_000)])
    assert readings["peak_device_bytes"].value == 8_000
    assert readings["peak_process_bytes"].value == 7_000
    assert source == "NVML memory info version 2, sampled every 200 ms; of the process at the end"


def test_the_drivers_reserve_cancels_in_version_1() -> None:
    def info(handle: str, version: int | None = None) -> object:
        if version is not None:
            raise NVMLError("Unknown Error")
        return next(used)

    used = iter([memory(912), memory(9_912), memory(5_000), memory(5_000)])
    nvml = NvmlDevice(FakeNvml(nvmlDeviceGetMemoryInfo=info), "GPU-0")
    sampler = Sampler(nvml, 3600.0)
    for _ in range(3):
        sampler.sample()
    readings, source = device_layer(nvml, {}, {1: 1}, sampler.stop())
    assert readings["peak_device_bytes"].value == 9_000
    assert str(source).startswith("NVML memory info version 1")


def test_one_failed_sample_makes_the_peak_unknown() -> None:
    reading = _layer([memory(10), NVMLError("gone"), memory(30)])[0]["peak_device_bytes"]
    assert reading == (None, "NVML does not give the memory in use: gone")


def test_memory_that_others_gave_back_is_not_a_peak_of_zero() -> None:
    reading = _layer([memory(9_000), memory(5_000), memory(9_000)])[0]["peak_device_bytes"]
    assert reading.value is None
    assert "gave memory back" in str(reading.reason)


def test_the_drivers_accounting_is_the_true_peak_of_the_process() -> None:
    accounts = {
        "nvmlDeviceGetAccountingMode": 1,
        "nvmlDeviceGetAccountingStats": SimpleNamespace(maxMemoryUsage=8_500),
    }
    readings, source = _layer([memory(1)], **accounts)
    assert readings["peak_process_bytes"].value == 8_500
    assert str(source).endswith("of the process by the driver's accounting")


def test_accounting_is_not_asked_for_a_process_that_nvml_does_not_list() -> None:
    accounts = {"nvmlDeviceGetAccountingMode": 1, "nvmlDeviceGetAccountingStats": SimpleNamespace(maxMemoryUsage=5)}
    readings, _ = _layer([memory(1)], listed={1: 1}, **accounts)
    assert readings["peak_process_bytes"].value is None


def test_without_nvml_both_layers_say_why() -> None:
    readings, source = device_layer("not an NVIDIA device", "x", "x", ())
    assert set(readings.values()) == {(None, "not an NVIDIA device")}
    assert source is None


def test_a_record_has_a_reason_for_every_gap_and_none_beside_a_number() -> None:
    made = memory_of(
        {"peak_rss_bytes": Reading(5.0), "peak_device_bytes": Reading(None, "no NVML")}, Reading(None, "no /proc"), None
    )
    assert made.peak_rss_bytes == 5
    assert made.reasons == {"peak_device_bytes": "no NVML", "rss_before_bytes": "no /proc"}
