from __future__ import annotations

import pytest
from records import cell, record, run

from suite.emissions import check_factor, emission_lines, with_emissions
from suite.errors import UsageError
from suite.readings import Energy
from suite.record import Outcome

#: 10 steps of 4 samples: 90 J a sample.
MEASURED = cell([0.1, 0.1], energy=Energy(3_600.0, 10, "NVML total energy counter"))
UNMEASURED = cell([0.1], precision="bf16", energy=Energy(reason="no counter"))


def test_a_kilowatt_hour_at_the_factor_is_the_factor() -> None:
    # 90 J × 400 g / 3.6 MJ = 0.01 g.
    frame = with_emissions(run([*MEASURED, *UNMEASURED]).trials, 400.0)
    assert frame["grams_co2e_per_sample"].tolist()[:2] == pytest.approx([0.01, 0.01])
    assert frame["grams_co2e_per_sample"].isna().tolist() == [False, False, True]


def test_lines_name_the_source_of_the_energy_the_gap_and_the_factor() -> None:
    assert emission_lines(run([*MEASURED, *UNMEASURED]).trials, 400.0) == [
        "gpt × fp32: 90 J and 0.01 g CO2e per sample (NVML total energy counter)",
        "gpt × bf16: no energy, so no CO2e: no counter",
        "CO2e at 400 g per kWh, the factor given on the command line",
    ]


def test_a_trial_that_never_ran_has_no_emissions() -> None:
    trials = run([record(Outcome.UNSUPPORTED, reason="no TF32", energy=Energy())]).trials
    assert emission_lines(trials, 1.0)[0] == "gpt × fp32: no energy, so no CO2e: the trials were not measured"


@pytest.mark.parametrize("factor", [-1.0, float("nan"), float("inf")])
def test_a_factor_that_is_none_is_refused(factor: float) -> None:
    with pytest.raises(UsageError, match="is no factor; give the grams"):
        check_factor(factor)


def test_an_electricity_without_emissions_is_a_factor() -> None:
    check_factor(0.0)
