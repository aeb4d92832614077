"""Quantities that repeat to the last bit under one seed: equality decides, and one process is enough.

Where processes of one seed differ among themselves on one side, equality says nothing. Bytes are then told apart only
where they do not overlap, and overflows by a test of counts (`counts.py`). What the base has and the candidate lacks,
or has only under other seeds, is `not measured` with the reason.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import pandas as pd

from suite.judge.cells import Cell, Sides, pairs_of, seed_difference, varies
from suite.judge.counts import judge_counts, violation
from suite.judge.findings import Finding, MetricClass, Verdict
from suite.judge.stats import ALPHA

__all__ = ["judge_exact"]


Judged = Callable[[Finding, Sides, pd.DataFrame], Finding | None]
"""Completes a finding from the trials of both sides that have the metric, and their pairs."""


def judge_exact(cell: Cell, sides: Sides, alpha: float = ALPHA) -> Iterator[Finding]:
    """Findings on allocated bytes, overflowing steps and the digest of the losses, of those that the base has.

    `alpha` is the one-sided level of the test of counts, where one takes the place of equality.
    """
    for metric, judged in (
        ("peak_allocated_bytes", _bytes_finding),
        ("losses_sha256", _digest_finding),
        ("overflow_steps", partial(_overflow_finding, alpha=alpha)),
    ):
        # An overflow that must not be needs nothing to be compared with.
        found = violation(cell, sides) if metric == "overflow_steps" else None
        found = found or _paired(cell, metric, sides, judged)
        if found is not None:
            yield found


def _paired(cell: Cell, metric: str, sides: Sides, judged: Judged) -> Finding | None:
    """The finding on one metric, or why there is nothing to compare; None where the base has no value of it."""
    known = (sides[0].dropna(subset=[metric]), sides[1].dropna(subset=[metric]))
    if known[0].empty:
        return None
    pairs = pairs_of(known)
    finding = Finding(
        *cell,
        metric,
        Verdict.NOT_MEASURED,
        MetricClass.EXACT,
        test="equality under equal seeds",
        processes_base=len(sides[0]),
        processes_candidate=len(sides[1]),
    )
    differ = seed_difference(*sides)
    if pairs.empty:
        return replace(finding, reasons=(_why_unpaired(sides, known),))
    lost = len(pairs_of(sides)) - len(pairs)
    notes = (
        *([differ] if differ else []),
        *([f"{lost} of {len(pairs) + lost} pairs of trials lack a value and are left out"] if lost else []),
    )
    found = judged(finding, known, pairs)
    return found and replace(found, notes=(*notes, *found.notes))


def _why_unpaired(sides: Sides, known: Sides) -> str:
    if known[1].empty:
        return "the candidate has no value, the base has"
    differ = seed_difference(*sides)
    if differ and not set(sides[0]["seed"]) & set(sides[1]["seed"]):
        return differ
    return "no trial with the same seed and repeat has a value on both sides"


def _bytes_finding(finding: Finding, sides: Sides, pairs: pd.DataFrame) -> Finding:
    before, after = pairs["peak_allocated_bytes_base"], pairs["peak_allocated_bytes_candidate"]
    grown = after - before
    # One seed that needs more is enough, whatever the others need.
    worst = int(grown.argmax() if grown.max() > 0 else grown.argmin())
    shown = float(before.iloc[worst]), float(after.iloc[worst])
    verdict = _direction(*shown)
    reasons: tuple[str, ...] = ()
    unsteady = any(varies(pairs, f"peak_allocated_bytes_{side}") for side in ("base", "candidate"))
    if unsteady and not (before == after).all():
        verdict, shown, reasons = _unsteady_bytes(pairs, shown)
    change = shown[1] / shown[0] - 1 if shown[0] else None
    return replace(finding, verdict=verdict, base=shown[0], candidate=shown[1], change=change, reasons=reasons)


def _direction(before: float, after: float) -> Verdict:
    return Verdict.UNCHANGED if after == before else Verdict.REGRESSED if after > before else Verdict.IMPROVED


def _unsteady_bytes(
    pairs: pd.DataFrame, shown: tuple[float, float]
) -> tuple[Verdict, tuple[float, float], tuple[str, ...]]:
    """Ranges that do not overlap under one seed tell what equality cannot: verdict, both sides' bytes, reasons."""
    seeds = pairs.groupby("seed")
    before, after = seeds["peak_allocated_bytes_base"], seeds["peak_allocated_bytes_candidate"]
    # Two processes a side are soon apart by chance: the gap must be wider than what one side varies by.
    jitter = pd.concat([side.max() - side.min() for side in (before, after)], axis=1).max(axis=1)
    more, less = after.min() - before.max() - jitter, before.min() - after.max() - jitter
    vary = "allocated bytes vary between processes of one seed on one side"
    if (more > 0).any():
        seed = int(str(more.idxmax()))
        why = f"{vary}, but under seed {seed} all need more than any did before"
        return Verdict.REGRESSED, (float(before.max()[seed]), float(after.min()[seed])), (why,)
    if (less > 0).all():
        seed = int(str(less.idxmax()))
        why = f"{vary}, but under every seed all need less than any did before"
        return Verdict.IMPROVED, (float(before.min()[seed]), float(after.max()[seed])), (why,)
    return Verdict.INCONCLUSIVE, shown, (f"{vary}, so equality says nothing here",)


