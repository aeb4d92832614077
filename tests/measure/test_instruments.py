"""The whole chain with every seam faked: what a trial's record says of its machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from fakes import FakeCuda, FakeMachine, FakeNvml, NVMLError, memory, process

from suite.measure.instruments import Instruments, Observed
from suite.measure.nvml import NvmlDevice
from suite.measure.sampling import Sampler

CPU, CUDA = torch.device("cpu"), torch.device("cuda:0")
NOT_NVIDIA = "not an NVIDIA device"
OTHER = 2**30  # no process has such an id


def _usual() -> dict[str, object]:
    return {
        # Once to choose the version, then before, at the window, inside it, and at the end.
        "nvmlDeviceGetMemoryInfo": [memory(1_000), memory(1_000), memory(1_000), memory(9_000)],
        "nvmlDeviceGetComputeRunningProcesses": [[], [process(os.getpid(), 7_000)]],
        "nvmlDeviceGetTotalEnergyConsumption": [1, 10_000, 40_000],
        "nvmlDeviceGetPowerUsage": 100_000,
        "nvmlDeviceGetEnforcedPowerLimit": 300_000,
        "nvmlDeviceGetTemperature": 50,
        "nvmlDeviceGetClockInfo": 1500,
        "nvmlDeviceGetCurrentClocksEventReasons": 0,
    }


@pytest.fixture
def machine(tmp_path: Path) -> FakeMachine:
    return FakeMachine(tmp_path)


def _on_gpu(machine: FakeMachine, lost_after: int | None = None, inside: int = 1, **answers: object) -> Observed:
    """With so many samples inside the window."""
    nvml = NvmlDevice(FakeNvml(lost_after, **(_usual() | answers)), "GPU-0")
    sampler = Sampler(nvml, 3600.0)
    cuda = FakeCuda([500, 300], reserved=[800, 700])
    instruments = Instruments(CUDA, nvml, cuda, machine.host(), lambda device: sampler)
    instruments.training_begins()
    instruments.window_begins()
    for _ in range(inside):
        sampler.sample()
    machine.passes(10.0, own=5.0)
    return instruments.finish(10.0, 100)


def _on_cpu(machine: FakeMachine, **used: float) -> Observed:
    instruments = Instruments(CPU, NOT_NVIDIA, host=machine.host())
    instruments.training_begins()
    machine.passes(1.0)
    instruments.window_begins()
    machine.passes(10.0, **used)
    return instruments.finish(10.0, 100)


def test_a_quiet_gpu_is_told_in_full(machine: FakeMachine) -> None:
    observed = _on_gpu(machine)
    assert observed.cautions == ()
    assert observed.memory.reasons == {}
    assert observed.memory.peak_device_bytes == 8_000
    assert observed.memory.peak_process_bytes == 7_000
    assert (observed.energy.joules, observed.energy.steps) == (30.0, 100)
    during = observed.hardware.during
    assert during is not None
    assert (during.sm_clock_mhz, during.temperature_celsius, during.power_watts) == (1500.0, 50.0, 100.0)
    assert during.clock_reasons == ()
    assert during.foreign_processes == 0
    assert during.foreign_cpu_share == 0.0
    assert set(observed.hardware.reasons) == {"cpu_clock_mhz", "throttled_share"}


def test_a_cpu_has_the_hosts_numbers_and_reasons_for_the_gpus(machine: FakeMachine) -> None:
    machine.quota(0, 0)
    machine.package(0, 1_000.0)
    observed = _on_cpu(machine, own=19.5, foreign=0.1)
    assert observed.cautions == ()
    assert observed.memory.reasons["peak_device_bytes"] == NOT_NVIDIA
    assert "peak_rss_bytes" not in observed.memory.reasons
    assert observed.energy.reason == "the processors' energy counters did not move in 10.0 s"
    during = observed.hardware.during
    assert during is not None
    assert during.foreign_cpu_share == pytest.approx(0.005)
    assert (during.steal_share, during.throttled_share, during.run_queue) == (0.0, 0.0, 2)
    assert (during.sm_clock_mhz, during.clock_reasons) == (None, None)
    assert observed.hardware.reasons["clock_reasons"] == NOT_NVIDIA
    before = observed.hardware.before
    assert before is not None
    assert (before.run_queue, before.foreign_cpu_share) == (2, None)


def test_a_disturbed_cpu_says_by_whom_and_only_of_the_window(machine: FakeMachine) -> None:
    machine.quota(0, 0)
    host = machine.host()
    instruments = Instruments(CPU, NOT_NVIDIA, host=host)
    instruments.training_begins()
    machine.passes(10.0, foreign=20.0)
    machine.quota(50, 50)
    instruments.window_begins()
    machine.passes(10.0, own=12.0, foreign=6.0, steal=1.0)
    machine.quota(150, 60)
    observed = instruments.finish(10.0, 100)
    assert [caution.code for caution in observed.cautions] == ["foreign_load", "cpu_steal", "cpu_throttled"]
    assert observed.hardware.during is not None
    during = observed.hardware.during
    assert during.foreign_cpu_share == pytest.approx(0.3)
    assert during.steal_share == pytest.approx(0.05)
    assert during.throttled_share == pytest.approx(0.1)


def test_the_edges_are_read_from_an_idle_gpu_and_are_no_state_of_the_window(machine: FakeMachine) -> None:
    # Before, at the window, inside it where anything is, and at the end.
    during = _on_gpu(
        machine,
        nvmlDeviceGetPowerUsage=[82_500, 82_500, 600_000, 120_000],
        nvmlDeviceGetTemperature=[30, 31, 50, 51],
    ).hardware.during
    assert during is not None
    assert (during.power_watts, during.temperature_celsius) == (600.0, 51.0)
    short = _on_gpu(machine, inside=0, nvmlDeviceGetPowerUsage=[82_500, 82_500, 120_000]).hardware
    assert short.during is not None
    assert (short.during.power_watts, short.during.sm_clock_mhz, short.during.clock_reasons) == (None, None, None)
    for name in ("power_watts", "sm_clock_mhz", "memory_clock_mhz", "clock_reasons"):
        assert short.reasons[name] == "no sample fell inside the window"
    assert short.before is not None
    assert (short.before.power_watts, short.before.sm_clock_mhz) == (82.5, 1500.0)


def test_the_drivers_list_of_processes_is_read_before_the_model_and_after_the_last_step_alone(
    machine: FakeMachine,
) -> None:
    moments = []

    def listed(handle: str) -> list[object]:
        moments.append(moment)
        return [process(os.getpid(), 7_000)] if moment == "finish" else []

    nvml = NvmlDevice(FakeNvml(**(_usual() | {"nvmlDeviceGetComputeRunningProcesses": listed})), "GPU-0")
    moment = "construct"
    instruments = Instruments(CUDA, nvml, FakeCuda([500, 300], reserved=[800, 700]), machine.host())
    moment = "window"
    instruments.training_begins()
    instruments.window_begins()
    moment = "finish"
    observed = instruments.finish(10.0, 100)
    assert moments == ["construct", "finish"]
    assert observed.hardware.during is not None
    assert observed.hardware.during.foreign_processes == 0


def test_company_that_has_left_by_the_end_is_told_of_the_window_too(machine: FakeMachine) -> None:
    processes = [[process(OTHER, 5)], [process(os.getpid(), 7_000)]]
    observed = _on_gpu(machine, nvmlDeviceGetComputeRunningProcesses=processes)
    hardware = observed.hardware
    assert hardware.before is not None
    assert hardware.during is not None
    assert hardware.after is not None
    states = (hardware.before, hardware.during, hardware.after)
    assert [state.foreign_processes for state in states] == [1, 1, 0]
    assert [caution.code for caution in observed.cautions] == ["foreign_gpu_process"]


def test_a_throttled_gpu_with_company_is_told(machine: FakeMachine) -> None:
    processes = [[process(OTHER, 5)], [process(OTHER, 5), process(os.getpid(), 7_000)]]
    observed = _on_gpu(
        machine, nvmlDeviceGetCurrentClocksEventReasons=0x44, nvmlDeviceGetComputeRunningProcesses=processes
    )
    assert [caution.code for caution in observed.cautions] == ["clock_throttled", "foreign_gpu_process"]
    assert observed.hardware.before is not None
    assert observed.hardware.during is not None
    assert observed.hardware.before.foreign_processes == observed.hardware.during.foreign_processes == 1
    assert observed.hardware.during.clock_reasons == ("software power cap", "hardware thermal")


def test_a_slowdown_before_the_window_is_no_fault_of_the_window(machine: FakeMachine) -> None:
    observed = _on_gpu(machine, nvmlDeviceGetCurrentClocksEventReasons=[0x40, 0x0])
    assert observed.cautions == ()
    assert observed.hardware.before is not None
    assert observed.hardware.before.clock_reasons == ("hardware thermal",)


def test_in_a_container_neither_this_process_nor_others_are_known(machine: FakeMachine) -> None:
    observed = _on_gpu(machine, nvmlDeviceGetComputeRunningProcesses=[[], [process(OTHER, 7_000)]])
    assert observed.cautions == ()
    assert observed.memory.peak_process_bytes is None
    assert "container" in observed.memory.reasons["peak_process_bytes"]
    assert observed.hardware.during is not None
    assert observed.hardware.during.foreign_processes is None
    assert "container" in observed.hardware.reasons["foreign_processes"]


def test_a_call_that_raises_in_mid_run_leaves_a_gap_with_its_reason(machine: FakeMachine) -> None:
    observed = _on_gpu(machine, nvmlDeviceGetTemperature=[50, NVMLError("Timeout"), 50])
    assert observed.hardware.during is not None
    assert observed.hardware.during.temperature_celsius is None
    assert "1 of 3 readings failed" in observed.hardware.reasons["temperature_celsius"]
    assert observed.energy.joules == 30.0


@pytest.mark.parametrize("calls", range(60))
def test_a_driver_that_disappears_costs_numbers_and_nothing_else(machine: FakeMachine, calls: int) -> None:
    observed = _on_gpu(machine, lost_after=calls)
    values = {**vars(observed.memory), "joules": observed.energy.joules}
    expected = {"peak_device_bytes": 8_000, "peak_process_bytes": 7_000, "joules": 30.0}
    for name, value in expected.items():
        assert values[name] in (value, None)
    for name in ("peak_device_bytes", "peak_process_bytes"):
        assert (values[name] is None) == (name in observed.memory.reasons)
    assert (observed.energy.joules is None) == (observed.energy.reason is not None)
    during = observed.hardware.during
    assert during is not None
    for name in ("sm_clock_mhz", "temperature_celsius", "power_watts", "clock_reasons", "foreign_processes"):
        assert (getattr(during, name) is None) == (name in observed.hardware.reasons)
        assert getattr(during, name) != 0 or name == "foreign_processes"


def test_a_machine_whose_nvml_is_not_usable_still_has_torchs_numbers(machine: FakeMachine) -> None:
    reason = "NVML is not usable: Driver Not Loaded"
    instruments = Instruments(CUDA, reason, FakeCuda([500, 300], reserved=[800, 700]), machine.host())
    instruments.training_begins()
    instruments.window_begins()
    observed = instruments.finish(10.0, 100)
    assert observed.memory.peak_allocated_bytes == 300
    assert observed.memory.reasons["peak_device_bytes"] == reason
    assert observed.energy.reason == reason
    assert observed.hardware.reasons["power_watts"] == reason
