"""Quantities that repeat to the last bit under one seed: equality decides, and one process is enough.

Seeds are compared one by one: where the processes of a seed agree on each side, equality decides that seed, and one
that got worse is enough. Where they differ among themselves, equality says nothing: those processes are exchanged
between the sides (`permutation.py`), of the overflows by a test of counts (`counts.py`). The processes of a seed may
agree by chance where those of another do not, so that there a change must exceed the widest spread within any seed, or
else joins the test. What the base has and the candidate lacks, or has only under other seeds, is `not measured` with
the reason.

Bytes of three or four processes a side are too few to exchange; Welch's test on their logarithms then takes its place,
with the limit of resident memory. It called at most 1.0 % of equal sides larger (two and three sizes that differ by a
half, and log-normal ones of 5 and 30 %; 1000 draws each).
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

import pandas as pd

from suite.judge.cells import Cell, Sides, pairs_of, seed_difference, varies
from suite.judge.counts import judge_counts
from suite.judge.findings import Finding, MetricClass, Verdict
from suite.judge.permutation import EXCHANGE, Pair, Permuted, by_seed, permute
from suite.judge.samples import HOST_MEMORY
from suite.judge.sensitivity import processes_to_decide, smallest_seen, with_p
from suite.judge.stats import ALPHA, Comparison, compare

__all__ = ["WELCH", "judge_exact"]

WELCH = "Welch on logarithms"
"""The test of the bytes of three or four processes a side."""

Steps = tuple[int, ...]
"""Those of one process that overflow."""
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


def _joined(exact: Finding | None, tested: Finding | None, spread: float) -> Finding | None:
    """Of the seeds whose processes agree and of the others one finding: an alarm of either is one of both.

    It is better only if nothing got worse: the others by no more than processes of one seed differ, which is `spread`.
    """
    if exact is None or tested is None:
        return exact or tested
    grown = (tested.candidate or 0.0) - (tested.base or 0.0)
    better = exact.verdict is Verdict.IMPROVED and tested.verdict is not Verdict.REGRESSED and grown <= spread
    if exact.verdict is Verdict.REGRESSED or better:
        note = f"where processes of a seed differ, their test says {tested.verdict}"
        return replace(exact, notes=(*exact.notes, note))
    note = f"where the processes of a seed agree, it is {exact.verdict}"
    return replace(tested, notes=(*tested.notes, note))


def _bytes_finding(finding: Finding, sides: Sides, _: pd.DataFrame, alpha: float) -> Finding | None:
    seeds = by_seed(sides, finding.metric)
    spread = max(max(side) - min(side) for pair in seeds.values() for side in pair)
    agree = {seed: (before[0], after[0]) for seed, (before, after) in seeds.items() if _agree(before, after)}
    certain = {seed: pair for seed, pair in agree.items() if pair[0] == pair[1] or abs(pair[1] - pair[0]) > spread}
    others = {seed: pair for seed, pair in seeds.items() if seed not in certain}
    exact = _equal_bytes(finding, certain) if certain else None
    return _joined(exact, _varying_bytes(finding, others, alpha) if others else None, spread)


def _agree(*sides: Iterable[object]) -> bool:
    return all(len(set(side)) == 1 for side in sides)


def _equal_bytes(finding: Finding, seeds: Mapping[int, tuple[float, float]]) -> Finding:
    # One seed that needs more is enough, whatever the others need.
    most, least = (choose(seeds, key=lambda seed: seeds[seed][1] - seeds[seed][0]) for choose in (max, min))
    seed = most if seeds[most][1] > seeds[most][0] else least
    before, after = map(float, seeds[seed])
    verdict = Verdict.UNCHANGED if after == before else Verdict.REGRESSED if after > before else Verdict.IMPROVED
    reasons = () if after == before else (f"under seed {seed} {before:.0f} bytes became {after:.0f}",)
    return replace(
        finding, verdict=verdict, base=before, candidate=after, change=_change(before, after), reasons=reasons
    )


@dataclass(frozen=True)
class _Exchanged:
    """What exchanging processes says of the bytes, or of few processes Welch's test."""

    seeds: Mapping[int, Pair]
    """Of Welch's test the one with most processes."""
    exchange: Permuted
    p: float
    """Two-sided."""
    difference: float
    decided: bool
    test: str = EXCHANGE


def _exchanged(seeds: Mapping[int, Pair], alpha: float) -> _Exchanged:
    found = permute(seeds)
    if not found.can_decide(alpha):
        seed, few = _by_logarithms(seeds)
        if few.p is not None and few.p / 2 <= alpha and abs(few.difference) >= HOST_MEMORY.limit:
            return _Exchanged({seed: seeds[seed]}, found, few.p, few.difference, decided=True, test=WELCH)
    return _Exchanged(seeds, found, found.p, found.difference, found.decides(alpha))


def _larger(seeds: Mapping[int, Pair], alpha: float) -> bool:
    tested = _exchanged(seeds, alpha)
    return tested.decided and tested.difference > 0


