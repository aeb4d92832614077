"""The gate: a run with all that was measured for its sake, against the approved baseline, look by look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from suite.companions import anchor_of, looks_of, read_note, whole
from suite.judge.baseline import Approval, find
from suite.judge.calibration import Calibration, calibration_for
from suite.judge.cells import Cell
from suite.judge.findings import ORDER, Finding, Verdict, Verdicts
from suite.judge.gate import Terms, compare_runs
from suite.judge.stats import FEWEST
from suite.store import Run

__all__ = ["MOST_LOOKS", "judge", "undecided"]

MOST_LOOKS = 3
"""Looks at the data with `--top-up`: each has a third of the error rates (Bonferroni)."""
STALE_DAYS = 90
"""A baseline that is older has probably seen another room temperature, another driver's mood, another code."""


def judge(candidate: Run, results: Path, baseline: str, *, topping_up: bool = False) -> Verdicts:
    """Findings of the candidate against the baseline of this name.

    Raises:
        NoBaseline: none is approved for the candidate's machine and software.
    """
    approval, stored = find(results, baseline, candidate.info.fingerprint)
    calibration = calibration_for(results, candidate.info.fingerprint)
    looks = looks_of(candidate)
    planned = MOST_LOOKS if topping_up or len(looks) > 1 else 1
    verdicts = _look(approval, stored, looks[:1], calibration, planned)
    for number in range(2, len(looks) + 1):
        verdicts = _kept(verdicts, _look(approval, stored, looks[:number], calibration, planned), number)
    command = f"ampmark gate {candidate.info.run} --baseline {baseline}"
    return replace(verdicts, reproduce=command + " --top-up" * topping_up)


def undecided(verdicts: Verdicts) -> list[Cell]:
    """Cells that more processes could decide: undecided on time or memory, for no reason but their number."""
    cells = (
        (finding.workload, finding.precision)
        for finding in verdicts.findings
        if finding.verdict is Verdict.INCONCLUSIVE and finding.family is not None and not finding.reasons
    )
    return list(dict.fromkeys(cells))


def _look(approval: Approval, stored: Run, looks: Sequence[Run], calibration: Calibration, planned: int) -> Verdicts:
    candidate = whole(looks)
    base, anchored, warnings = _base(approval, stored, looks)
    setups = set(candidate.trials["setup_sha256"])
    terms = Terms(
        baseline=approval.name,
        anchored=anchored,
        looks=planned,
        calibration=calibration.fitting(setups),
        warnings=(*warnings, *_stale(approval)),
    )
    return compare_runs(base, candidate, terms)


def _base(approval: Approval, stored: Run, looks: Sequence[Run]) -> tuple[Run, bool, tuple[str, ...]]:
    """The base's processes: those of the anchor where there are enough of this baseline's, else the stored ones."""
    note = read_note(looks[0].folder)
    if note is None or note.baseline != approval.name:
        return stored, False, ()
    if note.base_run != approval.run:
        other = (
            f"the anchor was run {note.base_run}, which is no longer baseline {approval.name!r}; the stored one counts"
        )
        return stored, False, (other,)
    anchor = anchor_of(looks)
    blocks = 0 if anchor is None else int(anchor.trials["repeat"].nunique())
    why = () if note.reason is None else (f"the anchor has {blocks} blocks: {note.reason}",)
    if anchor is None or blocks < FEWEST:
        few = f"{blocks} anchor blocks are too few, at least {FEWEST} are needed; the stored baseline counts"
        return stored, False, (*why, few)
    return replace(anchor, info=replace(anchor.info, run=approval.run)), True, why


def _kept(before: Verdicts, now: Verdicts, look: int) -> Verdicts:
    """What an earlier look decided stays; the rest is as it is now."""
    decided = {(f.workload, f.precision, f.metric): f for f in before.findings if f.verdict is not Verdict.INCONCLUSIVE}

    def chosen(finding: Finding) -> Finding:
        former = decided.get((finding.workload, finding.precision, finding.metric))
        return former if former is not None else replace(finding, look=look)

    here = {(f.workload, f.precision, f.metric) for f in now.findings}
    vanished = [finding for key, finding in decided.items() if key not in here]
    findings = sorted([*vanished, *map(chosen, now.findings)], key=lambda finding: ORDER[finding.verdict])
    return replace(now, findings=tuple(findings))


def _stale(approval: Approval) -> tuple[str, ...]:
    age = (datetime.now(UTC) - datetime.fromisoformat(approval.approved_at)).days
    if age <= STALE_DAYS:
        return ()
    return (
        f"baseline {approval.name!r} is {age} days old; run its code again with --anchor, or approve a newer run "
        "with `ampmark baseline approve`",
    )
