"""One tidy row per trial and per step, computed from the records by pure functions. Standard library only.

results/README.md documents every column. A quantity that does not exist is None, never 0 and never NaN; units are in
the names. Statistics of time are taken over the steps after the warm-up.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict
from itertools import pairwise
from typing import Any

from suite.decode import encode
from suite.readings import HardwareState
from suite.record import StepTrace, TrialRecord

__all__ = ["overflow_counts", "step_rows", "trial_row"]

FINAL_SHARE = 0.1
"""The first and the final loss are means over this share of the steps, so that one lucky batch says nothing."""


def trial_row(record: TrialRecord, run: str) -> dict[str, Any]:
    """The row of trials.parquet."""
    spec, memory, energy = record.spec, record.memory, record.energy
    return {
        "run": run,
        "trial": spec.trial_id,
        "order": record.order,
        "workload": spec.workload,
        "precision": spec.precision,
        "seed": spec.seed,
        "repeat": spec.repeat,
        "profile": spec.profile,
        "device": spec.device,
        "threads": spec.threads,
        "outcome": record.outcome.value,
        "reason": record.reason,
        "emulation": record.emulation,
        "first_bad_step": record.first_bad_step,
        "started_at": record.started_at,
        "start_seconds": record.start_seconds,
        "build_seconds": record.build_seconds,
        "evaluate_seconds": record.evaluate_seconds,
        "total_seconds": record.total_seconds,
        "batch_size": spec.setup.batch_size,
        "accumulation": spec.setup.accumulation,
        "samples_per_step": record.samples_per_step,
        "tokens_per_step": record.tokens_per_step,
        "flops_per_step": record.flops_per_step,
        "optimizer": spec.setup.optimizer.name,
        "deterministic": spec.deterministic,
        **_step_columns(record),
        **_ceiling_columns(record),
        **_compilation_columns(record),
        **_flush_columns(record),
        "operators": _json(encode(record.operators)) if record.operators else None,
        "operators_reason": record.operators_reason,
        **{name: value for name, value in asdict(memory).items() if name != "reasons"},
        "memory_reasons": _json(memory.reasons),
        "energy_joules": energy.joules,
        "energy_joules_per_sample": _per(energy.joules, (energy.steps or 0) * (record.samples_per_step or 0)),
        "energy_source": energy.source,
        "energy_reason": energy.reason,
        **_hardware_columns(record),
        **_quality_columns(record),
        "effective_precision": record.attestation.effective if record.attestation else None,
        "attestation": _json(encode(record.attestation)) if record.attestation else None,
        "initial_sha256": record.initial_sha256,
        "parameters_sha256": record.parameters_sha256,
        "losses_sha256": record.losses_sha256,
        "setup_sha256": spec.setup_sha256,
        "workload_sha256": record.workload_sha256,
        "cautions": _json(encode(record.cautions)),
        "spec": _json(encode(spec)),
        "log_tail": record.log_tail,
    }


def step_rows(record: TrialRecord, run: str) -> list[dict[str, Any]]:
    """The rows of steps.parquet: every step, the warm-up included and marked."""
    trace = record.steps
    if trace is None:
        return []
    return [
        {
            "run": run,
            "trial": record.spec.trial_id,
            "step": step,
            "warmup": step < trace.warmup_steps,
            "seconds": None if record.spec.deterministic else trace.seconds[step],
            "loss": trace.losses[step],
            "gradient_norm": trace.gradient_norms[step],
            "overflowed": trace.overflowed[step],
            "scale": trace.scales[step] if trace.scales else None,
        }
        for step in range(len(trace.seconds))
    ]


def overflow_counts(trace: StepTrace) -> tuple[int, int]:
    """Overflowed steps before the first applied one (calibration of a dynamic scale), and after it (steady state).

    Without a scaler nothing is skipped, so every overflow is steady state.
    """
    total = sum(trace.overflowed)
    if not trace.skips_overflow:
        return 0, total
    calibration = next((step for step, flag in enumerate(trace.overflowed) if not flag), len(trace.overflowed))
    return calibration, total - calibration


def _step_columns(record: TrialRecord) -> dict[str, Any]:
    """All that comes from the steps; the columns stay empty for a trial that has none."""
    trace = record.steps
    if trace is None:
        return {}
    columns = _time_columns(record, trace) | _training_columns(trace)
    if trace.scales is not None and trace.last_scale is not None:
        columns |= _scale_columns((*trace.scales, trace.last_scale))
    return columns


def _time_columns(record: TrialRecord, trace: StepTrace) -> dict[str, Any]:
    if record.spec.deterministic:
        return {"steps": len(trace.seconds)}  # never timed: its kernels are not the ones that training uses
    timed = trace.seconds[trace.warmup_steps :]
    seconds = math.fsum(timed)
    return {
        "steps": len(trace.seconds),
        "warmup_steps": trace.warmup_steps,
        "timed_steps": len(timed),
        "timed_seconds": seconds,
        "step_seconds_median": statistics.median(timed),
        "step_seconds_p95": _quantile(timed, 0.95),
        "step_seconds_min": min(timed),
        "step_seconds_q10": _quantile(timed, 0.10),
        "samples_per_second": _rate(record.samples_per_step, len(timed), seconds),
        "tokens_per_second": _rate(record.tokens_per_step, len(timed), seconds),
        # A skipped step costs its time and teaches nothing.
        "effective_samples_per_second": _rate(record.samples_per_step, _applied(trace), seconds),
    }


def _applied(trace: StepTrace) -> int:
    """Timed steps that changed the parameters."""
    timed = trace.overflowed[trace.warmup_steps :]
    return len(timed) - (sum(timed) if trace.skips_overflow else 0)


def _ceiling_columns(record: TrialRecord) -> dict[str, Any]:
    """How much of what the device could do the training did; a skipped step did nothing."""
    ceiling, trace = record.ceiling, record.steps
    achieved = None
    if trace is not None and not record.spec.deterministic:
        achieved = _rate(record.flops_per_step, _applied(trace), math.fsum(trace.seconds[trace.warmup_steps :]))
    return {
        "peak_flops_per_second": ceiling.peak_flops_per_second,
        "peak_source": ceiling.peak_source,
        "mfu": _per(achieved, ceiling.peak_flops_per_second),
        "matmul_flops_per_second": ceiling.matmul_flops_per_second,
        "matmul_utilisation": _per(achieved, ceiling.matmul_flops_per_second),
        "ceiling_reasons": _json(ceiling.reasons),
    }


def _compilation_columns(record: TrialRecord) -> dict[str, Any]:
    done = record.compilation
    if done is None:
        return {"compiled": record.spec.setup.compile}
    return {
        "compiled": True,
        "compile_seconds": done.seconds,
        "graphs": done.graphs,
        "graph_breaks": done.graph_breaks,
        "graph_break_reasons": _json(done.break_reasons),
        "recompiled_in_window": done.recompiled_in_window,
    }


def _flush_columns(record: TrialRecord) -> dict[str, Any]:
    flush = record.flush
    if flush is None:
        return {"flush_reason": record.flush_reason}
    return {
        "flush_scale": flush.scale,
        "flushed_share": _per(flush.flushed, flush.values),
        "overflowed_share": _per(flush.overflowed, flush.values),
        "flush_reason": record.flush_reason,
    }


def _hardware_columns(record: TrialRecord) -> dict[str, Any]:
    hardware = record.hardware
    during = hardware.during or HardwareState()
    return {
        "sm_clock_mhz_lowest": during.sm_clock_mhz,
        "temperature_celsius_highest": during.temperature_celsius,
        "power_watts_mean": during.power_watts,
        "clock_reasons": None if during.clock_reasons is None else _json(during.clock_reasons),
        "foreign_cpu_share": during.foreign_cpu_share,
        "steal_share": during.steal_share,
        "hardware": _json(encode(hardware)),
    }


def _training_columns(trace: StepTrace) -> dict[str, Any]:
    share = max(1, int(FINAL_SHARE * len(trace.losses)))
    calibration, steady = overflow_counts(trace)
    return {
        "first_loss": _mean(trace.losses[:share]),
        "final_loss": _mean(trace.losses[-share:]),
        "overflow_count": calibration + steady,
        "overflow_calibration_count": calibration,
        "overflow_steady_count": steady,
        "overflow_steps": _json([step for step, flag in enumerate(trace.overflowed) if flag]),
        "skipped_steps": calibration + steady if trace.skips_overflow else 0,
        "longest_skip_run": _longest_run(trace.overflowed) if trace.skips_overflow else 0,
    }


def _scale_columns(scales: Sequence[float]) -> dict[str, Any]:
    """`scales` of every step and, last, after the last update."""
    pairs = list(pairwise(scales))
    return {
        "scale_first": scales[0],
        "scale_settled": _settled(scales),
        "scale_last": scales[-1],
        "scale_lowest": min(scales),
        "scale_highest": max(scales),
        "scale_growths": sum(after > before for before, after in pairs),
        "scale_backoffs": sum(after < before for before, after in pairs),
    }


def _settled(scales: Sequence[float]) -> float:
    """The scale that most steps of the last half were computed with; of two, the lower."""
    half = sorted(scales[len(scales) // 2 :])
    return max(half, key=half.count)


def _quality_columns(record: TrialRecord) -> dict[str, Any]:
    quality = record.quality
    return {
        "quality_metric": quality.primary if quality else None,
        "quality": _finite(quality.metrics[quality.primary]) if quality else None,
        "quality_baseline": quality.baseline if quality else None,
        "quality_baseline_name": quality.baseline_name if quality else None,
        "quality_higher_is_better": quality.higher_is_better if quality else None,
        "quality_metrics": _json(encode(quality.metrics)) if quality else None,
    }


def _longest_run(flags: Sequence[bool]) -> int:
    longest = run = 0
    for flag in flags:
        run = run + 1 if flag else 0
        longest = max(longest, run)
    return longest


def _quantile(values: Sequence[float], share: float) -> float:
    """Linear interpolation between order statistics (numpy's default)."""
    ordered = sorted(values)
    position = share * (len(ordered) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (position - below) * (ordered[above] - ordered[below])


def _mean(values: Sequence[float]) -> float | None:
    """None where a value is not finite: there is no mean of +inf and -inf."""
    return statistics.fmean(values) if all(map(math.isfinite, values)) else None


def _rate(per_step: int | None, steps: int, seconds: float) -> float | None:
    return _per(per_step * steps, seconds) if per_step else None


def _per(amount: float | None, of: float | None) -> float | None:
    return amount / of if amount is not None and of else None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
