"""Literal values for tests: specs, records and runs. Every builder takes its dataclass's fields as keywords.

A test states only what it is about; the rest is one CPU trial of 12 steps, of which the first 2 are warm-up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from suite.columns import STEP_COLUMNS, TRIAL_COLUMNS
from suite.readings import Memory
from suite.record import Attestation, Environment, Outcome, Quality, StepTrace, TrialRecord
from suite.rows import step_rows, trial_row
from suite.spec import OptimizerSpec, Plan, ScalerSpec, Setup, TrialSpec
from suite.store import Run, RunInfo, create_run

STEPS = 12
WARMUP = 2


def setup(**fields: Any) -> Setup:
    made = Setup(steps=STEPS, warmup_steps=WARMUP, batch_size=4, optimizer=OptimizerSpec("sgd", 0.1))
    return replace(made, **fields)


def spec(workload: str = "gpt", precision: str = "fp32", seed: int = 0, repeat: int = 0, **fields: Any) -> TrialSpec:
    made = TrialSpec(
        workload=workload,
        precision=precision,
        seed=seed,
        repeat=repeat,
        device="cpu",
        threads=2,
        profile="test",
        timeout_seconds=60.0,
        scaler=ScalerSpec(),
        setup=setup(),
    )
    return replace(made, **fields)


def trace(step_seconds: float = 0.1, overflow_steps: Iterable[int] = (), **fields: Any) -> StepTrace:
    """`STEPS` equal steps without loss scaling; the steps of `overflow_steps` overflow."""
    made = StepTrace(
        seconds=(step_seconds,) * STEPS,
        losses=tuple(float(STEPS - step) for step in range(STEPS)),
        gradient_norms=(1.0,) * STEPS,
        overflowed=tuple(step in set(overflow_steps) for step in range(STEPS)),
        scales=None,
        skips_overflow=False,
        last_scale=None,
        warmup_steps=WARMUP,
    )
    return replace(made, **fields)


def record(outcome: Outcome = Outcome.OK, **fields: Any) -> TrialRecord:
    """A trial that went well; any other outcome but `emulated` leaves out what comes after the training."""
    made = TrialRecord(spec=spec(), outcome=outcome, started_at="2026-01-01T00:00:00+00:00", samples_per_step=4)
    if outcome.measured:
        made = replace(
            made,
            build_seconds=1.5,
            evaluate_seconds=0.5,
            tokens_per_step=64,
            flops_per_step=1000,
            steps=trace(),
            memory=Memory(peak_rss_bytes=300 * 2**20, reasons={"peak_allocated_bytes": "the CPU has no allocator"}),
            quality=Quality({"accuracy": 0.75}, "accuracy", True, 0.5, "majority class"),
            attestation=Attestation("fp32", {"aten.addmm/float32": 3}, {"matmul": 1e-7}),
            losses_sha256="1" * 64,
        )
    return replace(made, **fields)


def cell(seconds: Sequence[float], workload: str = "gpt", precision: str = "fp32", **fields: Any) -> list[TrialRecord]:
    """One record per process, whose every step takes the given time; repeats count from 0."""
    return [
        record(spec=spec(workload, precision, repeat=repeat), steps=trace(value), **fields)
        for repeat, value in enumerate(seconds)
    ]


def environment(**fields: Any) -> Environment:
    made = Environment(
        device="cpu",
        device_name="Test CPU",
        device_memory_bytes=None,
        compute_capability=None,
        device_count=0,
        driver=None,
        cuda=None,
        cudnn=None,
        nccl=None,
        mig=None,
        ecc=None,
        power_limit_watts=None,
        persistence=None,
        torch="2.14.1",
        torchvision="0.29.1",
        transformers="5.0.0",
        python="3.12.0",
        os="Linux 6",
        cpu="Test CPU",
        cpu_count=2,
        threads=2,
        cpu_instructions="AVX2",
        container=None,
        ampmark="0.1.0",
        git_commit="abc",
        git_dirty=False,
    )
    return replace(made, **fields)


def plan(records: Iterable[TrialRecord]) -> Plan:
    """The plan whose outcome these records are."""
    return Plan(profile="test", device="cpu", trials=tuple(record.spec for record in records))


def run(records: Sequence[TrialRecord], name: str = "base", machine: Environment | None = None) -> Run:
    """A complete run in memory, as the judging half sees it."""
    info = RunInfo(
        run=name,
        plan=plan(records),
        environment=machine or environment(),
        command="ampmark run",
        created_at="2026-01-01T00:00:00+00:00",
        sealed_at="2026-01-01T01:00:00+00:00",
    )
    trials = [trial_row(record, name) for record in records]
    steps = [row for record in records for row in step_rows(record, name)]
    return Run(
        Path("nowhere"),
        info,
        pd.DataFrame(trials, columns=list(TRIAL_COLUMNS)).astype(TRIAL_COLUMNS),
        pd.DataFrame(steps, columns=list(STEP_COLUMNS)).astype(STEP_COLUMNS),
    )


def stored(results: Path, records: Sequence[TrialRecord], machine: Environment | None = None) -> Run:
    """A sealed run under a results folder."""
    writer = create_run(results, plan(records), machine or environment(), "ampmark run")
    for item in records:
        writer.append(item, log="")
    return writer.seal()
