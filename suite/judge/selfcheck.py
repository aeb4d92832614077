"""A run judged against itself (A/A): what a machine can see, and whether it alarms where nothing changed.

The processes of every cell are divided into two sides that differ in nothing but time, and the rules of `gate.py`
judge one against the other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from suite.judge.cells import Cell, measured, rows_of
from suite.judge.comparison import Terms, compare_runs
from suite.judge.findings import Finding, OfCell, Verdict
from suite.judge.samples import DELTA, STEP_TIME
from suite.judge.stats import FEWEST, Levels, compare, runs_to_decide
from suite.record import Outcome
from suite.store import Run

__all__ = ["CellNoise", "SelfCheck", "self_check"]

_ALARMS = (Verdict.REGRESSED, Verdict.IMPROVED, Verdict.FAILED)


@dataclass(frozen=True)
class CellNoise(OfCell):
    """What one cell can show on this machine."""

    processes: int
    """On the smaller side, with numbers."""
    emulated: bool = False
    variation: float | None = None
    """Run-to-run coefficient of variation of the step time, within the sides: 0.01 is 1 %. None below 3 a side."""
    minimum_detectable: float | None = None
    """The smallest slow-down that this many processes a side would call one nine times in ten."""
    processes_needed: int | None = None
    """Processes a side with which a measured slow-down of 2 % would be called one; None: 200 or more, or unknown."""
    alarms: tuple[str, ...] = ()
    """What the comparison called a change, though nothing changed."""
    reasons: tuple[str, ...] = ()
    """Cautions of the trials, and why a number is missing."""


@dataclass(frozen=True)
class SelfCheck:
    """What a machine can and cannot see."""

    run: str
    device: str
    delta: float
    cells: tuple[CellNoise, ...]

    @property
    def alarmed(self) -> tuple[CellNoise, ...]:
        """Cells in which the rules called a change where nothing changed."""
        return tuple(cell for cell in self.cells if cell.alarms)

    @property
    def headline(self) -> str:
        """One sentence: what this machine sees and what it does not."""
        # The long steps of emulated cells are the steadiest, and say nothing of what this hardware is for.
        native = [cell for cell in self.cells if not cell.emulated]
        known = sorted(
            ((cell.minimum_detectable, cell) for cell in native or self.cells if cell.minimum_detectable is not None),
            key=lambda pair: pair[0],
        )
        if not known:
            return f"{self.device}: no cell has {FEWEST} processes a side, so nothing is known of its noise."
        (least, quietest), (most, noisiest) = known[0], known[-1]
        counts = [cell.processes for _, cell in known]
        processes = " to ".join(str(count) for count in sorted({min(counts), max(counts)}))
        sees = f"a slow-down of {least:.1%} ({quietest.cell})"
        if len(known) > 1:
            sees = f"slow-downs from {least:.1%} ({quietest.cell}) to {most:.1%} ({noisiest.cell}) and above"
        judged = sum(1 for cell in self.cells if cell.processes or cell.alarms)
        return (
            f"With {processes} processes a side {self.device} sees {sees} nine times in ten, and smaller ones less "
            f"often or not at all; {len(self.alarmed)} of {judged} cells raised an alarm where nothing changed."
        )


def self_check(run: Run) -> SelfCheck:
    """Judge one half of a run's processes against the other half, cell by cell."""
    first, second = _side(run, {0, 3}), _side(run, {1, 2})
    findings = compare_runs(first, second, Terms(collapsing=False)).findings
    timed = [finding for finding in findings if finding.metric == STEP_TIME.name]
    level = Levels().required(sum(finding.p_adjusted is not None for finding in timed))
    cells = dict.fromkeys((spec.workload, spec.precision) for spec in run.info.plan.trials)
    return SelfCheck(
        run=run.info.run,
        device=run.info.environment.device_name,
        delta=DELTA,
        cells=tuple(
            _noise(cell, findings, measured(rows_of(first, cell)), measured(rows_of(second, cell)), level)
            for cell in cells
        ),
    )


def _side(run: Run, places: set[int]) -> Run:
    """The processes of one side, A B B A over the repeats: a machine that drifts evenly moves both sides alike.

    Repeats are numbered anew, so that the sides' first processes stand beside each other, and so on.
    """
    trials = run.trials[(run.trials["repeat"] % 4).isin(places)]
    rank = trials.groupby(["workload", "precision", "seed"])["repeat"].rank(method="first")
    return replace(run, trials=trials.assign(repeat=rank.astype("Int64") - 1))


def _noise(
    cell: Cell, findings: Sequence[Finding], first: pd.DataFrame, second: pd.DataFrame, level: float
) -> CellNoise:
    ours = [finding for finding in findings if (finding.workload, finding.precision) == cell]
    time = next((finding for finding in ours if finding.metric == "step_seconds"), None)
    noise = CellNoise(
        *cell,
        processes=min(len(first), len(second)),
        emulated=Outcome.EMULATED.value in {*first["outcome"], *second["outcome"]},
        alarms=tuple(_words(finding) for finding in ours if finding.verdict in _ALARMS),
        # Every finding on the outcome and the setup has reasons; of the others, the one on time knows of the cautions.
        reasons=time.reasons if time else tuple(dict.fromkeys(reason for f in ours for reason in f.reasons)),
    )
    if time is None or time.p_adjusted is None:
        return noise
    limit = STEP_TIME.limit
    base, candidate = ([math.log(value) for value in side] for side in (time.values_base, time.values_candidate))
    result = compare(base, candidate, limit)
    return replace(
        noise,
        # Of a log-normal time whose logarithm has the mean of both sides' variances.
        variation=math.sqrt(math.expm1(result.variance / 2)),
        minimum_detectable=time.minimum_detectable,
        processes_needed=runs_to_decide(replace(result, difference=limit, fewest=FEWEST - 1), level, limit),
    )


def _words(finding: Finding) -> str:
    change = "" if finding.change is None else f" by {finding.change:+.1%}"
    return f"{finding.metric} {finding.verdict}{change}"
