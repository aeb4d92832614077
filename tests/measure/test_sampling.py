from __future__ import annotations

import threading

import pytest
from fakes import FakeNvml, NVMLError, memory

from suite.measure.nvml import NvmlDevice
from suite.measure.sampling import Sample, Sampler, WindowSamples, clock_reasons_seen, gpu_reasons, joules, window_state

USUAL = {
    "nvmlDeviceGetMemoryInfo": memory(1),
    "nvmlDeviceGetClockInfo": lambda handle, domain: {1: 1500, 2: 2600}[domain],
    "nvmlDeviceGetTemperature": 50,
    "nvmlDeviceGetPowerUsage": 100_000,
    "nvmlDeviceGetEnforcedPowerLimit": 300_000,
    "nvmlDeviceGetCurrentClocksEventReasons": 0,
}


def _samples(at: tuple[float, ...] = (0.0, 1.0, 2.0), **answers: object) -> tuple[Sample, ...]:
    times = iter(at)
    sampler = Sampler(NvmlDevice(FakeNvml(**(USUAL | answers)), "GPU-0"), 3600.0, lambda: next(times))
    for _ in at:
        sampler.sample()
    return sampler.stop()


def test_a_window_shows_lowest_clocks_highest_temperature_mean_power_and_every_reason() -> None:
    clocks = iter([1500, 2600, 1200, 2500, 1400, 2600])
    samples = _samples(
        nvmlDeviceGetClockInfo=lambda handle, domain: next(clocks),
        nvmlDeviceGetTemperature=[50, 70, 60],
        nvmlDeviceGetPowerUsage=[100_000, 200_000, 300_000],
        nvmlDeviceGetCurrentClocksEventReasons=[0x1, 0x4, 0x40],
    )
    state = window_state(WindowSamples(samples, samples))
    assert (state.sm_clock_mhz, state.memory_clock_mhz, state.temperature_celsius) == (1200.0, 2500.0, 70.0)
    assert (state.power_watts, state.power_limit_watts) == (200.0, 300.0)
    assert state.clock_reasons == ("software power cap", "hardware thermal")


def test_a_call_that_fails_in_mid_run_leaves_its_own_gap_and_keeps_what_was_seen() -> None:
    samples = _samples(
        nvmlDeviceGetTemperature=[50, NVMLError("Timeout"), 60],
        nvmlDeviceGetCurrentClocksEventReasons=[0x40, NVMLError("Timeout"), 0x40],
    )
    window = WindowSamples(samples, samples)
    state = window_state(window)
    assert (state.temperature_celsius, state.clock_reasons, state.sm_clock_mhz) == (None, None, 1500.0)
    assert clock_reasons_seen(samples) == ("hardware thermal",)
    reasons = gpu_reasons(window)
    assert set(reasons) == {"temperature_celsius", "clock_reasons"}
    assert reasons["temperature_celsius"] == "1 of 3 readings failed: NVML does not give the temperature: Timeout"


def test_what_is_never_told_says_so_without_a_count() -> None:
    samples = _samples(nvmlDeviceGetPowerUsage=NVMLError("Not Supported"))
    reasons = gpu_reasons(WindowSamples(samples, samples))
    assert reasons == {"power_watts": "NVML does not give the power: Not Supported"}


def test_an_idle_device_at_the_edges_says_nothing_of_the_load() -> None:
    clocks = iter([345, 1593, 1980, 2619, 345, 1593])
    idle, busy, cooling = _samples(
        nvmlDeviceGetClockInfo=lambda handle, domain: next(clocks),
        nvmlDeviceGetTemperature=[30, 50, 51],
        nvmlDeviceGetPowerUsage=[82_500, 600_000, 120_000],
        nvmlDeviceGetCurrentClocksEventReasons=[0x40, 0x4, 0x40],
    )
    state = window_state(WindowSamples((idle, busy, cooling), (busy,)))
    assert (state.sm_clock_mhz, state.memory_clock_mhz, state.power_watts) == (1980.0, 2619.0, 600.0)
    assert state.clock_reasons == ("software power cap",)
    assert (state.temperature_celsius, state.power_limit_watts) == (51.0, 300.0)


def test_a_window_between_two_samples_has_no_clocks_and_no_power() -> None:
    window = WindowSamples(_samples(at=(0.0, 0.1)), ())
    state = window_state(window)
    assert (state.sm_clock_mhz, state.memory_clock_mhz, state.power_watts, state.clock_reasons) == (None,) * 4
    assert (state.temperature_celsius, state.power_limit_watts) == (50.0, 300.0)
    unknown = ("sm_clock_mhz", "memory_clock_mhz", "power_watts", "clock_reasons")
    assert gpu_reasons(window) == dict.fromkeys(unknown, "no sample fell inside the window")


def test_only_what_was_begun_and_finished_since_a_moment_counts() -> None:
    unfinished: list[tuple[Sample, ...]] = []

    def temperature(handle: str, sensor: int) -> int:
        unfinished.append(sampler.since(1.0))
        return 50

    times = iter((0.0, 1.0, 2.0))
    device = NvmlDevice(FakeNvml(**(USUAL | {"nvmlDeviceGetTemperature": temperature})), "GPU-0")
    sampler = Sampler(device, 3600.0, lambda: next(times))
    before = sampler.sample()
    assert sampler.now() == 1.0
    inside = sampler.sample()
    assert unfinished == [(), ()]
    assert sampler.since(1.0) == (inside,)
    assert sampler.stop() == (before, inside)


def test_power_over_time_is_energy() -> None:
    # 100 W rising to 300 W in 1 s, then 300 W for 1 s: 200 J and 300 J.
    assert joules(_samples(nvmlDeviceGetPowerUsage=[100_000, 300_000, 300_000])).value == 500.0


def test_power_that_was_not_read_for_long_is_not_made_up() -> None:
    reading = joules(_samples(at=(0.0, 1.0, 4.5)))
    assert reading == (None, "the power was not read for 3.5 s on end")


def test_a_failed_power_reading_makes_the_energy_unknown() -> None:
    assert joules(_samples(nvmlDeviceGetPowerUsage=[1, NVMLError("GPU is lost"), 1])).value is None


@pytest.mark.parametrize("at", [(), (0.0,)])
def test_energy_needs_time(at: tuple[float, ...]) -> None:
    assert not joules(_samples(at=at)).value


def test_the_thread_samples_by_itself_and_ends() -> None:
    seen = threading.Event()

    def temperature(handle: str, sensor: int) -> int:
        if threading.current_thread().name == "nvml-sampler":
            seen.set()
        return 50

    device = NvmlDevice(FakeNvml(**(USUAL | {"nvmlDeviceGetTemperature": temperature})), "GPU-0")
    sampler = Sampler(device, 0.001)
    assert seen.wait(5.0)
    samples = sampler.stop()
    assert samples == tuple(sorted(samples, key=lambda sample: sample.at_seconds))
    assert not any(thread.name == "nvml-sampler" for thread in threading.enumerate())
