"""Machines side by side, from stored runs of two made-up ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import records

from suite.judge.calibration import Calibration, CellCalibration
from suite.purchase.comparison import Offer, break_evens, offers
from suite.purchase.prices import MachinePrice, Prices
from suite.readings import Energy, Memory
from suite.record import Caution, Outcome, Quality, TrialRecord
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


GIB = 2**30
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
        (_trials(0.01, "bf16", outcome=Outcome.EMULATED), "emulated: computed without units for it"),
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
    assert _offer(found, "other").unranked == "other work than most machines did: batch size 8, elsewhere 4"
    assert _offer(found, "slow").unranked is None


@pytest.mark.parametrize(
    ("memory", "left", "layer"),
    [
        (Memory(peak_device_bytes=30 * GIB, peak_reserved_bytes=20 * GIB), 50, "the device's peak"),
        (Memory(peak_reserved_bytes=20 * GIB, peak_allocated_bytes=10 * GIB), 60, "what torch reserved"),
        (Memory(peak_allocated_bytes=10 * GIB, peak_rss_bytes=GIB), 70, "what torch allocated"),
    ],
)
def test_the_memory_left_is_that_of_the_layer_nearest_to_the_limit(memory: Memory, left: int, layer: str) -> None:
    trials = _trials(0.04, memory=memory)
    (offer,) = offers([_run("slow", trials, device_memory_bytes=80 * GIB)], None)
    assert (offer.headroom_bytes, offer.peak_layer) == (left * GIB, layer)


def test_a_layer_counts_where_every_process_has_it() -> None:
    both = Memory(peak_device_bytes=30 * GIB, peak_allocated_bytes=10 * GIB)
    trials = [*_trials(0.04, memory=both), *_trials(0.04, memory=Memory(peak_allocated_bytes=12 * GIB))]
    trials = [replace(one, spec=replace(one.spec, repeat=place)) for place, one in enumerate(trials)]
    (offer,) = offers([_run("slow", trials, device_memory_bytes=80 * GIB)], None)
    assert (offer.headroom_bytes, offer.peak_layer) == (68 * GIB, "what torch allocated")


def test_a_skipped_step_has_taught_nothing() -> None:
    """Two of ten timed steps skipped: the applied ones are eight tenths of the rate."""
    steps = replace(records.trace(0.04, overflow_steps=(5, 6)), skips_overflow=True)
    trials = [
        records.record(spec=records.spec("gpt", "fp16-dynamic", repeat=repeat), steps=steps) for repeat in range(3)
    ]
    (offer,) = offers([_run("slow", trials)], PRICES)
    assert offer.samples_per_second is not None
    assert offer.samples_per_second.value == pytest.approx(80.0)


def test_where_every_step_was_skipped_there_is_nothing_to_rank() -> None:
    steps = replace(records.trace(0.04, overflow_steps=range(records.STEPS)), skips_overflow=True)
    trials = [records.record(spec=records.spec("gpt", "fp16-dynamic", repeat=n), steps=steps) for n in range(3)]
    (offer,) = offers([_run("slow", trials)], PRICES)
    assert (offer.samples_per_second, offer.unranked) == (None, "no timed step was applied")
    assert (offer.money_per_sample, offer.without_cost) == (None, "no timed step was applied")


def test_a_counter_that_did_not_move_has_metered_nothing() -> None:
    trials = _trials(0.02, energy=Energy(joules=0.0, steps=11, source="counter"))
    (offer,) = offers([_run("fast", trials)], replace(PRICES, power_price_per_kwh=0.3))
    assert (offer.joules_per_sample, offer.without_cost) == (None, "it was bought, and its energy was not metered")


def test_the_mode_that_stands_says_which_faster_one_is_not_counted() -> None:
    unproven = Quality({"accuracy": 0.74}, "accuracy", True, 0.5, "majority class")
    found = offers([_run("slow", [*_trials(0.04), *_trials(0.02, "bf16", quality=unproven)])], None)
    fp32, bf16 = _offer(found, "slow"), _offer(found, "slow", "bf16")
    assert (fp32.stands, fp32.recommended, bf16.stands, bf16.recommended) == (True, False, False, False)
    why = "its quality is undecided: 1 seed; 5 give a margin, or `ampmark calibrate` does"
    assert (fp32.remark, bf16.remark) == (f"bf16 not counted: {why}", None)
    assert (fp32.excluded, bf16.excluded, bf16.unranked) == (None, why, None)


def test_machines_in_different_modes_break_even_where_both_did_the_same_work() -> None:
    """100 a second for 3.6 an hour against 200 in bf16 for 1 an hour, which are worth 7.2 an hour for 8766 hours."""
    fast = _run("fast", [*_trials(0.04), *_trials(0.02, "bf16")])
    found = {
        (each.offer.precision, each.rival.precision): each.price for each in break_evens(offers([SLOW, fast], PRICES))
    }
    assert found["bf16", "fp32"].value == pytest.approx(7.2 * 8766)
    assert set(found) == {("bf16", "fp32"), ("fp32", "bf16")}


def test_the_margins_are_those_that_were_frozen_for_the_machine() -> None:
    """Five seeds that lose 0.01 of 0.75 ± nothing: their own margin is 0, and the frozen one of 0.1 lets it pass."""
    trials = [
        records.record(
            spec=records.spec("gpt", precision, seed=seed),
            steps=records.trace(seconds),
            quality=Quality({"accuracy": accuracy + 0.001 * seed}, "accuracy", True, 0.5, "majority class"),
        )
        for precision, seconds, accuracy in (("fp32", 0.04, 0.75), ("bf16", 0.02, 0.74))
        for seed in range(5)
    ]
    run = _run("slow", trials)
    setup = run.info.plan.trials[0].setup_sha256
    frozen = CellCalibration("gpt", "fp32", setup, 20, quality_metric="accuracy", seeds=20, quality_margin=0.1)
    margins = {"slow": Calibration(cells=(frozen,))}
    other = Calibration(cells=(replace(frozen, setup_sha256="another"),))
    found = [
        offers([run], None),
        offers([run], None, lambda run: margins[run.info.environment.device_name]),
        offers([run], None, lambda run: other),
    ]
    assert [_offer(each, "slow", "bf16").recommended for each in found] == [False, True, False]
