"""Many cells that move together are one finding: the machine, or something that all of them share.

It stays an alarm: without an anchor nothing tells the two apart, and the finding says how to; with one, a slow machine
has slowed the base as well, and what is left is the code (docs/decisions/0011).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import replace

from suite.judge.findings import Finding, MetricClass, Verdict

__all__ = ["ALL", "collapse"]

SHARE = 0.3
"""Of the judged cells: more of them moving the same way is machine-wide."""
FEWEST_CELLS = 3
ALL = "all"
"""The name of workload and precision of the one finding."""


def collapse(findings: Sequence[Finding], *, anchored: bool) -> tuple[list[Finding], str | None]:
    """The findings on step time with a machine-wide shift made one, and the sentence that says so.

    Cells of one workload or of one precision that move are a finding on that workload or precision, whatever their
    share: a shift has moved several of both.
    """
    judged = [finding for finding in findings if finding.family is not None]
    for verdict in (Verdict.REGRESSED, Verdict.IMPROVED):
        moved = [finding for finding in judged if finding.verdict is verdict]
        if (
            len(moved) >= FEWEST_CELLS
            and len(moved) > SHARE * len(judged)
            and len({finding.workload for finding in moved}) > 1
            and len({finding.precision for finding in moved}) > 1
        ):
            one = _shift(moved, len(judged), verdict, anchored=anchored)
            # One finding speaks for them; none of them decides the exit status a second time.
            kept = [_absorbed(f) if f in moved else f for f in findings]
            return [one, *kept], one.reasons[0]
    return list(findings), None


def _shift(moved: Sequence[Finding], judged: int, verdict: Verdict, *, anchored: bool) -> Finding:
    changes = [finding.change for finding in moved if finding.change is not None]
    word = "slower" if verdict is Verdict.REGRESSED else "faster"
    what = (
        f"machine-wide shift: {len(moved)} of {judged} cells are {word}, "
        f"by {min(map(abs, changes)):.1%} to {max(map(abs, changes)):.1%}"
    )
    reasons = (
        (what, "the base was run in turn with the candidate, so it is the code or what it stands on")
        if anchored
        else (what, "the machine, or code that all cells share; `ampmark run --anchor NAME` tells the two apart")
    )
    return Finding(
        ALL,
        ALL,
        "step_seconds",
        verdict,
        MetricClass.STOCHASTIC,
        change=math.expm1(statistics.median(map(math.log1p, changes))),
        limit=moved[0].limit,
        test="cells that moved together",
        processes_base=sum(finding.processes_base for finding in moved),
        processes_candidate=sum(finding.processes_candidate for finding in moved),
        reasons=reasons,
    )


def _absorbed(finding: Finding) -> Finding:
    word = f"{finding.verdict} by its own test; part of the machine-wide shift"
    return replace(finding, verdict=Verdict.INCONCLUSIVE, reasons=(word,), runs_to_decide=None)
