"""Many cells that move together are one finding: the machine, or something that all of them share.

It stays an alarm: without an anchor nothing tells the two apart, and the finding says how to; with one, a slow machine
has slowed the base as well, and what is left is the code (docs/decisions/0011). A cell that moved further than what
they share, beyond its own uncertainty, is a finding of its own beside it.
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
            common = statistics.median(math.log1p(f.change) for f in moved if f.change is not None)
            one = _shift(moved, len(judged), verdict, common, anchored=anchored)
            # One finding speaks for them; none of them decides the exit status a second time.
            kept = [(_kept if _beyond(f, common) else _absorbed)(f, one) if f in moved else f for f in findings]
            return [one, *kept], one.reasons[0]
    return list(findings), None


def _shift(moved: Sequence[Finding], judged: int, verdict: Verdict, common: float, *, anchored: bool) -> Finding:
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
        change=math.expm1(common),
        limit=moved[0].limit,
        test="cells that moved together",
        processes_base=sum(finding.processes_base for finding in moved),
        processes_candidate=sum(finding.processes_candidate for finding in moved),
        reasons=reasons,
    )


def _beyond(finding: Finding, common: float) -> bool:
    """Whether the whole 98 % interval lies beyond the common shift, a logarithm, by a change that matters."""
    nearest = finding.low if common > 0 else finding.high
    if nearest is None:
        return False
    further = math.log1p(nearest) - common
    return (further if common > 0 else -further) >= math.log1p(finding.limit or 0.0)


def _kept(finding: Finding, shift: Finding) -> Finding:
    note = f"beyond the machine-wide shift of {shift.change:+.1%}"
    return replace(finding, notes=(*finding.notes, note))


def _absorbed(finding: Finding, shift: Finding) -> Finding:
    word = f"{finding.verdict} by its own test; part of the machine-wide shift"
    return replace(finding, verdict=Verdict.CHANGED, reasons=(word,), runs_to_decide=None)
