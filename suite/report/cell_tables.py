"""The tables of one cell's details: numbers with units, trials, quality, memory layers, attestation, digests."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from typing import Any

from suite.report import numbers
from suite.report.cells import Cell, distinct, from_json, values_of
from suite.report.hardware import hardware_table
from suite.report.tables import Table
from suite.report.text import shorten

__all__ = ["MEMORY_LABELS", "cell_tables"]

MEMORY_LABELS = {
    "peak_allocated_bytes": "peak allocated by torch, after warm-up",
    "peak_allocated_bytes_with_warmup": "peak allocated by torch, with warm-up",
    "peak_reserved_bytes": "peak reserved by torch's allocator",
    "peak_device_bytes": "peak in use on the device (above idle)",
    "peak_process_bytes": "peak of this process on the device",
    "peak_rss_bytes": "peak resident on the host, after warm-up",
    "peak_rss_bytes_with_warmup": "peak resident on the host, with warm-up",
    "rss_before_bytes": "resident on the host before the model",
    "allocator_retries": "allocator retries",
}

_NUMBERS: tuple[tuple[str, str, numbers.Formatter], ...] = (
    ("step time, median", "step_seconds_median", numbers.seconds),
    ("step time, 95th percentile", "step_seconds_p95", numbers.seconds),
    ("step time, 10th percentile", "step_seconds_q10", numbers.seconds),
    ("step time, fastest", "step_seconds_min", numbers.seconds),
    ("throughput", "samples_per_second", numbers.rate),
    ("throughput without skipped steps", "effective_samples_per_second", numbers.rate),
    ("token throughput", "tokens_per_second", lambda value: numbers.rate(value, "tokens")),
    ("arithmetic of a step (analytic)", "flops_per_step", numbers.operations),
    ("steps", "steps", numbers.count),
    ("warm-up steps, not timed", "warmup_steps", numbers.count),
    ("timed window", "timed_seconds", numbers.seconds),
    ("loss, mean of first tenth", "first_loss", lambda value: numbers.number(value, 4)),
    ("loss, mean of last tenth", "final_loss", lambda value: numbers.number(value, 4)),
    ("overflowing steps: calibration", "overflow_calibration_count", numbers.count),
    ("overflowing steps: steady state", "overflow_steady_count", numbers.count),
    ("skipped steps", "skipped_steps", numbers.count),
    ("longest run of skipped steps", "longest_skip_run", numbers.count),
    ("loss scale, settled", "scale_settled", numbers.scale),
    ("loss scale, first", "scale_first", numbers.scale),
    ("loss scale, lowest", "scale_lowest", numbers.scale),
    ("loss scale, highest", "scale_highest", numbers.scale),
    ("loss scale, last", "scale_last", numbers.scale),
    ("loss scale, growths", "scale_growths", numbers.count),
    ("loss scale, back-offs", "scale_backoffs", numbers.count),
    ("gradients that become zero in float16", "flushed_share", numbers.share),
    ("gradients that become infinite in float16", "overflowed_share", numbers.share),
    ("share of the datasheet peak (MFU)", "mfu", numbers.share),
    ("share of a measured matrix product", "matmul_utilisation", numbers.share),
    ("energy per sample", "energy_joules_per_sample", numbers.joules),
    ("compilation", "compile_seconds", numbers.seconds),
    ("compiled graphs", "graphs", numbers.count),
    ("graph breaks", "graph_breaks", numbers.count),
    ("start of the process", "start_seconds", numbers.seconds),
    ("building model and data", "build_seconds", numbers.seconds),
    ("evaluating", "evaluate_seconds", numbers.seconds),
    ("whole trial", "total_seconds", numbers.seconds),
)


def cell_tables(cell: Cell) -> Iterator[Table]:
    """All of them; a table without rows is one the cell has nothing for."""
    yield _number_table(cell)
    yield _trial_table(cell)
    yield _quality_table(cell)
    yield _memory_table(cell)
    yield hardware_table(cell)
    attestation = from_json(cell.first("attestation"), {})
    yield _mapping("Heavy operators of one training step", "Operator and input type", attestation, "operations", str)
    yield _mapping("Probe", "Operator", attestation, "probe_errors", lambda e: f"relative error {numbers.number(e)}")
    yield _mapping("Precision switches, read back", "Switch", attestation, "settings", str)
    yield _digest_table(cell)


def _number_table(cell: Cell) -> Table:
    # A diverged trial has step times and losses too; they are shown where there is nothing better, and said to be.
    rows = cell.measured or cell.trials
    whose = f"{len(rows)} measured" if cell.measured else f"{len(rows)} unfinished"
    body = []
    for label, column, shown in _NUMBERS:
        values = values_of(rows, column)
        if values:
            spread = numbers.between(shown, values) if len(values) > 1 else numbers.MISSING
            body.append((label, shown(statistics.median(values)), spread))
    plural = "process" if len(rows) == 1 else "processes"
    return Table.of(f"Numbers of {whose} {plural}", ("Quantity", "Median", "Lowest to highest"), body)


def _trial_table(cell: Cell) -> Table:
    head = ("Trial", "Outcome", "Started (UTC)", "Median step", "Quality", "Overflowing steps", "First bad step")
    rows = [
        (
            row["trial"],
            row["outcome"],
            row["started_at"][:19].replace("T", " "),
            numbers.seconds(row["step_seconds_median"]),
            numbers.number(row["quality"], 4),
            numbers.count(row["overflow_count"]),
            numbers.count(row["first_bad_step"]),
        )
        for row in cell.trials
    ]
    return Table.of("Trials in the order they ran; the whole log of each is in logs/<trial>.txt", head, rows)


def _quality_table(cell: Cell) -> Table:
    rows = [
        (name, f"seed {seed}", numbers.number(float(value), 4))
        for seed, found in _quality_by_seed(cell).items()
        for name, value in found.items()
    ]
    return Table.of("Held-out quality after training, evaluated in float32", ("Metric", "Seed", "Value"), rows)


def _quality_by_seed(cell: Cell) -> dict[int, dict[str, Any]]:
    return {row["seed"]: from_json(row["quality_metrics"], {}) for row in distinct(cell.measured, "seed")}


def _memory_table(cell: Cell) -> Table:
    if not cell.measured:
        return Table.of("Memory", (), ())
    reasons = from_json(cell.measured[0]["memory_reasons"], {})
    rows = []
    for column, label in MEMORY_LABELS.items():
        shown = numbers.memory if column.endswith("_bytes") or "_bytes_" in column else numbers.count
        values = cell.values(column)
        missing = f"not measured: {shorten(reasons.get(column, 'no reason was recorded'), 300)}"
        source = cell.first("device_source") if column == "peak_device_bytes" and values else None
        how = f" ({shorten(source, 120)})" if source else ""
        rows.append((label, f"{numbers.between(shown, values)}{how}" if values else missing))
    return Table.of("Memory, in layers", ("Layer", "Lowest to highest over processes"), rows)


def _mapping(caption: str, key: str, whole: dict[str, Any], name: str, shown: Callable[[Any], str]) -> Table:
    return Table.of(caption, (key, "Value"), [(k, shown(v)) for k, v in whole.get(name, {}).items()])


def _digest_table(cell: Cell) -> Table:
    columns = {"setup_sha256": "setup", "workload_sha256": "workload source"}
    columns |= {
        "initial_sha256": "initial parameters",
        "losses_sha256": "loss curve",
        "parameters_sha256": "final parameters",
    }
    rows = [
        (label, row[column][:16], f"{sum(other[column] == row[column] for other in cell.trials)}")
        for column, label in columns.items()
        for row in distinct(cell.trials, column)
        if row[column]
    ]
    return Table.of("Digests: first 16 digits of SHA-256", ("Of", "Digest", "Trials that share it"), rows)
