"""The page of `ampmark demo underflow`: loss curves and verdicts of each experiment."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from suite.loss_scale.findings import RULE, Found, Row, headline
from suite.loss_scale.underflow import Experiment
from suite.record import Environment
from suite.report import numbers
from suite.report.charts import loss_chart
from suite.report.drawing import draw
from suite.report.sheet import Figure, Sheet, machine_table
from suite.report.tables import Table
from suite.report.traces import Series

__all__ = ["underflow_sheet"]

STEPS_A_POINT = 5
"""A point of a curve is the mean of so many steps: batches differ more than neighbouring steps do."""


def underflow_sheet(found: Sequence[Found], environment: Environment, made_at: str) -> Sheet:
    """Everything on the page; `made_at` is a date and time in UTC."""
    return Sheet(
        title="ampmark demo underflow",
        meta=f"ampmark {environment.ampmark} · {environment.device_name} · torch {environment.torch} · {made_at}",
        headline=headline(found),
        sentences=(RULE, _WHY),
        figures=tuple(_figure(one) for one in found),
        conditions=(*(_setup(one.experiment) for one in found), machine_table(environment)),
        command="ampmark demo underflow",
    )


_WHY = (
    "The loss is multiplied by the weight stated below, as a mean over a large batch does. AdamW with an epsilon of "
    "1e-20 and without clipping is indifferent to it: in exact arithmetic every row would be the same. float16 is "
    "torch's own autocast, not rounding put on top of float32, and what ran was attested in every trial."
)


def _figure(found: Found) -> Figure:
    series = [_series(row, place) for place, row in enumerate(found.rows)]
    drawn = [line for line in series if line.points]
    words = "; ".join(f"{row.title} {row.verdict}" for row in found.rows)
    return Figure(
        title=found.experiment.title,
        svg=draw(loss_chart(drawn), f"Training loss of {found.experiment.title}: {words}."),
        caption=f"Training loss, divided by the weight; a point is the mean of {STEPS_A_POINT} steps. {found.sentence}",
        table=_table(found),
    )


def _series(row: Row, place: int) -> Series:
    stop = row.record.first_bad_step
    curve = row.curve if stop is None else row.curve[:stop]
    points = [
        (start + STEPS_A_POINT // 2, statistics.fmean(curve[start : start + STEPS_A_POINT]))
        for start in range(0, len(curve) - STEPS_A_POINT + 1, STEPS_A_POINT)
    ]
    return Series(row.title, place, tuple(points), diverged_at=stop)


def _table(found: Found) -> Table:
    head = ("Mode", "Final loss", "Missing of fp32's gain", "Become zero", "Overflows", "Last scale", "Reach")
    rows = [
        (
            row.title,
            numbers.number(row.final_loss, 4),
            numbers.percent(row.missing),
            numbers.share(row.flushed_share),
            numbers.count(row.overflows),
            numbers.scale(row.last_scale),
            str(row.verdict) if row.record.reason is None or row.record.outcome.measured else row.record.reason,
        )
        for row in found.rows
    ]
    return Table.of(f"What became of {found.experiment.workload}", head, rows)


def _setup(experiment: Experiment) -> Table:
    setup = experiment.setup
    rows = [
        ("loss weight", f"{numbers.scale(experiment.loss_weight)}"),
        ("steps", f"{setup.steps} of {setup.batch_size}"),
        ("optimizer", f"AdamW, learning rate {setup.optimizer.learning_rate:g}, epsilon {setup.optimizer.epsilon:g}"),
        ("settings", ", ".join(f"{name} {value:g}" for name, value in setup.settings.items() if name != "loss_weight")),
        ("seed, threads", "0, 1"),
    ]
    return Table.of(f"Setup of {experiment.workload}", ("What", "Value"), rows)
