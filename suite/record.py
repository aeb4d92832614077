"""What came out: frozen values from the single step to the machine. Standard library only.

`TrialRecord` is what a trial process sends, what the journal keeps and what every later stage is computed from.
"No value" is None with a reason beside it, never 0 and never NaN.

Schema history (the number in every journal line and in run.json; results/README.md describes the columns)
    1   first published form
    2   state of the hardware, ceilings, compilation, flushed gradients, digest of the initial weights, types of the
        parameters; every new field has a default, so a record of schema 1 reads as one in which these were not measured
    3   oneDNN's kernels in the attestation
    4   the time of a step by operator
"""

from __future__ import annotations

import enum
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from suite.decode import encode
from suite.readings import Ceiling, Compilation, Energy, FlushShare, Hardware, Memory, OperatorProfile
from suite.spec import TrialSpec

__all__ = [
    "DISTURBANCES",
    "OTHER_OPERATORS",
    "SCHEMA",
    "Attestation",
    "Caution",
    "Environment",
    "Outcome",
    "Quality",
    "StepTrace",
    "TrialRecord",
]

SCHEMA = 4


class Outcome(enum.StrEnum):
    """How a trial ended. Only the first two carry numbers that may stand in a table of speeds."""

    OK = "ok"
    EMULATED = "emulated"
    """Finished, but the hardware does not compute in this precision: the numerics count, the speed is not ranked."""
    UNSUPPORTED = "unsupported"
    """The device cannot do it, and nothing was put in its place."""
    UNAVAILABLE = "unavailable"
    """Something the workload needs is not installed (weights, data)."""
    DIVERGED = "diverged"
    """Training broke down numerically; `first_bad_step` says when."""
    PRECISION_MISMATCH = "precision mismatch"
    """What ran is not what was asked for."""
    OUT_OF_MEMORY = "out of memory"
    TIMED_OUT = "timed out"
    CRASHED = "crashed"
    """The process died without a word (a signal, a hard exit)."""
    FAILED = "failed"
    """The process raised an error."""

    @property
    def measured(self) -> bool:
        """Whether the trial finished with numbers."""
        return self in (Outcome.OK, Outcome.EMULATED)

    @property
    def broken(self) -> bool:
        """Whether something went wrong that somebody must look at (as opposed to a gap with a good reason)."""
        return self not in (Outcome.OK, Outcome.EMULATED, Outcome.UNSUPPORTED, Outcome.DIVERGED)


@dataclass(frozen=True)
class Caution:
    """Something that weakens a trial's numbers: a stable code, and what it means and what to do about it."""

    code: str
    message: str


DISTURBANCES = frozenset(
    ("clock_throttled", "foreign_gpu_process", "foreign_gpu_memory", "foreign_load", "cpu_steal", "cpu_throttled")
)
"""Codes of cautions that speak of the machine's state; the others speak of what was run on it."""


OTHER_OPERATORS = "(other)"
"""What a profile calls all operators together that are not worth a name."""


@dataclass(frozen=True)
class StepTrace:
    """One entry per optimizer step, the warm-up included. Overflow and scale were recorded on the device."""

    seconds: tuple[float, ...]
    losses: tuple[float, ...]
    """Training loss of the step (mean over its micro-batches)."""
    gradient_norms: tuple[float, ...]
    """Global L2 norm after unscaling and before clipping; non-finite where the step overflowed."""
    overflowed: tuple[bool, ...]
    """A gradient was infinite or NaN."""
    scales: tuple[float, ...] | None
    """The loss scale the step was computed with; None without loss scaling."""
    skips_overflow: bool
    """Whether an overflowing step leaves the parameters alone (true exactly where there is a scaler)."""
    last_scale: float | None
    """The scale after the last step's update."""
    warmup_steps: int
    """How many first steps are not timed."""

    def __post_init__(self) -> None:
        lengths = {len(self.seconds), len(self.losses), len(self.gradient_norms), len(self.overflowed)}
        lengths |= set() if self.scales is None else {len(self.scales)}
        if len(lengths) != 1 or not 0 <= self.warmup_steps < len(self.seconds):
            raise ValueError(
                f"series of {sorted(lengths)} steps with {self.warmup_steps} of warm-up do not make a trace; "
                "every series has one entry per step, and at least one step is timed."
            )
        if not min(self.seconds) > 0:
            raise ValueError(f"a step of {min(self.seconds)} seconds does not make a trace; every step takes time.")


@dataclass(frozen=True)
class Quality:
    """Held-out quality after training, evaluated in float32 for every precision.

    A precision that trains for another inference (`int8-qat`) is judged by that one, simulated in float32; the
    attestation's settings say so.
    """

    metrics: Mapping[str, float]
    primary: str
    higher_is_better: bool
    baseline: float
    """The primary metric of a predictor that ignores the input."""
    baseline_name: str

    def __post_init__(self) -> None:
        if self.primary not in self.metrics:
            found = sorted(self.metrics)
            raise ValueError(f"evaluate() returned {found} and not its primary {self.primary!r}; add it.")
        if not math.isfinite(self.baseline):
            raise ValueError(f"evaluate() returned the baseline {self.baseline}; give a finite number.")


