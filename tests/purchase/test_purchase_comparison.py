"""Machines side by side, from stored runs of two made-up ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import records

from suite.purchase.comparison import Offer, break_evens, offers
from suite.purchase.prices import MachinePrice, Prices
from suite.readings import Memory
from suite.record import Caution, Outcome, TrialRecord
from suite.store import Run

PRICES = Prices(
    "EUR",
    (
        MachinePrice("slow", hourly_price=3.6),
        MachinePrice("fast", purchase_price=8766.0, life_years=2.0, utilisation=0.5),
    ),
    power_price_per_kwh=0.0,
)


def _run(device: str, trials: Sequence[TrialRecord], **environment: Any) -> Run:
    return records.run(trials, f"run-{device}", records.environment(device_name=device, **environment))


def _trials(seconds: float, precision: str = "fp32", **fields: Any) -> list[TrialRecord]:
    """Three processes of equal steps of four samples."""
    return records.cell([seconds] * 3, precision=precision, **fields)


SLOW, FAST = _run("slow", _trials(0.04)), _run("fast", _trials(0.02))


def _offer(found: Sequence[Offer], device: str, precision: str = "fp32") -> Offer:
    (offer,) = [each for each in found if (each.device, each.precision) == (device, precision)]
    return offer


def test_two_machines_with_known_rates_and_prices_give_the_price_computed_by_hand() -> None:
    """100 against 200 samples a second, 1e-5 against 1/720000 a sample; the fast one may cost 200 × 1e-5 a second."""
    found = offers([SLOW, FAST], PRICES)
    slow, fast = _offer(found, "slow"), _offer(found, "fast")
    assert slow.samples_per_second is not None
    assert slow.samples_per_second.value == pytest.approx(100.0)
    assert slow.money_per_sample is not None
    assert slow.money_per_sample.value == pytest.approx(1e-5)
    assert fast.money_per_sample is not None
    assert fast.money_per_sample.value == pytest.approx(1 / 720_000)
    prices = {(each.offer.device, each.rival.device): each.price.value for each in break_evens(found)}
    assert prices == {
        ("fast", "slow"): pytest.approx(200e-5 * 3600 * 8766),
        ("slow", "fast"): pytest.approx(100 / 720_000 * 3600),
    }


def test_without_prices_there_is_no_cost_and_the_reason() -> None:
    slow = _offer(offers([SLOW], None), "slow")
    assert (slow.money_per_sample, slow.without_cost) == (None, "no price file was given")
    other = _offer(offers([_run("other", _trials(0.04))], PRICES), "other")
    assert (other.money_per_sample, other.without_cost) == (None, "the price file has no such device")


def test_a_bought_machine_without_a_meter_has_no_cost_where_power_is_paid_for() -> None:
    fast = _offer(offers([FAST], replace(PRICES, power_price_per_kwh=0.3)), "fast")
    assert (fast.money_per_sample, fast.without_cost) == (None, "it was bought, and its energy was not metered")
    assert list(break_evens([fast])) == []


@pytest.mark.parametrize(
    ("trials", "why"),
    [
        (_trials(0.01, "bf16", outcome=Outcome.EMULATED), "emulated: the hardware does not compute in it"),
        (_trials(0.01, "bf16", cautions=(Caution("clock_throttled", "cool it"),)), "3 of 3 trials were disturbed"),
        (
            [records.record(Outcome.OUT_OF_MEMORY, reason="80 GiB.", spec=records.spec("gpt", "bf16"))],
            "1 of 1 trials have no numbers (out of memory)",
        ),
    ],
    ids=["emulated", "throttled", "out of memory"],
)
def test_what_does_not_count_is_shown_with_the_reason_and_never_ranked(trials: list[TrialRecord], why: str) -> None:
    found = offers([_run("slow", [*_trials(0.04), *trials]), FAST], PRICES)
    bf16 = _offer(found, "slow", "bf16")
    assert (bf16.unranked, bf16.recommended) == (why, False)
    assert {each.offer.precision for each in break_evens(found)} == {"fp32"}


def test_other_work_is_not_compared() -> None:
    larger = records.setup(batch_size=8)
    other = _run("other", [replace(one, spec=replace(one.spec, setup=larger)) for one in _trials(0.04)])
    found = offers([SLOW, FAST, other], PRICES)
    assert _offer(found, "other").unranked == (
        "other work than the other machines did: its sizes, steps or optimizer differ"
    )
    assert _offer(found, "slow").unranked is None


def test_what_memory_is_left() -> None:
    trials = _trials(0.04, memory=Memory(peak_allocated_bytes=10 * 2**30, peak_rss_bytes=2**30))
    (offer,) = offers([_run("slow", trials, device_memory_bytes=80 * 2**30)], None)
    assert offer.headroom_bytes == 70 * 2**30


def test_a_skipped_step_has_taught_nothing() -> None:
    """Two of ten timed steps skipped: the applied ones are eight tenths of the rate."""
    steps = replace(records.trace(0.04, overflow_steps=(5, 6)), skips_overflow=True)
    trials = [
        records.record(spec=records.spec("gpt", "fp16-dynamic", repeat=repeat), steps=steps) for repeat in range(3)
    ]
    (offer,) = offers([_run("slow", trials)], PRICES)
    assert offer.samples_per_second is not None
    assert offer.samples_per_second.value == pytest.approx(80.0)
