"""Candidate against base, cell by cell: speed by a test over processes, exact quantities by equality.

Rules (docs/decisions/0004 has the reasons):

* step time: `regressed` if the Benjamini–Hochberg-adjusted p ≤ Q, the single p ≤ ALPHA and the slow-down ≥ DELTA;
  `improved` the mirror; `unchanged` if two one-sided tests put the change inside ±DELTA; else `inconclusive`.
* peak allocated bytes and overflow steps: equality under equal seeds, one process is enough.
* a trial that had numbers and has none now makes its cell `failed`, or `regressed` where it diverged.
* a throttled or disturbed trial can only lower confidence: its cell's step time is `inconclusive`, with the reason.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pandas as pd

from suite.errors import Incomparable
from suite.judge.findings import ORDER, Finding, Verdict, Verdicts
from suite.judge.stats import ALPHA, adjust, compare_seconds
from suite.record import Outcome
from suite.store import Run

__all__ = ["DELTA", "Q", "compare_runs"]

DELTA = 0.02
"""Smallest change of the step time that matters."""
Q = 0.05
"""False-discovery rate over all cells of one comparison."""

Cell = tuple[str, str]


def compare_runs(base: Run, candidate: Run, baseline: str | None = None) -> Verdicts:
    """Findings for every cell that either side planned, worst first.

    Raises:
        Incomparable: the runs are from different machines or stacks; the message lists what differs.
    """
    if base.info.fingerprint != candidate.info.fingerprint:
        differences = base.info.environment.differences(candidate.info.environment)
        raise Incomparable(
            f"run {candidate.info.run} cannot be judged against {base.info.run}: {'; '.join(differences)}. "
            "Compare runs of one machine and one software stack, or approve a baseline for this one."
        )
    cells = dict.fromkeys((*_cells(base), *_cells(candidate)))
    findings = [finding for cell in cells for finding in _compare_cell(cell, base, candidate)]
    findings = _control_false_discoveries(findings)
    return Verdicts(
        base_run=base.info.run,
        candidate_run=candidate.info.run,
        baseline=baseline,
        fingerprint=candidate.info.fingerprint,
        device=candidate.info.environment.device_name,
        alpha=ALPHA,
        false_discovery_rate=Q,
        delta=DELTA,
        findings=tuple(sorted(findings, key=lambda finding: ORDER[finding.verdict])),
    )


def _cells(run: Run) -> list[Cell]:
    return [(spec.workload, spec.precision) for spec in run.info.plan.trials]


def _compare_cell(cell: Cell, base: Run, candidate: Run) -> Iterator[Finding]:
    ours, theirs = _rows(base, cell), _rows(candidate, cell)
    stopped = _outcome_finding(cell, ours, theirs)
    if stopped is not None:
        yield stopped
        if stopped.verdict is not Verdict.NOT_MEASURED or _measured(ours).empty or _measured(theirs).empty:
            return
    different = _setup_differences(ours, theirs)
    if different:
        yield Finding(*cell, "setup", Verdict.INCOMPARABLE, reasons=tuple(different))
        return
    yield _time_finding(cell, _measured(ours), _measured(theirs))
    yield from _exact_findings(cell, _measured(ours), _measured(theirs))


def _rows(run: Run, cell: Cell) -> pd.DataFrame:
    trials = run.trials
    return trials[(trials["workload"] == cell[0]) & (trials["precision"] == cell[1])]


def _measured(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["outcome"].isin([Outcome.OK.value, Outcome.EMULATED.value])]


def _outcome_finding(cell: Cell, ours: pd.DataFrame, theirs: pd.DataFrame) -> Finding | None:
    """A finding about the outcome alone, where not every trial of the candidate has numbers, or none of the base."""
    if ours.empty or theirs.empty:
        side = "base" if ours.empty else "candidate"
        return Finding(*cell, "outcome", Verdict.NOT_MEASURED, reasons=(f"the {side} has no trial of this cell.",))
    stopped = theirs.drop(_measured(theirs).index)
    had_numbers = not _measured(ours).empty
    if stopped.empty and had_numbers:
        return None
    if stopped.empty:
        return Finding(*cell, "outcome", Verdict.IMPROVED, reasons=(f"it ran; before: {_describe(ours)}",))
    worse = stopped[_has_numbers_in(ours, stopped) | (had_numbers & ~stopped["outcome"].isin(ours["outcome"]))]
    if worse.empty:
        # Nothing got worse, so nothing is alarmed; what stopped still has no numbers to compare.
        share = "" if len(stopped) == len(theirs) else f"{len(stopped)} of {len(theirs)} trials, as before: "
        was = () if set(stopped["outcome"]) <= set(ours["outcome"]) else (f"before: {_describe(ours)}",)
        return Finding(*cell, "outcome", Verdict.NOT_MEASURED, reasons=(share + _describe(stopped), *was))
    diverged = (worse["outcome"] == Outcome.DIVERGED.value).any()
    verdict = Verdict.REGRESSED if diverged else Verdict.FAILED
    return Finding(*cell, "outcome", verdict, reasons=(_describe(worse), f"before: {_describe(ours)}"))


def _has_numbers_in(base: pd.DataFrame, rows: pd.DataFrame) -> pd.Series[bool]:
    """For each row, whether the base's trial with the same seed and repeat has numbers."""
    measured = _measured(base)
    known = set(zip(measured["seed"], measured["repeat"], strict=True))
    return pd.Series([pair in known for pair in zip(rows["seed"], rows["repeat"], strict=True)], rows.index, dtype=bool)