def _digest_finding(finding: Finding, sides: Sides, pairs: pd.DataFrame) -> Finding | None:
    """One workload source, one stack and one seed give one loss curve; another one is a change of the numerics."""
    if varies(sides[0], "losses_sha256"):
        return None  # kernels that add in no fixed order: the quality is what can be judged
    if varies(sides[1], "losses_sha256"):
        return replace(finding, reasons=("the candidate's losses do not repeat under one seed; see the quality",))
    differ = int((pairs["losses_sha256_base"] != pairs["losses_sha256_candidate"]).sum())
    if not differ:
        return replace(finding, verdict=Verdict.UNCHANGED)
    reason = f"the losses differ in {differ} of {len(pairs)} trials with equal seed"
    return replace(finding, verdict=Verdict.CHANGED, reasons=(reason,))


def _overflow_finding(finding: Finding, sides: Sides, pairs: pd.DataFrame, alpha: float) -> Finding:
    if any(varies(side, "overflow_steps") for side in sides):
        both = set(pairs["seed"])
        common = (sides[0][sides[0]["seed"].isin(both)], sides[1][sides[1]["seed"].isin(both)])
        return judge_counts((finding.workload, finding.precision), common, alpha)
    before = [json.loads(steps) for steps in pairs["overflow_steps_base"]]
    after = [json.loads(steps) for steps in pairs["overflow_steps_candidate"]]
    finding = replace(finding, base=float(sum(map(len, before))), candidate=float(sum(map(len, after))))
    if before == after:
        return replace(finding, verdict=Verdict.UNCHANGED)
    grown = [len(theirs) - len(ours) for ours, theirs in zip(before, after, strict=True)]
    more, fewer = sum(by > 0 for by in grown), sum(by < 0 for by in grown)
    verdict = Verdict.REGRESSED if more else Verdict.IMPROVED if fewer else Verdict.CHANGED
    reasons = [_first_difference(before, after, verdict)]
    if more and fewer:
        reasons.append(f"under equal seeds {more} of {len(pairs)} trials overflow more often, {fewer} less often")
    return replace(finding, verdict=verdict, reasons=tuple(reasons))


def _first_difference(before: Sequence[list[int]], after: Sequence[list[int]], verdict: Verdict) -> str:
    """One step of a trial that the verdict rests on."""
    sides = [(set(ours), set(theirs)) for ours, theirs in zip(before, after, strict=True)]
    if verdict is Verdict.REGRESSED:
        step = next(min(theirs - ours) for ours, theirs in sides if len(theirs) > len(ours))
        return f"step {step} overflows now and did not before."
    step = next(min(ours - theirs) for ours, theirs in sides if ours - theirs)
    return f"step {step} no longer overflows."
