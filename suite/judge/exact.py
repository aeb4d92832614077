"""Quantities that repeat to the last bit under one seed: equality decides, and one process is enough.

Where processes of one seed differ among themselves on one side, equality says nothing. Processes are then exchanged
between the sides (`permutation.py`), of the overflows by a test of counts (`counts.py`). What the base has and the
candidate lacks, or has only under other seeds, is `not measured` with the reason.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import pandas as pd

from suite.judge.cells import Cell, Sides, pairs_of, seed_difference, varies
from suite.judge.counts import judge_counts
from suite.judge.findings import Finding, MetricClass, Verdict
from suite.judge.permutation import Pair, by_seed, permute
from suite.judge.stats import ALPHA

__all__ = ["judge_exact"]


Judged = Callable[[Finding, Sides, pd.DataFrame], Finding | None]
"""Completes a finding from the trials of both sides that have the metric, and their pairs."""


def judge_exact(cell: Cell, sides: Sides, alpha: float = ALPHA) -> Iterator[Finding]:
    """Findings on allocated bytes, overflowing steps and the digest of the losses, of those that the base has.

    `alpha` is the one-sided level of the test that takes the place of equality.
    """
    for metric, judged in (
        ("peak_allocated_bytes", partial(_bytes_finding, alpha=alpha)),
        ("losses_sha256", _digest_finding),
        ("overflow_steps", partial(_overflow_finding, alpha=alpha)),
    ):
        found = _paired(cell, metric, sides, judged)
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


def _bytes_finding(finding: Finding, sides: Sides, _: pd.DataFrame, alpha: float) -> Finding:
    seeds = by_seed(sides, finding.metric)
    if any(len(set(side)) > 1 for pair in seeds.values() for side in pair):
        return _varying_bytes(finding, seeds, alpha)
    steady = [(float(before[0]), float(after[0])) for before, after in seeds.values()]
    # One seed that needs more is enough, whatever the others need.
    most, least = (choose(steady, key=lambda pair: pair[1] - pair[0]) for choose in (max, min))
    before, after = most if most[1] > most[0] else least
    verdict = Verdict.UNCHANGED if after == before else Verdict.REGRESSED if after > before else Verdict.IMPROVED
    return replace(finding, verdict=verdict, base=before, candidate=after, change=_change(before, after))


def _varying_bytes(finding: Finding, seeds: Mapping[int, Pair], alpha: float) -> Finding:
    found = permute(seeds)
    before, after = (tuple(float(value) for pair in seeds.values() for value in pair[side]) for side in (0, 1))
    if found.decides(alpha):
        verdict = Verdict.REGRESSED if found.difference > 0 else Verdict.IMPROVED
        why = "the sides are further apart than that explains"
    elif found.can_decide(alpha):
        verdict, why = Verdict.INCONCLUSIVE, "the sides are no further apart than that explains"
    else:
        verdict, why = Verdict.INCONCLUSIVE, f"{len(before)} against {len(after)} are too few to tell the sides apart"
    first = statistics.fmean(statistics.fmean(pair[0]) for pair in seeds.values())
    return replace(
        finding,
        verdict=verdict,
        metric_class=MetricClass.COUNT,
        base=first,
        candidate=first + found.difference,
        change=_change(first, first + found.difference),
        p=found.p,
        test="permutation of processes",
        values_base=before,
        values_candidate=after,
        processes_base=len(before),
        processes_candidate=len(after),
        reasons=(f"allocated bytes vary between processes of one seed, and {why} (one-sided p = {found.p / 2:.2g})",),
    )


def _change(before: float, after: float) -> float | None:
    return after / before - 1 if before else None


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
