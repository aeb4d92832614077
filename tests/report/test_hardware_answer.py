"""The words of the answer: who wins, what cannot be told, and which break-even prices are said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from suite.judge.estimates import Estimate
from suite.purchase.comparison import BreakEven, Offer
from suite.purchase.costs import Machine
from suite.purchase.prices import MachinePrice, Prices
from suite.purchase.ranking import Ranking
from suite.report.hardware_answer import answer_table, break_even_table, headline

PRICES = Prices(
    "EUR",
    (
        MachinePrice("A", hourly_price=2.5),
        MachinePrice("B", purchase_price=9500.0, life_years=4.0, utilisation=0.7),
    ),
    power_price_per_kwh=0.0,
)


def _offer(device: str, precision: str = "fp32", workload: str = "gpt") -> Offer:
    price = PRICES.of(device)
    return Offer(
        device,
        f"run-{device}",
        workload,
        precision,
        recommended=True,
        stands=True,
        samples_per_second=Estimate(100.0, 98.0, 102.0),
        money_per_sample=Estimate(7e-6, 6.9e-6, 7.1e-6),
        price=price,
        machine=None if price is None else Machine(price, (100.0, 100.0), (), 0.0),
    )


A, B = _offer("A"), _offer("B", "bf16")
SURE, UNSURE, SINGLE = Estimate(2.5, 2.4, 2.6), Estimate(1.02, 0.98, 1.06), Estimate(1.9)


def _words(*found: Ranking, by_cost: bool = False) -> str:
    return headline(found, by_cost=by_cost).replace("\u00a0", " ")


@pytest.mark.parametrize(
    ("found", "fastest", "cheapest"),
    [
        (
            Ranking("gpt", (B, A), (SURE,), ()),
            "Fastest: gpt on B (bf16), 2.50× [2.40, 2.60] as fast as A (fp32).",
            "Cheapest to train: gpt on B (bf16), while A (fp32) costs 2.50× [2.40, 2.60] as much.",
        ),
        (
            Ranking("gpt", (B, A), (UNSURE,), ()),
            "gpt: B (bf16) and A (fp32) cannot be told apart, 1.02× [0.980, 1.06].",
            "gpt: B (bf16) and A (fp32) cannot be told apart, 1.02× [0.980, 1.06].",
        ),
        (
            Ranking("gpt", (B, A), (SINGLE,), ()),
            "gpt: B (bf16) and A (fp32) cannot be told apart, 1.90× (1 process).",
            "gpt: B (bf16) and A (fp32) cannot be told apart, 1.90× (1 process).",
        ),
        (
            Ranking("gpt", (A,), (), (("B", "3 of 3 trials were disturbed"),)),
            "gpt: only A (fp32) is ranked. Left out: B in gpt (3 of 3 trials were disturbed).",
            "gpt: only A (fp32) is ranked and priced. Left out: B in gpt (3 of 3 trials were disturbed).",
        ),
        (
            Ranking("gpt", (), (), ()),
            "gpt: no machine is ranked.",
            "gpt: no machine is ranked and priced.",
        ),
    ],
    ids=["winner", "level", "one process", "alone", "none"],
)
def test_what_is_said_of_one_workload(found: Ranking, fastest: str, cheapest: str) -> None:
    assert (_words(found), _words(found, by_cost=True)) == (fastest, cheapest)


def test_what_is_said_of_several_workloads_is_said_once() -> None:
    out = (("C", "it ran hot"), ("D", "it ran hot"))
    found = [Ranking(name, (A,), (), out) for name in ("gpt", "bert", "lstm")]
    assert _words(Ranking("resnet", (B, A), (SURE,), (("C", "too small"),)), *found) == (
        "Fastest: resnet on B (bf16), 2.50× [2.40, 2.60] as fast as A (fp32). "
        "gpt, bert and lstm: only A (fp32) is ranked. "
        "Left out: C in resnet (too small); C and D in gpt, bert and lstm (it ran hot)."
    )


def test_workloads_that_one_machine_wins_against_one_other_are_said_together() -> None:
    other = Ranking("lstm", (A, B), (SURE,), ())
    found = [*(Ranking(name, (B, A), (SURE,), ()) for name in ("gpt", "bert")), other]
    assert _words(*found) == (
        "Fastest: gpt and bert on B (bf16), 2.50× [2.40, 2.60] and 2.50× [2.40, 2.60] as fast as A (fp32); "
        "lstm on A (fp32), 2.50× [2.40, 2.60] as fast as B (bf16)."
    )


def test_the_answer_is_a_row_with_its_numbers_and_what_is_not_counted() -> None:
    remarked = replace(B, remark="tf32 not counted: its quality is undecided")
    found = [Ranking("gpt", (remarked, A), (SURE,), (("C", "it ran hot"),))]
    evens = [BreakEven("gpt", B, A, Estimate(9000.0, 8900.0, 9100.0)), BreakEven("gpt", A, B, Estimate(1.0, 0.9, 1.1))]
    table = answer_table(found, evens, PRICES)
    assert [text.replace("\u00a0", " ") for text in table.rows[0]] == [
        "gpt",
        "B (bf16)",
        "7.00 [6.90, 7.10]",
        "2.50× [2.40, 2.60]: A (fp32)",
        "below 9,000 [8,900, 9,100] to buy",
        "B: tf32 not counted: its quality is undecided; C left out: it ran hot",
    ]
    assert table.head[2] == "Cost per million samples, EUR"
    assert [text.replace("\u00a0", " ") for text in answer_table(found, [], None).rows[0][:4]] == [
        "gpt",
        "B (bf16)",
        "100 [98.0, 102]",
        "2.50× [2.40, 2.60]: A (fp32)",
    ]


@pytest.mark.parametrize(
    ("found", "first", "numbers", "against"),
    [
        (Ranking("gpt", (B, A), (UNSURE,), ()), "cannot be told apart: B (bf16), A (fp32)", 2, True),
        (Ranking("gpt", (A,), (), ()), "only A (fp32)", 1, False),
        (Ranking("gpt", (), (), ()), "none is ranked", 0, False),
    ],
)
def test_the_answer_without_a_winner(found: Ranking, first: str, numbers: int, against: bool) -> None:
    (row,) = answer_table([found], [], PRICES).rows
    assert (row[1], row[2].count("["), row[3] != "–") == (first, numbers, against)
    assert row[4] == "–"


@pytest.mark.parametrize(
    ("price", "said"),
    [
        (Estimate(7.2, 7.1, 7.3), "below 7.20 [7.10, 7.30] an hour"),
        (Estimate(-90.0, -95.0, -85.0), "at no price: −90.0 [−95.0, −85.0]"),
        (Estimate(-5.33, -90.5, 79.9), "not shown: −5.33 [−90.5, 79.9]"),
        (Estimate(5.33, -0.5, 79.9), "not shown: 5.33 [−0.500, 79.9]"),
        (Estimate(5.33, 0.0, 79.9), "not shown: 5.33 [0, 79.9]"),
        (Estimate(-5.0, -9.0, 0.0), "not shown: −5.00 [−9.00, 0]"),
        (Estimate(7.2), "not shown: 7.20 (1 process)"),
    ],
)
def test_a_break_even_price_is_said_only_where_the_interval_leaves_no_doubt(price: Estimate, said: str) -> None:
    (row,) = break_even_table([BreakEven("gpt", A, B, price)], PRICES).rows
    assert [text.replace("\u00a0", " ") for text in row] == [
        "gpt",
        "A (fp32)",
        "B (bf16) at 9,500 to buy",
        said,
        "2.50 an hour",
    ]


def test_without_a_pair_the_table_says_so() -> None:
    assert break_even_table([], PRICES).caption == "Break-even prices: no two machines are ranked and priced"
