"""Held-out quality: paired by seed, tested for a loss beyond a margin and for equivalence within it.

The unit is the seed: processes of one seed repeat each other or differ by the order of additions, and are averaged.
The margin is in the metric's own unit: 1.5 standard deviations between seeds, frozen by `ampmark calibrate` or else
taken from the base's own seeds (what a seed alone moves is as large as many claimed gains: Bouthillier et al., MLSys
2021, arXiv:2103.03098).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import pandas as pd

from suite.judge.cells import Cell, Sides, measured, rows_of, seed_difference
from suite.judge.findings import REFERENCE, Finding, MetricClass, PrecisionQuality, Verdict
from suite.judge.stats import FEWEST, Comparison, Levels, adjust, compare, minimum_detectable, runs_to_decide
from suite.judge.stochastic import decide
from suite.store import Run

__all__ = ["MARGIN_SHARE", "Margins", "against_fp32", "judge_quality", "seed_values"]

MARGIN_SHARE = 1.5
"""Standard deviations between seeds that a margin is worth."""
SEEDS_FOR_MARGIN = 5
"""Fewer give no usable margin."""
LEARNED = 0.05
"""Relative gain over the input-blind predictor that is no luck; training that gives no gain then has broken down."""
_COLUMNS = (
    *("workload", "precision", "outcome", "seed", "losses_sha256"),
    *("quality", "quality_metric", "quality_higher_is_better", "quality_baseline", "quality_baseline_name"),
)

Margins = Callable[[Cell, str], float | None]
"""The frozen margin of a cell and metric, in its unit; None where there is none."""
Metrics = Callable[[Cell], str | None]
"""The metric that a cell's frozen margin is of; None where there is none."""


def judge_quality(
    cells: Mapping[Cell, Sides], levels: Levels, margin_of: Margins, frozen_metric_of: Metrics = lambda cell: None
) -> list[Finding]:
    """One finding per cell whose base has a quality; where the candidate has none to compare, it says why."""
    pairs = {cell: _pair(*sides) for cell, sides in cells.items()}
    known = {cell: pair for cell, pair in pairs.items() if pair is not None}
    margins = {cell: _margin(pair, margin_of(cell, pair.metric)) for cell, pair in known.items()}
    results = {
        cell: compare(pair.before, pair.after, margins[cell] or 0.0, paired=True) for cell, pair in known.items()
    }
    family = {cell: r.p for cell, r in results.items() if r.p is not None and margins[cell] is not None}
    adjusted = dict(zip(family, adjust(list(family.values())), strict=True))
    found = []
    for cell, sides in cells.items():
        ours, theirs = (side.dropna(subset=["quality"]) for side in sides)
        if ours.empty:
            continue
        if cell not in known:
            found.append(_unpaired(cell, ours, theirs))
            continue
        finding = _finding(cell, known[cell], results[cell], margins[cell], adjusted.get(cell), levels, len(family))
        said = seed_difference(ours, theirs), _other_metric(known[cell], frozen_metric_of(cell))
        found.append(replace(finding, notes=tuple(note for note in said if note)))
    return found


def _other_metric(pair: _Pair, frozen: str | None) -> str | None:
    """What to say where a margin is frozen and cannot be used."""
    return None if frozen in (None, pair.metric) else f"the frozen margin is of {frozen} and not of {pair.metric}"


def _unpaired(cell: Cell, ours: pd.DataFrame, theirs: pd.DataFrame) -> Finding:
    """Why a quality of the base has no counterpart: not to be mistaken for one that did not change."""
    before, after = (", ".join(sorted(set(side["quality_metric"]))) for side in (ours, theirs))
    # A quality that vanished may hide a loss, so it is as loud as one that cannot be compared.
    verdict, reason = Verdict.INCOMPARABLE, "the candidate has no quality, the base has"
    if before != after and not theirs.empty:
        reason = f"quality metric: {before} → {after}"
    elif not theirs.empty:
        verdict, reason = Verdict.NOT_MEASURED, seed_difference(ours, theirs) or reason
    return Finding(*cell, f"quality ({before})", verdict, MetricClass.QUALITY, reasons=(reason,))


