"""Which machine may be called the fastest or the cheapest: literal rates, factors computed by hand."""

from __future__ import annotations

import math

import pytest
from machines import UNPROVEN, machine, rated

from suite.purchase.comparison import offers
from suite.purchase.prices import MachinePrice, Prices
from suite.purchase.ranking import Ranking, rankings
from suite.record import Caution
from suite.store import Run

PRICES = Prices("EUR", (MachinePrice("A", hourly_price=3.6), MachinePrice("B", hourly_price=36.0)))


def _rated(device: str, fp32: float, bf16: float | None = None, **fields: object) -> Run:
    trials = rated([fp32] * 3)
    return machine(device, trials + (rated([bf16] * 3, "bf16", **fields) if bf16 else []))


def _ranked(*runs: Run, prices: Prices | None = None) -> Ranking:
    (found,) = rankings(offers(runs, prices), by_cost=prices is not None)
    return found


def test_a_machine_whose_faster_mode_is_not_proven_stands_in_the_one_that_is() -> None:
    """A: 40 and 80, B: 200 and an unproven 400: B at 200 is 2.5 times as fast as A at 80."""
    found = _ranked(_rated("A", 40.0, 80.0), _rated("B", 200.0, 400.0, quality=UNPROVEN))
    assert found.winner is not None
    assert (found.winner.device, found.winner.precision, found.winner.recommended) == ("B", "fp32", False)
    assert found.winner.remark == (
        "bf16 not counted: its quality is undecided: 1 seed; 5 give a margin, or `ampmark calibrate` does"
    )
    assert found.against is not None
    assert (found.against[0].device, found.against[0].precision) == ("A", "bf16")
    assert (found.factors[0].value, found.factors[0].low, found.factors[0].high) == pytest.approx((2.5, 2.5, 2.5))
    assert found.left_out == ()


def test_by_cost_the_slower_machine_may_win() -> None:
    """40 a second for 3.6 an hour is 2.5e-5 a sample; 200 for 36 is 5e-5."""
    found = _ranked(_rated("A", 40.0), _rated("B", 200.0), prices=PRICES)
    assert found.winner is not None
    assert found.winner.device == "A"
    assert found.factors[0].value == pytest.approx(2.0)


def test_where_the_interval_of_the_ratio_holds_one_nobody_wins() -> None:
    """Three processes each, at 100 and at 105 samples a second, whose logarithms are 0.1 apart."""
    spread = [math.exp(-0.1), 1.0, math.exp(0.1)]
    runs = (machine(name, rated([pace * each for each in spread])) for name, pace in (("A", 100.0), ("B", 105.0)))
    found = _ranked(*runs)
    assert found.winner is None
    assert [offer.device for offer in found.level] == ["B", "A"]
    assert found.against is not None
    rival, factor = found.against
    # Both sides vary alike, so Welch's degrees of freedom are 4, and t is 2.7764; the error is √(2 × 0.01 / 3).
    assert (rival.device, factor.value) == ("A", pytest.approx(1.05))
    assert factor.low == pytest.approx(math.exp(math.log(1.05) - 2.776445 * math.sqrt(0.02 / 3)))


def test_with_one_process_nobody_wins() -> None:
    found = _ranked(machine("A", rated([100.0])), machine("B", rated([400.0])))
    assert found.winner is None
    assert len(found.level) == 2
    assert found.factors[0].low is None


def test_a_third_machine_that_scatters_keeps_the_first_from_winning() -> None:
    wide = machine("C", rated([20.0, 80.0, 320.0]))
    found = _ranked(_rated("A", 100.0), _rated("B", 90.0), wide)
    assert [offer.device for offer in found.ranked] == ["A", "B", "C"]
    assert found.winner is None
    assert found.against is not None
    assert found.against[0].device == "C"


def test_one_machine_alone_wins_nothing() -> None:
    found = _ranked(_rated("A", 100.0))
    assert (found.winner, found.against, found.factors, found.left_out) == (None, None, (), ())
    assert len(found.ranked) == 1


def test_who_is_left_out_and_why() -> None:
    hot = machine("hot", rated([50.0] * 3, cautions=(Caution("clock_throttled", "cool it"),)))
    bare = machine("bare", rated([50.0] * 3, "bf16"))
    other = machine("other", rated([50.0] * 3, workload="bert"))
    found = rankings(offers([_rated("A", 100.0), hot, bare, other], None), by_cost=False)[0]
    assert [offer.device for offer in found.ranked] == ["A"]
    assert dict(found.left_out) == {
        "hot": "no mode qualifies: fp32: 3 of 3 trials were disturbed",
        "bare": "no mode qualifies: bf16: its quality cannot be compared with fp32's",
        "other": "its run does not have it",
    }


def test_without_a_price_a_machine_is_left_out_of_the_ranking_by_cost() -> None:
    found = _ranked(_rated("A", 100.0), _rated("C", 100.0), prices=PRICES)
    assert [offer.device for offer in found.ranked] == ["A"]
    assert found.left_out == (("C", "the price file has no such device"),)


def test_two_machines_that_did_different_work_are_not_ranked_whichever_comes_first() -> None:
    one, other = machine("A", rated([100.0] * 3)), machine("B", rated([400.0] * 3), batch_size=8)
    for runs in ((one, other), (other, one)):
        found = _ranked(*runs)
        assert found.ranked == ()
        assert {device for device, why in found.left_out if "batch size" in why} == {"A", "B"}
