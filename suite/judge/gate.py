"""The gate: a run with all that was measured for its sake, against the approved baseline, look by look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from suite.companions import anchor_of, looks_of, other_code, read_note, whole
from suite.errors import UsageError
from suite.judge.baseline import Approval, find
from suite.judge.calibration import Calibration, calibration_for
from suite.judge.cells import Cell
from suite.judge.comparison import Terms, collapsed, compare_runs
from suite.judge.findings import ORDER, Finding, MetricClass, Verdict, Verdicts
from suite.judge.stats import FEWEST, MOST_LOOKS
from suite.store import Run

__all__ = ["judge", "judge_pair", "undecided"]

_LASTING = (Verdict.REGRESSED, Verdict.FAILED, Verdict.CHANGED, Verdict.INCOMPARABLE)
_TESTED = (MetricClass.STOCHASTIC, MetricClass.COUNT, MetricClass.QUALITY)
STALE_DAYS = 90
"""A baseline that is older has probably seen another room temperature, another driver's mood, another code."""


def judge(candidate: Run, results: Path, baseline: str, *, topping_up: bool = False) -> Verdicts:
    """Findings of the candidate against the baseline of this name.

    Raises:
        NoBaseline: none is approved.
        Incomparable: it is approved for another machine or other software only.
        UsageError: the candidate was cut short, or is the baseline itself.
    """
    if candidate.info.sealed_at is None:
        raise UsageError(
            f"run {candidate.info.run} was cut short and may hide a regression; "
            f"complete it with `ampmark run --resume {candidate.info.run}` first."
        )
    approval, stored = find(results, baseline, candidate.info.environment)
    if approval.run == candidate.info.run:
        raise UsageError(
            f"run {approval.run} is baseline {approval.name!r} itself, so there is nothing to compare; "
            "measure again with `ampmark run`."
        )
    calibration = calibration_for(results, candidate.info.fingerprint)
    looks = looks_of(candidate)[:MOST_LOOKS]
    planned = MOST_LOOKS if topping_up or len(looks) > 1 else 1
    verdicts = _look(approval, stored, looks[:1], calibration, planned)
    for number in range(2, len(looks) + 1):
        verdicts = _kept(verdicts, _look(approval, stored, looks[:number], calibration, planned), number)
    verdicts = collapsed(verdicts)
    command = f"ampmark gate {candidate.info.run} --baseline {baseline}"
    return replace(verdicts, reproduce=command + " --top-up" * topping_up)


def judge_pair(base: Run, candidate: Run, results: Path) -> Verdicts:
    """Findings of a run against any other, by the same frozen choices as against a baseline.

    Raises:
        Incomparable: they are from different machines or stacks.
    """
    calibration = calibration_for(results, candidate.info.fingerprint).fitting(set(candidate.trials["setup_sha256"]))
    command = f"ampmark compare {base.info.run} {candidate.info.run}"
    return compare_runs(base, candidate, Terms(calibration=calibration, reproduce=command))


def undecided(verdicts: Verdicts) -> list[Cell]:
    """Cells that more processes could decide on time or memory: of a seed's quality they say nothing."""
    return list(
        dict.fromkeys((finding.workload, finding.precision) for finding in verdicts.findings if finding.undecided)
    )


def _look(approval: Approval, stored: Run, looks: Sequence[Run], calibration: Calibration, planned: int) -> Verdicts:
    candidate = whole(looks)
    anchor, warnings = _anchor(approval, stored, looks)
    note = read_note(looks[0].folder)
    anchored = note is not None and note.baseline == approval.name
    setups = set(candidate.trials["setup_sha256"])
    terms = Terms(
        baseline=approval.name,
        anchor=anchor,
        looks=planned,
        calibration=calibration.fitting(setups),
        collapsing=False,  # once, of what all looks together have decided
        warnings=(*warnings, *_stale(approval, stored, anchored=anchored)),
    )
    return compare_runs(stored, candidate, terms)


