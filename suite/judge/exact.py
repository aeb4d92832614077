"""Quantities that repeat to the last bit under one seed: equality decides, and one process is enough.

Where processes of one seed differ among themselves on one side, equality says nothing, and the finding says so (for
overflows a test of counts takes its place: `counts.py`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pandas as pd

from suite.judge.cells import Cell, Sides, pairs_of, varies
from suite.judge.counts import judge_counts, violation
from suite.judge.findings import Finding, MetricClass, Verdict
from suite.judge.stats import ALPHA

__all__ = ["judge_exact"]


def judge_exact(cell: Cell, sides: Sides, alpha: float = ALPHA) -> Iterator[Finding]:
    """Findings on allocated bytes, overflowing steps and the digest of the losses, where both sides have them.

    `alpha` is the one-sided level of the test of counts, where one takes the place of equality.
    """
    pairs = pairs_of(sides)
    counts = (len(sides[0]), len(sides[1]))
    if not pairs.empty:
        both = pairs[["peak_allocated_bytes_base", "peak_allocated_bytes_candidate"]]
        if both.notna().all(axis=None):
            yield _bytes_finding(cell, pairs, counts)
        yield from _digest_finding(cell, sides, pairs, counts)
    overflow = _overflow_finding(cell, sides, pairs, counts, alpha)
    if overflow is not None:
        yield overflow


def _bytes_finding(cell: Cell, pairs: pd.DataFrame, counts: tuple[int, int]) -> Finding:
    sides = pairs["peak_allocated_bytes_base"], pairs["peak_allocated_bytes_candidate"]
    grown = sides[1] - sides[0]
    # One seed that needs more is enough, whatever the others need.
    worst = int(grown.argmax() if grown.max() > 0 else grown.argmin())
    before, after = (float(side.iloc[worst]) for side in sides)
    finding = _exact(
        cell,
        "peak_allocated_bytes",
        Verdict.UNCHANGED if after == before else Verdict.REGRESSED if after > before else Verdict.IMPROVED,
        counts,
        base=before,
        candidate=after,
    )
    finding = replace(finding, change=after / before - 1 if before else None)
    unsteady = any(varies(pairs, f"peak_allocated_bytes_{side}") for side in ("base", "candidate"))
    if (sides[0] == sides[1]).all() or not unsteady:
        return finding
    vary = "allocated bytes vary between processes of one seed on one side, so equality says nothing here"
    return replace(finding, verdict=Verdict.INCONCLUSIVE, reasons=(vary,))


def _digest_finding(cell: Cell, sides: Sides, pairs: pd.DataFrame, counts: tuple[int, int]) -> Iterator[Finding]:
    """One workload source, one stack and one seed give one loss curve; another one is a change of the numerics."""
    known = pairs.dropna(subset=["losses_sha256_base", "losses_sha256_candidate"])
    if known.empty or any(varies(side, "losses_sha256") for side in sides):
        return  # kernels that add in no fixed order: the quality is what can be judged
    differ = known["losses_sha256_base"] != known["losses_sha256_candidate"]
    verdict = Verdict.CHANGED if differ.any() else Verdict.UNCHANGED
    reasons = (f"the losses differ in {int(differ.sum())} of {len(known)} trials with equal seed",)
    yield replace(_exact(cell, "losses_sha256", verdict, counts), reasons=reasons if differ.any() else ())


def _overflow_finding(
    cell: Cell, sides: Sides, pairs: pd.DataFrame, counts: tuple[int, int], alpha: float
) -> Finding | None:
    violated = violation(cell, sides)
    if violated is not None:
        return violated
    if pairs.empty:
        return None
    if varies(sides[0], "overflow_steps") or varies(sides[1], "overflow_steps"):
        return judge_counts(cell, sides, alpha)
    before = [json.loads(steps) for steps in pairs["overflow_steps_base"]]
    after = [json.loads(steps) for steps in pairs["overflow_steps_candidate"]]
    total_before, total_after = sum(map(len, before)), sum(map(len, after))
    finding = _exact(
        cell, "overflow_steps", Verdict.UNCHANGED, counts, base=float(total_before), candidate=float(total_after)
    )
    if before == after:
        return finding
    more, fewer = total_after > total_before, total_after < total_before
    verdict = Verdict.REGRESSED if more else Verdict.IMPROVED if fewer else Verdict.CHANGED
    return replace(finding, verdict=verdict, reasons=(_first_difference(before, after),))


def _exact(
    cell: Cell,
    metric: str,
    verdict: Verdict,
    counts: tuple[int, int],
    base: float | None = None,
    candidate: float | None = None,
) -> Finding:
    return Finding(
        *cell,
        metric,
        verdict,
        MetricClass.EXACT,
        base=base,
        candidate=candidate,
        test="equality under equal seeds",
        processes_base=counts[0],
        processes_candidate=counts[1],
    )


def _first_difference(before: Sequence[list[int]], after: Sequence[list[int]]) -> str:
    ours, theirs = next(pair for pair in zip(before, after, strict=True) if pair[0] != pair[1])
    step = min(set(ours) ^ set(theirs))
    return f"step {step} {'overflows now and did not before' if step in theirs else 'no longer overflows'}."
