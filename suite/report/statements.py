"""What a cell's details say in full sentences: how it ended, what weakens it, how training went, what was read."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator

from suite.report import numbers
from suite.report.cells import Cell, Row, distinct, from_json, values_of
from suite.report.hardware import hardware_sentence
from suite.report.text import shorten

__all__ = ["CEILING_LABELS", "caution_words", "statements", "unlooked"]

FULL_REASON = 2000
"""Characters of a reason in the details."""
NO_REASON = "no reason was recorded"

CEILING_LABELS = {
    "peak_flops_per_second": "share of the datasheet peak (MFU)",
    "matmul_flops_per_second": "share of a measured matrix product",
}


def statements(cell: Cell) -> Iterator[str]:
    """Sentences in the order in which somebody needs them."""
    yield from _outcomes(cell)
    yield from _cautions(cell)
    yield from _baseline(cell)
    yield from _loss_scale(cell)
    yield from _overflow(cell)
    yield from _gradients(cell)
    yield from _utilisation(cell)
    yield from _compiled(cell)
    yield from _energy(cell)
    yield from hardware_sentence(cell)
    yield from _attested(cell)


def caution_words(cell: Cell) -> list[tuple[str, str]]:
    """Each code with `in 1 of 5 trials: …`, the message being that of the first trial that has it."""
    said: dict[str, tuple[int, str]] = {}
    for (code, message), n in cell.cautions.items():
        before, first = said.get(code, (0, message))
        said[code] = before + n, first
    return [(code, f"in {numbers.of(n, len(cell.trials), 'trial')}: {message}") for code, (n, message) in said.items()]


def _outcomes(cell: Cell) -> Iterator[str]:
    for row in distinct(cell.trials, "outcome", "reason"):
        if row["outcome"] != "ok":
            yield f"Outcome {row['outcome']}: {shorten(row['reason'] or NO_REASON, FULL_REASON)}"
    for row in distinct(cell.trials, "emulation"):
        if row["emulation"] and row["emulation"] != row["reason"]:
            yield f"Emulated: {shorten(row['emulation'], FULL_REASON)}"
    if cell.absent:
        yield f"{numbers.of(cell.absent, len(cell.planned), 'planned trial')} has no record: the run stopped before."


def _cautions(cell: Cell) -> Iterator[str]:
    for (code, message), n in cell.cautions.items():
        trials = numbers.of(n, len(cell.trials), "trial")
        yield f"Caution {shorten(code, 80)} ({trials}): {shorten(message, FULL_REASON)}"


def _baseline(cell: Cell) -> Iterator[str]:
    """Whether training beat a predictor that ignores the input: below it, a quality difference means nothing."""
    qualities, beaten = cell.quality_by_seed(), cell.seeds_beating_baseline()
    if beaten is None:
        return
    verdict = (
        "and beat it" if beaten == len(qualities) else f"and beat it with {numbers.of(beaten, len(qualities), 'seed')}"
    )
    name = shorten(str(cell.first("quality_baseline_name")), 200)
    metric = shorten(str(cell.first("quality_metric")), 100)
    baseline = numbers.number(cell.first("quality_baseline"), 4)
    direction = "higher" if cell.first("quality_higher_is_better") else "lower"
    yield (
        f"Quality had to beat “{name}” ({metric} {baseline}, {direction} is better) "
        f"{verdict if beaten else 'and did not'}: {numbers.number(statistics.fmean(qualities.values()), 4)}."
    )


def _loss_scale(cell: Cell) -> Iterator[str]:
    at = {
        name: numbers.between(numbers.scale, values_of(cell.with_steps, f"scale_{name}"))
        for name in ("settled", "first", "lowest", "highest", "last")
    }
    if at["settled"] == numbers.MISSING:
        return
    if len(set(at.values())) == 1:
        yield f"Loss scale: {at['settled']} in every step."
        return
    growths, backoffs = (
        numbers.count_between(values_of(cell.with_steps, f"scale_{name}")) for name in ("growths", "backoffs")
    )
    yield (
        f"Loss scale: settled at {at['settled']} (first {at['first']}, lowest {at['lowest']}, "
        f"highest {at['highest']}, last {at['last']}); growths: {growths}, back-offs: {backoffs}."
    )


def _overflow(cell: Cell) -> Iterator[str]:
    rows = cell.with_steps
    counts = values_of(rows, "overflow_count")
    if not counts:
        return
    found = f"Overflow: {numbers.count_between(counts)} of {numbers.count_between(values_of(rows, 'steps'))} steps"
    if not any(counts):
        yield f"{found} had an infinite or NaN gradient."
        return
    calibration, steady, skipped, longest = (
        numbers.count_between(values_of(rows, name))
        for name in ("overflow_calibration_count", "overflow_steady_count", "skipped_steps", "longest_skip_run")
    )
    yield (
        f"{found}: {calibration} in calibration (before the first applied step), {steady} in steady state; "
        f"skipped: {skipped}, at most {longest} in a row."
    )


def _gradients(cell: Cell) -> Iterator[str]:
    rows = [row for row in cell.trials if row["flush_scale"] is not None]
    if not rows:
        for row in unlooked(cell):
            yield f"Gradients were not looked at for float16: {shorten(row['flush_reason'], FULL_REASON)}"
        return
    scale = numbers.between(numbers.scale, values_of(rows, "flush_scale"))
    flushed, overflowed = (values_of(rows, name) for name in ("flushed_share", "overflowed_share"))
    if flushed:
        yield (
            f"Gradients after training, multiplied by {scale}: {numbers.between(numbers.share, flushed)} of the "
            f"non-zero values become zero in float16, {numbers.between(numbers.share, overflowed)} infinite."
        )
    else:
        yield f"Gradients after training, multiplied by {scale}: there was no finite non-zero value to look at."


def unlooked(cell: Cell) -> list[Row]:
    """One trial per reason why a cell that computed in float16 has no share of flushed gradients."""
    in_float16 = [row for row in cell.measured if (row["effective_precision"] or "").startswith("fp16")]
    return distinct([row for row in in_float16 if row["flush_reason"]], "flush_reason")


def _utilisation(cell: Cell) -> Iterator[str]:
    if not cell.measured:
        return
    peak, product = cell.values("mfu"), cell.values("matmul_utilisation")
    parts = []
    if peak:
        whole = numbers.between(numbers.operation_rate, cell.values("peak_flops_per_second"))
        source = shorten(str(cell.first("peak_source")), 200)
        parts.append(f"{numbers.between(numbers.share, peak)} of the datasheet peak of {whole} ({source})")
    if product:
        whole = numbers.between(numbers.operation_rate, cell.values("matmul_flops_per_second"))
        parts.append(f"{numbers.between(numbers.share, product)} of the {whole} of a large matrix product beside it")
    if parts:
        yield f"Utilisation: {', '.join(parts)}."
    reasons = from_json(cell.first("ceiling_reasons"), {})
    for values, field in ((peak, "peak_flops_per_second"), (product, "matmul_flops_per_second")):
        if not values:
            why = shorten(reasons.get(field, NO_REASON), FULL_REASON)
            yield f"Utilisation, {CEILING_LABELS[field]}, is not known: {why}"


def _compiled(cell: Cell) -> Iterator[str]:
    rows = [row for row in cell.trials if row["compile_seconds"] is not None]
    if not rows:
        return
    graphs, breaks, again = (
        numbers.count_between(values_of(rows, name)) for name in ("graphs", "graph_breaks", "recompiled_in_window")
    )
    reasons = dict.fromkeys(why for row in rows for why in from_json(row["graph_break_reasons"], []))
    because = f" ({shorten('; '.join(reasons), FULL_REASON)})" if reasons else ""
    yield (
        f"torch.compile: {numbers.between(numbers.seconds, values_of(rows, 'compile_seconds'))} of compilation; "
        f"graphs: {graphs}, graph breaks: {breaks}{because}, compiled again inside the timed window: {again}."
    )


def _energy(cell: Cell) -> Iterator[str]:
    used = cell.median("energy_joules")
    if used is not None:
        each = numbers.joules(cell.median("energy_joules_per_sample"))
        source = shorten(str(cell.first("energy_source")), 200)
        yield f"Energy: {numbers.joules(used)} over the window, {each} per sample ({source})."
        return
    for row in distinct(cell.measured, "energy_reason"):
        yield f"Energy was not measured: {shorten(row['energy_reason'] or NO_REASON, FULL_REASON)}"


def _attested(cell: Cell) -> Iterator[str]:
    found = Counter(row["effective_precision"] for row in cell.trials if row["effective_precision"])
    if found:
        words = ", ".join(
            f"{shorten(name, 200)} ({numbers.of(n, len(cell.trials), 'trial')})" for name, n in found.items()
        )
        yield f"Attested precision, from an operator census and a numerical probe: {words}."
