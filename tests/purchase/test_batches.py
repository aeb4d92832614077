"""Machines at the largest batch that was measured on each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import records

from suite.purchase.batches import UNTRIED, LargestBatch, batch_of, larger_only, largest_batches
from suite.purchase.comparison import offers
from suite.purchase.prices import MachinePrice, Prices
from suite.purchase.ranking import rankings
from suite.record import Outcome, Quality, TrialRecord
from suite.spec import Setup
from suite.store import Run

#: The fast one is in use for half of two years: an hour costs 1.
PRICES = Prices(
    "EUR",
    (
        MachinePrice("slow", hourly_price=3.6),
        MachinePrice("fast", purchase_price=8766.0, life_years=2.0, utilisation=0.5),
    ),
    power_price_per_kwh=0.0,
)


def _cell(setup: Setup, seconds: float, precision: str) -> list[TrialRecord]:
    """Five seeds whose qualities do not depend on the precision."""
    return [
        records.record(
            spec=records.spec("gpt", precision, seed=seed, setup=setup),
            steps=records.trace(seconds),
            samples_per_step=setup.batch_size,
            quality=Quality({"accuracy": 0.75 + 0.01 * seed}, "accuracy", True, 0.5, "majority class"),
        )
        for seed in range(5)
    ]


def _run(device: str, batch: int, fp32: float | None, bf16: float | None, name: str = "") -> Run:
    """Seconds of a step in both modes; None is out of memory."""
    setup = records.setup(batch_size=batch)
    trials = [
        record
        if seconds is not None
        else replace(records.record(Outcome.OUT_OF_MEMORY, spec=record.spec), reason="12 GiB were asked for.")
        for precision, seconds in (("fp32", fp32), ("bf16", bf16))
        for record in _cell(setup, seconds or 1.0, precision)
    ]
    return records.run(trials, name or f"{device}-{batch}", records.environment(device_name=device))


BASES = (_run("slow", 4, 0.04, 0.02), _run("fast", 4, 0.02, 0.016))
#: At 100 and 200 samples a second of fp32 for 4, the slow machine gains nothing from 8, and the fast one much.
LARGER = (
    _run("slow", 8, 0.08, 0.038),
    _run("slow", 16, None, None),
    _run("fast", 8, 0.03, 0.02),
    _run("fast", 16, None, 0.032),
)


def _found(bases: Sequence[Run] = BASES, larger: Sequence[Run] = LARGER) -> dict[tuple[str, str], LargestBatch]:
    found = largest_batches(bases, larger, offers(bases, PRICES), PRICES)
    return {(each.common.device, each.common.precision): each for each in found}


def test_each_mode_has_its_largest_batch_and_how_the_next_one_ended() -> None:
    assert {cell: (each.common_batch, each.batch, each.beyond) for cell, each in _found().items()} == {
        ("slow", "fp32"): (4, 8, "16: out of memory"),
        ("slow", "bf16"): (4, 8, "16: out of memory"),
        ("fast", "fp32"): (4, 8, "16: out of memory"),
        ("fast", "bf16"): (4, 16, UNTRIED),
    }


def test_rates_and_costs_are_those_of_the_largest_batch() -> None:
    each = _found()["fast", "bf16"]
    assert each.common.samples_per_second is not None
    assert each.offer.samples_per_second is not None
    assert each.common.samples_per_second.value == pytest.approx(4 / 0.016)
    assert each.offer.samples_per_second.value == pytest.approx(16 / 0.032)
    assert each.offer.money_per_sample is not None
    assert each.offer.money_per_sample.value == pytest.approx(1 / 3600 / 500)


def test_the_machines_are_ranked_each_at_its_own_largest_batch() -> None:
    (ranking,) = rankings([each.offer for each in _found().values()], by_cost=False)
    assert [(offer.device, offer.precision) for offer in ranking.ranked] == [("fast", "bf16"), ("slow", "bf16")]
    assert ranking.factors[0].value == pytest.approx(500 / (8 / 0.038))


def test_a_mode_that_does_not_qualify_at_the_common_batch_does_not_stand_at_a_larger_one() -> None:
    worse = [
        replace(
            run, trials=run.trials.assign(quality=run.trials["quality"] - 0.3 * (run.trials["precision"] == "bf16"))
        )
        for run in BASES
    ]
    found = _found(worse)
    assert [cell for cell, each in found.items() if each.offer.stands] == [("slow", "fp32"), ("fast", "fp32")]
    assert found["fast", "bf16"].offer.excluded is not None


def test_a_machine_on_which_no_larger_one_was_tried_is_shown_and_not_ranked() -> None:
    found = _found(larger=LARGER[:2])
    assert found["fast", "bf16"].offer.unranked == UNTRIED
    (ranking,) = rankings([each.offer for each in found.values()], by_cost=False)
    assert [offer.device for offer in ranking.ranked] == ["slow"]
    assert ranking.left_out == (("fast", UNTRIED),)


def test_a_machine_is_ranked_in_a_mode_of_which_a_larger_batch_was_tried() -> None:
    """bf16 of 4 is faster than fp32 of 8, and nobody tried it larger."""
    only_fp32 = _run("fast", 8, 0.03, 0.02)
    trials = only_fp32.trials[only_fp32.trials["precision"] == "fp32"]
    plan = tuple(spec for spec in only_fp32.info.plan.trials if spec.precision == "fp32")
    info = replace(only_fp32.info, plan=replace(only_fp32.info.plan, trials=plan))
    found = _found(larger=[*LARGER[:2], replace(only_fp32, trials=trials, info=info)])
    (ranking,) = rankings([each.offer for each in found.values()], by_cost=False)
    assert [(offer.device, offer.precision) for offer in ranking.ranked] == [("fast", "fp32"), ("slow", "bf16")]
    assert ranking.ranked[0].remark == "batch 8; bf16 was not tried larger"
    assert ranking.left_out == ()


def test_a_batch_that_is_slower_than_the_common_one_says_so() -> None:
    found = _found(larger=[*LARGER[:2], _run("fast", 8, 0.05, 0.04)])
    assert found["fast", "bf16"].offer.remark == "batch 8, slower than batch 4"


def test_a_spoiled_attempt_does_not_undo_an_older_one_and_an_unfinished_one_says_nothing_of_the_source() -> None:
    spoiled = _run("slow", 8, 0.2, 0.2, "newer")
    spoiled = replace(spoiled, trials=spoiled.trials.assign(outcome="emulated"))
    found = _found(larger=[_run("slow", 8, 0.08, 0.038), spoiled])
    assert found["slow", "bf16"].batch == 8
    unfinished = _run("slow", 8, 0.08, 0.04)
    cut = replace(unfinished, trials=unfinished.trials.iloc[:0], info=replace(unfinished.info, sealed_at=None))
    found = _found(larger=[cut])
    assert found["slow", "bf16"].beyond == "8: the run is unfinished"


def test_where_the_next_batch_failed_the_common_one_is_the_largest() -> None:
    found = _found(larger=[_run("slow", 8, None, None), _run("fast", 8, 0.03, 0.02)])
    assert (found["slow", "fp32"].batch, found["slow", "fp32"].beyond) == (4, "8: out of memory")
    assert found["slow", "fp32"].offer.unranked is None


def test_a_batch_that_was_measured_later_counts_and_a_gap_below_it_does_not() -> None:
    found = _found(larger=[_run("slow", 8, None, 0.04), _run("slow", 16, 0.1, 0.07)])
    assert (found["slow", "fp32"].batch, found["slow", "fp32"].beyond) == (16, UNTRIED)


def test_of_several_runs_with_one_batch_the_newest_says_what_it_takes() -> None:
    older, newer = _run("slow", 8, 0.08, 0.04, "older"), _run("slow", 8, None, 0.05, "newer")
    runs = [
        replace(run, info=replace(run.info, created_at=at))
        for run, at in ((newer, "2026-02-01T00:00:00Z"), (older, "2026-01-01T00:00:00Z"))
    ]
    found = _found(larger=runs)
    assert (found["slow", "fp32"].batch, found["slow", "fp32"].beyond) == (4, "8: out of memory")
    assert found["slow", "bf16"].offer.samples_per_second is not None
    assert found["slow", "bf16"].offer.samples_per_second.value == pytest.approx(8 / 0.05)


def test_another_source_of_the_workload_is_no_larger_batch_of_it() -> None:
    (larger,) = LARGER[:1]
    other = replace(larger, trials=larger.trials.assign(workload_sha256="d" * 64))
    bases = [replace(run, trials=run.trials.assign(workload_sha256="c" * 64)) for run in BASES]
    found = _found(bases, [other])
    assert (found["slow", "fp32"].batch, found["slow", "fp32"].beyond) == (4, "8: another source of the workload")


def test_a_run_is_larger_only_where_nothing_but_the_batch_differs() -> None:
    base, larger = BASES[0].info, LARGER[0].info
    assert batch_of(larger, "gpt") == 8
    assert batch_of(larger, "bert") is None
    assert larger_only(larger, base)
    assert not larger_only(base, larger)
    assert not larger_only(base, base)
    assert not larger_only(LARGER[2].info, base)  # another machine
    software = replace(larger.environment, torch="1.0")
    assert not larger_only(replace(larger, environment=software), base)
    longer = [replace(spec, setup=replace(spec.setup, steps=99)) for spec in larger.plan.trials]
    assert not larger_only(replace(larger, plan=replace(larger.plan, trials=tuple(longer))), base)
