"""The page of `ampmark report --hardware`: machines side by side, and what training on each costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from suite.judge.estimates import LEVEL, Estimate
from suite.judge.recommendation import RULE
from suite.purchase.comparison import BreakEven, Offer, break_evens
from suite.purchase.prices import HOURS_PER_YEAR, MachinePrice, Prices
from suite.report import numbers
from suite.report.axes import value_axis
from suite.report.drawing import INK, Spec, axis_of, draw, layer, room, scale, tooltip
from suite.report.sheet import Figure, Sheet
from suite.report.tables import Table
from suite.report.text import shorten
from suite.store import Run

__all__ = ["hardware_sheet"]

SECONDS_PER_HOUR = 3600.0
HOW_TO_PRICE = (
    "What a machine costs is not known here: `ampmark report --hardware --prices FILE` takes a TOML file with a "
    "currency and, per device, an hourly price, or a purchase price with its life, utilisation and the price of power "
    "(docs/prices.toml is an example). With it come samples per money, the cost to train and break-even prices."
)
NOT_MEASURED = (
    "Not measured: the largest batch that fits. The batch is the profile's on every machine, so a large machine may "
    "have more to give than this table shows; the memory left free says how much room there is."
)


def hardware_sheet(runs: Sequence[Run], every: Sequence[Offer], prices: Prices | None) -> Sheet:
    """Everything on the page."""
    workloads = list(dict.fromkeys(offer.workload for offer in every))
    machines = list(dict.fromkeys(offer.device for offer in every))
    evens = list(break_evens(every))
    newest = runs[-1].info
    return Sheet(
        title="ampmark: machines side by side",
        meta=f"ampmark {newest.environment.ampmark} · {len(machines)} machines · runs "
        + ", ".join(f"{run.info.run} ({run.info.created_at[:10]})" for run in runs),
        headline=_headline(workloads, every, prices),
        sentences=(f"Rule for the recommended mode: {RULE}", *([] if prices else [HOW_TO_PRICE]), NOT_MEASURED),
        figures=tuple(
            _figure(workload, [offer for offer in every if offer.workload == workload], prices)
            for workload in workloads
        ),
        conditions=tuple(_conditions(runs, evens, prices)),
        command="ampmark report --hardware" + (" --prices FILE" if prices else ""),
    )


def _headline(workloads: Sequence[str], every: Sequence[Offer], prices: Prices | None) -> str:
    """Which machine is best for what, of those that are ranked in the mode recommended for them."""
    said = []
    for workload in workloads:
        ranked = [o for o in every if o.workload == workload and o.recommended and o.unranked is None]
        best = _best(ranked, prices)
        if best is not None:
            said.append(f"{workload} on {best.device} ({best.precision})")
    word = "Cheapest to train" if prices else "Fastest"
    return f"{word}: {', '.join(said)}." if said else "No machine is ranked: no workload has a recommended mode on any."


def _best(ranked: Sequence[Offer], prices: Prices | None) -> Offer | None:
    if prices:
        priced = [offer for offer in ranked if offer.money_per_sample is not None]
        return min(priced, key=lambda o: o.money_per_sample.value if o.money_per_sample else 0.0, default=None)
    timed = [offer for offer in ranked if offer.samples_per_second is not None]
    return max(timed, key=lambda o: o.samples_per_second.value if o.samples_per_second else 0.0, default=None)


def _figure(workload: str, offers: Sequence[Offer], prices: Prices | None) -> Figure:
    ranked = [offer for offer in offers if offer.unranked is None]
    shown = [(offer, found) for offer in ranked if (found := _worth(offer, prices)) is not None]
    what = f"samples per {prices.currency}" if prices else "samples/s"
    caption = (
        f"{what}, with {numbers.percent(LEVEL)} intervals over fresh processes; filled: the mode recommended on that "
        "machine."
        if shown
        else "Nothing is ranked here; the table says why."
    )
    chart = draw(_chart(shown, what), f"{workload}: {what} by machine and precision.") if shown else None
    return Figure(workload, chart, caption, _table(workload, offers, prices), wide=True)


def _worth(offer: Offer, prices: Prices | None) -> Estimate | None:
    if prices is None:
        return offer.samples_per_second
    return None if offer.money_per_sample is None else offer.money_per_sample.inverse()


def _chart(shown: Sequence[tuple[Offer, Estimate]], what: str) -> Spec:
    """One row per machine and precision: a point with its interval, from zero."""
    rows: list[Spec] = [
        {
            "place": f"{place}",
            "value": found.value,
            "low": found.value if found.low is None else found.low,
            "high": found.value if found.high is None else found.high,
            "fill": INK if offer.recommended else "transparent",
            "name": f"{shorten(offer.device, 30)} · {shorten(offer.precision, 16)}",
        }
        for place, (offer, found) in enumerate(shown)
    ]
    axis = value_axis([0.0, *(row["high"] for row in rows)])
    x: Spec = {"field": "value", "type": "quantitative", "scale": scale(axis), "axis": axis_of(axis, what)}
    y: Spec = {"field": "place", "type": "nominal", "sort": None, "axis": None}
    return {
        "width": 480,
        "height": {"step": 24},
        "padding": {"left": room([row["name"] for row in rows]), "top": 5, "right": 16, "bottom": 5},
        "data": {"values": rows},
        "layer": [
            layer("rule", {"x": {**x, "field": "low"}, "x2": {"field": "high"}, "y": y}, color=INK),
            layer(
                "point",
                {
                    "x": x,
                    "y": y,
                    "fill": {"field": "fill", "type": "nominal", "scale": None},
                    "tooltip": tooltip(("name", "machine"), ("value", what), ("low", "from"), ("high", "to")),
                },
                size=70,
                color=INK,
            ),
            layer("text", {"x": {"value": -8}, "y": y, "text": {"field": "name"}}, align="right", limit=0),
        ],
    }


def _table(workload: str, offers: Sequence[Offer], prices: Prices | None) -> Table:
    amount = None if prices is None else prices.samples(workload)
    head = ["Machine, precision", "samples/s", "samples/J", "Memory left free"]
    if prices:
        head += [f"samples per {prices.currency}", f"{prices.currency} per million samples"]
    if prices and amount:
        head += [f"Time for {numbers.number(amount)} samples", f"Cost of them, {prices.currency}"]
    rows = [_row(offer, prices, amount) for offer in offers]
    return Table.of(f"{workload} on each machine", [*head, "Remarks"], rows)


def _row(offer: Offer, prices: Prices | None, amount: float | None) -> list[str]:
    joules, money = offer.joules_per_sample, offer.money_per_sample
    cells = [
        f"{offer.device} · {offer.precision}",
        _shown(offer.samples_per_second),
        _shown(None if joules is None else joules.inverse()),
        numbers.memory(offer.headroom_bytes),
    ]
    if prices:
        cells += [
            _shown(None if money is None else money.inverse()),
            _shown(None if money is None else money.times(1e6)),
        ]
    if prices and amount:
        rate = offer.samples_per_second
        hours = None if rate is None else rate.inverse().times(amount / SECONDS_PER_HOUR)
        cells += [
            f"{_shown(hours)} h" if hours else numbers.MISSING,
            _shown(None if money is None else money.times(amount)),
        ]
    remarks = ["recommended here"] * offer.recommended
    remarks += [f"not ranked: {offer.unranked}"] if offer.unranked else []
    remarks += [f"no cost: {offer.without_cost}"] if prices and offer.without_cost else []
    return [*cells, "; ".join(remarks)]


def _shown(found: Estimate | None) -> str:
    return numbers.MISSING if found is None else numbers.bounded(found.value, found.low, found.high)


def _conditions(runs: Sequence[Run], evens: Sequence[BreakEven], prices: Prices | None) -> Iterator[Table]:
    if prices:
        yield _break_even_table(evens, prices)
        yield _price_table(prices)
    yield _differences(runs)


def _break_even_table(evens: Sequence[BreakEven], prices: Prices) -> Table:
    rows = [
        (
            each.workload,
            f"{each.offer.device} ({each.offer.precision})",
            f"{each.rival.device} ({each.rival.precision})",
            "at no price" if each.price.value < 0 else f"below {_shown(each.price)}",
            _paid(prices.of(each.offer.device)),
        )
        for each in evens
    ]
    head = (
        "Workload",
        "This machine",
        "costs less than",
        f"Break-even price, {prices.currency}",
        "Its price in the file",
    )
    caption = "Break-even prices, machines in the modes recommended for them; the rival at its price in the file"
    return Table.of(caption if rows else "Break-even prices: no two machines are ranked and priced", head, rows)


def _paid(price: MachinePrice | None) -> str:
    if price is None:
        return numbers.MISSING
    return f"{numbers.number(price.price, 4)} {'to buy' if price.bought else 'an hour'}"


def _price_table(prices: Prices) -> Table:
    rows = [
        (
            machine.device,
            _paid(machine),
            numbers.number(machine.per_hour),
            f"{numbers.number(machine.life_years)} years, {numbers.share(machine.utilisation)} of the time, "
            f"{HOURS_PER_YEAR:g} hours a year"
            if machine.bought
            else "power is in the rent",
        )
        for machine in prices.machine
    ]
    power = prices.power_price_per_kwh
    if power is not None:
        rows.append(
            ("power", f"{numbers.number(power)} per kWh", "", f"times {prices.power_overhead:g} for cooling and supply")
        )
    head = ("What", f"Price, {prices.currency}", "An hour of training without power", "How")
    return Table.of("Prices, as given", head, rows)


def _differences(runs: Sequence[Run]) -> Table:
    """What differs between the first machine and each other one, besides the machine: software counts as well."""
    first = runs[0].info
    rows = [
        (run.info.environment.device_name, difference)
        for run in runs[1:]
        for difference in first.environment.differences(run.info.environment, code=True)
    ]
    return Table.of(f"What differs from {first.environment.device_name} (run {first.run})", ("Machine", "Field"), rows)