def _anchor(approval: Approval, stored: Run, looks: Sequence[Run]) -> tuple[Run | None, tuple[str, ...]]:
    """The anchor's processes, where there are enough and they are of this baseline's code; and why not, otherwise."""
    note = read_note(looks[0].folder)
    if note is None:
        return None, ()
    if note.baseline != approval.name:
        return None, (
            f"the anchor is of baseline {note.baseline!r} and not of {approval.name!r}; the stored one counts",
        )
    if note.base_run != approval.run:
        return None, (
            f"the anchor was run {note.base_run}, which is no longer baseline {approval.name!r}; the stored one counts",
        )
    anchor = anchor_of(looks)
    blocks = 0 if anchor is None else int(anchor.trials["repeat"].nunique())
    why = tuple(f"the anchor has {blocks} blocks: {reason}" for reason in _broken_off(looks))
    if anchor is None or blocks < FEWEST:
        few = f"{blocks} anchor blocks are too few, at least {FEWEST} are needed; the stored baseline counts"
        return None, (*why, few)
    other = other_code(stored, anchor)
    if other is not None:
        return None, (*why, f"the anchor is not the baseline's code ({other}); the stored baseline counts")
    return anchor, why


def _broken_off(looks: Sequence[Run]) -> list[str]:
    """Why an anchor of the run, or of a top-up, has fewer blocks than planned."""
    notes = [read_note(look.folder) for look in looks]
    return list(dict.fromkeys(note.reason for note in notes if note is not None and note.reason is not None))


def _kept(before: Verdicts, now: Verdicts, look: int) -> Verdicts:
    """What both looks say: of each cell and metric the one or the other, and what no longer has numbers and was bad."""
    former = {(f.workload, f.precision, f.metric): f for f in before.findings}

    def chosen(finding: Finding) -> Finding:
        earlier = former.get((finding.workload, finding.precision, finding.metric))
        finding = replace(finding, look=look)
        return finding if earlier is None else _of_both(earlier, finding)

    present = {(f.workload, f.precision, f.metric) for f in now.findings}
    # A cell of which a later trial failed has no numbers in this look; what they said before is not forgotten.
    gone = [f for key, f in former.items() if key not in present and f.verdict in _LASTING]
    findings = sorted([*map(chosen, now.findings), *gone], key=lambda finding: ORDER[finding.verdict])
    return replace(now, findings=tuple(findings))


def _of_both(earlier: Finding, later: Finding) -> Finding:
    """What a test decided stays decided, and what it left open the later look says; of all else the worse counts.

    An exact verdict holds while the processes of each seed agree. Where a later look shows that they do not, equality
    has said nothing, and the test of all processes, which has a level of error, takes its place.
    """
    if earlier.metric_class is MetricClass.EXACT and later.metric_class is MetricClass.COUNT:
        if earlier.verdict in (later.verdict, Verdict.NOT_MEASURED):
            return later
        said = f"look {earlier.look}, in which the processes of each seed agreed, said {earlier.verdict}"
        return replace(later, notes=(*later.notes, said))
    if earlier.verdict is Verdict.INCONCLUSIVE and earlier.metric_class in _TESTED:
        return later
    if _by_test(earlier) and _by_test(later):
        return earlier
    return earlier if ORDER[earlier.verdict] < ORDER[later.verdict] else later


def _by_test(finding: Finding) -> bool:
    """Whether a test at the divided level says it; a quality may be equal to the bit, or come to nothing."""
    return finding.metric_class in _TESTED and (
        finding.metric_class is not MetricClass.QUALITY or finding.family is not None
    )


def _stale(approval: Approval, stored: Run, *, anchored: bool) -> tuple[str, ...]:
    """That the baseline has grown old, and what to do: running its code again is no news where that was done."""
    age = (datetime.now(UTC) - datetime.fromisoformat(stored.info.created_at)).days
    if age <= STALE_DAYS:
        return ()
    again = "" if anchored else "run its code again with --anchor, or "
    return (
        f"baseline {approval.name!r} was measured {age} days ago; {again}approve a newer run with "
        "`ampmark baseline approve`",
    )
