"""The gate: a run with all that was measured for its sake, against the approved baseline, look by look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from suite.companions import anchor_of, looks_of, read_note, whole
from suite.errors import UsageError
from suite.judge.baseline import Approval, find
from suite.judge.calibration import Calibration, calibration_for
from suite.judge.cells import Cell
from suite.judge.findings import ORDER, Finding, MetricClass, Verdict, Verdicts
from suite.judge.gate import Terms, collapsed, compare_runs
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
        UsageError: the candidate was cut short.
    """
    if candidate.info.sealed_at is None:
        raise UsageError(
            f"run {candidate.info.run} was cut short and may hide a regression; "
            f"complete it with `ampmark run --resume {candidate.info.run}` first."
        )
    approval, stored = find(results, baseline, candidate.info.fingerprint)
    calibration = calibration_for(results, candidate.info.fingerprint)
    looks = looks_of(candidate)
    planned = MOST_LOOKS if topping_up or len(looks) > 1 else 1
    verdicts = _look(approval, stored, looks[:1], calibration, planned)
    for number in range(2, len(looks) + 1):
        verdicts = _kept(verdicts, _look(approval, stored, looks[:number], calibration, planned), number)
    verdicts = collapsed(verdicts)
    command = f"ampmark gate {candidate.info.run} --baseline {baseline}"
    return replace(verdicts, reproduce=command + " --top-up" * topping_up)


def undecided(verdicts: Verdicts) -> list[Cell]:
    """Cells that more processes could decide: undecided on time or memory, for no reason but their number."""
    cells = (
        (finding.workload, finding.precision)
        for finding in verdicts.findings
        if finding.verdict is Verdict.INCONCLUSIVE
        and finding.metric_class is MetricClass.STOCHASTIC  # more processes of a seed say nothing of its quality
        and finding.family is not None
        and not finding.reasons
    )
    return list(dict.fromkeys(cells))


def _look(approval: Approval, stored: Run, looks: Sequence[Run], calibration: Calibration, planned: int) -> Verdicts:
    candidate = whole(looks)
    anchor, warnings = _anchor(approval, stored, looks)
    setups = set(candidate.trials["setup_sha256"])
    terms = Terms(
        baseline=approval.name,
        anchor=anchor,
        looks=planned,
        calibration=calibration.fitting(setups),
        collapsing=False,  # once, of what all looks together have decided
        warnings=(*warnings, *_stale(approval, stored)),
    )
    return compare_runs(stored, candidate, terms)


def _anchor(approval: Approval, stored: Run, looks: Sequence[Run]) -> tuple[Run | None, tuple[str, ...]]:
    """The anchor's processes, where there are enough and they are of this baseline's code; and why not, otherwise."""
    note = read_note(looks[0].folder)
    if note is None or note.baseline != approval.name:
        return None, ()
    if note.base_run != approval.run:
        return None, (
            f"the anchor was run {note.base_run}, which is no longer baseline {approval.name!r}; the stored one counts",
        )
    anchor = anchor_of(looks)
    blocks = 0 if anchor is None else int(anchor.trials["repeat"].nunique())
    why = () if note.reason is None else (f"the anchor has {blocks} blocks: {note.reason}",)
    if anchor is None or blocks < FEWEST:
        few = f"{blocks} anchor blocks are too few, at least {FEWEST} are needed; the stored baseline counts"
        return None, (*why, few)
    other = _other_code(stored, anchor)
    if other is not None:
        return None, (*why, f"the anchor is not the baseline's code ({other}); the stored baseline counts")
    return anchor, why


def _other_code(stored: Run, anchor: Run) -> str | None:
    """What shows that the anchor ran something other than the baseline did."""
    ours, theirs = stored.info.environment, anchor.info.environment
    if ours.fingerprint != theirs.fingerprint:
        return "; ".join(ours.differences(theirs))
    if ours.ampmark != theirs.ampmark:
        return f"ampmark {theirs.ampmark} and not {ours.ampmark}"
    if theirs.git_commit is not None and ours.git_commit != theirs.git_commit:
        return f"commit {theirs.git_commit} and not {ours.git_commit}"
    sources = [
        {(row["workload"], row["workload_sha256"]) for _, row in run.trials[["workload", "workload_sha256"]].iterrows()}
        for run in (stored, anchor)
    ]
    changed = sorted({workload for workload, _ in sources[1] - sources[0]})
    return f"the source of {', '.join(changed)} differs" if changed else None


def _kept(before: Verdicts, now: Verdicts, look: int) -> Verdicts:
    """What a test decided at an earlier look stays decided; of what is exact the worse of both looks counts."""
    former = {(f.workload, f.precision, f.metric): f for f in before.findings}

    def chosen(finding: Finding) -> Finding:
        earlier = former.get((finding.workload, finding.precision, finding.metric))
        if earlier is None:
            return replace(finding, look=look)
        if finding.metric_class is MetricClass.STOCHASTIC:
            return earlier if earlier.verdict is not Verdict.INCONCLUSIVE else replace(finding, look=look)
        return earlier if ORDER[earlier.verdict] < ORDER[finding.verdict] else replace(finding, look=look)

    findings = sorted(map(chosen, now.findings), key=lambda finding: ORDER[finding.verdict])
    return replace(now, findings=tuple(findings))


def _stale(approval: Approval, stored: Run) -> tuple[str, ...]:
    age = (datetime.now(UTC) - datetime.fromisoformat(stored.info.created_at)).days
    if age <= STALE_DAYS:
        return ()
    return (
        f"baseline {approval.name!r} was measured {age} days ago; run its code again with --anchor, or approve a newer "
        "run with `ampmark baseline approve`",
    )
