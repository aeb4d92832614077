"""Rows of the stored tables from literal records: known answers, and what is missing stays missing."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import records

from suite.columns import STEP_COLUMNS, TRIAL_COLUMNS
from suite.readings import (
    Ceiling,
    Compilation,
    Energy,
    FlushShare,
    Hardware,
    HardwareState,
    Memory,
    OperatorProfile,
    OperatorTime,
)
from suite.record import Caution, Outcome, Quality, StepTrace, TrialRecord
from suite.rows import overflow_counts, step_rows, trial_row


def _row(**fields: Any) -> dict[str, Any]:
    return trial_row(records.record(**fields), "run1")


def _trace(**fields: Any) -> StepTrace:
    return records.trace(**fields)


def _flags(text: str) -> tuple[bool, ...]:
    """`"x.."` is one overflowed step and two good ones."""
    return tuple(mark == "x" for mark in text)


def test_a_row_of_a_scaled_trial_has_exactly_the_documented_columns_in_their_order() -> None:
    row = _row(
        steps=_trace(scales=(1.0,) * records.STEPS, last_scale=1.0),
        compilation=Compilation(seconds=1.0, graphs=1, graph_breaks=0, recompiled_in_window=0),
        flush=FlushShare(scale=1.0, values=1, flushed=0, overflowed=0),
    )
    assert list(row) == list(TRIAL_COLUMNS)


def test_a_row_of_a_trial_without_steps_has_none_but_documented_columns() -> None:
    row = _row(outcome=Outcome.CRASHED)
    assert [name for name in TRIAL_COLUMNS if name in row] == list(row)


def test_a_step_row_has_exactly_the_documented_columns_in_their_order() -> None:
    assert list(step_rows(records.record(), "run1")[0]) == list(STEP_COLUMNS)


def test_a_row_says_which_trial_it_is() -> None:
    row = trial_row(records.record(spec=records.spec("lstm", "bf16", seed=3, repeat=2), order=7), "run1")
    names = ("run", "trial", "order", "workload", "precision", "seed", "repeat", "profile", "device", "threads")
    assert tuple(row[name] for name in names) == ("run1", "lstm-bf16-s3-r2", 7, "lstm", "bf16", 3, 2, "test", "cpu", 2)


def test_times_are_those_of_the_steps_after_the_warm_up() -> None:
    # Warm-up: 9, 9. Timed: 1, 2, …, 10.
    row = _row(steps=_trace(seconds=(9.0, 9.0, *map(float, range(10, 0, -1)))))
    assert (row["steps"], row["warmup_steps"], row["timed_steps"], row["timed_seconds"]) == (12, 2, 10, 55.0)
    assert (row["step_seconds_median"], row["step_seconds_min"]) == (5.5, 1.0)
    # Between order statistics: 0.95 × 9 = 8.55 → 9 + 0.55; 0.10 × 9 = 0.9 → 1 + 0.9.
    assert row["step_seconds_p95"] == pytest.approx(9.55)
    assert row["step_seconds_q10"] == pytest.approx(1.9)


@pytest.mark.parametrize("timed", [(3.0,), (1.0, 2.0), (0.5, 0.1, 0.2, 0.9, 0.4, 0.3, 0.8)])
def test_quantiles_are_numpys(timed: tuple[float, ...]) -> None:
    # A single timed step is every quantile of itself.
    steps = len(timed) + 1
    trace = StepTrace((7.0, *timed), (1.0,) * steps, (1.0,) * steps, (False,) * steps, None, False, None, 1)
    row = _row(steps=trace)
    assert row["step_seconds_p95"] == pytest.approx(np.quantile(timed, 0.95))
    assert row["step_seconds_q10"] == pytest.approx(np.quantile(timed, 0.10))
    assert row["step_seconds_median"] == pytest.approx(np.median(timed))


def test_throughput_is_samples_of_the_window_over_seconds_of_the_window() -> None:
    # 10 timed steps of 4 samples and 64 tokens in 9 × 1 s + 31 s: the mean of rates would be 3.6.
    row = _row(steps=_trace(seconds=(5.0, 5.0, *[1.0] * 9, 31.0)))
    assert row["samples_per_second"] == 1.0
    assert row["tokens_per_second"] == 16.0
    assert row["effective_samples_per_second"] == 1.0


def test_effective_throughput_leaves_out_the_skipped_steps_of_the_window() -> None:
    # Overflows at 0 (warm-up) and at 3 and 4: 8 of 10 timed steps taught something.
    trace = _trace(step_seconds=0.5, overflow_steps=(0, 3, 4), skips_overflow=True)
    row = _row(steps=trace)
    assert row["samples_per_second"] == 8.0
    assert row["effective_samples_per_second"] == pytest.approx(6.4)


def test_an_overflow_that_is_not_skipped_takes_nothing_from_the_effective_throughput() -> None:
    row = _row(steps=_trace(step_seconds=0.5, overflow_steps=(3, 4), skips_overflow=False))
    assert row["effective_samples_per_second"] == row["samples_per_second"] == 8.0


def test_a_rate_of_an_unknown_number_of_samples_or_tokens_is_missing() -> None:
    row = _row(samples_per_step=None, tokens_per_step=None, energy=Energy(joules=10.0, steps=5))
    names = ("samples_per_second", "effective_samples_per_second", "tokens_per_second", "energy_joules_per_sample")
    assert [row[name] for name in names] == [None, None, None, None]


@pytest.mark.parametrize(
    ("flags", "skips", "expected"),
    [
        ("....", True, (0, 0)),
        ("xx.x", True, (2, 1)),
        (".xx.", True, (0, 2)),
        ("xxxx", True, (4, 0)),
        ("xx.x", False, (0, 3)),
        ("xxxx", False, (0, 4)),
    ],
)
def test_overflows_before_the_first_applied_step_are_calibration(
    flags: str, skips: bool, expected: tuple[int, int]
) -> None:
    steps = len(flags)
    trace = replace(
        _trace(),
        seconds=(0.1,) * steps,
        losses=(1.0,) * steps,
        gradient_norms=(1.0,) * steps,
        scales=None,
        overflowed=_flags(flags),
        skips_overflow=skips,
        warmup_steps=1,
    )
    assert overflow_counts(trace) == expected


def test_overflow_columns_of_a_scaled_trial() -> None:
    row = _row(steps=_trace(overflowed=_flags("xx..xxx...x."), skips_overflow=True))
    assert row["overflow_count"] == 6
    assert (row["overflow_calibration_count"], row["overflow_steady_count"]) == (2, 4)
    assert row["overflow_steps"] == "[0, 1, 4, 5, 6, 10]"
    assert (row["skipped_steps"], row["longest_skip_run"]) == (6, 3)


def test_overflow_columns_without_a_scaler() -> None:
    row = _row(steps=_trace(overflowed=_flags("xx..xxx...x.")))
    assert (row["overflow_count"], row["overflow_calibration_count"], row["overflow_steady_count"]) == (6, 0, 6)
    assert (row["skipped_steps"], row["longest_skip_run"]) == (0, 0)


def test_no_overflow_is_a_measured_zero() -> None:
    row = _row()
    assert (row["overflow_count"], row["overflow_steps"]) == (0, "[]")


def test_scale_columns_count_growths_and_back_offs_the_last_update_included() -> None:
    scales = (8.0, 4.0, 2.0, 2.0, 4.0, 4.0, 8.0, 8.0, 8.0, 4.0, 4.0, 4.0)
    row = _row(steps=_trace(scales=scales, last_scale=16.0, skips_overflow=True))
    names = ("scale_first", "scale_last", "scale_lowest", "scale_highest", "scale_growths", "scale_backoffs")
    assert [row[name] for name in names] == [8.0, 16.0, 2.0, 16.0, 3, 3]


def test_without_loss_scaling_there_are_no_scale_columns() -> None:
    assert [name for name in _row() if name.startswith("scale_")] == []


def test_first_and_final_loss_are_means_over_a_tenth_of_the_steps() -> None:
    losses = tuple(float(value) for value in range(20))
    trace = StepTrace((1.0,) * 20, losses, (1.0,) * 20, (False,) * 20, None, False, None, 0)
    row = _row(steps=trace)
    assert (row["first_loss"], row["final_loss"]) == (0.5, 18.5)


def test_of_fewer_than_ten_steps_the_first_and_the_last_count() -> None:
    trace = StepTrace((1.0,) * 3, (4.0, 2.0, 1.0), (1.0,) * 3, (False,) * 3, None, False, None, 0)
    row = _row(steps=trace)
    assert (row["first_loss"], row["final_loss"]) == (4.0, 1.0)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_mean_over_a_loss_that_is_not_finite_is_missing(bad: float) -> None:
    row = _row(steps=_trace(losses=(*[1.0] * 11, bad)))
    assert (row["first_loss"], row["final_loss"]) == (1.0, None)


def test_infinite_losses_of_both_signs_have_no_mean() -> None:
    trace = StepTrace((1.0,) * 20, (math.inf, -math.inf) * 10, (1.0,) * 20, (False,) * 20, None, False, None, 0)
    row = _row(steps=trace)
    assert (row["first_loss"], row["final_loss"]) == (None, None)


def test_energy_is_given_per_sample_of_its_own_steps() -> None:
    row = _row(energy=Energy(joules=120.0, steps=10, source="counter"))
    assert (row["energy_joules"], row["energy_joules_per_sample"], row["energy_source"]) == (120.0, 3.0, "counter")


def test_missing_energy_and_memory_stay_missing_with_their_reasons() -> None:
    row = _row(memory=Memory(reasons={"peak_rss_bytes": "no /proc"}), energy=Energy(reason="too short"))
    assert (row["energy_joules"], row["energy_joules_per_sample"], row["energy_reason"]) == (None, None, "too short")
    assert row["peak_rss_bytes"] is None
    assert json.loads(row["memory_reasons"]) == {"peak_rss_bytes": "no /proc"}


def test_quality_columns() -> None:
    quality = Quality({"loss": 0.25, "accuracy": 0.75}, "accuracy", True, 0.5, "majority class")
    row = _row(quality=quality)
    assert (row["quality_metric"], row["quality"], row["quality_baseline"]) == ("accuracy", 0.75, 0.5)
    assert (row["quality_baseline_name"], row["quality_higher_is_better"]) == ("majority class", True)
    assert json.loads(row["quality_metrics"]) == {"accuracy": 0.75, "loss": 0.25}


def test_a_quality_that_is_not_a_number_is_missing_but_kept_among_the_metrics() -> None:
    row = _row(quality=Quality({"loss": math.nan}, "loss", False, 1.0, "mean"))
    assert row["quality"] is None
    assert row["quality_metrics"] == '{"loss": "nan"}'


def test_a_trial_without_numbers_has_its_outcome_and_reason_and_no_number() -> None:
    row = _row(outcome=Outcome.OUT_OF_MEMORY, reason="too big", samples_per_step=None)
    assert (row["outcome"], row["reason"]) == ("out of memory", "too big")
    numbers = [name for name, kind in TRIAL_COLUMNS.items() if kind in ("float64", "Int64", "boolean")]
    known_before = {"order", "seed", "repeat", "threads", "batch_size", "accumulation"} | {
        "deterministic",
        "compiled",
    }
    assert {name for name in numbers if row.get(name) is not None} == known_before


def test_utilisation_is_the_applied_work_of_the_window_over_what_the_device_could_do() -> None:
    # 8 of 10 timed steps of half a second were applied: 8 × 1000 FLOPs in 5 s = 1600 per second.
    trace = _trace(step_seconds=0.5, overflow_steps=(3, 4), skips_overflow=True)
    ceiling = Ceiling(6400.0, "a table", 3200.0, (8, 8, 8))
    row = _row(steps=trace, flops_per_step=1000, ceiling=ceiling)
    assert (row["mfu"], row["matmul_utilisation"]) == (0.25, 0.5)
    unknown = _row(steps=trace, flops_per_step=1000, ceiling=Ceiling(reasons={"peak_flops_per_second": "not listed"}))
    assert (unknown["mfu"], unknown["matmul_utilisation"]) == (None, None)
    assert json.loads(unknown["ceiling_reasons"]) == {"peak_flops_per_second": "not listed"}


def test_compilation_has_its_columns_and_an_eager_trial_has_none() -> None:
    row = _row(compilation=Compilation(12.5, 3, 2, 1, ("print", "a list of tensors")))
    assert (row["compiled"], row["compile_seconds"], row["graphs"], row["graph_breaks"]) == (True, 12.5, 3, 2)
    assert (row["recompiled_in_window"], row["graph_break_reasons"]) == (1, '["print", "a list of tensors"]')
    assert _row()["compiled"] is False
    assert "graph_break_reasons" not in _row()


def test_flushed_shares_are_of_the_values_looked_at() -> None:
    row = _row(flush=FlushShare(scale=1024.0, values=200, flushed=50, overflowed=1))
    assert (row["flush_scale"], row["flushed_share"], row["overflowed_share"]) == (1024.0, 0.25, 0.005)
    assert _row(flush=FlushShare(scale=1.0, values=0, flushed=0, overflowed=0))["flushed_share"] is None


def test_without_a_flushed_share_the_row_says_why() -> None:
    row = _row(flush_reason="bf16 does not hold gradients in float16")
    assert row["flush_reason"] == "bf16 does not hold gradients in float16"
    assert "flushed_share" not in row


def test_the_settled_scale_is_that_of_most_steps_of_the_last_half() -> None:
    # 12 steps and the scale after them: of the last seven, three have 8 and three 4: the lower counts.
    scales = (64.0, 32.0, 16.0, 16.0, 16.0, 16.0, 8.0, 8.0, 8.0, 4.0, 4.0, 4.0)
    row = _row(steps=_trace(scales=scales, last_scale=2.0))
    assert (row["scale_first"], row["scale_settled"], row["scale_last"]) == (64.0, 4.0, 2.0)


def test_the_hardware_of_the_window_has_columns_and_the_rest_is_json() -> None:
    during = HardwareState(sm_clock_mhz=1980.0, temperature_celsius=61.0, clock_reasons=("power cap",), steal_share=0.1)
    row = _row(hardware=Hardware(during=during, reasons={"power_watts": "not told"}))
    assert (row["sm_clock_mhz_lowest"], row["temperature_celsius_highest"], row["steal_share"]) == (1980.0, 61.0, 0.1)
    assert (row["clock_reasons"], row["power_watts_mean"]) == ('["power cap"]', None)
    assert json.loads(row["hardware"])["reasons"] == {"power_watts": "not told"}


def test_json_columns_hold_everything() -> None:
    record = records.record(cautions=(Caution("clock_throttled", "cool it"),))
    row = trial_row(record, "run1")
    assert json.loads(row["cautions"]) == [{"code": "clock_throttled", "message": "cool it"}]
    assert json.loads(row["spec"])["setup"]["optimizer"]["name"] == "sgd"
    assert json.loads(row["attestation"])["operations"] == {"aten.addmm/float32": 3}
    assert row["effective_precision"] == "fp32"
    assert row["setup_sha256"] == record.spec.setup_sha256


def test_every_step_has_a_row_and_the_warm_up_is_marked() -> None:
    trace = StepTrace(
        seconds=(0.3, 0.1, 0.2),
        losses=(2.0, math.inf, 1.0),
        gradient_norms=(1.0, math.nan, 0.5),
        overflowed=(False, True, False),
        scales=(8.0, 8.0, 4.0),
        skips_overflow=True,
        last_scale=4.0,
        warmup_steps=1,
    )
    record: TrialRecord = records.record(steps=trace)
    first, second, third = step_rows(record, "run1")
    assert first == {
        "run": "run1",
        "trial": "gpt-fp32-s0-r0",
        "step": 0,
        "warmup": True,
        "seconds": 0.3,
        "loss": 2.0,
        "gradient_norm": 1.0,
        "overflowed": False,
        "scale": 8.0,
    }
    assert (second["warmup"], second["overflowed"], second["loss"]) == (False, True, math.inf)
    assert (third["step"], third["scale"]) == (2, 4.0)


def test_steps_without_loss_scaling_have_no_scale() -> None:
    assert {row["scale"] for row in step_rows(records.record(), "run1")} == {None}


def test_a_trial_without_steps_has_no_step_rows() -> None:
    assert step_rows(records.record(Outcome.CRASHED), "run1") == []


def test_a_deterministic_trial_has_no_time_in_any_column_and_all_the_rest() -> None:
    ceiling = Ceiling(peak_flops_per_second=1e6, matmul_flops_per_second=1e6)
    spec = records.spec(deterministic=True)
    ordinary, row = _row(ceiling=ceiling), _row(ceiling=ceiling, spec=spec)
    assert set(ordinary) - set(row) == {
        "warmup_steps", "timed_steps", "timed_seconds", "samples_per_second", "tokens_per_second",
        "effective_samples_per_second", *(f"step_seconds_{name}" for name in ("median", "p95", "min", "q10")),
    }  # fmt: skip
    different = {name for name in row if row[name] != ordinary[name]}
    assert different == {"deterministic", "mfu", "matmul_utilisation", "spec", "setup_sha256"}
    assert row["mfu"] is row["matmul_utilisation"] is None
    assert {step["seconds"] for step in step_rows(records.record(spec=spec), "run1")} == {None}


def test_operators_are_json_or_null_with_their_reason() -> None:
    row = _row(operators=OperatorProfile(3, "cpu", (OperatorTime("aten::mm", 2.0, 0.5),)))
    assert json.loads(row["operators"]) == {
        "steps": 3,
        "clock": "cpu",
        "operators": [{"name": "aten::mm", "calls": 2.0, "self_seconds": 0.5}],
    }
    assert row["operators_reason"] is None
    row = _row(operators_reason="profiling failed")
    assert (row["operators"], row["operators_reason"]) == (None, "profiling failed")
