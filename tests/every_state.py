"""A run in which every state occurs that a page can show, and the run that it is compared with.

gpt     one precision mismatch, one unsupported, one regressed, one disturbed, one with a crashed process
lstm    broken in every way: out of memory, crashed, diverged, timed out; one emulated
resnet  one improved, one inconclusive, one failed, one unavailable, one not run, one not planned
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from literal_runs import GIB, SETUP, caution, emulated, instrumented, plan_of, run_of, stopped

from suite.readings import OperatorProfile, OperatorTime
from suite.record import Attestation, Outcome, Quality, StepTrace, TrialRecord
from suite.spec import Plan, TrialSpec
from suite.store import Run

__all__ = ["MODES", "WORKLOADS", "base_and_candidate", "candidate_of"]

WORKLOADS = ("gpt", "lstm", "resnet")
MODES = ("fp32", "tf32", "fp16-static", "fp16-dynamic", "bf16", "fp16-unscaled")
STEPS, WARMUP = 60, 10
SEEDS = (0, 1, 2, 3, 4)

#: Milliseconds per step.
PACE = {
    ("gpt", "fp32"): 41.0,
    ("gpt", "fp16-static"): 26.5,
    ("gpt", "fp16-dynamic"): 26.9,
    ("gpt", "bf16"): 24.0,
    ("gpt", "fp16-unscaled"): 25.0,
    ("lstm", "fp32"): 9.2,
    ("lstm", "fp16-dynamic"): 93.0,
    ("resnet", "fp32"): 120.0,
    ("resnet", "tf32"): 71.0,
    ("resnet", "fp16-static"): 60.0,
    ("resnet", "bf16"): 58.0,
}
#: How many times as long a step takes in the candidate.
SLOWER = {("gpt", "bf16"): 1.2, ("resnet", "fp32"): 0.9}

Make = Callable[[TrialSpec], TrialRecord]
#: What becomes of a cell on both sides.
ENDS: dict[tuple[str, str], Make] = {
    ("gpt", "tf32"): lambda spec: stopped(
        spec, Outcome.UNSUPPORTED, "TF32 exists on NVIDIA GPUs of compute capability 8.0 and later"
    ),
    ("lstm", "tf32"): lambda spec: stopped(
        spec,
        Outcome.OUT_OF_MEMORY,
        "12 GiB were asked for and 3.1 GiB were free on cuda:0 (16 GiB)",
        log_tail="x\n" * 50_000,
    ),
    ("lstm", "fp16-static"): lambda spec: stopped(
        spec, Outcome.CRASHED, "the process was ended by signal 11 (SIGSEGV) in step 12"
    ),
    ("lstm", "fp16-unscaled"): lambda spec: stopped(spec, Outcome.TIMED_OUT, "not finished within 60 s"),
    ("resnet", "fp16-dynamic"): lambda spec: stopped(spec, Outcome.UNAVAILABLE, "CIFAR-10 is not installed"),
}
#: What becomes of it in the candidate alone.
NEW_ENDS: dict[tuple[str, str], Make] = {
    ("gpt", "fp16-unscaled"): lambda spec: stopped(
        spec, Outcome.PRECISION_MISMATCH, "asked for fp16, and 98 % of the work ran in fp32"
    ),
    ("resnet", "fp16-static"): lambda spec: stopped(
        spec, Outcome.FAILED, "ValueError: the scale must be above 0", log_tail="Traceback\nValueError\n"
    ),
}


def candidate_of(folder: Path) -> Run:
    """The run alone."""
    return run_of(folder, _plan(), _records(candidate=True))


def base_and_candidate(folder: Path) -> tuple[Run, Run]:
    """The run and the one before it."""
    return run_of(folder, _plan(), _records(candidate=False)), candidate_of(folder)


def _plan() -> Plan:
    plan = plan_of(WORKLOADS, MODES, seeds=SEEDS, setup=replace(SETUP, steps=STEPS, warmup_steps=WARMUP))
    kept = [spec for spec in plan.trials if (spec.workload, spec.precision) != ("resnet", "fp16-unscaled")]
    return replace(plan, trials=tuple(kept))


def _records(*, candidate: bool) -> Iterator[TrialRecord]:
    for spec in _plan().trials:
        cell = spec.workload, spec.precision
        ends = ENDS | NEW_ENDS if candidate else ENDS
        if candidate and cell == ("resnet", "bf16"):
            continue
        if cell in ends:
            yield ends[cell](spec)
        elif cell == ("lstm", "bf16"):
            yield _diverged(spec)
        elif candidate and cell == ("gpt", "fp16-static") and spec.seed == 4:
            yield stopped(spec, Outcome.CRASHED, "the process was ended by signal 9 (SIGKILL)")
        else:
            yield _trained(spec, candidate=candidate)


def _trained(spec: TrialSpec, *, candidate: bool) -> TrialRecord:
    cell = spec.workload, spec.precision
    noise = random.Random(f"{cell} {spec.seed} {candidate}")
    spread = 0.09 if cell == ("resnet", "tf32") else 0.001
    seconds = PACE[cell] / 1000 * (SLOWER.get(cell, 1.0) if candidate else 1.0) * (1 + spread * noise.uniform(-1, 1))
    half = spec.precision.startswith(("fp16", "bf16"))
    found = replace(
        instrumented(spec, seconds) if spec.workload == "gpt" else emulated(spec, seconds),
        steps=_trace(spec, seconds, noise),
        quality=_quality(spec),
        attestation=_attestation(spec),
        losses_sha256="e" * 64 if candidate and cell == ("lstm", "fp32") else "b" * 64,
        operators=_operators(seconds, grown=candidate and cell in SLOWER),
        compilation=None,
        flush=None,
    )
    found = replace(found, memory=replace(found.memory, peak_allocated_bytes=GIB * (6 if half else 9)))
    if cell != ("lstm", "fp16-dynamic"):
        found = replace(found, outcome=Outcome.OK, reason=None, emulation=None)
    if candidate and cell == ("gpt", "fp16-dynamic"):
        held = caution(message="The clock was held back in 12% of the samples (software power cap).")
        busy = caution("foreign_load", "Other processes took 31% of the processors' time; end them and measure again.")
        found = replace(found, cautions=(held, busy) if spec.seed == 3 else (busy,) if spec.seed == 1 else ())
    return found


def _trace(spec: TrialSpec, seconds: float, noise: random.Random) -> StepTrace:
    batches = random.Random(f"{spec.workload} {spec.seed}")
    overflowed, scales, scale = [], [], 2.0**17
    for step in range(STEPS):
        over = spec.precision == "fp16-dynamic" and (step < 3 or step == 41)
        scale = scale / 2 if over else scale * 2 if step in (30, 50) else scale
        overflowed.append(over)
        scales.append(scale if spec.precision == "fp16-dynamic" else 1024.0)
    scaled = spec.precision in ("fp16-dynamic", "fp16-static")
    return StepTrace(
        seconds=tuple(
            seconds * (3.0 - 0.2 * step if step < WARMUP else noise.uniform(0.98, 1.02)) for step in range(STEPS)
        ),
        losses=tuple(
            1.2
            + 3.1 * math.exp(-step / 18)
            + batches.gauss(0, 0.05)
            + (spec.precision != "fp32") * noise.gauss(0, 2e-3)
            for step in range(STEPS)
        ),
        gradient_norms=tuple(math.inf if over else 1.0 for over in overflowed),
        overflowed=tuple(overflowed),
        scales=tuple(scales) if scaled else None,
        skips_overflow=scaled,
        last_scale=scales[-1] if scaled else None,
        warmup_steps=WARMUP,
    )


def _diverged(spec: TrialSpec) -> TrialRecord:
    trace = _trace(spec, 0.0061, random.Random(spec.seed))
    losses = tuple(loss if step < 23 else math.nan for step, loss in enumerate(trace.losses))
    reason = "the loss was not finite at step 23, and the step was applied."
    return stopped(
        spec, Outcome.DIVERGED, reason, steps=replace(trace, losses=losses), first_bad_step=23, samples_per_step=4
    )


def _quality(spec: TrialSpec) -> Quality:
    found = random.Random(f"{spec.workload} {spec.seed}").uniform(0.80, 0.84)
    worse = {"bf16": 0.0003, "tf32": 0.0002, "fp16-dynamic": 0.0312}.get(spec.precision, 0.0)
    return Quality({"accuracy": found - worse, "loss": 1.0}, "accuracy", True, 0.5, "majority class")


def _attestation(spec: TrialSpec) -> Attestation:
    kind = spec.precision.partition("-")[0]
    settings: dict[str, Any] = {"cuda.matmul": "ieee", "cudnn.conv": "ieee"}
    return Attestation(kind, {f"aten.mm/{kind}": 8}, {"matmul": 2.1e-7}, settings)


def _operators(seconds: float, *, grown: bool) -> OperatorProfile:
    shares = {"aten::mm": 0.5, "aten::_softmax": 0.3, "aten::add": 0.2} | ({"aten::copy_": 0.17} if grown else {})
    times = tuple(OperatorTime(name, 8.0, seconds * share) for name, share in shares.items())
    return OperatorProfile(3, "cuda", times)
