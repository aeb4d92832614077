"""One trial: what is done before and after the training loop.

Order: build → train (timed) → evaluate in float32 → attest → count flushed gradients → profile the operators. The
attestation comes late because its untimed step would disturb the training state (BatchNorm statistics, random-number
streams); it also sees what the switches were during the run, not before it. The profile comes last because its steps
train.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from suite.measure.attestation import attest, objection
from suite.measure.compilation import Execution, execution_of
from suite.measure.device import Arithmetic, Hardware
from suite.measure.digests import digest, digest_of_state
from suite.measure.divergence import divergence
from suite.measure.flush import flush_after_training
from suite.measure.instruments import Instruments
from suite.measure.kernels import by_reference, reported_kernels
from suite.measure.loop import step_trace, train
from suite.measure.meters import Meter, meter_for
from suite.measure.operators import Profiler, profile_steps, profiler_of, reason_for_none
from suite.measure.optimizer import make_optimizer
from suite.measure.precision import Policy, Precision
from suite.measure.switches import pin_arithmetic, process, switches, under
from suite.record import Outcome, Quality, StepTrace, TrialRecord
from suite.spec import TrialSpec
from suite.window import first_observed
from workloads.base import Cost, Workload, derive_seed

__all__ = ["Bench", "run_trial"]


@dataclass(frozen=True)
class Bench:
    """The device under test and the instruments around it; tests put fakes here."""

    device: torch.device
    hardware: Hardware
    instruments: Instruments
    meter: Meter | None = None
    """None takes the device's own."""
    compile_backend: str = "inductor"
    """What torch.compile compiles with, where the spec asks for it."""
    reported_kernels: Callable[[torch.device], AbstractContextManager[Counter[str]]] = reported_kernels
    """Counts oneDNN's kernels of a step."""
    profiler: Callable[[torch.device], Profiler] = profiler_of
    """Sees the operators of a step."""
    phase: Callable[[str], None] = lambda name: None
    """Told when a phase begins; never called inside the loop."""
    keep: Callable[[TrialRecord], None] = lambda record: None
    """Given what is known so far, so that an error in a later phase does not lose it."""


@dataclass(frozen=True)
class _Built:
    """What is trained, and how."""

    workload: Workload
    model: nn.Module
    optimizer: Optimizer
    policy: Policy
    execution: Execution
    precision: Precision


def run_trial(
    spec: TrialSpec, make_workload: Callable[[], Workload], precision: Precision, bench: Bench
) -> TrialRecord:
    """Train, evaluate and attest one trial.

    Raises:
        PrecisionUnsupported: the hardware cannot compute in this precision.
        Exception: whatever the workload raises; the worker turns it into a record.
    """
    started_at = datetime.now(UTC).isoformat(timespec="seconds")
    emulation = precision.emulation(bench.hardware, onednn=spec.setup.onednn)
    _set_process(spec, precision)
    bench.phase("building the model")
    started = time.perf_counter()
    built = _build(spec, make_workload, precision, bench)
    record = TrialRecord(
        spec=spec,
        outcome=Outcome.EMULATED if emulation else Outcome.OK,
        reason=emulation,
        emulation=emulation,
        started_at=started_at,
        build_seconds=time.perf_counter() - started,
        initial_sha256=digest_of_state(built.model),
        **_work_per_step(built.workload.cost(), spec.setup.accumulation),
    )
    bench.phase(f"training {spec.setup.steps} steps")
    record, steps, settings = _trained(record, built, bench)
    bench.keep(record)
    bench.phase("evaluating")
    diverged = divergence(steps, built.model)
    if diverged is None:
        record = _with_quality(record, built.workload, precision.for_evaluation(built.model))
    bench.keep(record)
    bench.phase("attesting the precision")
    record = _attested(record, built, bench, settings, diverged or _worthless(record.quality))
    bench.keep(record)
    bench.phase("counting flushed gradients")
    flush, flush_reason = flush_after_training(
        built.workload, built.model, spec.setup, precision.arithmetic, steps.last_scale
    )
    bench.keep(record := replace(record, flush=flush, flush_reason=flush_reason))
    return _with_operators(record, built, bench)


def _build(spec: TrialSpec, make_workload: Callable[[], Workload], precision: Precision, bench: Bench) -> _Built:
    workload = make_workload()
    model = precision.prepare(workload.model(), spec.setup.optimizer)
    return _Built(
        workload,
        model,
        make_optimizer(model, spec.setup.optimizer),
        precision.policy(bench.device, spec.setup.steps, spec.scaler, spec.setup.clip_norm),
        execution_of(model, compiled=spec.setup.compile, device=bench.device, backend=bench.compile_backend),
        precision,
    )


