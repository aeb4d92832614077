"""The first screen: what each cell of workload × precision says in a few short lines."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from suite.judge.findings import Finding, PrecisionQuality, Verdict
from suite.record import Outcome
from suite.report import numbers
from suite.report.cells import RATE, REFERENCE, TF32, Cell, Grid, Row, memory_layer, speed_ratio
from suite.report.quality_evidence import concluded, difference_words, seed_words
from suite.report.regressions import METRICS, change_words, detectable_words
from suite.report.signs import CAUTION, NOT_PLANNED, Sign, cell_sign, outcome_sign, verdict_sign
from suite.report.statements import caution_words
from suite.report.text import shorten

__all__ = ["LAYERS", "Fact", "MatrixCell", "MatrixRow", "build_matrix", "overflow_words", "quality_words"]

LONGEST_REASON = 150
"""Characters of a reason in a cell; the details have all of it."""

LAYERS = {
    "peak_allocated_bytes": "allocated",
    "peak_device_bytes": "in use on device",
    "peak_rss_bytes": "resident on host",
}


@dataclass(frozen=True)
class Fact:
    """One line of a cell. `aside` is the small print behind the value."""

    label: str
    value: str
    aside: str = ""


@dataclass(frozen=True)
class Judgement:
    """A finding or a caution in a cell: `▲ regressed step time +3.1 % [+2.2, +4.0]`."""

    sign: Sign
    metric: str
    text: str


@dataclass(frozen=True)
class MatrixCell:
    """One cell of the matrix, ready to be drawn."""

    precision: str
    sign: Sign
    anchor: str | None = None
    judgements: tuple[Judgement, ...] = ()
    facts: tuple[Fact, ...] = ()
    note: str = ""
    tone: str = "quiet"
    """The worst there is to see in the cell, for its edge."""


@dataclass(frozen=True)
class MatrixRow:
    """A workload and its cells in the order of the plan's precisions."""

    workload: str
    setup: str
    cells: tuple[MatrixCell, ...]


def build_matrix(
    grid: Grid, findings: Sequence[Finding], qualities: Sequence[PrecisionQuality] = ()
) -> list[MatrixRow]:
    """One row per workload; `qualities` are the run's against the reference, as the recommendation goes by them."""
    known = {(said.workload, said.precision): said for said in qualities}
    return [
        MatrixRow(
            workload,
            _setup(grid, workload),
            tuple(_cell(grid, (workload, p), findings, known.get((workload, p))) for p in grid.precisions),
        )
        for workload in grid.workloads
    ]


def _setup(grid: Grid, workload: str) -> str:
    setup = next((c.planned[0].setup for c in grid if c.workload == workload and c.planned), None)
    if setup is None:
        return ""
    micro = f" × {setup.accumulation} micro-batches" if setup.accumulation > 1 else ""
    return f"{setup.steps} steps of batch {setup.batch_size}{micro}{', torch.compile' if setup.compile else ''}"


def _cell(
    grid: Grid, place: tuple[str, str], findings: Sequence[Finding], quality: PrecisionQuality | None
) -> MatrixCell:
    cell, precision = grid.cells.get(place), place[1]
    if cell is None:
        return MatrixCell(precision, NOT_PLANNED)
    ours = [f for f in findings if (f.workload, f.precision) == place]
    return MatrixCell(
        precision,
        cell_sign(cell.outcome, len(cell.measured), cell.whole),
        cell.anchor,
        (*(_judgement(finding) for finding in ours if _worth_a_line(finding)), *_cautions(cell)),
        tuple(_facts(grid, cell, quality)) if cell.measured else (),
        _note(cell),
        _tone(cell, ours),
    )


def _tone(cell: Cell, findings: Sequence[Finding]) -> str:
    tones = {outcome_sign(Outcome(row["outcome"])).tone for row in cell.trials}
    tones |= {verdict_sign(finding.verdict).tone for finding in findings}
    tones |= {CAUTION.tone} if cell.cautions else set()
    return next((tone for tone in ("bad", "warn") if tone in tones), "quiet")


def _worth_a_line(finding: Finding) -> bool:
    silent = (Verdict.UNCHANGED, Verdict.NOT_MEASURED)
    return finding.metric == "step_seconds" or finding.verdict not in silent


def _judgement(finding: Finding) -> Judgement:
    text = change_words(finding)
    if finding.verdict is not Verdict.UNCHANGED and finding.reasons:
        text += f"; {shorten(finding.reasons[0], 90)}"
    elif finding.verdict is Verdict.INCONCLUSIVE and finding.minimum_detectable is not None:
        text += f"; only ≥ {detectable_words(finding)} could be seen"
    return Judgement(
        verdict_sign(finding.verdict), METRICS.get(finding.metric, finding.metric), text.removeprefix("; ")
    )


def _cautions(cell: Cell) -> Iterator[Judgement]:
    for code, words in caution_words(cell):
        yield Judgement(CAUTION, shorten(code, 40), shorten(words, LONGEST_REASON))


def _facts(grid: Grid, cell: Cell, quality: PrecisionQuality | None) -> Iterator[Fact]:
    reference = grid.beside(cell, REFERENCE)
    yield from _speeds(grid, cell)
    yield Fact("step", numbers.seconds(cell.median("step_seconds_median")), _spread(cell))
    yield Fact("rate", numbers.rate(cell.median("samples_per_second")))
    yield from _known(cell, "MFU", "mfu", numbers.share)
    yield from _known(cell, "energy", "energy_joules_per_sample", lambda each: f"{numbers.joules(each)}/sample")
    yield _memory(cell, reference)
    yield Fact("overflow", overflow_words(cell))
    yield Fact("quality", *quality_words(cell, quality, reference))


