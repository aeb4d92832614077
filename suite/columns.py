"""Names and pandas types of the stored columns, in their order. results/README.md says what each one means.

Missing numbers are null in the file and NaN or NA in pandas; `Int64` and `boolean` are the types that can hold both.
"""

from __future__ import annotations

__all__ = ["MEMORY_LAYERS", "RATE", "STEP_COLUMNS", "TRIAL_COLUMNS"]

RATE = "effective_samples_per_second"
"""What speeds are compared by: a skipped step takes time and teaches nothing."""
MEMORY_LAYERS = ("peak_allocated_bytes", "peak_device_bytes", "peak_rss_bytes")
"""The best first: a ratio of memory is of the first that both sides have."""


def _table(text: str) -> dict[str, str]:
    columns: dict[str, str] = {}
    for line in text.strip().splitlines():
        kind, _, names = line.strip().partition(": ")
        columns |= dict.fromkeys(names.split(), kind)
    return columns


TRIAL_COLUMNS = _table(
    """
    str: run trial
    Int64: order
    str: workload precision
    Int64: seed repeat
    str: profile device
    Int64: threads
    str: outcome reason emulation
    Int64: first_bad_step
    str: started_at
    float64: start_seconds build_seconds evaluate_seconds total_seconds
    Int64: batch_size accumulation samples_per_step tokens_per_step flops_per_step
    str: optimizer
    boolean: deterministic
    Int64: steps warmup_steps timed_steps
    float64: timed_seconds step_seconds_median step_seconds_p95 step_seconds_min step_seconds_q10
    float64: samples_per_second tokens_per_second effective_samples_per_second
    float64: first_loss final_loss
    Int64: overflow_count overflow_calibration_count overflow_steady_count
    str: overflow_steps
    Int64: skipped_steps longest_skip_run
    float64: scale_first scale_settled scale_last scale_lowest scale_highest
    Int64: scale_growths scale_backoffs
    float64: peak_flops_per_second
    str: peak_source
    float64: mfu matmul_flops_per_second matmul_utilisation
    str: ceiling_reasons
    boolean: compiled
    float64: compile_seconds
    Int64: graphs graph_breaks
    str: graph_break_reasons
    Int64: recompiled_in_window
    float64: flush_scale flushed_share overflowed_share
    str: flush_reason operators operators_reason
    Int64: peak_allocated_bytes peak_allocated_bytes_with_warmup peak_reserved_bytes allocator_retries
    Int64: peak_device_bytes peak_process_bytes peak_rss_bytes peak_rss_bytes_with_warmup rss_before_bytes
    str: device_source
    str: memory_reasons
    float64: energy_joules energy_joules_per_sample
    str: energy_source energy_reason
    float64: sm_clock_mhz_lowest temperature_celsius_highest power_watts_mean
    str: clock_reasons
    float64: foreign_cpu_share steal_share
    str: hardware quality_metric
    float64: quality quality_baseline
    str: quality_baseline_name
    boolean: quality_higher_is_better
    str: quality_metrics effective_precision attestation initial_sha256 parameters_sha256 losses_sha256 setup_sha256
    str: workload_sha256 cautions spec log_tail
    """
)

STEP_COLUMNS = _table(
    """
    str: run trial
    Int64: step
    boolean: warmup
    float64: seconds loss gradient_norm
    boolean: overflowed
    float64: scale
    """
)