def _trained(
    record: TrialRecord, built: _Built, bench: Bench
) -> tuple[TrialRecord, StepTrace, Sequence[Mapping[str, str]]]:
    """The record with everything from the loop and around it, its steps, and the precision switches while it ran."""
    setup = record.spec.setup
    torch.manual_seed(derive_seed(record.spec.seed, "dropout"))
    bench.instruments.training_begins()
    meter = bench.meter or meter_for(bench.device, setup.steps)
    settings: list[dict[str, str]] = []
    observe = _in_turn(lambda: settings.append(switches()), bench.instruments.window_begins)
    hooks = observe, built.execution.warmup_ends
    step_seconds, losses = train(
        built.workload, built.execution.model, built.optimizer, built.policy, setup, meter, *hooks
    )
    settings.append(switches())
    window = step_seconds[first_observed(setup.warmup_steps) :]
    observed = bench.instruments.finish(sum(window), len(window))
    compilation, compile_cautions = built.execution.finish()
    steps = step_trace(step_seconds, losses, built.policy, setup.warmup_steps)
    record = replace(
        record,
        steps=steps,
        memory=observed.memory,
        energy=observed.energy,
        hardware=observed.hardware,
        cautions=observed.cautions + compile_cautions,
        compilation=compilation,
        parameters_sha256=digest_of_state(built.model),
        losses_sha256=digest([losses]),
    )
    return record, steps, settings


def _set_process(spec: TrialSpec, precision: Precision) -> None:
    """What holds for the whole process of a trial."""
    torch.set_num_threads(spec.threads)
    torch.backends.mkldnn.set_flags(spec.setup.onednn)
    pin_arithmetic(precision.arithmetic)


def _attested(
    record: TrialRecord,
    built: _Built,
    bench: Bench,
    settings: Sequence[Mapping[str, str]],
    diverged: tuple[int | None, str] | None,
) -> TrialRecord:
    """The record with its evidence and the outcome that follows; emulated also where only the kernels show it."""
    precision = built.precision
    attestation = attest(
        built.workload,
        built.model,
        built.policy,
        bench.device,
        precision,
        built.execution.model,
        bench.reported_kernels,
    )
    record = replace(record, attestation=attestation)
    shown = by_reference(attestation.kernels, precision.arithmetic)
    if record.emulation is None and shown is not None:
        record = replace(record, outcome=Outcome.EMULATED, reason=shown, emulation=shown)
    setup = record.spec.setup
    against = objection(
        attestation,
        precision,
        settings,
        stated_flops=built.workload.cost().flops,
        process=process(record.spec.threads, onednn=setup.onednn),
    )
    return replace(record, **_verdict(against, diverged))


def _with_operators(record: TrialRecord, built: _Built, bench: Bench) -> TrialRecord:
    """Only of trials whose times are compared with those of others."""
    reason = reason_for_none(record)
    if reason is not None:
        return replace(record, operators_reason=reason)
    bench.phase("profiling the operators")
    called = built.execution.model
    operators, reason = profile_steps(
        record, built.workload, built.model, called, built.optimizer, built.precision, bench.profiler
    )
    return replace(record, operators=operators, operators_reason=reason)


def _worthless(quality: Quality | None) -> tuple[None, str] | None:
    """Divergence that only the evaluation shows."""
    if quality is None or math.isfinite(quality.metrics[quality.primary]):
        return None
    return None, f"held-out {quality.primary} is not finite after training."


def _in_turn(*calls: Callable[[], None]) -> Callable[[], None]:
    def call_all() -> None:
        for call in calls:
            call()

    return call_all


def _work_per_step(cost: Cost, accumulation: int) -> dict[str, Any]:
    return {
        "samples_per_step": cost.samples * accumulation,
        "tokens_per_step": None if cost.tokens is None else cost.tokens * accumulation,
        "flops_per_step": cost.flops * accumulation,
    }


def _with_quality(record: TrialRecord, workload: Workload, model: nn.Module) -> TrialRecord:
    """Held-out quality in IEEE float32 for every precision: what differs is the training alone."""
    started = time.perf_counter()
    model.eval()
    with under(Arithmetic.FP32), torch.no_grad():
        found = workload.evaluate(model)
    quality = Quality(
        dict(found.metrics), found.primary, found.higher_is_better, float(found.baseline), found.baseline_name
    )
    return replace(record, quality=quality, evaluate_seconds=time.perf_counter() - started)


def _verdict(against: str | None, diverged: tuple[int | None, str] | None) -> dict[str, Any]:
    if against is not None:
        return {"outcome": Outcome.PRECISION_MISMATCH, "reason": against}
    if diverged is not None:
        return {"outcome": Outcome.DIVERGED, "reason": diverged[1], "first_bad_step": diverged[0]}
    return {}
