from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from fakes import FakeMachine, FakeNvml, NVMLError, memory, process

from suite.checks import Check, Status
from suite.measure.device import Hardware
from suite.measure.diagnosis import gpu_checks, host_checks, precision_checks, torch_checks
from suite.measure.int8 import INT8_QAT
from suite.measure.nvml import NvmlDevice
from suite.measure.precision import FP16_STATIC, FP16_UNSCALED, FP32, TF32

OK, WARNING, UNAVAILABLE = Status.OK, Status.WARNING, Status.UNAVAILABLE
OTHER = 2**30


def _by_name(checks: list[Check]) -> dict[str, Check]:
    assert len({check.name for check in checks}) == len(checks)
    return {check.name: check for check in checks}


def _gpu(**answers: object) -> dict[str, Check]:
    usual = {
        "nvmlDeviceGetMemoryInfo": memory(2**30, 16 * 2**30),
        "nvmlDeviceGetComputeRunningProcesses": [[], [process(os.getpid(), 5)]],
        "nvmlDeviceGetClockInfo": 1500,
        "nvmlDeviceGetCurrentClocksEventReasons": 0x4,
        "nvmlDeviceGetTemperature": 50,
        "nvmlDeviceGetEnforcedPowerLimit": 300_000,
        "nvmlDeviceGetPowerUsage": 70_000,
        "nvmlDeviceGetTotalEnergyConsumption": 5,
        "nvmlDeviceGetPersistenceMode": 1,
        "nvmlDeviceGetEccMode": lambda handle: [1, 1],
        "nvmlDeviceGetMigMode": lambda handle: [0, 0],
    }
    return _by_name(gpu_checks(NvmlDevice(FakeNvml(**(usual | answers)), "GPU-0"), lambda: None))


def test_a_gpu_in_order_has_no_remark() -> None:
    checks = _gpu()
    assert {check.status for check in checks.values()} == {OK}
    assert checks["device memory (NVML)"].finding == "1024 of 16384 MiB in use (memory info version 2)"
    assert checks["GPU clock"].finding == "1500 MHz now; held by: software power cap"
    assert checks["ECC"].finding == "on"


@pytest.mark.parametrize(
    ("name", "status", "answers"),
    [
        ("GPU clock", WARNING, {"nvmlDeviceGetCurrentClocksEventReasons": 0x40}),
        ("persistence", WARNING, {"nvmlDeviceGetPersistenceMode": 0}),
        ("ECC", UNAVAILABLE, {"nvmlDeviceGetEccMode": NVMLError("Not Supported")}),
        ("MIG", WARNING, {"nvmlDeviceGetMigMode": lambda handle: [1, 1]}),
        ("process ids", UNAVAILABLE, {"nvmlDeviceGetComputeRunningProcesses": [[], [process(OTHER, 5)]]}),
        (
            "other processes on the GPU",
            WARNING,
            {"nvmlDeviceGetComputeRunningProcesses": [[], [process(OTHER, 5), process(os.getpid(), 5)]]},
        ),
        ("device memory (NVML)", UNAVAILABLE, {"nvmlDeviceGetMemoryInfo": NVMLError("Not Supported")}),
    ],
)
def test_what_is_wrong_is_said_under_its_name(name: str, status: Status, answers: dict[str, object]) -> None:
    assert _gpu(**answers)[name].status is status


def test_energy_is_counted_or_integrated_or_not_to_be_had() -> None:
    refused = NVMLError("Not Supported")
    assert "energy counter" in _gpu()["GPU energy"].finding
    assert "integrated" in _gpu(nvmlDeviceGetTotalEnergyConsumption=refused)["GPU energy"].finding
    neither = _gpu(nvmlDeviceGetTotalEnergyConsumption=refused, nvmlDeviceGetPowerUsage=refused)["GPU energy"]
    assert neither.status is UNAVAILABLE


def test_without_nvml_there_is_one_line() -> None:
    (check,) = gpu_checks("not an NVIDIA device", lambda: None)
    assert (check.name, check.status, check.finding) == ("NVML", UNAVAILABLE, "not an NVIDIA device")


def test_modes_are_grouped_by_what_becomes_of_them() -> None:
    checks = precision_checks([FP32, FP16_STATIC, TF32, FP16_UNSCALED, INT8_QAT], Hardware("cpu", "test"))
    assert [(check.name, check.status) for check in checks] == [
        ("fp32 arithmetic", OK),
        ("fp16 arithmetic", WARNING),
        ("tf32 arithmetic", UNAVAILABLE),
        ("int8-qat", WARNING),
    ]
    assert checks[0].finding == "for fp32: in hardware"
    assert checks[1].finding.startswith("for fp16-static, fp16-unscaled: this CPU has none of")
    assert checks[3].finding.startswith("for int8-qat: int8 is simulated")


def test_torchs_own_switches_are_shown_and_left_alone() -> None:
    before = torch.backends.cuda.matmul.fp32_precision
    checks = _by_name(torch_checks(torch.device("cpu")))
    assert torch.__version__ in checks["torch"].finding
    assert "cuda.conv" in checks["float32 switches"].finding
    assert torch.backends.cuda.matmul.fp32_precision == before


@pytest.fixture
def machine(tmp_path: Path) -> FakeMachine:
    return FakeMachine(tmp_path)


def _host(machine: FakeMachine, **used: float) -> dict[str, Check]:
    return _by_name(host_checks(machine.host(), lambda seconds: machine.passes(seconds, **used)))


def test_a_quiet_host_is_in_order_and_says_what_it_hides(machine: FakeMachine) -> None:
    machine.quota(0, 0)
    checks = _host(machine)
    assert checks["foreign load"].finding == "others take 0.00 of 2 processors; 2 tasks run or wait"
    assert [checks[name].status for name in ("foreign load", "steal time", "CPU quota")] == [OK, OK, OK]
    hidden = ("CPU governor", "CPU clock", "CPU temperature", "CPU energy")
    assert {checks[name].status for name in hidden} == {UNAVAILABLE}


def test_a_busy_host_is_warned_of(machine: FakeMachine) -> None:
    checks = _host(machine, foreign=1.1, steal=0.1)
    assert checks["foreign load"].finding == "others take 1.00 of 2 processors; 2 tasks run or wait"
    assert (checks["foreign load"].status, checks["steal time"].status) == (WARNING, WARNING)


@pytest.mark.parametrize(("governor", "status"), [("performance", OK), ("powersave", WARNING)])
def test_a_clock_that_follows_the_load_is_warned_of(machine: FakeMachine, governor: str, status: Status) -> None:
    for cpu in range(2):
        machine.write(f"sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor", f"{governor}\n")
    assert _host(machine)["CPU governor"].status is status


def test_energy_counters_of_the_packages_are_found(machine: FakeMachine) -> None:
    machine.package(0, 5.0)
    assert _host(machine)["CPU energy"].status is OK
