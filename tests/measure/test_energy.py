from __future__ import annotations

from pathlib import Path

import pytest
from fakes import FakeMachine, FakeNvml, NVMLError

from suite.measure.energy import GpuMeter, PackageMeter
from suite.measure.nvml import NvmlDevice
from suite.measure.reading import Reading
from suite.measure.sampling import Sample
from suite.readings import Energy

GAP = Reading(None, "not read")


def _watts(*watts: float | None) -> list[Sample]:
    """One sample a second."""
    powers = [Reading(value, None if value else "NVML does not give the power: Not Supported") for value in watts]
    return [Sample(float(at), GAP, GAP, GAP, GAP, power, GAP, GAP) for at, power in enumerate(powers)]


def _gpu(counter: object, samples: list[Sample], seconds: float = 10.0) -> Energy:
    meter = GpuMeter(NvmlDevice(FakeNvml(nvmlDeviceGetTotalEnergyConsumption=counter), "GPU-0"))
    meter.begin()
    meter.end()
    return meter.energy(samples, seconds, 100)


def test_energy_is_the_difference_of_the_counter_at_the_edges() -> None:
    energy = _gpu([1, 10_000, 40_000], _watts(5.0, 5.0))
    assert energy == Energy(30.0, 100, "NVML total energy counter")


def test_a_short_window_has_no_energy() -> None:
    energy = _gpu([1, 10_000, 40_000], _watts(5.0, 5.0), seconds=0.5)
    assert energy.joules is None
    assert "0.50 s is shorter than the 2 s" in str(energy.reason)


def test_a_counter_that_went_backwards_has_no_energy() -> None:
    energy = _gpu([1, 40_000, 10], _watts(5.0, 5.0))
    assert energy.joules is None
    assert "backwards" in str(energy.reason)


def test_a_counter_that_stood_still_is_not_zero_energy() -> None:
    energy = _gpu([1, 40_000, 40_000], _watts(5.0, 5.0))
    assert (energy.joules, energy.reason) == (None, "the energy counter did not move in 10.0 s")


def test_without_a_counter_sampled_power_is_integrated_and_named() -> None:
    energy = _gpu(NVMLError("Not Supported"), _watts(100.0, 200.0, 200.0))
    assert energy == Energy(350.0, 100, "NVML power, sampled every 200 ms and integrated (no energy counter)")


def test_with_neither_both_reasons_are_given() -> None:
    energy = _gpu(NVMLError("Not Supported"), _watts(100.0, None))
    assert energy.joules is None
    assert energy.reason == (
        "NVML does not give an energy counter: Not Supported; "
        "nor can power be summed up: NVML does not give the power: Not Supported"
    )


def test_a_counter_that_fails_at_the_end_is_made_up_for_by_the_samples() -> None:
    assert _gpu([1, 5, NVMLError("Timeout")], _watts(100.0, 100.0)).joules == 100.0


def test_without_nvml_there_is_its_reason() -> None:
    assert GpuMeter("NVML is not usable: x").energy([], 10.0, 1) == Energy(reason="NVML is not usable: x")


@pytest.fixture
def machine(tmp_path: Path) -> FakeMachine:
    return FakeMachine(tmp_path)


def _package(machine: FakeMachine, joules: dict[int, float], seconds: float = 10.0, **limits: float) -> Energy:
    """The meter's energy where the packages' counters end at these values."""
    meter = PackageMeter(machine.host().powercap)
    meter.begin()
    for number, value in joules.items():
        machine.package(number, value, **limits)
    meter.end()
    return meter.energy([], seconds, 100)


def test_all_packages_are_summed_and_nothing_is_counted_twice(machine: FakeMachine) -> None:
    machine.package(0, 1_000.0)
    machine.package(1, 2_000.0)
    machine.package(2, 5.0, name="psys")
    machine.write("sys/class/powercap/intel-rapl:0:0/name", "core\n")
    machine.write("sys/class/powercap/intel-rapl-mmio:0/name", "package-0\n")
    energy = _package(machine, {0: 1_100.0, 1: 2_050.0})
    assert energy.joules == pytest.approx(150.0)
    assert energy.steps == 100
    assert energy.source == "RAPL counters of 2 packages, everything that ran on them, without memory"


def test_a_counter_that_started_again_is_continued(machine: FakeMachine) -> None:
    machine.package(0, 65_000.0, wraps_at=65_532.0)
    assert _package(machine, {0: 100.0}, wraps_at=65_532.0).joules == pytest.approx(632.0)


def test_a_window_in_which_it_may_start_again_twice_has_no_energy(machine: FakeMachine) -> None:
    machine.package(0, 10.0, wraps_at=65_532.0)
    energy = _package(machine, {0: 100.0}, seconds=200.0, wraps_at=65_532.0)
    assert energy.joules is None
    assert "more than once" in str(energy.reason)


def test_a_short_window_has_no_package_energy(machine: FakeMachine) -> None:
    machine.package(0, 1_000.0)
    assert "shorter than the 2 s" in str(_package(machine, {0: 1_100.0}, seconds=1.0).reason)


def test_package_counters_that_stood_still_are_not_zero_energy(machine: FakeMachine) -> None:
    machine.package(0, 1_000.0)
    energy = _package(machine, {})
    assert (energy.joules, energy.reason) == (None, "the processors' energy counters did not move in 10.0 s")


def test_a_machine_without_the_counters_says_so(machine: FakeMachine) -> None:
    assert "no energy counter" in str(_package(machine, {}).reason)


def test_a_counter_that_is_no_number_is_named(machine: FakeMachine) -> None:
    machine.package(0, 1_000.0)
    machine.write("sys/class/powercap/intel-rapl:0/energy_uj", "?\n")
    assert _package(machine, {}).reason == "the processor's energy counter (RAPL, intel-rapl:0) cannot be read"


def test_counters_that_only_root_may_read_are_said_to_be_so(machine: FakeMachine) -> None:
    class Guarded(type(machine.root)):  # type: ignore[misc]
        """A folder whose energy counters this user may not read; the tests may be run by root, who may."""

        def read_text(self, *arguments: str, **options: str) -> str:
            if self.name == "energy_uj":
                raise PermissionError(13, "Permission denied")
            return str(super().read_text(*arguments, **options))

    machine.package(0, 1_000.0)
    meter = PackageMeter(Guarded(machine.host().powercap))
    assert meter.energy([], 10.0, 1).reason == "the processor's energy counter (RAPL) is readable by root only"
