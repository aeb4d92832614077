"""One trial: what is done before and after the training loop.

Order: build → train (timed) → evaluate in float32 → attest → count flushed gradients. The attestation comes late
because its untimed step would disturb the training state (BatchNorm statistics, random-number streams); it also sees
what the switches were during the run, not before it.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import torch
from torch import nn

from suite.measure.attestation import attest, objection
from suite.measure.compilation import execution_of
from suite.measure.device import Arithmetic, Hardware
from suite.measure.digests import digest, digest_of_state
from suite.measure.divergence import divergence
from suite.measure.flush import flush_after_training
from suite.measure.instruments import Instruments, Observed
from suite.measure.kernels import by_reference, reported_kernels
from suite.measure.loop import step_trace, train
from suite.measure.meters import Meter, meter_for
from suite.measure.optimizer import make_optimizer
from suite.measure.precision import Precision
from suite.measure.switches import pin_arithmetic, switches, under
from suite.measure.window import first_observed
from suite.record import Attestation, Caution, Outcome, Quality, TrialRecord
from suite.spec import TrialSpec
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
    phase: Callable[[str], None] = lambda name: None
    """Told when a phase begins; never called inside the loop."""
    keep: Callable[[TrialRecord], None] = lambda record: None
    """Given what is known so far, so that an error in a later phase does not lose it."""


def run_trial(
    spec: TrialSpec, make_workload: Callable[[], Workload], precision: Precision, bench: Bench
) -> TrialRecord:
    """Train, evaluate and attest one trial.

    Raises:
        PrecisionUnsupported: the hardware cannot compute in this precision.
        Exception: whatever the workload raises; the worker turns it into a record.
    """
    record = TrialRecord(spec=spec, outcome=Outcome.OK, started_at=datetime.now(UTC).isoformat(timespec="seconds"))
    emulation = precision.emulation(bench.hardware, onednn=spec.setup.onednn)
    _set_process(spec, precision)
    bench.phase("building the model")
    started = time.perf_counter()
    workload = make_workload()
    model = precision.prepare(workload.model(), spec.setup.optimizer)
    optimizer = make_optimizer(model, spec.setup.optimizer)
    policy = precision.policy(bench.device, spec.setup.steps, spec.scaler, spec.setup.clip_norm)
    execution = execution_of(model, compiled=spec.setup.compile, device=bench.device, backend=bench.compile_backend)
    build_seconds = time.perf_counter() - started
    initial_sha256 = digest_of_state(model)
    bench.phase(f"training {spec.setup.steps} steps")
    torch.manual_seed(derive_seed(spec.seed, "dropout"))
    bench.instruments.training_begins()
    meter = bench.meter or meter_for(bench.device, spec.setup.steps)
    settings: list[dict[str, str]] = []
    observe = _in_turn(lambda: settings.append(switches()), bench.instruments.window_begins)
    hooks = observe, execution.warmup_ends
    step_seconds, losses = train(workload, execution.model, optimizer, policy, spec.setup, meter, *hooks)
    settings.append(switches())
    window = step_seconds[first_observed(spec.setup.warmup_steps) :]
    observed = bench.instruments.finish(sum(window), len(window))
    compilation, compile_cautions = execution.finish()
    steps = step_trace(step_seconds, losses, policy, spec.setup.warmup_steps)
    record = replace(
        record,
        outcome=Outcome.EMULATED if emulation else Outcome.OK,
        reason=emulation,
        emulation=emulation,
        build_seconds=build_seconds,
        **_work_per_step(workload.cost(), spec.setup.accumulation),
        steps=steps,
        **_around(observed, compile_cautions),
        compilation=compilation,
        initial_sha256=initial_sha256,
        parameters_sha256=digest_of_state(model),
        losses_sha256=digest([losses]),
    )
    bench.keep(record)
    bench.phase("evaluating")
    diverged = divergence(steps, model)
    if diverged is None:
        record = _with_quality(record, workload, precision.for_evaluation(model))
    bench.keep(record)
    diverged = diverged or _worthless(record.quality)
    bench.phase("attesting the precision")
    attestation = attest(workload, model, policy, bench.device, precision, execution.model, bench.reported_kernels)
    flush, flush_reason = flush_after_training(workload, model, spec.setup, precision.arithmetic, steps.last_scale)
    record = replace(_attested(record, attestation, precision), flush=flush, flush_reason=flush_reason)
    return replace(record, **_verdict(objection(attestation, precision, settings), diverged))


def _set_process(spec: TrialSpec, precision: Precision) -> None:
    """What holds for the whole process of a trial."""
    torch.set_num_threads(spec.threads)
    torch.backends.mkldnn.set_flags(spec.setup.onednn)
    pin_arithmetic(precision.arithmetic)


def _around(observed: Observed, compile_cautions: tuple[Caution, ...]) -> dict[str, Any]:
    """What was read around the loop, as fields of the record."""
    return {
        "memory": observed.memory,
        "energy": observed.energy,
        "hardware": observed.hardware,
        "cautions": observed.cautions + compile_cautions,
    }


def _attested(record: TrialRecord, attestation: Attestation, precision: Precision) -> TrialRecord:
    """The record with its evidence; emulated also where only the kernels that ran show it."""
    record = replace(record, attestation=attestation)
    shown = by_reference(attestation.kernels, precision.arithmetic)
    if record.emulation is not None or shown is None:
        return record
    return replace(record, outcome=Outcome.EMULATED, reason=shown, emulation=shown)


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
