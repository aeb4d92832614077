"""Candidate against base, cell by cell and metric by metric (docs/decisions/0004 and 0011 have the reasons).

* step time, host memory: tests over processes (`stochastic.py`); quality: over seeds (`quality.py`). Of the step time
  the median is judged, and the mean beside it, which says something where it says something else.
* allocated bytes, overflowing steps, digest of the losses: equality under equal seeds (`exact.py`, `counts.py`).
* where a dynamic loss scale settles: `scale_shape.py`.
* a trial that had numbers and has none now makes its cell `failed`, or `regressed` where it diverged; a cell that the
  base measured and the candidate did not run is `incomparable`: it may hide a regression (`cells.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from suite.errors import Incomparable
from suite.judge.calibration import Calibration
from suite.judge.cells import Cell, Sides, cells_of, judged_part, measured, obstacles, rows_of
from suite.judge.exact import judge_exact
from suite.judge.findings import ORDER, Finding, MetricClass, Verdict, Verdicts
from suite.judge.quality import against_fp32, judge_quality
from suite.judge.samples import HOST_MEMORY, MEAN_STEP_TIME, STEP_TIME
from suite.judge.scale_shape import judge_scale_shape
from suite.judge.shift import collapse
from suite.judge.stats import FEWEST, Levels
from suite.judge.stochastic import judge_family
from suite.record import Environment
from suite.store import Run

__all__ = ["BESIDE_FINGERPRINT", "Terms", "collapsed", "compare_runs"]

BESIDE_FINGERPRINT = ("device", "container", "persistence")
"""Facts of the machine that make no other machine, and may still move a number."""
_NOT_TIMED = "deterministic trials are not timed"
_NO_ANCHOR = f"its anchor has fewer than {FEWEST} blocks, so it is compared with the stored baseline of another time"


@dataclass(frozen=True)
class Terms:
    """On what terms two runs are compared."""

    baseline: str | None = None
    """Name of the approved baseline that the base is."""
    anchor: Run | None = None
    """The base's code run in turn with the candidate: times are then compared with it, block by block."""
    looks: int = 1
    """Among so many looks at the data the error rates are divided."""
    calibration: Calibration = field(default_factory=Calibration)
    collapsing: bool = True
    """Whether many cells that moved together are one finding."""
    warnings: tuple[str, ...] = ()
    reproduce: str | None = None


def compare_runs(base: Run, candidate: Run, terms: Terms = Terms()) -> Verdicts:
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
    levels = Levels().split(terms.looks)
    base, candidate = judged_part(base), judged_part(candidate)
    cells = list(dict.fromkeys((*cells_of(base), *cells_of(candidate))))
    stopped, comparable = _divided(base, candidate, cells)
    findings = [*_times(comparable, levels, terms), *stopped, *_others(comparable, levels, terms)]
    place = {cell: number for number, cell in enumerate(cells)}
    found = Verdicts(
        base_run=base.info.run,
        candidate_run=candidate.info.run,
        baseline=terms.baseline,
        fingerprint=candidate.info.fingerprint,
        device=candidate.info.environment.device_name,
        alpha=levels.alpha,
        false_discovery_rate=levels.q,
        equivalence=levels.equivalence,
        delta=STEP_TIME.delta,
        findings=tuple(sorted(findings, key=lambda f: (ORDER[f.verdict], place[f.workload, f.precision]))),
        anchored=terms.anchor is not None,
        looks=terms.looks,
        warnings=(*terms.warnings, *_cut_short(base, candidate)),
        against_fp32=tuple(against_fp32(candidate, terms.calibration.margin_of)),
        differences=_differences(base.info.environment, candidate.info.environment),
        reproduce=terms.reproduce,
    )
    return collapsed(found) if terms.collapsing else found


def collapsed(verdicts: Verdicts) -> Verdicts:
    """The same with a machine-wide shift as one finding, and a warning that names it."""
    times = [finding for finding in verdicts.findings if finding.metric == STEP_TIME.name]
    rest = [finding for finding in verdicts.findings if finding.metric != STEP_TIME.name]
    found, shifted = collapse(times, anchored=verdicts.anchored)
    if shifted is None:
        return verdicts
    findings = sorted([*found, *rest], key=lambda finding: ORDER[finding.verdict])
    return replace(verdicts, findings=tuple(findings), warnings=(*verdicts.warnings, shifted))


def _differences(base: Environment, candidate: Environment) -> tuple[str, ...]:
    """What else differs between the two sides, each `field: base → candidate`."""
    beside = [(name, getattr(base, name), getattr(candidate, name)) for name in BESIDE_FINGERPRINT]
    found = [*base.differences(candidate, code=True), *(f"{name}: {a} → {b}" for name, a, b in beside if a != b)]
    if base.git_dirty and candidate.git_dirty:
        found.append("git_dirty: on both sides, and perhaps not the same changes")
    return tuple(found)


