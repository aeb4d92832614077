"""How the trials of `ampmark demo underflow` are judged: by a rule, against float32's own training loss."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from suite.loss_scale.underflow import EXPERIMENTS, MODES, Experiment, Mode, Reach
from suite.record import Outcome, TrialRecord
from suite.rows import trial_row

__all__ = ["RULE", "Found", "Row", "headline", "judge"]

MATCHES_UP_TO = 0.05
"""A loss matches when it is no further from float32's final loss than this share of what float32 gained."""
FAILS_FROM = 0.50
"""It fails when more than half of what float32 gained is missing; what lies between falls short."""
RULE = (
    f"A mode matches fp32 when its final training loss is within {100 * MATCHES_UP_TO:g} % of what fp32 gained (first "
    f"loss minus final loss), fails when more than {100 * FAILS_FROM:g} % of that is missing or training broke down, "
    "and falls short in between. The final loss is the mean over the last tenth of the steps."
)


@dataclass(frozen=True)
class Row:
    """One trial as the demo shows it; losses are those of the unweighted task."""

    title: str
    mode: Mode
    record: TrialRecord
    final_loss: float | None
    """Mean training loss over the last tenth of the steps."""
    missing: float | None
    """Share of what float32 gained that is missing at the end."""
    flushed_share: float | None
    """Of the gradients after training, at the last scale."""
    verdict: Reach
    curve: tuple[float, ...]
    """Training loss of every step."""

    @property
    def expected(self) -> bool:
        """Whether it came out as in the papers."""
        return self.verdict is self.mode.expected

    @property
    def overflows(self) -> int | None:
        """Steps with a gradient that was not finite."""
        return None if self.record.steps is None else sum(self.record.steps.overflowed)

    @property
    def last_scale(self) -> float | None:
        """After the last step; None without scaling."""
        return None if self.record.steps is None else self.record.steps.last_scale


@dataclass(frozen=True)
class Found:
    """One experiment, judged."""

    experiment: Experiment
    rows: tuple[Row, ...]

    @property
    def as_in_the_papers(self) -> bool:
        """Whether every mode came out as expected."""
        return all(row.expected for row in self.rows)

    @property
    def sentence(self) -> str:
        """What was found, in words."""
        odd = [row for row in self.rows if not row.expected]
        if not odd:
            return (
                "As in the papers: without loss scaling float16 does not reach fp32's loss, with a scale that is too "
                "small it comes part of the way, with a fitting or a dynamic scale it matches, and bf16 needs none."
            )
        words = "; ".join(f"{row.title}: {row.verdict}, expected: {row.mode.expected}" for row in odd)
        return f"Not as in the papers: {words}."


def headline(found: Sequence[Found]) -> str:
    """The whole demo in one sentence."""
    same = [one.experiment.workload for one in found if one.as_in_the_papers]
    if len(same) == len(found):
        return f"Loss scaling is required, as the papers say: found on {', '.join(same)}."
    other = [one.experiment.workload for one in found if not one.as_in_the_papers]
    return f"What the papers found was not found on {', '.join(other)}; found on {', '.join(same) or 'none'}."


def judge(records: Iterable[TrialRecord], experiments: Sequence[Experiment] = EXPERIMENTS) -> tuple[Found, ...]:
    """The experiments with their rows in the order of `MODES`; `records` are those of the plan, in its order."""
    found = list(records)
    per = len(MODES)
    return tuple(
        Found(experiment, _rows(experiment, found[place * per : (place + 1) * per]))
        for place, experiment in enumerate(experiments)
    )


def _rows(experiment: Experiment, records: Sequence[TrialRecord]) -> tuple[Row, ...]:
    curves = [_curve(record, experiment.loss_weight) for record in records]
    final = [_final_loss(record, experiment.loss_weight) for record in records]
    gained = None if final[0] is None or not curves[0] else curves[0][0] - final[0]
    rows = []
    for mode, record, curve, loss in zip(MODES, records, curves, final, strict=True):
        missing = None
        if loss is not None and final[0] is not None and gained is not None and gained > 0:
            missing = (loss - final[0]) / gained
        verdict = _verdict(mode, record, missing)
        share = trial_row(record, "").get("flushed_share")
        rows.append(Row(experiment.title_of(mode), mode, record, loss, missing, share, verdict, curve))
    return tuple(rows)


def _curve(record: TrialRecord, weight: float) -> tuple[float, ...]:
    return () if record.steps is None else tuple(loss / weight for loss in record.steps.losses)


def _final_loss(record: TrialRecord, weight: float) -> float | None:
    weighted = trial_row(record, "").get("final_loss")
    return weighted / weight if isinstance(weighted, float) and math.isfinite(weighted) else None


def _verdict(mode: Mode, record: TrialRecord, missing: float | None) -> Reach:
    if record.outcome is Outcome.DIVERGED:
        return Reach.FAILS
    if not record.outcome.measured or missing is None:
        return Reach.NO_NUMBERS
    if mode.expected is Reach.REFERENCE:
        return Reach.REFERENCE
    if missing <= MATCHES_UP_TO:
        return Reach.MATCHES
    return Reach.FAILS if missing > FAILS_FROM else Reach.FALLS_SHORT
