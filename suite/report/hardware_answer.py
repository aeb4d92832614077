"""What a buyer asks first: which machine trains each workload for the least, by how much, and up to which price.

Nothing is decided here: the words are for what `suite.purchase.ranking` has found.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import TypeVar

from suite.judge.estimates import Estimate
from suite.purchase.comparison import BreakEven, Offer
from suite.purchase.prices import MachinePrice, Prices
from suite.purchase.ranking import Ranking
from suite.report import numbers
from suite.report.tables import Table
from suite.report.text import shorten

__all__ = ["LONGEST_NAME", "answer_table", "break_even_table", "headline", "memory_left", "paid", "shown", "where"]

LONGEST_NAME = 90
"""Of a machine that shares its device with another the processor and the threads are part of the name."""
LONGEST_REASON = 160
PER_MILLION = 1e6
BYTES_PER_GIB = 2.0**30

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def where(offer: Offer) -> str:
    """`Example GPU (bf16)`."""
    return f"{_name(offer.device)} ({_name(offer.precision)})"


def shown(found: Estimate | None, unit: str = "") -> str:
    """`1,234 [1,210, 1,260]`, or a dash; at most five digits, for no interval leaves meaning to more."""
    if found is None:
        return numbers.MISSING
    low, high = (None if bound is None else _rounded(bound) for bound in (found.low, found.high))
    return numbers.bounded(_rounded(found.value), low, high, unit)


def _rounded(value: float) -> float:
    return float(f"{value:.5g}")


def memory_left(offer: Offer) -> str:
    """`at most 70.0 (by the device's peak)`, in GiB: the layers see different parts of what is in use."""
    if offer.headroom_bytes is None:
        return numbers.MISSING
    return f"at most {numbers.number(offer.headroom_bytes / BYTES_PER_GIB)} (by {offer.peak_layer})"


def paid(price: MachinePrice | None) -> str:
    """`2.49 an hour`, `9,500 to buy`, in the currency that the column's head names."""
    return numbers.MISSING if price is None else f"{_money(price.price)} {_way(price)}"


def _money(price: float) -> str:
    """As it was given, and cents where there are any: `9,500`, `2.50`, `0.0125`."""
    text = f"{price:,.12g}"
    return f"{text}0" if re.search(r"\.\d$", text) else text


def headline(found: Sequence[Ranking], *, by_cost: bool) -> str:
    """Who wins what and by how much, where nobody can be said to win, and who is left out and why."""
    won = [_won(each, by_cost=by_cost) for _, each in _together((_sides(each), each) for each in found if each.winner)]
    said = [f"{'Cheapest to train' if by_cost else 'Fastest'}: {'; '.join(won)}."] if won else []
    said += [
        f"{_listed(workloads)}: {words}."
        for words, workloads in _together(
            (_undecided(each, by_cost=by_cost), _name(each.workload)) for each in found if each.winner is None
        )
    ]
    return " ".join([*said, *_left_out(found)])


def answer_table(found: Sequence[Ranking], evens: Sequence[BreakEven], prices: Prices | None) -> Table:
    """One row per workload."""
    head: tuple[str, ...]
    if prices is None:
        head = ("Workload", "Fastest machine and mode", "samples/s", "Times as fast as the next", "Remarks")
    else:
        head = (
            "Workload",
            "Cheapest machine and mode",
            f"Cost per million samples, {prices.currency}",
            "The next costs, times as much",
            f"Cheaper than the next while its price is, {prices.currency}",
            "Remarks",
        )
    return Table.of("The answer, by workload", head, [_answer(each, evens, prices) for each in found])


def break_even_table(evens: Sequence[BreakEven], prices: Prices) -> Table:
    """Each pair of machines in both directions."""
    rows = [
        (
            _name(each.workload),
            where(each.offer),
            f"{where(each.rival)} at {paid(each.rival.price)}",
            _while(each),
            paid(each.offer.price),
        )
        for each in evens
    ]
    head = (
        "Workload",
        "This machine",
        f"costs less than, at its price in {prices.currency}",
        f"while its own price is, {prices.currency}",
        f"Its own price in the file, {prices.currency}",
    )
    return Table.of(
        "Break-even prices" if rows else "Break-even prices: no two machines are ranked and priced", head, rows
    )