def _describe(rows: pd.DataFrame) -> str:
    row = rows.iloc[0]
    return row["outcome"] if pd.isna(row["reason"]) else f"{row['outcome']}: {row['reason']}"


def _setup_differences(ours: pd.DataFrame, theirs: pd.DataFrame) -> list[str]:
    if set(ours["setup_sha256"]) == set(theirs["setup_sha256"]):
        return []
    before, after = json.loads(ours.iloc[0]["spec"]), json.loads(theirs.iloc[0]["spec"])
    found = dict(_flat(before)), dict(_flat(after))
    ignored = {"seed", "repeat", "timeout_seconds", "profile"}
    return [
        f"{key}: {found[0].get(key)} → {found[1].get(key)}"
        for key in sorted(found[0].keys() | found[1].keys())
        if found[0].get(key) != found[1].get(key) and key not in ignored
    ]


def _flat(value: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _flat(item, f"{prefix}.{key}" if prefix else key)
    else:
        yield prefix, value


def _time_finding(cell: Cell, ours: pd.DataFrame, theirs: pd.DataFrame) -> Finding:
    before, after = ours["step_seconds_median"].tolist(), theirs["step_seconds_median"].tolist()
    result = compare_seconds(before, after, DELTA)
    finding = Finding(
        *cell,
        "step_seconds",
        Verdict.INCONCLUSIVE,
        base=_geometric_mean(before),
        candidate=_geometric_mean(after),
        change=result.change,
        low=result.low,
        high=result.high,
        minimum_detectable=result.minimum_detectable,
        processes_base=len(before),
        processes_candidate=len(after),
        notes=_notes(ours, theirs),
    )
    if result.p_slower is None or result.p_faster is None or result.p_unchanged is None:
        few = f"{len(before)} against {len(after)} processes; at least 3 on each side are needed (5 are usual)"
        return replace(finding, reasons=(few,), runs_to_decide=5)
    p = min(1.0, 2 * min(result.p_slower, result.p_faster))
    cautions = _cautions(ours, theirs)
    if cautions:
        of = f"of {len(before) + len(after)} trials"
        return replace(finding, p_adjusted=p, reasons=tuple(f"{code} in {n} {of}" for code, n in cautions.items()))
    if result.p_unchanged <= 0.05:
        return replace(finding, verdict=Verdict.UNCHANGED, p_adjusted=p)
    return replace(finding, p_adjusted=p, runs_to_decide=result.runs_to_decide)


def _notes(ours: pd.DataFrame, theirs: pd.DataFrame) -> tuple[str, ...]:
    same = set(ours["workload_sha256"].dropna()) == set(theirs["workload_sha256"].dropna())
    return () if same else ("the workload's source file is not the one that the base was measured with",)


def _control_false_discoveries(findings: list[Finding]) -> list[Finding]:
    """Turn time findings into alarms where the evidence survives the size of the family (two-sided p-values)."""
    family = [f for f in findings if f.metric == "step_seconds" and f.p_adjusted is not None]
    adjusted = dict(zip((f.cell for f in family), adjust([f.p_adjusted or 0.0 for f in family]), strict=True))
    return [_alarm(f, adjusted[f.cell]) if f in family else f for f in findings]


def _alarm(finding: Finding, p_adjusted: float) -> Finding:
    one_sided, change = (finding.p_adjusted or 0.0) / 2, finding.change or 0.0
    finding = replace(finding, p_adjusted=p_adjusted)
    disturbed = bool(finding.reasons)
    if finding.verdict is Verdict.UNCHANGED or disturbed or one_sided > ALPHA or p_adjusted > Q:
        return finding
    if change >= DELTA:
        return replace(finding, verdict=Verdict.REGRESSED, runs_to_decide=None)
    if change <= -DELTA / (1 + DELTA):
        return replace(finding, verdict=Verdict.IMPROVED, runs_to_decide=None)
    return finding


def _exact_findings(cell: Cell, ours: pd.DataFrame, theirs: pd.DataFrame) -> Iterator[Finding]:
    pairs = ours.merge(theirs, on=["seed", "repeat"], suffixes=("_base", "_candidate"))
    if pairs.empty:
        return
    counts = (len(ours), len(theirs))
    if pairs[["peak_allocated_bytes_base", "peak_allocated_bytes_candidate"]].notna().all(axis=None):
        yield _bytes_finding(cell, pairs, counts)
    yield _overflow_finding(cell, pairs, counts)


def _bytes_finding(cell: Cell, pairs: pd.DataFrame, counts: tuple[int, int]) -> Finding:
    sides = pairs["peak_allocated_bytes_base"], pairs["peak_allocated_bytes_candidate"]
    before, after = (float(side.max()) for side in sides)
    finding = Finding(
        *cell,
        "peak_allocated_bytes",
        Verdict.UNCHANGED if after == before else Verdict.REGRESSED if after > before else Verdict.IMPROVED,
        base=before,
        candidate=after,
        change=after / before - 1 if before else None,
        processes_base=counts[0],
        processes_candidate=counts[1],
    )
    if (sides[0] == sides[1]).all() or max(side.nunique() for side in sides) == 1:
        return finding
    varies = "allocated bytes vary between processes of one side, so equality says nothing here"
    return replace(finding, verdict=Verdict.INCONCLUSIVE, reasons=(varies,))


def _overflow_finding(cell: Cell, pairs: pd.DataFrame, counts: tuple[int, int]) -> Finding:
    before = [json.loads(steps) for steps in pairs["overflow_steps_base"]]
    after = [json.loads(steps) for steps in pairs["overflow_steps_candidate"]]
    total_before, total_after = sum(map(len, before)), sum(map(len, after))
    finding = Finding(
        *cell,
        "overflow_steps",
        Verdict.UNCHANGED,
        base=float(total_before),
        candidate=float(total_after),
        processes_base=counts[0],
        processes_candidate=counts[1],
    )
    if before == after:
        return finding
    verdict = (
        Verdict.INCONCLUSIVE
        if total_before == total_after
        else Verdict.REGRESSED
        if total_after > total_before
        else Verdict.IMPROVED
    )
    return replace(finding, verdict=verdict, reasons=(_first_difference(before, after),))


def _first_difference(before: Sequence[list[int]], after: Sequence[list[int]]) -> str:
    ours, theirs = next(pair for pair in zip(before, after, strict=True) if pair[0] != pair[1])
    step = min(set(ours) ^ set(theirs))
    return f"step {step} {'overflows now and did not before' if step in theirs else 'no longer overflows'}."


def _cautions(*sides: pd.DataFrame) -> dict[str, int]:
    codes = [caution["code"] for side in sides for text in side["cautions"] for caution in json.loads(text)]
    return {code: codes.count(code) for code in dict.fromkeys(codes)}


def _geometric_mean(values: Sequence[float]) -> float:
    return math.exp(math.fsum(map(math.log, values)) / len(values))