def against_fp32(run: Run, margin_of: Margins = lambda cell, metric: None) -> list[PrecisionQuality]:
    """Every precision's quality against float32's in the same run: worse, better, equivalent, or undecided."""
    levels, found = Levels(), []
    run = replace(run, trials=run.trials[list(_COLUMNS)])
    ordered = sorted({(spec.workload, spec.precision) for spec in run.info.plan.trials})
    for workload, cells in groupby(ordered, key=lambda cell: cell[0]):
        reference = measured(rows_of(run, (workload, REFERENCE)))
        for cell in cells:
            pair = _pair(reference, measured(rows_of(run, cell))) if cell[1] != REFERENCE else None
            if pair is not None:
                margin = _margin(pair, margin_of((workload, REFERENCE), pair.metric))
                found.append(_conclusion(cell, pair, margin, levels))
    return found


def seed_values(rows: pd.DataFrame) -> pd.Series[float]:
    """The quality by seed, the mean over the processes of each."""
    known = rows.dropna(subset=["quality"])
    # The mean of equal numbers need not be that number: ten of them and five of them would differ in the last bit.
    return known.groupby("seed")["quality"].agg(lambda own: own.iloc[0] if own.nunique() == 1 else own.mean())


@dataclass(frozen=True)
class _Pair:
    """Equal seeds on both sides, turned so that more is worse."""

    metric: str
    before: list[float]
    after: list[float]
    sign: float
    """-1 where higher is better."""
    guess: float | None = None
    """What a predictor reaches that does not look at its input, turned likewise."""
    guess_name: str | None = None
    alike: bool = False
    """Whether the losses of every step are the same too, to the last bit, under each seed."""


def _pair(ours: pd.DataFrame, theirs: pd.DataFrame) -> _Pair | None:
    ours, theirs = ours.dropna(subset=["quality"]), theirs.dropna(subset=["quality"])
    if ours.empty or theirs.empty or set(ours["quality_metric"]) != set(theirs["quality_metric"]):
        return None
    sign = -1.0 if bool(ours.iloc[0]["quality_higher_is_better"]) else 1.0
    both = pd.concat([seed_values(ours), seed_values(theirs)], axis=1, join="inner", keys=["before", "after"])
    if both.empty:
        return None
    before, after = ([sign * float(value) for value in both[side]] for side in ("before", "after"))
    first = ours.iloc[0]
    known = not pd.isna(first["quality_baseline"])
    guess, name = (
        (sign * float(first["quality_baseline"]), str(first["quality_baseline_name"])) if known else (None, None)
    )
    return _Pair(
        str(first["quality_metric"]), before, after, sign, guess, name, _same_losses(ours, theirs, list(both.index))
    )


def _same_losses(ours: pd.DataFrame, theirs: pd.DataFrame, seeds: Sequence[int]) -> bool:
    """Whether the digests of the losses are those of the other side under each of these seeds; unknown ones are not."""
    found = [[set(side.loc[side["seed"] == seed, "losses_sha256"]) for seed in seeds] for side in (ours, theirs)]
    return found[0] == found[1] and not any(pd.isna(digest) for digests in found[0] for digest in digests)


def _margin(pair: _Pair, frozen: float | None) -> float | None:
    """The frozen margin, or that of the base's own seeds: 0 where they all reach the same, so that any loss counts."""
    if frozen is not None or len(pair.before) < SEEDS_FOR_MARGIN:
        return frozen
    return MARGIN_SHARE * float(pd.Series(pair.before).std(ddof=1))


