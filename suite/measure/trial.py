"""The one training loop, for all workloads and precisions, and what is done before and after it.

Order: build → train (timed) → evaluate in float32 → attest. The attestation comes last because its untimed step
would disturb the training state (BatchNorm statistics, random-number streams); it also sees what the switches were
during the run, not before it.
"""

from __future__ import annotations

import gc
import hashlib
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from suite.measure import numerics
from suite.measure.device import Arithmetic, Hardware, native_or_reason
from suite.measure.memory import Instruments
from suite.measure.meters import Meter, meter_for
from suite.measure.optimizer import make_optimizer, set_learning_rate
from suite.measure.precision import Policy, Precision
from suite.measure.window import warmup_cut
from suite.record import Attestation, Outcome, Quality, StepTrace, TrialRecord
from suite.spec import Setup, TrialSpec
from workloads.base import Workload, derive_seed

__all__ = ["Bench", "run_trial", "train"]

LONGEST_SKIP_RUN = 20
"""So many skipped steps in a row count as diverged: from 2^16, 20 halvings end below a scale of 1."""


@dataclass(frozen=True)
class Bench:
    """The device under test and the instruments around it; tests put fakes here."""

    device: torch.device
    hardware: Hardware
    instruments: Instruments
    meter: Meter | None = None
    """None takes the device's own."""
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
    emulation = native_or_reason(precision.arithmetic, bench.hardware, onednn=spec.setup.onednn)
    torch.set_num_threads(spec.threads)
    torch.backends.mkldnn.set_flags(spec.setup.onednn)
    numerics.pin_arithmetic(precision.arithmetic)

    bench.phase("building the model")
    started = time.perf_counter()
    workload = make_workload()
    model = workload.model()
    optimizer = make_optimizer(model, spec.setup.optimizer)
    policy = precision.policy(bench.device, spec.setup.steps, spec.scaler, spec.setup.clip_norm)
    build_seconds = time.perf_counter() - started

    bench.phase(f"training {spec.setup.steps} steps")
    torch.manual_seed(derive_seed(spec.seed, "dropout"))
    bench.instruments.training_begins()
    meter = bench.meter or meter_for(bench.device, spec.setup.steps)
    step_seconds, losses = train(workload, model, optimizer, policy, spec.setup, meter, bench.instruments.window_begins)
    window = step_seconds[spec.setup.warmup_steps :]
    memory, energy, cautions = bench.instruments.finish(sum(window), len(window))
    steps = step_trace(step_seconds, losses, policy, spec.setup.warmup_steps)
    cost = workload.cost()
    record = replace(
        record,
        outcome=Outcome.EMULATED if emulation else Outcome.OK,
        reason=emulation,
        emulation=emulation,
        build_seconds=build_seconds,
        samples_per_step=cost.samples * spec.setup.accumulation,
        tokens_per_step=None if cost.tokens is None else cost.tokens * spec.setup.accumulation,
        flops_per_step=cost.flops * spec.setup.accumulation,
        steps=steps,
        memory=memory,
        energy=energy,
        cautions=cautions,
        parameters_sha256=_digest(tensor for _, tensor in numerics.digest_order(model)),
        losses_sha256=_digest([losses]),
    )
    bench.keep(record)
    bench.phase("evaluating")
    record = _with_quality(record, workload, model, diverged := _divergence(steps, model))
    bench.keep(record)
    if record.quality is not None and not math.isfinite(record.quality.metrics[record.quality.primary]):
        diverged = None, f"held-out {record.quality.primary} is not finite after training."
    bench.phase("attesting the precision")
    attestation = attest(workload, model, policy, bench.device)
    return replace(record, attestation=attestation, **_verdict(attestation, precision.arithmetic, diverged))


def train(
    workload: Workload,
    model: nn.Module,
    optimizer: Optimizer,
    policy: Policy,
    setup: Setup,
    meter: Meter,
    window_begins: Callable[[], None],
) -> tuple[tuple[float, ...], Tensor]:
    """The timed loop. Returns seconds and losses of every step, warm-up included; losses are on the host, float32."""
    batches = workload.batches()
    losses = torch.zeros(setup.steps, device=next(model.parameters()).device)
    with _no_garbage_collection():
        meter.start()
        for step in range(setup.steps):
            if step == setup.warmup_steps:
                window_begins()
                meter.resume()
            set_learning_rate(optimizer, setup, step)
            for _ in range(setup.accumulation):
                with policy.context():
                    loss = workload.loss(model, next(batches))
                loss = loss / setup.accumulation
                policy.backward(loss)
                losses[step] += loss.detach()
            policy.step(optimizer)
            optimizer.zero_grad(set_to_none=True)
            meter.mark()
        return meter.stop(), losses.cpu()


