"""Stored runs with made-up times: as large as wanted, without measuring anything."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

from suite.readings import Memory
from suite.record import Attestation, Environment, Outcome, Quality, StepTrace, TrialRecord
from suite.spec import OptimizerSpec, Profile, Setup, TrialSpec, expand
from suite.store import Run, create_run

PRECISIONS = ("fp32", "fp16-static", "fp16-dynamic", "bf16")
MACHINE = Environment(
    device="cpu", device_name="made up", device_memory_bytes=None, compute_capability=None, device_count=1, driver=None,
    cuda=None, cudnn=None, nccl=None, mig=None, ecc=None, power_limit_watts=None, persistence=None, torch="0",
    torchvision=None, transformers=None, python="3", os="none", cpu="made up", cpu_count=1, threads=1,
    cpu_instructions="none", container=None, ampmark="0", git_commit=None, git_dirty=None,
)  # fmt: skip


def store_run(results: Path, *, cells: int, repeats: int, steps: int) -> Run:
    """A sealed run of `cells` × `repeats` trials; step times have 1 % noise between processes and within them."""
    setup = Setup(steps=steps, warmup_steps=10, batch_size=8, optimizer=OptimizerSpec("sgd", 0.1))
    names = [f"workload-{number}" for number in range(cells // len(PRECISIONS))]
    profile = Profile("made", "made up", PRECISIONS, dict.fromkeys(names, setup), repeats=repeats)
    writer = create_run(results, expand(profile, device="cpu", threads=1), MACHINE, "made up")
    noise = random.Random(0)
    for order, spec in enumerate(writer.info.plan.trials):
        writer.append(replace(_record(spec, noise), order=order), "")
    return writer.seal()


def _record(spec: TrialSpec, noise: random.Random) -> TrialRecord:
    steps, pace = spec.setup.steps, 0.01 * noise.gauss(1.0, 0.01)
    scaled = spec.precision.startswith("fp16")
    trace = StepTrace(
        seconds=tuple(pace * noise.gauss(1.0, 0.01) for _ in range(steps)),
        losses=tuple(4.0 / (1 + step) for step in range(steps)),
        gradient_norms=(1.0,) * steps,
        overflowed=tuple(scaled and step < 2 for step in range(steps)),
        scales=(1024.0,) * steps if scaled else None,
        skips_overflow=scaled,
        last_scale=1024.0 if scaled else None,
        warmup_steps=10,
    )
    return TrialRecord(
        spec=spec,
        outcome=Outcome.OK,
        started_at="2026-01-01T00:00:00+00:00",
        samples_per_step=8,
        flops_per_step=1000,
        steps=trace,
        memory=Memory(peak_rss_bytes=10**9, reasons={"peak_device_bytes": "no device"}),
        quality=Quality({"accuracy": 0.9}, "accuracy", True, 0.5, "majority class"),
        attestation=Attestation("fp32", {"aten.mm/float32": 1}, {"matmul": 1e-7}),
    )
