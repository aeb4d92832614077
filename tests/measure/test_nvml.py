from __future__ import annotations

import os

from fakes import FakeNvml, NVMLError, memory, process

from suite.measure.nvml import NvmlDevice, Sampler, open_device


def test_the_device_is_found_by_uuid() -> None:
    api = FakeNvml()
    NvmlDevice(api, "GPU-2")
    assert api.asked_uuid == "GPU-2"


def test_no_uuid_means_no_nvidia_device() -> None:
    assert open_device(None) == "not an NVIDIA device"


def test_a_machine_without_the_driver_says_so() -> None:
    reason = open_device("GPU-0")
    assert isinstance(reason, str)
    assert reason.startswith("NVML is not usable: ")


def test_used_bytes_come_from_memory_info() -> None:
    assert NvmlDevice(FakeNvml(nvmlDeviceGetMemoryInfo=memory(7_000)), "GPU-0").used_bytes().value == 7000.0


def test_memory_info_version_1_serves_where_version_2_fails() -> None:
    api = FakeNvml(nvmlDeviceGetMemoryInfo=[NVMLError("unknown error"), memory(5)])
    assert NvmlDevice(api, "GPU-0").used_bytes().value == 5.0


def test_this_process_is_found_among_the_others() -> None:
    processes = [[process(1, 10), process(os.getpid(), 20)]]
    assert NvmlDevice(FakeNvml(nvmlDeviceGetComputeRunningProcesses=processes), "GPU-0").process_bytes().value == 20.0


def test_host_pids_in_a_container_are_none_with_a_reason_and_not_zero() -> None:
    reading = NvmlDevice(FakeNvml(nvmlDeviceGetComputeRunningProcesses=[[process(1, 10)]]), "GPU-0").process_bytes()
    assert reading.value is None
    assert reading.reason is not None
    assert "container" in reading.reason


def test_hidden_process_memory_is_none_with_a_reason() -> None:
    api = FakeNvml(nvmlDeviceGetComputeRunningProcesses=[[process(os.getpid(), None)]])
    assert NvmlDevice(api, "GPU-0").process_bytes().value is None


def test_energy_is_in_joules() -> None:
    assert NvmlDevice(FakeNvml(nvmlDeviceGetTotalEnergyConsumption=1500), "GPU-0").energy_joules().value == 1.5


def test_an_unsupported_energy_counter_is_none_with_the_reason() -> None:
    api = FakeNvml(nvmlDeviceGetTotalEnergyConsumption=NVMLError("Not Supported"))
    reading = NvmlDevice(api, "GPU-0").energy_joules()
    assert reading == (None, "NVML does not give energy counter: Not Supported.")


def test_clock_reasons_work_under_their_older_name() -> None:
    assert NvmlDevice(FakeNvml(nvmlDeviceGetCurrentClocksThrottleReasons=0x40), "GPU-0").clock_reasons().integer == 64


def test_facts_that_the_device_does_not_tell_are_none() -> None:
    api = FakeNvml(nvmlDeviceGetEccMode=NVMLError("Not Supported"), nvmlDeviceGetPersistenceMode=1)
    device = NvmlDevice(api, "GPU-0")
    assert device.text("nvmlDeviceGetEccMode") is None
    assert device.text("nvmlDeviceGetMigMode") is None
    assert device.text("nvmlDeviceGetPersistenceMode") == "1"


def _history(used: list[object], reasons: int = 0):  # type: ignore[no-untyped-def]
    api = FakeNvml(nvmlDeviceGetMemoryInfo=used, nvmlDeviceGetCurrentClocksEventReasons=reasons)
    sampler = Sampler(NvmlDevice(api, "GPU-0"), interval_seconds=3600)
    sampler._sample()
    return sampler.stop()


def test_the_sampler_keeps_the_peak() -> None:
    assert _history([memory(10), memory(90), memory(30)]).peak_used.value == 90.0


def test_one_failed_reading_makes_the_peak_unknown() -> None:
    # Both memory-info versions fail in the middle sample.
    peak = _history([memory(10), NVMLError("gone"), NVMLError("gone"), memory(30)]).peak_used
    assert peak.value is None
    assert peak.reason is not None
    assert "gone" in peak.reason


def test_slow_downs_are_named_and_the_power_cap_and_idle_are_not() -> None:
    assert _history([memory(1)], reasons=0x01 | 0x04).slowdowns == ()
    assert _history([memory(1)], reasons=0x08 | 0x20).slowdowns == ("hardware slowdown", "software thermal")
    assert _history([memory(1)], reasons=0x40 | 0x80).slowdowns == ("hardware thermal", "power brake")