@dataclass(frozen=True)
class Attestation:
    """Evidence of the precision that really ran: an operator census and a numerical probe, both untimed."""

    effective: str
    """`fp32`, `tf32`, `fp16`, `bf16`, `fp8`, or a description of a mixture."""
    operations: Mapping[str, int]
    """Heavy operators of one training step by name and input type, e.g. `{"aten.addmm/float16": 8}`."""
    probe_errors: Mapping[str, float]
    """Relative errors against float64, which tell TF32 from IEEE float32: of a seeded product by kind of operator
    (`matmul`), and of the model's heaviest float32 ones by kind and shapes (`matmul 512×128, 128×384`)."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """torch's precision switches, read back after the run, and what else the precision says of the model it made."""
    parameter_types: Mapping[str, int] = field(default_factory=dict)
    """Number of parameters (elements, trained or not) by the type they are kept in: `{"bfloat16": 411904}`."""
    flops: Mapping[str, int] = field(default_factory=dict)
    """Floating-point operations of the heavy operators by input type; empty where they were not weighed."""
    kernels: Mapping[str, int] = field(default_factory=dict)
    """oneDNN's kernels of the same step, on a CPU: `{"convolution backward_weights f16 ref:any": 9}`."""


@dataclass(frozen=True)
class Environment:
    """The machine and the software. No user names, paths, host names or tokens."""

    device: str
    """`cpu` or `cuda:0`."""
    device_name: str
    device_memory_bytes: int | None
    compute_capability: str | None
    device_count: int
    driver: str | None
    cuda: str | None
    cudnn: str | None
    nccl: str | None
    mig: str | None
    ecc: str | None
    power_limit_watts: float | None
    persistence: str | None
    torch: str
    torchvision: str | None
    transformers: str | None
    python: str
    os: str
    cpu: str
    cpu_count: int
    threads: int
    """CPU threads of every trial."""
    cpu_instructions: str
    """The vector instruction set torch chose (`AVX2`, `AVX512`, …)."""
    container: str | None
    ampmark: str
    git_commit: str | None
    """Of the ampmark checkout, when it runs from one."""
    git_dirty: bool | None
    variables: Mapping[str, str] = field(default_factory=dict)
    """Environment variables that change numerics or speed, by allow-list."""

    #: What makes two runs the same machine: names and versions only, so that a noisy reading never splits a history.
    FINGERPRINT = (
        "device_name device_memory_bytes compute_capability device_count driver cuda cudnn nccl mig ecc "
        "power_limit_watts torch torchvision transformers python os cpu cpu_count threads cpu_instructions variables"
    )

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the fields named in `FINGERPRINT`."""
        chosen = encode({name: getattr(self, name) for name in self.FINGERPRINT.split()})
        return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()

    def differences(self, other: Environment, *, code: bool = False) -> list[str]:
        """`name: ours → theirs` for each fingerprint field that differs; `other` is the newer side.

        With `code`, ampmark's own version and commit count as well: one run is measured by one code.
        """
        names = self.FINGERPRINT.split() + (["ampmark", "git_commit", "git_dirty"] if code else [])
        pairs = [(name, getattr(self, name), getattr(other, name)) for name in names]
        return [f"{name}: {ours} → {theirs}" for name, ours, theirs in pairs if ours != theirs]


@dataclass(frozen=True)
class TrialRecord:
    """Everything known about one trial, whatever became of it."""

    spec: TrialSpec
    outcome: Outcome
    started_at: str
    """UTC, ISO 8601."""
    schema: int = SCHEMA
    order: int = 0
    """Position in the run's plan, from 0."""
    reason: str | None = None
    """One sentence on every outcome but `ok`."""
    emulation: str | None = None
    """Why the numbers do not stand for hardware speed; also set on a trial that then diverged."""
    start_seconds: float | None = None
    """From asking for the process to its first message."""
    total_seconds: float | None = None
    build_seconds: float | None = None
    """Model, data and optimizer."""
    evaluate_seconds: float | None = None
    samples_per_step: int | None = None
    tokens_per_step: int | None = None
    flops_per_step: int | None = None
    """Analytic, one optimizer step (all its micro-batches)."""
    steps: StepTrace | None = None
    memory: Memory = field(default_factory=Memory)
    energy: Energy = field(default_factory=lambda: Energy(reason="the trial did not reach its last step"))
    quality: Quality | None = None
    attestation: Attestation | None = None
    first_bad_step: int | None = None
    """Of a diverged trial: the first step (from 0) that shows it."""
    hardware: Hardware = field(default_factory=Hardware)
    ceiling: Ceiling = field(default_factory=Ceiling)
    compilation: Compilation | None = None
    """None where the trial ran eagerly."""
    flush: FlushShare | None = None
    """Of the precisions that use float16: the gradients after training, at the last scale."""
    flush_reason: str | None = None
    """Why `flush` is None, where the trial came so far."""
    operators: OperatorProfile | None = None
    """The time of a step by operator, from untimed steps after everything else."""
    operators_reason: str | None = None
    """Why `operators` is None, where the trial came so far."""
    initial_sha256: str | None = None
    """Digest of the parameters and buffers before the first step."""
    parameters_sha256: str | None = None
    """Digest of the final parameters and buffers."""
    losses_sha256: str | None = None
    """Digest of the loss curve as float32."""
    workload_sha256: str | None = None
    """Digest of the workload's source file."""
    cautions: tuple[Caution, ...] = ()
    log_tail: str | None = None
    """Last lines of the process's output, where the trial did not end well."""

    def __post_init__(self) -> None:
        for name in ("samples_per_step", "tokens_per_step", "flops_per_step"):
            value = getattr(self, name)
            if isinstance(value, int) and not 0 < value < 2**63:
                raise ValueError(f"{name} is {value}; cost() must give numbers above 0 and below 2^63.")