def _finding(
    cell: Cell,
    pair: _Pair,
    result: Comparison,
    margin: float | None,
    p_adjusted: float | None,
    levels: Levels,
    family: int,
) -> Finding:
    seeds = len(pair.before)
    finding = Finding(
        *cell,
        f"quality ({pair.metric})",
        Verdict.INCONCLUSIVE,
        MetricClass.QUALITY,
        base=pair.sign * sum(pair.before) / seeds,
        candidate=pair.sign * sum(pair.after) / seeds,
        change=result.difference,
        low=result.low,
        high=result.high,
        low90=result.low90,
        high90=result.high90,
        limit=margin,
        p=result.p,
        p_equivalence=None if margin is None else result.p_within,
        test="paired t over seeds",
        values_base=tuple(pair.sign * value for value in pair.before),
        values_candidate=tuple(pair.sign * value for value in pair.after),
        processes_base=seeds,
        processes_candidate=seeds,
    )
    if pair.before == pair.after:
        return replace(finding, verdict=Verdict.UNCHANGED, test="equality under equal seeds")
    broken = _broken_down(pair)
    if broken is not None:
        return replace(
            finding, verdict=Verdict.REGRESSED, test="better than an input-blind predictor", reasons=(broken,)
        )
    if margin is None:
        few = (
            f"{seeds} seed{'s' * (seeds > 1)} and no margin: give at least {SEEDS_FOR_MARGIN} with --seeds, "
            "or freeze a margin with `ampmark calibrate`"
        )
        return replace(finding, reasons=(few,))
    verdict, reasons = decide(result, margin, p_adjusted, levels)
    if reasons:
        reasons = (f"{seeds} seed{'s' * (seeds > 1)}; at least {FEWEST} are needed (5 are usual)",)
    finding = replace(finding, verdict=verdict, reasons=reasons, p_adjusted=p_adjusted)
    if p_adjusted is None:
        return finding
    level = levels.required(family)
    undecided = verdict is Verdict.INCONCLUSIVE
    return replace(
        finding,
        family=family,
        minimum_detectable=minimum_detectable(result, level, margin),
        runs_to_decide=runs_to_decide(result, level, margin, levels.equivalence) if undecided else None,
    )


def _broken_down(pair: _Pair) -> str | None:
    """What to say where training came to nothing under a seed, and did not before under any; one seed is enough."""
    if pair.guess is None or any(pair.guess - value < LEARNED * abs(pair.guess) for value in pair.before):
        return None
    worst = max(pair.after)
    if worst < pair.guess:
        return None
    was, now, blind = (pair.sign * value for value in (pair.before[pair.after.index(worst)], worst, pair.guess))
    return f"{was:.4g} became {now:.4g}, no better than {pair.guess_name} ({blind:.4g}), which does not see its input"


def _conclusion(cell: Cell, pair: _Pair, margin: float | None, levels: Levels) -> PrecisionQuality:
    result = compare(pair.before, pair.after, margin or 0.0, paired=True)
    said = PrecisionQuality(
        *cell,
        pair.metric,
        "undecided",
        result.difference,
        result.low90,
        result.high90,
        margin,
        len(pair.before),
    )
    equal = pair.before == pair.after
    if equal and (pair.alike or (margin is not None and len(pair.before) >= FEWEST)):
        return replace(said, conclusion="equivalent")
    seeds = f"{len(pair.before)} seed{'s' * (len(pair.before) > 1)}"
    if equal:
        seeds = f"the same {pair.metric} by other losses may be chance; {seeds}"
    if margin is None:
        return replace(said, reason=f"{seeds}; {SEEDS_FOR_MARGIN} give a margin, or `ampmark calibrate` does")
    if result.p is None:
        return replace(said, reason=f"{seeds}; at least {FEWEST} are needed (5 are usual)")
    verdict, _ = decide(result, margin, result.p, levels)
    words = {Verdict.REGRESSED: "worse", Verdict.IMPROVED: "better", Verdict.UNCHANGED: "equivalent"}
    return replace(said, conclusion=words.get(verdict, "undecided"))
