"""What a buyer of a large machine asks: what each gives at the largest batch that it was shown to take."""

from __future__ import annotations

from collections.abc import Sequence

from suite.judge.estimates import ratio
from suite.purchase.batches import LargestBatch
from suite.purchase.comparison import break_evens
from suite.purchase.prices import Prices
from suite.purchase.ranking import rankings
from suite.report import numbers
from suite.report.hardware_answer import LONGEST_NAME, answer_table, memory_left, shown, where
from suite.report.sheet import Notes
from suite.report.tables import Table
from suite.report.text import shorten

__all__ = ["NOT_MEASURED", "READING", "batch_tables"]

NOT_MEASURED = (
    "Not measured: larger batches. The batch is the profile's on every machine, so a large machine may have more to "
    "give than this page shows; the memory left free says how much room there is. `ampmark run --batch-scale 2` (then "
    "4, 8, … until it ends out of memory) measures them, and this page then shows every machine at its largest."
)
NONE_RANKED = (
    "Larger batches were run, too; they are not shown, for no cell of these machines is ranked at the common batch."
)
READING = Notes(
    "What the largest batches mean",
    (
        "The answer by workload compares machines at one batch; the answer at the largest batch compares them at "
        "different ones: as many steps, each of as many samples as that machine was shown to take.",
        "A larger batch trains otherwise. A mode counts where its quality qualifies at the common batch; what it "
        "trains to at the larger one is on that run's own page, and whether it still suits is yours to judge.",
        "A machine on which no larger batch was tried is not ranked there.",
    ),
)
HEAD = (
    "Workload",
    "Machine, precision",
    "Common batch",
    "samples/s at it",
    "Largest batch measured",
    "samples/s at that",
    "Times as fast",
    "Memory left free, GiB",
    "Above that",
)


def batch_tables(found: Sequence[LargestBatch], prices: Prices | None) -> tuple[Table, ...]:
    """The answer at the largest batches, and what was tried; nothing where nothing larger was tried."""
    if not found:
        return ()
    offers = [each.offer for each in found]
    answer = answer_table(rankings(offers, by_cost=prices is not None), list(break_evens(offers)), prices)
    rows = [_row(each) for each in found if each.tried]
    tried = Table.of("Largest batches that were measured", HEAD, rows)
    return (Table.of("The answer at the largest batch of each machine", answer.head, answer.rows), tried)


def _row(each: LargestBatch) -> tuple[str, ...]:
    grown = each.batch != each.common_batch
    factor = ratio(each.offer.rates, each.common.rates) if grown else None
    return (
        shorten(each.common.workload, LONGEST_NAME),
        where(each.common),
        numbers.count(each.common_batch),
        shown(each.common.samples_per_second),
        numbers.count(each.batch),
        shown(each.offer.samples_per_second),
        shown(factor, "×"),
        memory_left(each.offer),
        each.beyond,
    )
