"""Which precision to use for each workload, and why none of the others.

Nothing is decided here: the section words what the one rule of `suite.judge.recommendation` has found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from suite.judge.findings import PrecisionQuality
from suite.report import numbers
from suite.report.cells import REFERENCE
from suite.report.matrix import LAYERS
from suite.report.quality_evidence import concluded, difference_words, seed_words
from suite.report.signs import Sign
from suite.report.text import anchor, shorten
from suite.store import Run

if TYPE_CHECKING:
    from suite.judge.estimates import Estimate
    from suite.judge.recommendation import Mode, Recommendation

__all__ = ["OtherMode", "RecommendationRow", "RecommendationSection", "recommendation_section"]

USE = Sign("✓", "use", "good")
NOT_SHOWN = Sign("?", "none yet", "warn")
NONE = Sign("–", "none", "quiet")

LONGEST_REASON = 300
"""Characters; names in it may be of any length."""
HEAD = (
    "Workload",
    "Precision",
    "Why",
    f"Speed, times {REFERENCE}’s",
    f"Peak memory, times {REFERENCE}’s",
    f"Energy a sample, times {REFERENCE}’s",
    "As fast, as far as can be told",
)


@dataclass(frozen=True)
class OtherMode:
    """A precision that is not recommended, and why."""

    precision: str
    why: str


@dataclass(frozen=True)
class RecommendationRow:
    """What the rule says of one workload; a ratio that is not known is a dash."""

    workload: str
    sign: Sign
    why: str
    precision: str | None = None
    anchor: str | None = None
    """Of the recommended cell's details."""
    step: str = ""
    """Its time."""
    speed: str = numbers.MISSING
    memory: str = numbers.MISSING
    memory_layer: str = ""
    """Which memory that is."""
    energy: str = numbers.MISSING
    close: tuple[str, ...] = ()
    """Precisions that qualify and are as fast as the intervals can tell."""
    others: tuple[OtherMode, ...] = ()
    """All that are neither recommended nor among `close`."""


@dataclass(frozen=True)
class RecommendationSection:
    """The rule, how its numbers are to be read, and one row per workload."""

    rule: str
    reading: str
    head: tuple[str, ...]
    rows: tuple[RecommendationRow, ...]


def recommendation_section(run: Run, qualities: Sequence[PrecisionQuality]) -> RecommendationSection:
    """The section; `qualities` are the run's against float32, those of its verdicts where it was judged."""
    from suite.judge.estimates import LEVEL
    from suite.judge.recommendation import RULE, recommend

    known = {(said.workload, said.precision): said for said in qualities}
    reading = (
        f"In brackets: {numbers.percent(LEVEL)} intervals over fresh processes. Speed, memory and energy are ratios of "
        "geometric means over processes, speed of the samples of applied steps a second, here and in the matrix; step "
        "and memory in the matrix are medians, from which a mean differs where processes scatter."
    )
    return RecommendationSection(RULE, reading, HEAD, tuple(_row(found, known) for found in recommend(run, qualities)))


def _row(found: Recommendation, known: Mapping[tuple[str, str], PrecisionQuality]) -> RecommendationRow:
    modes = {mode.precision: mode for mode in found.modes}
    chosen, why = found.precision, shorten(found.reason, LONGEST_REASON)
    if chosen is None:
        sign = NOT_SHOWN if any(mode.unproven for mode in found.modes) else NONE
        return RecommendationRow(found.workload, sign, why, others=tuple(_others(found, known)))
    row = RecommendationRow(
        found.workload,
        USE,
        why,
        precision=chosen,
        anchor=anchor(found.workload, chosen),
        step=_step_words(modes[chosen]),
        speed="the reference",
        close=found.close,
        others=tuple(_others(found, known)),
    )
    if chosen == REFERENCE:
        return row
    quality = known.get((found.workload, chosen))
    return replace(
        row,
        why="; ".join([why, *_quality_words(quality), *_weakness(modes.get(REFERENCE), found)]),
        speed=_ratio(found.speedup),
        memory=_ratio(found.memory),
        memory_layer="" if found.memory_layer is None else f"({LAYERS[found.memory_layer]})",
        energy=_ratio(found.energy),
    )


def _quality_words(quality: PrecisionQuality | None) -> list[str]:
    if quality is None:
        return []
    said = f"its {shorten(quality.metric, 40)} is {concluded(quality)}’s over {seed_words(quality)}"
    return [f"{said}: {difference_words(quality)}"]


def _weakness(reference: Mode | None, found: Recommendation) -> list[str]:
    """What the ratios are worth where the reference itself is not fit to be ranked."""
    if reference is None or reference.excluded is None or found.speedup is None:
        return []
    return [f"{REFERENCE}, which it is compared with, does not qualify itself"]


def _others(found: Recommendation, known: Mapping[tuple[str, str], PrecisionQuality]) -> Iterator[OtherMode]:
    from suite.judge.recommendation import NO_ORDER

    qualifies = "qualifies and is slower" if found.precision else "qualifies"
    for mode in found.modes:
        if mode.precision in (found.precision, *found.close):
            continue
        if mode.excluded is None:
            words = f"qualifies; {NO_ORDER}" if mode.precision in found.unordered else qualifies
            yield OtherMode(mode.precision, f"{words}: {_step_words(mode)}")
        else:
            evidence = _evidence(mode, known.get((found.workload, mode.precision)))
            yield OtherMode(mode.precision, shorten(mode.excluded, LONGEST_REASON) + evidence)


def _evidence(mode: Mode, quality: PrecisionQuality | None) -> str:
    """The numbers behind a quality that is worse or not shown: `; accuracy 0.012 worse, 90 % interval …`."""
    if quality is None or not (mode.unproven or quality.conclusion == "worse"):
        return ""
    return f"; {shorten(quality.metric, 40)} {difference_words(quality)}"


def _step_words(mode: Mode) -> str:
    """`12.3 ms [12.1, 12.5] a step`; where some were skipped also what a sample of the applied ones took."""
    step, sample = mode.step, mode.sample
    if step is None:
        return numbers.MISSING
    words = f"{numbers.bounded_seconds(step.value, step.low, step.high)} a step"
    if not mode.skipped or sample is None:
        return words
    return f"{words}, some skipped: {numbers.bounded_seconds(sample.value, sample.low, sample.high)} an applied sample"


def _ratio(found: Estimate | None) -> str:
    return numbers.MISSING if found is None else numbers.bounded(found.value, found.low, found.high, "×")
