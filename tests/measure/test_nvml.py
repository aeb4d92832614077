from __future__ import annotations

import inspect
import re

import pytest
from fakes import FakeNvml, NVMLError, NVMLLibraryMismatchError, memory, process

from suite.measure import nvml
from suite.measure.nvml import SLOWDOWNS, NvmlDevice, clock_reason_names, open_device

NOT_SUPPORTED = NVMLError("Not Supported")


def _device(**answers: object) -> NvmlDevice:
    return NvmlDevice(FakeNvml(**answers), "GPU-0")


def test_the_device_is_found_by_uuid_whatever_the_order_of_the_indices() -> None:
    used = {"handle of GPU-b": 200, "handle of GPU-a": 100}
    api = FakeNvml(
        uuids=("GPU-b", "GPU-a"),
        nvmlDeviceGetHandleByIndex=lambda index: list(used)[index],
        nvmlDeviceGetMemoryInfo=lambda handle, **version: memory(used[handle]),
    )
    assert NvmlDevice(api, "GPU-a").used_bytes().value == 100.0
    assert api.asked_uuids == ["GPU-a"]


def test_no_uuid_means_no_nvidia_device() -> None:
    assert open_device(None) == "not an NVIDIA device"


def test_a_machine_without_the_driver_says_so() -> None:
    reason = open_device("GPU-0")
    assert isinstance(reason, str)
    assert reason.startswith("NVML is not usable: ")


def test_the_version_of_the_memory_reading_is_chosen_once() -> None:
    asked = []

    def info(handle: str, version: int | None = None) -> object:
        asked.append(version)
        return memory(7_000)

    device = _device(nvmlDeviceGetMemoryInfo=info)
    assert (device.memory_version, device.used_bytes().value) == (2, 7000.0)
    assert asked == [2, 2]


def test_version_1_serves_where_version_2_fails_and_is_kept_to() -> None:
    def info(handle: str, version: int | None = None) -> object:
        if version is not None:
            raise NVMLError("Unknown Error")
        return memory(5)

    device = _device(nvmlDeviceGetMemoryInfo=info)
    assert (device.memory_version, device.used_bytes().value) == (1, 5.0)


def test_a_version_that_fails_later_is_a_gap_and_not_the_other_version() -> None:
    device = _device(nvmlDeviceGetMemoryInfo=[memory(5), NVMLError("GPU is lost")])
    assert device.used_bytes() == (None, "NVML does not give the memory in use: GPU is lost")


def test_unified_memory_has_no_device_memory_and_the_hosts_is_not_put_in_its_place() -> None:
    assert _device(nvmlDeviceGetMemoryInfo=NOT_SUPPORTED).used_bytes().value is None


@pytest.mark.parametrize(("used", "total"), [(11, 10), (0, 0), (-1, 10)])
def test_memory_that_cannot_be_is_not_believed(used: int, total: int) -> None:
    reading = _device(nvmlDeviceGetMemoryInfo=memory(used, total)).used_bytes()
    assert reading.value is None
    assert f"{used} of {total} bytes, which cannot be" in str(reading.reason)


def test_processes_are_listed_with_their_memory_or_none() -> None:
    device = _device(nvmlDeviceGetComputeRunningProcesses=[[process(1, 10), process(2, None)]])
    assert device.processes() == {1: 10, 2: None}


@pytest.mark.parametrize("error", [NVMLError, NVMLLibraryMismatchError])
def test_a_list_that_is_refused_says_why(error: type[Exception]) -> None:
    device = _device(nvmlDeviceGetComputeRunningProcesses=error("Function Not Found"))
    assert device.processes() == "NVML does not list the processes: Function Not Found"


def test_the_fakes_errors_are_those_of_the_real_bindings() -> None:
    import pynvml

    assert issubclass(pynvml.NVMLError_FunctionNotFound, pynvml.NVMLError)
    assert not issubclass(pynvml.NVMLLibraryMismatchError, pynvml.NVMLError)
    assert pynvml.nvmlMemory_v2
    real = {name for name in dir(pynvml) if name.startswith("nvmlDeviceGet")}
    used = set(re.findall(r"nvmlDeviceGet\w+", inspect.getsource(nvml)))
    assert used <= real
    bits = {getattr(pynvml, name) for name in dir(pynvml) if re.match(r"nvmlClocks(Event|Throttle)Reason[A-Z]", name)}
    assert set(nvml.CLOCK_REASONS) | {0x1} == {bit for bit in bits if bit.bit_count() == 1}


def test_accounting_is_read_only_where_it_is_on() -> None:
    stats = memory(0)
    stats.maxMemoryUsage = 900
    on = _device(nvmlDeviceGetAccountingMode=1, nvmlDeviceGetAccountingStats=stats)
    off = _device(nvmlDeviceGetAccountingMode=0, nvmlDeviceGetAccountingStats=stats)
    assert (on.accounted_peak_bytes(1).value, off.accounted_peak_bytes(1).value) == (900.0, None)


@pytest.mark.parametrize("peak", [None, 0])
def test_accounting_that_tells_nothing_is_not_zero(peak: int | None) -> None:
    stats = memory(0)
    stats.maxMemoryUsage = peak
    device = _device(nvmlDeviceGetAccountingMode=1, nvmlDeviceGetAccountingStats=stats)
    assert device.accounted_peak_bytes(1).value is None


def test_millijoules_and_milliwatts_become_joules_and_watts() -> None:
    device = _device(
        nvmlDeviceGetTotalEnergyConsumption=1500,
        nvmlDeviceGetPowerUsage=70_500,
        nvmlDeviceGetEnforcedPowerLimit=300_000,
    )
    assert device.energy_joules().value == 1.5
    assert device.power_watts().value == 70.5
    assert device.power_limit_watts().value == 300.0