def step_trace(step_seconds: tuple[float, ...], losses: Tensor, policy: Policy, minimum_warmup: int) -> StepTrace:
    """Read the device's records once, after the run."""
    scales = policy.trace()
    return StepTrace(
        seconds=step_seconds,
        losses=tuple(losses.tolist()),
        gradient_norms=policy.gradient_norms(),
        overflowed=scales.overflowed,
        scales=scales.scales,
        skips_overflow=scales.skips_overflow,
        last_scale=scales.last_scale,
        warmup_steps=warmup_cut(step_seconds, minimum_warmup),
    )


def attest(workload: Workload, model: nn.Module, policy: Policy, device: torch.device) -> Attestation:
    """One untimed step under the census, then the probe; the model is not used afterwards."""
    settings = numerics.switches()
    model.train()
    model.zero_grad(set_to_none=True)
    with numerics.Census() as census:
        with policy.context():
            loss = workload.loss(model, next(workload.batches()))
        loss.backward()
    errors = numerics.probe(census.operations, policy.context, device)
    return Attestation(
        effective=numerics.effective_precision(census.operations, errors),
        operations=dict(census.operations),
        probe_errors=errors,
        settings=settings,
    )


def _with_quality(
    record: TrialRecord, workload: Workload, model: nn.Module, divergence: tuple[int | None, str] | None
) -> TrialRecord:
    """Held-out quality in IEEE float32 for every precision: what differs is the training alone."""
    if divergence is not None:
        return record
    started = time.perf_counter()
    arithmetic_of_training = numerics.switches()
    numerics.pin_arithmetic(Arithmetic.FP32)
    model.eval()
    with torch.no_grad():
        found = workload.evaluate(model)
    numerics.restore(arithmetic_of_training)
    quality = Quality(
        dict(found.metrics), found.primary, found.higher_is_better, float(found.baseline), found.baseline_name
    )
    return replace(record, quality=quality, evaluate_seconds=time.perf_counter() - started)


def _divergence(steps: StepTrace, model: nn.Module) -> tuple[int | None, str] | None:
    """First bad step and one sentence, or None for a run that held together."""
    for step, (loss, overflowed) in enumerate(zip(steps.losses, steps.overflowed, strict=True)):
        skipped = overflowed and steps.skips_overflow
        if not skipped and (overflowed or not math.isfinite(loss)):
            what = "a gradient" if overflowed else "the loss"
            return step, f"{what} was not finite at step {step}, and the step was applied."
    scales = () if steps.scales is None or steps.last_scale is None else (*steps.scales[1:], steps.last_scale)
    for step, scale_after in enumerate(scales):
        if scale_after < 1.0:
            return step, f"the loss scale fell below 1 at step {step}."
    run = 0
    for step, overflowed in enumerate(steps.overflowed):
        run = run + 1 if overflowed else 0
        if run == LONGEST_SKIP_RUN or (run == step + 1 == len(steps.overflowed)):
            return step - run + 1, f"every one of {run} steps from step {step - run + 1} on overflowed and was skipped."
    bad = numerics.first_nonfinite(model)
    return None if bad is None else (None, f"{bad} is not finite after training.")


def _verdict(attestation: Attestation, wanted: Arithmetic, divergence: tuple[int | None, str] | None) -> dict[str, Any]:
    if not numerics.fulfils(attestation.effective, wanted):
        return {
            "outcome": Outcome.PRECISION_MISMATCH,
            "reason": f"{wanted} was asked for, but {attestation.effective} ran; its numbers are not {wanted}'s.",
        }
    if divergence is not None:
        return {"outcome": Outcome.DIVERGED, "reason": divergence[1], "first_bad_step": divergence[0]}
    return {}


def _digest(tensors: Any) -> str:
    """SHA-256 over the bytes of tensors in order."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """The collector pauses a step at random moments; it runs before the loop instead."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