def _answer(each: Ranking, evens: Sequence[BreakEven], prices: Prices | None) -> tuple[str, ...]:
    numbers_of = [_number_of(offer, by_cost=prices is not None) for offer in each.level]
    against = numbers.MISSING
    if each.against is not None:
        rival, factor = each.against
        against = f"{shown(factor, '×')}: {where(rival)}"
    cells = [_name(each.workload), _first(each), "; ".join(numbers_of) or numbers.MISSING, against]
    if prices is not None:
        cells.append(_winning_price(each, evens))
    remarks = [f"{_name(offer.device)}: {offer.remark}" for offer in each.ranked if offer.remark]
    remarks += [f"{_name(device)} left out: {why}" for device, why in each.left_out]
    return (*cells, "; ".join(shorten(text, LONGEST_REASON) for text in remarks) or numbers.MISSING)


def _first(each: Ranking) -> str:
    if each.winner is not None:
        return where(each.winner)
    names = ", ".join(where(offer) for offer in each.level)
    if len(each.ranked) < 2:
        return f"only {names}" if names else "none is ranked"
    return f"cannot be told apart: {names}"


def _number_of(offer: Offer, *, by_cost: bool) -> str:
    if not by_cost:
        return shown(offer.samples_per_second)
    return shown(None if offer.money_per_sample is None else offer.money_per_sample.times(PER_MILLION))


def _winning_price(each: Ranking, evens: Sequence[BreakEven]) -> str:
    if each.against is None:
        return numbers.MISSING
    pair = each.ranked[0].run, each.against[0].run
    even = next((e for e in evens if e.workload == each.workload and (e.offer.run, e.rival.run) == pair), None)
    return numbers.MISSING if even is None else _while(even)


def _while(each: BreakEven) -> str:
    """`below 7.20 [7.10, 7.30] an hour`; a price is named only where the interval has no other answer in it."""
    price, found = each.offer.machine.price if each.offer.machine else None, each.price
    if found.high is not None and found.high < 0:
        return f"at no price: {shown(found)}"
    if found.low is None or found.low <= 0 or price is None:
        return f"not shown: {shown(found)}"
    return f"below {shown(found)} {_way(price)}"


def _way(price: MachinePrice) -> str:
    return "to buy" if price.bought else "an hour"


def _sides(each: Ranking) -> tuple[str, ...]:
    """The first and the one it is held against, each in its mode."""
    return (where(each.ranked[0]), *([where(each.against[0])] if each.against else []))


def _won(found: Sequence[Ranking], *, by_cost: bool) -> str:
    """Of workloads that one machine wins against one other: `gpt and bert on A (bf16), 2.5× and 2.6× as fast as B`."""
    winner, rival = _sides(found[0])
    factors = _listed([shown(each.against[1], "×") for each in found if each.against])
    what = f"{_listed([_name(each.workload) for each in found])} on {winner}"
    return f"{what}, while {rival} costs {factors} as much" if by_cost else f"{what}, {factors} as fast as {rival}"


def _undecided(each: Ranking, *, by_cost: bool) -> str:
    kind = "ranked and priced" if by_cost else "ranked"
    if not each.ranked:
        return f"no machine is {kind}"
    if each.against is None:
        return f"only {where(each.ranked[0])} is {kind}"
    return f"{_listed([where(offer) for offer in each.level])} cannot be told apart, {shown(each.against[1], '×')}"


def _left_out(found: Sequence[Ranking]) -> Iterator[str]:
    """Machines with one reason in one sentence: `Left out: B in gpt and bert (3 of 3 trials were disturbed).`"""
    reasons = [((device, why), _name(each.workload)) for each in found for device, why in each.left_out]
    by_workloads = [((why, tuple(names)), _name(device)) for (device, why), names in _together(reasons)]
    said = [
        f"{_listed(devices)} in {_listed(workloads)} ({shorten(why, LONGEST_REASON)})"
        for (why, workloads), devices in _together(by_workloads)
    ]
    if said:
        yield f"Left out: {'; '.join(said)}."


def _together(pairs: Iterable[tuple[K, V]]) -> list[tuple[K, list[V]]]:
    """What has one key, in the order in which it came."""
    found: dict[K, list[V]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return list(found.items())


def _listed(names: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def _name(text: str) -> str:
    return shorten(text, LONGEST_NAME)