def _speeds(grid: Grid, cell: Cell) -> Iterator[Fact]:
    if cell.precision == REFERENCE:
        yield Fact(f"vs {REFERENCE}", "the reference")
    for precision in (REFERENCE, TF32):
        other = grid.beside(cell, precision)
        if other is not None:
            yield Fact(f"vs {precision}", *_speed(cell, other))
    if cell.precision != REFERENCE and grid.beside(cell, REFERENCE) is None:
        yield Fact(f"vs {REFERENCE}", numbers.MISSING, f"({REFERENCE} has no numbers)")


def _speed(cell: Cell, other: Cell) -> tuple[str, str]:
    """`1.52× faster` and `[1.49, 1.55]`, as the recommendation has it; with one process the ratio alone."""
    aside = ["(emulated, not ranked)"] if cell.emulated else []
    found = speed_ratio(cell, other)
    if found is None:
        timed = cell.values(RATE) and other.values(RATE)
        return numbers.MISSING, " ".join(["(no timed step was applied)", *aside] if timed else aside)
    words = numbers.speed(found.value, found.low, found.high)
    if found.low is None or found.high is None:
        return words, " ".join(["(1 process, no interval)", *aside])
    return words, " ".join([numbers.speed_interval(found.low, found.high), *aside])


def _spread(cell: Cell) -> str:
    values = cell.values("step_seconds_median")
    if cell.first("deterministic"):
        return "(not timed)"
    if len(values) < 2:
        return "(1 process)"
    return f"({numbers.between(numbers.seconds, values)}, {len(values)} processes)"


def _known(cell: Cell, label: str, column: str, shown: numbers.Formatter) -> Iterator[Fact]:
    """A line only where there is a number; the list of gaps says why there is none."""
    value = cell.median(column)
    if value is not None:
        yield Fact(label, shown(value))


def _memory(cell: Cell, reference: Cell | None) -> Fact:
    layer = memory_layer(cell, reference) if reference else memory_layer(cell)
    if layer is None:
        return Fact("memory", numbers.MISSING, "(not measured)")
    ours = cell.median(layer)
    if reference is None:
        return Fact("memory", numbers.memory(ours), f"({LAYERS[layer]})")
    ratio = (ours or 0) / (reference.median(layer) or 1)
    return Fact("memory", f"{ratio:.2f}× {REFERENCE}", f"({numbers.memory(ours)} {LAYERS[layer]})")


def overflow_words(cell: Cell) -> str:
    """`0`, or `2 calibration, 1 steady`; a range where the cell's processes differ."""
    calibration, steady = cell.values("overflow_calibration_count"), cell.values("overflow_steady_count")
    if not calibration or not steady:
        return numbers.MISSING
    if not any(calibration) and not any(steady):
        return "0"
    return f"{numbers.count_between(calibration)} calibration, {numbers.count_between(steady)} steady"


def quality_words(cell: Cell, against: PrecisionQuality | None, reference: Cell | None = None) -> tuple[str, str]:
    """`accuracy 0.842`, and what the judge says of it: `equivalent to fp32: 0.003 better, 90 % interval …; 5 seeds`.

    `against` is None where there is nothing to say: of the reference itself, and where no seed is on both sides.
    """
    by_seed = cell.quality_by_seed()
    if not by_seed:
        return numbers.MISSING, ""
    value = f"{shorten(str(cell.first('quality_metric')), 40)} {numbers.number(statistics.fmean(by_seed.values()), 4)}"
    asides = []
    if against is not None:
        asides.append(f"{concluded(against)}: {difference_words(against)}; {seed_words(against)}")
    elif reference is not None:
        asides.append(f"not compared with {REFERENCE}")
    beaten = cell.seeds_beating_baseline()
    if beaten is not None and beaten < len(by_seed):
        asides.append(f"! does not beat {shorten(str(cell.first('quality_baseline_name')), 40)}")
    return value, f"({'; '.join(asides)})" if asides else ""


def _note(cell: Cell) -> str:
    """Why there are no numbers, or fewer than planned."""
    parts = [_end_words(cell), shorten(cell.stopped[0]["reason"] or "", LONGEST_REASON)] if cell.stopped else []
    sentences = [": ".join(part for part in parts if part)]
    if cell.absent:
        whole = len(cell.planned)
        sentences.append(f"{numbers.of(cell.absent, whole, 'trial')} not run: the run stopped before")
    return "; ".join(sentence for sentence in sentences if sentence)


def _end_words(cell: Cell) -> str:
    """How the cell's unfinished trials ended; nothing where the cell's sign has said it."""
    whole = cell.whole
    ends = Counter(_end(row) for row in cell.stopped)
    if len(ends) == 1 and len(cell.stopped) == whole:
        end = next(iter(ends))
        return end if end != cell.outcome else f"all {whole} trials" if whole > 1 else ""
    glyph = outcome_sign(Outcome(cell.stopped[0]["outcome"])).glyph
    return f"{glyph} " + ", ".join(f"{numbers.of(n, whole, 'trial')} {end}" for end, n in ends.items())


def _end(row: Row) -> str:
    step = row["first_bad_step"]
    return row["outcome"] if step is None else f"{row['outcome']} at step {step}"
