"""The one sentence to quote, and what stands right under it."""

from __future__ import annotations

from collections import Counter

from suite.judge.findings import Verdicts
from suite.record import Outcome
from suite.report import numbers
from suite.report.text import clean
from suite.store import Run

__all__ = ["headline", "incomplete"]


def headline(run: Run, verdicts: Verdicts | None, notice: str | None) -> str:
    """What changed, or without a comparison what was measured."""
    if verdicts is not None:
        return clean(verdicts.headline)
    ended = Counter(Outcome(outcome) for outcome in run.trials["outcome"])
    measured = sum(n for outcome, n in ended.items() if outcome.measured)
    counts = ", ".join(f"{ended[outcome]} {outcome.value}" for outcome in Outcome if ended[outcome])
    of = numbers.of(measured, len(run.info.plan.trials), "trial")
    found = f"{of} measured on {run.info.environment.device_name}" + (f": {counts}" if counts else "")
    # What to do about it, behind the semicolon, stands in the section on changes.
    because = f": {notice.partition('; ')[0].rstrip('.')}" if notice else ""
    return clean(f"{found}; not compared with a baseline{because}.")


def incomplete(run: Run) -> str | None:
    """`incomplete: 7 of 24 trials…` for a run that was cut short or still lasts."""
    have, planned = len(run.trials), len(run.info.plan.trials)
    if run.info.sealed_at is not None and have >= planned:
        return None
    return f"Incomplete: {numbers.of(have, planned, 'trial')} {'has' if have == 1 else 'have'} a record."
