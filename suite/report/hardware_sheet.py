"""The page of `ampmark report --hardware`: machines side by side, and what training on each costs.

The answer comes first (`hardware_answer.py`), what it rests on last (`hardware_terms.py`); between them each workload.
"""

from __future__ import annotations

from collections.abc import Sequence

from suite.judge.estimates import LEVEL, Estimate
from suite.judge.recommendation import RULE
from suite.purchase.batches import LargestBatch
from suite.purchase.comparison import Offer, break_evens
from suite.purchase.costs import SECONDS_PER_HOUR
from suite.purchase.prices import Prices
from suite.purchase.ranking import rankings
from suite.report import numbers
from suite.report.axes import value_axis
from suite.report.drawing import INK, PAPER, Spec, axis_of, draw, layer, room, scale, tooltip
from suite.report.hardware_answer import LONGEST_NAME, answer_table, break_even_table, headline, memory_left, shown
from suite.report.hardware_batches import NONE_RANKED, NOT_MEASURED, READING, batch_tables
from suite.report.hardware_terms import (
    compared_table,
    contents,
    difference_table,
    price_table,
    profile_warnings,
    software_warnings,
)
from suite.report.sheet import Figure, Sheet
from suite.report.tables import Table
from suite.report.text import clean, command_line, shorten
from suite.store import Run

__all__ = ["hardware_sheet"]

LONGEST_WARNING = 400
WINNER = (
    f"A machine is called the best where the {numbers.percent(LEVEL)} interval of the ratio to every other excludes 1, "
    "uncorrected for several machines and workloads. The intervals hold the fresh processes of one run on one machine: "
    "another night and another card of the same name are not in them."
)
STANDS = (
    "Machines are compared in the mode recommended on each; where none is, in the fastest that qualifies, and the "
    "remarks name what is not counted."
)
HOW_TO_PRICE = (
    "What a machine costs is not known here: `ampmark report --hardware --prices FILE` takes a TOML file with a "
    "currency and, per device, an hourly price, or a purchase price with its life, utilisation and the price of power "
    "(docs/prices.toml is an example). With it come samples per money, the cost to train and break-even prices."
)


def hardware_sheet(
    runs: Sequence[Run],
    every: Sequence[Offer],
    prices: Prices | None,
    price_file: str | None = None,
    *,
    warnings: Sequence[str] = (),
    larger: Sequence[Run] = (),
    batches: Sequence[LargestBatch] = (),
) -> Sheet:
    """Everything on the page; `price_file` is the name of the file that the prices are from.

    `batches` are what `larger`, runs of the same machines with larger batches, have shown.
    """
    workloads = list(dict.fromkeys(offer.workload for offer in every))
    machines = list(dict.fromkeys(offer.device for offer in every))
    found, evens = rankings(every, by_cost=prices is not None), list(break_evens(every))
    newest = runs[-1].info
    return Sheet(
        title="ampmark: machines side by side",
        meta=f"ampmark {newest.environment.ampmark} · {len(machines)} machine{'s' * (len(machines) > 1)} · runs "
        + ", ".join(f"{run.info.run} ({run.info.created_at[:10]})" for run in runs),
        headline=headline(found, by_cost=prices is not None),
        answer=answer_table(found, evens, prices),
        warnings=(
            *profile_warnings(runs),
            *software_warnings(runs),
            *(shorten(said, LONGEST_WARNING) for said in warnings),
        ),
        sections=(
            compared_table([*runs, *larger]),
            *([break_even_table(evens, prices)] if prices else []),
            *batch_tables(batches, prices),
        ),
        sentences=(
            WINNER,
            f"Rule for the recommended mode: {RULE}",
            STANDS,
            *([] if prices else [HOW_TO_PRICE]),
            *([] if batches else [NONE_RANKED if larger else NOT_MEASURED]),
        ),
        figures=tuple(
            _figure(workload, [offer for offer in every if offer.workload == workload], prices)
            for workload in workloads
        ),
        notes=(contents(every, prices), *([READING] if batches else [])),
        conditions=(*([price_table(prices)] if prices else []), *([difference_table(runs)] if len(runs) > 1 else [])),
        command=_command([*runs, *larger], prices, price_file),
    )


