"""Candidate against base, cell by cell: speed by a test over processes, exact quantities by equality.

Rules (docs/decisions/0004 has the reasons):

* step time: see `speed.py`.
* peak allocated bytes and overflow steps: equality under equal seeds, one process is enough.
* a trial that had numbers and has none now makes its cell `failed`, or `regressed` where it diverged.
* a cell that the base measured and the candidate did not run is `incomparable`: it may hide a regression.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pandas as pd

from suite.errors import Incomparable
from suite.judge.findings import ORDER, Finding, Verdict, Verdicts
from suite.judge.speed import DELTA, Cell, Q, Sides, judge_times
from suite.judge.stats import ALPHA
from suite.record import Outcome
from suite.store import Run

__all__ = ["compare_runs"]

_NOT_TIMED = "deterministic trials are not timed"


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
    findings: list[Finding] = []
    timed: dict[Cell, Sides] = {}
    for cell in cells:
        ours, theirs = _rows(base, cell), _rows(candidate, cell)
        stopped = _obstacles(cell, ours, theirs)
        findings += stopped
        if all(finding.verdict is Verdict.NOT_MEASURED for finding in stopped):
            sides = _measured(ours), _measured(theirs)
            if not any(side.empty for side in sides):
                if any(side["deterministic"].any() for side in sides):
                    findings.append(Finding(*cell, "step_seconds", Verdict.NOT_MEASURED, reasons=(_NOT_TIMED,)))
                else:
                    timed[cell] = sides
                findings += _exact_findings(cell, *sides)
    findings = judge_times(timed) + findings  # time stands first among the metrics of a cell
    place = {cell: number for number, cell in enumerate(cells)}
    return Verdicts(
        base_run=base.info.run,
        candidate_run=candidate.info.run,
        baseline=baseline,
        fingerprint=candidate.info.fingerprint,
        device=candidate.info.environment.device_name,
        alpha=ALPHA,
        false_discovery_rate=Q,
        delta=DELTA,
        findings=tuple(sorted(findings, key=lambda f: (ORDER[f.verdict], place[f.workload, f.precision]))),
    )


def _cells(run: Run) -> list[Cell]:
    return [(spec.workload, spec.precision) for spec in run.info.plan.trials]


def _obstacles(cell: Cell, ours: pd.DataFrame, theirs: pd.DataFrame) -> list[Finding]:
    """What keeps the numbers of a cell from being compared, or some of its trials from having any."""
    outcome = _outcome_finding(cell, ours, theirs)
    if outcome is not None and outcome.verdict is not Verdict.NOT_MEASURED:
        return [outcome]
    found = [] if outcome is None else [outcome]
    different = [] if ours.empty or theirs.empty else _setup_differences(ours, theirs)
    if different:
        found.append(Finding(*cell, "setup", Verdict.INCOMPARABLE, reasons=tuple(different)))
    return found


def _rows(run: Run, cell: Cell) -> pd.DataFrame:
    trials = run.trials
    return trials[(trials["workload"] == cell[0]) & (trials["precision"] == cell[1])]


def _measured(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["outcome"].isin([Outcome.OK.value, Outcome.EMULATED.value])]


def _outcome_finding(cell: Cell, ours: pd.DataFrame, theirs: pd.DataFrame) -> Finding | None:
    """A finding about the outcome alone, where not every trial of the candidate has numbers, or none of the base."""
    if ours.empty or theirs.empty:
        side = "base" if ours.empty else "candidate"
        # A cell that vanished may hide a regression, so it is as loud as one that cannot be compared.
        vanished = theirs.empty and not _measured(ours).empty
        broken = theirs[[Outcome(outcome).broken for outcome in theirs["outcome"]]]
        if not broken.empty:
            return Finding(*cell, "outcome", Verdict.FAILED, reasons=(_describe(broken), "the base has no such cell."))
        verdict = Verdict.INCOMPARABLE if vanished else Verdict.NOT_MEASURED
        return Finding(*cell, "outcome", verdict, reasons=(f"the {side} has no trial of this cell.",))
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
    vary = any(_varies(pairs, f"peak_allocated_bytes_{side}") for side in ("base", "candidate"))
    if (sides[0] == sides[1]).all() or not vary:
        return finding
    varies = "allocated bytes vary between processes of one seed on one side, so equality says nothing here"
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
    if _varies(pairs, "overflow_steps_base") or _varies(pairs, "overflow_steps_candidate"):
        varies = "the steps vary between processes of one seed on one side, so equality says nothing here"
        return replace(finding, verdict=Verdict.INCONCLUSIVE, reasons=(varies,))
    verdict = (
        Verdict.INCONCLUSIVE
        if total_before == total_after
        else Verdict.REGRESSED
        if total_after > total_before
        else Verdict.IMPROVED
    )
    return replace(finding, verdict=verdict, reasons=(_first_difference(before, after),))


def _varies(pairs: pd.DataFrame, column: str) -> bool:
    """Whether processes with the same seed on the same side differ."""
    return bool((pairs.groupby("seed")[column].nunique() > 1).any())


def _first_difference(before: Sequence[list[int]], after: Sequence[list[int]]) -> str:
    ours, theirs = next(pair for pair in zip(before, after, strict=True) if pair[0] != pair[1])
    step = min(set(ours) ^ set(theirs))
    return f"step {step} {'overflows now and did not before' if step in theirs else 'no longer overflows'}."
