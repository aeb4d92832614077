"""Costs by hand: two machines with known throughput, power and price."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suite.judge.estimates import estimate
from suite.purchase.costs import Machine, break_even_price
from suite.purchase.prices import MachinePrice

#: 3.6 money an hour: a thousandth a second.
RENTED = MachinePrice("rented", hourly_price=3.6)
#: 8766 for 8766 hours of training: 1 an hour.
BOUGHT = MachinePrice("bought", purchase_price=8766.0, life_years=2.0, utilisation=0.5)
#: 0.36 money a kilowatt-hour.
PER_JOULE = 0.36 / 3.6e6


def _machine(price: MachinePrice, rate: float, joules: float | None = None, processes: int = 3) -> Machine:
    return Machine(price, (rate,) * processes, () if joules is None else (joules,) * processes, PER_JOULE)


def test_a_rented_machine_costs_its_hour_over_the_samples_of_an_hour() -> None:
    """0.001 a second at 100 samples a second; its energy is in the rent."""
    assert _machine(RENTED, 100.0, joules=50.0).money_per_sample == pytest.approx((1e-5,) * 3)


def test_a_bought_machine_costs_depreciation_and_power() -> None:
    """1 an hour at 100 samples a second is 1/360000; 2 J are 2 × 1e-7."""
    assert _machine(BOUGHT, 100.0, joules=2.0).money_per_sample == pytest.approx((1 / 360_000 + 2e-7,) * 3)


def test_without_a_meter_a_bought_machine_has_no_cost_unless_power_is_free() -> None:
    assert not _machine(BOUGHT, 100.0).complete
    assert Machine(BOUGHT, (100.0,), (), 0.0).complete
    assert _machine(RENTED, 100.0).complete


def test_between_rented_machines_the_break_even_price_is_as_the_rates() -> None:
    """Twice as fast as one for 3.6 an hour: worth 7.2."""
    found = break_even_price(_machine(RENTED, 200.0), _machine(RENTED, 100.0))
    assert (found.value, found.low, found.high) == pytest.approx((7.2, 7.2, 7.2))


def test_a_machine_to_be_bought_against_a_rented_one_by_hand() -> None:
    """The rented one costs 1e-5 a sample. The other makes 200 a second, of which power takes 2e-7 each: it may cost
    200 × (1e-5 − 2e-7) = 0.00196 a second, 7.056 an hour, and trains 8766 hours: 61852.896.
    """
    found = break_even_price(_machine(BOUGHT, 200.0, joules=2.0), _machine(RENTED, 100.0))
    assert found.value == pytest.approx(61_852.896)


def test_where_power_alone_costs_more_no_price_is_low_enough() -> None:
    found = break_even_price(_machine(BOUGHT, 200.0, joules=200.0), _machine(RENTED, 100.0))
    assert found.value < 0


def test_with_one_process_there_is_no_interval() -> None:
    found = break_even_price(_machine(RENTED, 200.0, processes=1), _machine(RENTED, 100.0))
    assert (found.value, found.low, found.high) == (pytest.approx(7.2), None, None)


def test_the_interval_holds_the_true_price_as_often_as_it_says() -> None:
    """600 pairs of machines with 2 % noise between five processes: 95 % within three standard errors."""
    random, held = np.random.default_rng(0), 0
    for _ in range(600):
        fast = Machine(
            BOUGHT,
            tuple(200 * np.exp(random.normal(0, 0.02, 5))),
            tuple(2 * np.exp(random.normal(0, 0.02, 5))),
            PER_JOULE,
        )
        slow = Machine(RENTED, tuple(100 * np.exp(random.normal(0, 0.02, 5))), (), PER_JOULE)
        found = break_even_price(fast, slow)
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 61_852.896 <= found.high
    assert 0.92 <= held / 600 <= 0.98


positive = st.floats(0.1, 1e4)


@settings(max_examples=50)
@given(
    rates=st.lists(positive, min_size=2, max_size=5), other=st.lists(positive, min_size=2, max_size=5), joules=positive
)
def test_at_the_break_even_price_a_sample_costs_the_same(rates: list[float], other: list[float], joules: float) -> None:
    machine = Machine(BOUGHT, tuple(rates), (joules,) * len(rates), 1e-12)
    rival = Machine(RENTED, tuple(other), (), 1e-12)
    price = break_even_price(machine, rival).value
    rate = float(np.mean(rates))
    power = float(np.mean([joules * 1e-12 * each for each in rates]))
    cost = (price / (3600 * BOUGHT.hours) + power) / rate
    assert cost == pytest.approx(float(np.mean(rival.money_per_sample)))


def test_an_estimate_in_another_unit_and_turned_over_keeps_its_interval() -> None:
    found = estimate([1.0, 2.0, 4.0])
    assert found.value == pytest.approx(2.0)
    assert found.low is not None
    assert found.high is not None
    assert found.low * found.high == pytest.approx(4.0)
    turned = found.times(10.0).inverse()
    assert (turned.value, turned.low, turned.high) == pytest.approx((0.05, 0.1 / found.high, 0.1 / found.low))
    assert math.isclose(estimate([3.0]).value, 3.0)
    assert estimate([3.0]).low is None
