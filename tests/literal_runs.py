"""Runs made of literal records: what the report's tests look at, without training anything."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from suite import store
from suite.readings import Ceiling, Compilation, Energy, FlushShare, Hardware, HardwareState, Memory
from suite.record import (
    Attestation,
    Caution,
    Environment,
    Outcome,
    Quality,
    StepTrace,
    TrialRecord,
)
from suite.spec import OptimizerSpec, Plan, Profile, ScalerSpec, Setup, TrialSpec, expand

GIB = 1024**3
SETUP = Setup(steps=10, warmup_steps=2, batch_size=4, optimizer=OptimizerSpec("adamw", 1e-3))
ENVIRONMENT = Environment(
    device="cuda:0",
    device_name="Example GPU",
    device_memory_bytes=16 * GIB,
    compute_capability="9.0",
    device_count=1,
    driver="1.2",
    cuda="13.0",
    cudnn="9.1",
    nccl=None,
    mig=None,
    ecc="on",
    power_limit_watts=700.0,
    persistence="on",
    torch="2.14.1",
    torchvision=None,
    transformers="5.0",
    python="3.12.1",
    os="Linux",
    cpu="Example CPU",
    cpu_count=8,
    threads=2,
    cpu_instructions="AVX2",
    container=None,
    ampmark="0.1",
    git_commit="0123abc",
    git_dirty=False,
    variables={"OMP_NUM_THREADS": "2"},
)


def plan_of(
    workloads: Sequence[str] = ("gpt",),
    precisions: Sequence[str] = ("fp32", "bf16"),
    *,
    seeds: tuple[int, ...] = (0,),
    repeats: int = 1,
    setup: Setup = SETUP,
    device: str = "cuda:0",
) -> Plan:
    """The plan that `ampmark run` would make."""
    sizes = dict.fromkeys(workloads, setup)
    profile = Profile("tiny", "for tests", tuple(precisions), sizes, seeds=seeds, repeats=repeats)
    return expand(profile, device=device, threads=2)


def steps_of(
    seconds: float = 0.010,
    losses: Sequence[float] = (),
    *,
    count: int = 10,
    warmup: int = 2,
    scales: Sequence[float] | None = None,
    overflowed: Iterable[int] = (),
) -> StepTrace:
    """A trace whose timed steps all take `seconds`, and whose warm-up steps take three times as long."""
    losses = tuple(losses) or tuple(3.0 - 0.1 * step for step in range(count))
    flags = set(overflowed)
    return StepTrace(
        seconds=tuple(3 * seconds if step < warmup else seconds for step in range(count)),
        losses=losses,
        gradient_norms=tuple(math.inf if step in flags else 1.0 for step in range(count)),
        overflowed=tuple(step in flags for step in range(count)),
        scales=None if scales is None else tuple(scales),
        skips_overflow=scales is not None,
        last_scale=None if scales is None else scales[-1],
        warmup_steps=warmup,
    )


def quality_of(accuracy: float) -> Quality:
    """Accuracy against a majority class of 0.5."""
    return Quality({"accuracy": accuracy, "loss": 1.0}, "accuracy", True, 0.5, "majority class")


def measured(
    spec: TrialSpec, seconds: float = 0.010, *, allocated: int | None = GIB, accuracy: float = 0.8, **changes: Any
) -> TrialRecord:
    """A trial that finished; `changes` replaces fields of the record."""
    record = TrialRecord(
        spec=spec,
        outcome=Outcome.OK,
        started_at="2026-01-02T03:04:05+00:00",
        start_seconds=0.1,
        total_seconds=5.0,
        build_seconds=1.0,
        evaluate_seconds=0.5,
        samples_per_step=4,
        tokens_per_step=256,
        flops_per_step=1_000_000,
        steps=steps_of(seconds),
        memory=Memory(
            peak_allocated_bytes=allocated,
            peak_rss_bytes=2 * GIB,
            reasons={"peak_process_bytes": "hidden by the container"}
            | ({"peak_allocated_bytes": "torch keeps no statistics here"} if allocated is None else {}),
        ),
        energy=Energy(reason="the window is shorter than 2 s"),
        quality=quality_of(accuracy),
        attestation=Attestation("fp32", {"aten.mm/float32": 8}, {"matmul": 2.1e-7}, {"cuda.matmul": "ieee"}),
        parameters_sha256="a" * 64,
        losses_sha256="b" * 64,
        workload_sha256="c" * 64,
    )
    return replace(record, **changes)


def instrumented(spec: TrialSpec, seconds: float = 0.010, **changes: Any) -> TrialRecord:
    """A trial of which every instrument could read something: 4e15 FLOPs in a step of 10 ms are 4e17 a second."""
    at_rest = HardwareState(sm_clock_mhz=1200.0, temperature_celsius=41.0, power_watts=120.0, power_limit_watts=700.0)
    window = HardwareState(
        sm_clock_mhz=1755.0,
        temperature_celsius=71.0,
        power_watts=640.0,
        power_limit_watts=700.0,
        clock_reasons=("software power cap",),
        foreign_cpu_share=0.031,
        steal_share=0.0,
    )
    scales = (65536.0, 32768.0, 16384.0, 16384.0, 16384.0, 16384.0, 32768.0, 16384.0, 16384.0, 16384.0)
    known: dict[str, Any] = {
        "steps": steps_of(seconds, scales=scales, overflowed=(0, 1, 6)),
        "flops_per_step": 4_000_000_000_000,
        "ceiling": Ceiling(1e15, "vendor's datasheet, dense", 8e14, (8192, 8192, 8192)),
        "hardware": Hardware(at_rest, window, at_rest, {"memory_clock_mhz": "not told", "run_queue": "not told"}),
        "compilation": Compilation(12.3, 2, 1, 0, ("a call of print",)),
        "flush": FlushShare(16384.0, 1000, 123, 0),
        "energy": Energy(512.0, 8, "NVML total energy counter"),
        "initial_sha256": "d" * 64,
    }
    return measured(spec, seconds, **(known | changes))


def emulated(spec: TrialSpec, seconds: float = 0.360, **changes: Any) -> TrialRecord:
    """A trial without hardware support."""
    why = "this CPU has no arithmetic for it"
    return measured(spec, seconds, **({"outcome": Outcome.EMULATED, "reason": why, "emulation": why} | changes))


def stopped(spec: TrialSpec, outcome: Outcome, reason: str, **changes: Any) -> TrialRecord:
    """A trial without numbers."""
    return TrialRecord(spec, outcome, "2026-01-02T03:04:05+00:00", reason=reason, **changes)


def diverged(spec: TrialSpec, step: int = 6) -> TrialRecord:
    """A trial whose loss is NaN from `step` on."""
    losses = tuple(3.0 - 0.1 * n if n < step else math.nan for n in range(10))
    trace = steps_of(losses=losses, overflowed=range(step, 10))
    reason = f"the loss was not finite at step {step}, and the step was applied."
    return stopped(spec, Outcome.DIVERGED, reason, steps=trace, first_bad_step=step, samples_per_step=4)


def caution(code: str = "clock_throttled", message: str = "The clock was held back.") -> Caution:
    """One caution."""
    return Caution(code, message)


def run_of(
    folder: Path,
    plan: Plan,
    records: Mapping[tuple[str, str], TrialRecord] | Iterable[TrialRecord],
    *,
    environment: Environment = ENVIRONMENT,
    seal: bool = True,
) -> store.Run:
    """The records stored and loaded again, as every report sees them."""
    writer = store.create_run(folder, plan, environment, "ampmark run --profile tiny")
    for order, record in enumerate(records):
        writer.append(replace(record, order=order), "log\n")
    return writer.seal() if seal else store.load_run(writer.folder)


def scaler() -> ScalerSpec:
    """Loss scaling that settles quickly."""
    return ScalerSpec(growth_interval=4)