def test_an_unsupported_energy_counter_is_none_with_the_reason() -> None:
    reading = _device(nvmlDeviceGetTotalEnergyConsumption=NOT_SUPPORTED).energy_joules()
    assert reading == (None, "NVML does not give an energy counter: Not Supported")


def test_clock_domains_are_not_mixed_up() -> None:
    device = _device(nvmlDeviceGetClockInfo=lambda handle, domain: {1: 1980, 2: 2619}[domain])
    assert (device.sm_clock_mhz().value, device.memory_clock_mhz().value) == (1980.0, 2619.0)


def test_clock_reasons_work_under_the_older_name_of_old_bindings_and_of_old_drivers() -> None:
    old_bindings = _device(nvmlDeviceGetCurrentClocksThrottleReasons=0x40)
    old_driver = _device(
        nvmlDeviceGetCurrentClocksEventReasons=NVMLError("Function Not Found"),
        nvmlDeviceGetCurrentClocksThrottleReasons=0x40,
    )
    assert old_bindings.clock_reasons().integer == old_driver.clock_reasons().integer == 0x40


def test_clock_reasons_that_nobody_tells_are_unknown_and_not_none_of_them() -> None:
    reading = _device(nvmlDeviceGetCurrentClocksEventReasons=NOT_SUPPORTED).clock_reasons()
    assert reading == (None, "NVML does not give clock-event reasons: Not Supported")


@pytest.mark.parametrize(
    ("mask", "names"),
    [
        (0x0, ()),
        (0x1, ()),
        (0x2, ("application clocks setting",)),
        (0x4, ("software power cap",)),
        (0x8, ("hardware slowdown",)),
        (0x10, ("sync boost",)),
        (0x20, ("software thermal",)),
        (0x40, ("hardware thermal",)),
        (0x80, ("power brake",)),
        (0x100, ("display clock setting",)),
        (0x200, ("board limit",)),
        (0x400, ("reliability voltage",)),
        (0x8000, ("reason 0x8000",)),
        (0x1 | 0x4 | 0x48, ("software power cap", "hardware slowdown", "hardware thermal")),
    ],
)
def test_every_bit_has_its_name_and_idling_none(mask: int, names: tuple[str, ...]) -> None:
    assert clock_reason_names(mask) == names


def test_the_power_cap_is_a_state_and_heat_a_slowdown() -> None:
    assert {"hardware slowdown", "software thermal", "hardware thermal", "power brake"} == SLOWDOWNS


def test_facts_that_the_device_does_not_tell_are_none() -> None:
    device = _device(nvmlDeviceGetEccMode=NOT_SUPPORTED, nvmlDeviceGetPersistenceMode=1)
    assert device.text("nvmlDeviceGetEccMode") is None
    assert device.text("nvmlDeviceGetMigMode") is None
    assert device.text("nvmlDeviceGetPersistenceMode") == "1"


def _divided(visible: str, uuid: str = "GPU-0", **answers: object) -> NvmlDevice:
    """A GPU in MIG mode with two instances; the whole holds 900 bytes, of which MIG-1 has 100."""
    used = {"handle of GPU-0": 900, "handle of MIG-1": 100, "handle of MIG-2": 800}

    def only_gpu(handle: str, *rest: object) -> int:
        if handle != "handle of GPU-0":
            raise NOT_SUPPORTED
        return 1500

    usual = {
        "uuids": ("GPU-0", "MIG-1", "MIG-2"),
        "nvmlDeviceGetMigMode": lambda handle: [1, 1],
        "nvmlDeviceGetMemoryInfo": lambda handle, **version: memory(used[handle]),
        "nvmlDeviceGetComputeRunningProcesses": lambda handle: [process(1, used[handle])],
        "nvmlDeviceGetTotalEnergyConsumption": only_gpu,
        "nvmlDeviceGetPowerUsage": only_gpu,
        "nvmlDeviceGetClockInfo": only_gpu,
        "nvmlDeviceGetDeviceHandleFromMigDeviceHandle": lambda handle: "handle of GPU-0",
    }
    return NvmlDevice(FakeNvml(**(usual | answers)), uuid, visible)


def test_an_instance_named_in_the_environment_has_its_own_memory_and_the_gpus_clock() -> None:
    device = _divided("MIG-1")
    assert device.used_bytes().value == 100.0
    assert device.processes() == {1: 100}
    assert device.sm_clock_mhz().value == 1500.0


def test_an_instance_has_no_power_and_the_gpus_is_not_put_in_its_place() -> None:
    device = _divided("MIG-1")
    assert device.energy_joules() == (None, "NVML does not give an energy counter: Not Supported")
    assert device.power_watts().value is None


@pytest.mark.parametrize("visible", ["", "0", "GPU-0", "MIG-unknown"])
def test_an_instance_that_is_not_known_has_nothing_of_its_neighbours(visible: str) -> None:
    device = _divided(visible)
    for reading in (device.used_bytes(), device.total_bytes(), device.energy_joules(), device.power_watts()):
        assert reading.value is None
        assert "which instance this process has is not known" in str(reading.reason)
    assert isinstance(device.processes(), str)
    assert device.sm_clock_mhz().value == 1500.0


def test_a_uuid_that_is_an_instances_is_found_as_one() -> None:
    device = _divided("", uuid="GPU-1", uuids=("MIG-1",))
    assert device.used_bytes().value == 100.0
    assert device.sm_clock_mhz().value == 1500.0


def test_a_uuid_that_nobody_has_is_an_error() -> None:
    with pytest.raises(NVMLError):
        _divided("", uuid="GPU-9")