def _cut_short(*runs: Run) -> list[str]:
    return [f"run {run.info.run} was cut short and may hide something" for run in runs if run.info.sealed_at is None]


def _divided(base: Run, candidate: Run, cells: list[Cell]) -> tuple[list[Finding], dict[Cell, Sides]]:
    """Findings of the cells whose numbers cannot be compared, and the sides of those whose can."""
    stopped: list[Finding] = []
    comparable: dict[Cell, Sides] = {}
    for cell in cells:
        ours, theirs = rows_of(base, cell), rows_of(candidate, cell)
        found = obstacles(cell, ours, theirs)
        stopped += found
        sides = measured(ours), measured(theirs)
        if all(f.verdict is Verdict.NOT_MEASURED for f in found) and not any(side.empty for side in sides):
            comparable[cell] = sides
    return stopped, comparable


def _times(cells: Mapping[Cell, Sides], levels: Levels, terms: Terms) -> list[Finding]:
    timed = {cell: sides for cell, sides in cells.items() if not any(side["deterministic"].any() for side in sides)}
    untimed = [
        Finding(*cell, STEP_TIME.name, Verdict.NOT_MEASURED, MetricClass.STOCHASTIC, reasons=(_NOT_TIMED,))
        for cell in cells
        if cell not in timed
    ]
    timed, paired = _beside_anchor(timed, terms.anchor)
    found = judge_family(STEP_TIME, timed, levels, terms.calibration.estimator_of, paired=paired)
    means = judge_family(MEAN_STEP_TIME, timed, levels, paired=paired)
    if terms.anchor is not None:
        found, means = (
            [finding if (finding.workload, finding.precision) in paired else _weaker(finding) for finding in family]
            for family in (found, means)
        )
    return [*found, *_apart(found, means), *untimed]


def _apart(medians: Sequence[Finding], means: Sequence[Finding]) -> Iterator[Finding]:
    """The findings on the mean that say what those on the median do not: some steps are slower, and most are not.

    The mean scatters more, so that it is often undecided where the median is not: then it says something only where
    it may have grown by what matters.
    """
    said = {finding.cell: finding.verdict for finding in medians}
    for finding in means:
        decided = finding.verdict in (Verdict.REGRESSED, Verdict.IMPROVED)
        grown = finding.verdict is Verdict.INCONCLUSIVE and (finding.change or 0.0) >= STEP_TIME.delta
        if (decided and said[finding.cell] is not finding.verdict) or (
            grown and said[finding.cell] in (Verdict.UNCHANGED, Verdict.IMPROVED)
        ):
            yield finding


def _weaker(finding: Finding) -> Finding:
    """Of a cell whose anchor failed: the machine may have moved since the stored baseline, so nothing is an alarm."""
    if finding.verdict in (Verdict.REGRESSED, Verdict.IMPROVED):
        finding = replace(finding, verdict=Verdict.INCONCLUSIVE, minimum_detectable=None, operators=())
    if finding.verdict is Verdict.INCONCLUSIVE:
        return replace(
            finding,
            reasons=(*finding.reasons, _NO_ANCHOR),
            minimum_detectable=None,
            runs_to_decide=None,
            undecided=False,
        )
    return replace(finding, notes=(*finding.notes, _NO_ANCHOR))


def _beside_anchor(cells: Mapping[Cell, Sides], anchor: Run | None) -> tuple[dict[Cell, Sides], set[Cell]]:
    """The sides with the anchor's processes as base, where it has enough of the cell, and which cells those are."""
    found, paired = dict(cells), set[Cell]()
    judged = None if anchor is None else judged_part(anchor)
    for cell, (_, theirs) in cells.items():
        rows = None if judged is None else measured(rows_of(judged, cell))
        if rows is not None and rows["repeat"].nunique() >= FEWEST:
            found[cell] = rows, theirs
            paired.add(cell)
    return found, paired


def _others(cells: Mapping[Cell, Sides], levels: Levels, terms: Terms) -> list[Finding]:
    """What is judged beside the time; of a CPU the resident memory, which is all there is."""
    hosted = {c: sides for c, sides in cells.items() if sides[1]["peak_allocated_bytes"].isna().all()}
    found = judge_family(HOST_MEMORY, hosted, levels)
    found += judge_quality(cells, levels, terms.calibration.margin_of, terms.calibration.margin_metric_of)
    for cell, sides in cells.items():
        found += judge_exact(cell, sides, levels.alpha)
        shape = judge_scale_shape(cell, sides, levels.alpha)
        found += [] if shape is None else [shape]
    return found
