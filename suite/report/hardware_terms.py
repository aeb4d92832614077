"""What the numbers of the hardware page rest on: which runs, what the costs contain, the prices, what else differs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from suite.purchase.comparison import Offer
from suite.purchase.machines import labels_of
from suite.purchase.prices import HOURS_PER_YEAR, Prices
from suite.report import numbers
from suite.report.hardware_answer import LONGEST_NAME, paid
from suite.report.machine import difference_words
from suite.report.sheet import Notes
from suite.report.tables import Table
from suite.report.text import first_of, shorten
from suite.store import Run

__all__ = ["compared_table", "contents", "difference_table", "price_table", "profile_warnings", "software_warnings"]

TOO_SMALL = ("quick", "smoke")
"""Profiles whose networks are far too small to rank hardware (README, Limits)."""
MOST_SEEDS = 10
LONGEST_SOURCE = 200
SOFTWARE = {"torch": "torch", "cuda": "CUDA", "cudnn": "cuDNN", "driver": "driver", "ampmark": "ampmark"}
"""What moves the speed of a machine without being part of it: field of the environment -> words."""


def compared_table(runs: Sequence[Run]) -> Table:
    """One row per machine: what was run on it, and on which software."""
    head = (
        "Machine",
        "Run",
        "Date (UTC)",
        "Profile",
        "Batch × steps",
        "Processes per cell",
        "Seeds",
        "torch",
        "Driver",
        "CUDA",
        "Power limit, W",
    )
    names = labels_of(runs)
    return Table.of("What was compared", head, [_compared(run, names[run.info.run]) for run in runs])


def profile_warnings(runs: Sequence[Run]) -> Iterator[str]:
    """One sentence per profile that is too small for this page."""
    names = labels_of(runs)
    for profile in TOO_SMALL:
        machines = [names[run.info.run] for run in runs if run.info.plan.profile == profile]
        if machines:
            yield (
                f"The networks of the profile {profile} are far too small to rank hardware: {first_of(machines)} ran "
                "it. Measure with `ampmark run --profile standard` before you decide."
            )


def software_warnings(runs: Sequence[Run]) -> Iterator[str]:
    """One sentence where the machines ran other software, which makes its own difference."""
    found = {}
    for name, words in SOFTWARE.items():
        values = dict.fromkeys(str(value) for run in runs if (value := getattr(run.info.environment, name)) is not None)
        if len(values) > 1:
            found[words] = first_of(list(values))
    if found:
        named = "; ".join(f"{words} {values}" for words, values in found.items())
        yield f"The machines ran other software ({named}): what differs between them is not the machines' alone."


def contents(every: Sequence[Offer], prices: Prices | None) -> Notes:
    """What is in the numbers, and what is not."""
    rates = [
        "Joules are those that the device itself drew in the timed steps, and not the host's.",
        "Time is that of the timed training steps: start, warm-up, compilation and evaluation are not in it.",
        "samples/s counts the samples of applied steps: one skipped for an overflow takes time and teaches nothing.",
    ]
    layers = list(dict.fromkeys(offer.peak_layer for offer in every if offer.peak_layer))
    if layers:
        rates.append(
            f"Memory left free is at most the device's memory less {' or, named in its row, '.join(layers)}, of the "
            "process that took most: what the driver and others held before the training is not in it."
        )
    if prices is None:
        return Notes("What these numbers contain", tuple(rates))
    return Notes("What these costs contain", (*_prices(every, prices), *rates))


def _prices(every: Sequence[Offer], prices: Prices) -> Iterator[str]:
    priced = {offer.device: offer.price for offer in every if offer.price is not None}
    for device, price in priced.items():
        power = "without power" if price.bought else "rent, power included"
        yield (
            f"An hour of {shorten(device, LONGEST_NAME)} costs {numbers.number(price.per_hour)} {prices.currency} "
            f"({power})."
        )
    if any(price.bought for price in priced.values()):
        yield (
            f"Power of a bought machine: what the accelerator itself drew in the timed steps, times "
            f"{prices.power_overhead:g} for cooling and supply, at {numbers.number(prices.power_price_per_kwh)} "
            f"{prices.currency} per kWh. The host's power and that of an idle machine are not in it."
        )


def price_table(prices: Prices) -> Table:
    """The price file, as it was read."""
    rows = [
        (
            machine.device,
            paid(machine),
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
        how = f"times {prices.power_overhead:g} for cooling and supply"
        rows.append(("power", f"{numbers.number(power)} per kWh", numbers.MISSING, how))
    head = ("What", f"Price, {prices.currency}", f"An hour of training without power, {prices.currency}", "How")
    source = "" if prices.source is None else f": {shorten(prices.source, LONGEST_SOURCE)}"
    return Table.of(f"Prices, as given{source}", head, rows)


def difference_table(runs: Sequence[Run]) -> Table:
    """What differs between the first machine and each other one, besides the machine: software counts as well."""
    first, names = runs[0].info, labels_of(runs)
    rows = [
        (names[run.info.run], difference_words(difference))
        for run in runs[1:]
        for difference in first.environment.differences(run.info.environment, code=True)
    ]
    name = shorten(names[first.run], LONGEST_NAME)
    return Table.of(f"What differs from {name} (run {first.run})", ("Machine", "What"), rows)


def _compared(run: Run, name: str) -> tuple[str, ...]:
    info = run.info
    machine, trials = info.environment, info.plan.trials
    sizes = {spec.workload: _size(spec.setup.batch_size, spec.setup.accumulation, spec.setup.steps) for spec in trials}
    cells = Counter((spec.workload, spec.precision) for spec in trials)
    seeds = [str(seed) for seed in dict.fromkeys(spec.seed for spec in trials)]
    limit = machine.power_limit_watts
    return (
        name,
        info.run,
        info.created_at[:10],
        info.plan.profile,
        "; ".join(f"{shorten(workload, LONGEST_NAME)} {size}" for workload, size in sizes.items()),
        numbers.count_between(list(cells.values())),
        first_of(seeds, most=MOST_SEEDS),
        machine.torch,
        machine.driver or numbers.MISSING,
        machine.cuda or numbers.MISSING,
        numbers.MISSING if limit is None else numbers.number(limit),
    )


def _size(batch: int, accumulation: int, steps: int) -> str:
    """`8 × 60`, and `8 × 4 micro-batches × 60` where a step has several."""
    parts = [f"{batch}", *([f"{accumulation} micro-batches"] if accumulation > 1 else []), f"{steps}"]
    return " × ".join(parts)