def _varying_bytes(finding: Finding, seeds: Mapping[int, Pair], alpha: float) -> Finding:
    tested = _exchanged(seeds, alpha)
    seeds, exchange, verdict = tested.seeds, tested.exchange, Verdict.INCONCLUSIVE
    before, after = (tuple(float(value) for pair in seeds.values() for value in pair[side]) for side in (0, 1))
    if tested.decided:
        verdict = Verdict.REGRESSED if tested.difference > 0 else Verdict.IMPROVED
        why = "the sides are further apart than that explains"
    elif exchange.can_decide(alpha):
        why = "the sides are no further apart than that explains"
    else:
        why = f"{len(before)} against {len(after)} are too few to tell the sides apart"
    first, second = (statistics.fmean(statistics.fmean(pair[side]) for pair in seeds.values()) for side in (0, 1))
    return replace(
        finding,
        verdict=verdict,
        metric_class=MetricClass.COUNT,
        base=first,
        candidate=second,
        change=_change(first, second),
        limit=HOST_MEMORY.delta if tested.test == WELCH else None,
        p=tested.p,
        minimum_detectable=smallest_seen(seeds, partial(_larger, alpha=alpha)),
        runs_to_decide=None if tested.decided else processes_to_decide(seeds, exchange, alpha),
        test=tested.test,
        values_base=before,
        values_candidate=after,
        processes_base=len(before),
        processes_candidate=len(after),
        reasons=(with_p(f"allocated bytes vary between processes of one seed, and {why}", tested.p, alpha),),
    )


def _by_logarithms(seeds: Mapping[int, Pair]) -> tuple[int, Comparison]:
    """The seed with the most processes a side, and Welch's test of the logarithms of their bytes.

    Two seeds of three processes a side can be exchanged in 400 ways, which decide; so there is no second one to test.
    """
    seed = max(seeds, key=lambda seed: min(map(len, seeds[seed])))
    before, after = ([math.log(max(value, 1)) for value in side] for side in seeds[seed])
    return seed, compare(before, after, HOST_MEMORY.limit)


def _change(before: float, after: float) -> float | None:
    return after / before - 1 if before else None


def _digest_finding(finding: Finding, sides: Sides, pairs: pd.DataFrame) -> Finding:
    """One workload source, one stack and one seed give one loss curve; another one is a change of the numerics."""
    for side, whose in zip(sides, ("base", "candidate"), strict=True):
        if varies(side, "losses_sha256"):  # kernels that add in no fixed order: the quality is what can be judged
            return replace(finding, reasons=(f"the {whose}'s losses do not repeat under one seed; see the quality",))
    differ = int((pairs["losses_sha256_base"] != pairs["losses_sha256_candidate"]).sum())
    if not differ:
        return replace(finding, verdict=Verdict.UNCHANGED)
    reason = f"the losses differ in {differ} of {len(pairs)} trials with equal seed"
    return replace(finding, verdict=Verdict.CHANGED, reasons=(reason,))


def _overflow_finding(finding: Finding, sides: Sides, _: pd.DataFrame, alpha: float) -> Finding | None:
    seeds = _steps_by_seed(sides)
    spread = max(len(max(side, key=len)) - len(min(side, key=len)) for pair in seeds.values() for side in pair)
    agree = {seed: (before[0], after[0]) for seed, (before, after) in seeds.items() if _agree(before, after)}
    certain = {seed: pair for seed, pair in agree.items() if pair[0] == pair[1] or _apart(*pair) > spread}
    others = [seed for seed in seeds if seed not in certain]
    exact = _equal_steps(finding, certain) if certain else None
    left = (sides[0][sides[0]["seed"].isin(others)], sides[1][sides[1]["seed"].isin(others)])
    tested = judge_counts((finding.workload, finding.precision), left, alpha) if others else None
    return _joined(exact, tested, spread)


def _steps_by_seed(sides: Sides) -> dict[int, tuple[list[Steps], list[Steps]]]:
    """The overflowing steps, one tuple per process, under each seed that both sides have."""
    before, after = (
        {int(str(seed)): [tuple(json.loads(text)) for text in texts] for seed, texts in column}
        for column in (side.groupby("seed")["overflow_steps"] for side in sides)
    )
    return {seed: (before[seed], after[seed]) for seed in sorted(before) if seed in after}


def _apart(before: Steps, after: Steps) -> int:
    """How many steps overflow on one side only."""
    return len(set(before) ^ set(after))


def _equal_steps(finding: Finding, seeds: Mapping[int, tuple[Steps, Steps]]) -> Finding:
    totals = (float(sum(len(pair[side]) for pair in seeds.values())) for side in (0, 1))
    finding = replace(finding, base=next(totals), candidate=next(totals))
    grown = {seed: len(after) - len(before) for seed, (before, after) in seeds.items() if before != after}
    if not grown:
        return replace(finding, verdict=Verdict.UNCHANGED)
    most, least = (choose(grown, key=lambda seed: grown[seed]) for choose in (max, min))
    if grown[most] > 0:
        before, after = map(set, seeds[most])
        reason = f"under seed {most} step {min(after - before)} overflows now and did not before."
        more, fewer = sum(by > 0 for by in grown.values()), sum(by < 0 for by in grown.values())
        both = f"under {more} of {len(seeds)} seeds more steps overflow, under {fewer} fewer"
        return replace(finding, verdict=Verdict.REGRESSED, reasons=(reason, both) if fewer else (reason,))
    before, after = map(set, seeds[least])
    reason = f"under seed {least} step {min(before - after)} no longer overflows."
    return replace(finding, verdict=Verdict.IMPROVED if grown[least] < 0 else Verdict.CHANGED, reasons=(reason,))