def _command(runs: Sequence[Run], prices: Prices | None, price_file: str | None) -> str:
    """With the ids of the runs, so that it makes this page also when there are newer ones."""
    priced = ["--prices", clean(price_file or "FILE")] if prices else []
    return command_line(["ampmark", "report", *(run.info.run for run in runs), "--hardware", *priced])


def _figure(workload: str, offers: Sequence[Offer], prices: Prices | None) -> Figure:
    ranked = [offer for offer in offers if offer.unranked is None]
    drawn = [(offer, found) for offer in ranked if (found := _worth(offer, prices)) is not None]
    what = f"samples per {prices.currency}" if prices else "samples/s"
    caption = (
        f"{what}, with {numbers.percent(LEVEL)} intervals over fresh processes; filled: the mode in which that "
        "machine is compared."
        if drawn
        else "Nothing is ranked here; the table says why."
    )
    said = f"{shorten(workload, LONGEST_NAME)}: {what} by machine and precision."
    chart = draw(_chart(drawn, what), said) if drawn else None
    return Figure(workload, chart, caption, _table(workload, offers, prices), wide=True)


def _worth(offer: Offer, prices: Prices | None) -> Estimate | None:
    if prices is None:
        return offer.samples_per_second
    return None if offer.money_per_sample is None else offer.money_per_sample.inverse()


def _chart(drawn: Sequence[tuple[Offer, Estimate]], what: str) -> Spec:
    """One row per machine and precision: a point with its interval, from zero."""
    rows: list[Spec] = [
        {
            "place": f"{place}",
            "value": found.value,
            "low": found.value if found.low is None else found.low,
            "high": found.value if found.high is None else found.high,
            "fill": INK if offer.stands else PAPER,
            "name": f"{shorten(offer.device, LONGEST_NAME)} · {shorten(offer.precision, 16)}",
        }
        for place, (offer, found) in enumerate(drawn)
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
    head = ["Machine, precision", "samples/s", "samples/J", "Memory left free, GiB"]
    if prices:
        head += [f"samples per {prices.currency}", f"Cost per million samples, {prices.currency}"]
    if prices and amount:
        many = f"{numbers.number(amount)} samples"
        head += [f"Time for {many}, h", f"Cost of {many}, {prices.currency}"]
    rows = [_row(offer, prices, amount) for offer in offers]
    return Table.of(f"{shorten(workload, LONGEST_NAME)} on each machine", [*head, "Remarks"], rows)


def _row(offer: Offer, prices: Prices | None, amount: float | None) -> list[str]:
    joules, money = offer.joules_per_sample, offer.money_per_sample
    cells = [
        f"{shorten(offer.device, LONGEST_NAME)} · {shorten(offer.precision, LONGEST_NAME)}",
        shown(offer.samples_per_second),
        shown(None if joules is None else joules.inverse()),
        memory_left(offer),
    ]
    if prices:
        cells += [
            shown(None if money is None else money.inverse()),
            shown(None if money is None else money.times(1e6)),
        ]
    if prices and amount:
        rate = offer.samples_per_second
        cells += [
            shown(None if rate is None else rate.inverse().times(amount / SECONDS_PER_HOUR)),
            shown(None if money is None else money.times(amount)),
        ]
    return [*cells, "; ".join(_remarks(offer, prices)) or numbers.MISSING]


def _remarks(offer: Offer, prices: Prices | None) -> list[str]:
    said = ["recommended here"] * offer.recommended
    said += ["compared in this mode"] * (offer.stands and not offer.recommended and offer.unranked is None)
    said += [offer.remark] if offer.remark else []
    if offer.unranked:
        said.append(f"not ranked: {offer.unranked}")
    elif offer.excluded:
        said.append(f"does not qualify: {offer.excluded}")
    return said + ([f"no cost: {offer.without_cost}"] if prices and offer.without_cost else [])
