"""What is to be run: frozen values from the profile down to the single trial.

A :class:`Profile` says, per workload, everything that is not the precision (:class:`Setup`); :func:`expand` crosses
workloads, precisions, seeds and repeats into a :class:`Plan` of :class:`TrialSpec`. Two trials of one workload differ
in precision, seed or repeat and in nothing else, because all the rest is the one shared :class:`Setup`.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from suite.decode import encode, nearest
from suite.errors import UsageError

__all__ = ["OptimizerSpec", "Plan", "Profile", "ScalerSpec", "ScheduleSpec", "Setup", "TrialSpec", "expand", "more_of"]

OPTIMIZERS = ("adamw", "sgd")
SCHEDULES = ("constant", "cosine")
LARGEST_COUNT = 10**6
"""Of steps, repeats and the like: more is a slip of the finger."""
LONGEST_SECONDS = 30 * 24 * 3600.0
"""A month, for one trial."""


@dataclass(frozen=True)
class OptimizerSpec:
    """The optimizer, equal in every precision. `beta1`, `beta2`, `epsilon` are AdamW's, `momentum` is SGD's."""

    name: str
    learning_rate: float
    weight_decay: float = 0.0
    fused: bool = True
    """torch's fused kernel: on CUDA it is what keeps a scaled step free of a host sync."""
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    momentum: float = 0.0
    decay_vectors: bool = True
    """Whether biases and normalisation weights (tensors of fewer than two dimensions) decay; False puts them into a
    parameter group of their own, as is usual for transformers."""

    def __post_init__(self) -> None:
        _one_of("name", self.name, OPTIMIZERS)
        _positive("learning_rate", self.learning_rate)


@dataclass(frozen=True)
class ScheduleSpec:
    """Learning rate over the optimizer steps. It advances on every step, skipped or not, in every precision."""

    kind: str = "constant"
    warmup_steps: int = 0
    """Linear ramp over this many steps: the first runs at 1/n of the rate, the n-th at all of it."""

    def __post_init__(self) -> None:
        _one_of("kind", self.kind, SCHEDULES)
        if self.warmup_steps < 0:
            raise UsageError(f"warmup_steps is {self.warmup_steps}; give 0 or more.")


@dataclass(frozen=True)
class ScalerSpec:
    """Loss-scaling parameters. torch's defaults are 65536, 2, 0.5 and 2000 (torch.amp.GradScaler)."""

    initial_scale: float = 65536.0
    growth_factor: float = 2.0
    backoff_factor: float = 0.5
    growth_interval: int = 2000
    """Overflow-free steps before the dynamic scale grows. 2000 never fires in a short run."""
    static_scale: float = 1024.0
    """The constant of `fp16-static`."""

    def __post_init__(self) -> None:
        for name in ("initial_scale", "static_scale"):
            if not 1 <= getattr(self, name) < math.inf:
                raise UsageError(f"{name} is {getattr(self, name)}; give a finite scale of 1 or more.")
        if not (self.growth_factor > 1 > self.backoff_factor > 0):
            raise UsageError(
                f"growth_factor {self.growth_factor} and backoff_factor {self.backoff_factor} do not make a "
                "dynamic scale; give a growth factor above 1 and a back-off factor between 0 and 1."
            )
        _positive("growth_interval", self.growth_interval)


@dataclass(frozen=True)
class Setup:
    """Everything about a workload's training that is not the precision: the same in every row of its table."""

    steps: int
    """Optimizer steps of the trial, the warm-up included: every one of them trains."""
    warmup_steps: int
    """The least number of first steps that are not timed; see `suite.window.warmup_cut`."""
    batch_size: int
    optimizer: OptimizerSpec
    accumulation: int = 1
    """Micro-batches per optimizer step."""
    clip_norm: float | None = None
    """Gradient-norm limit, applied after unscaling; None does not clip."""
    onednn: bool = True
    """Whether CPU operators may use oneDNN; oneDNN has no 16-bit LSTM on most CPUs, so that workload turns it off."""
    compile: bool = False
    """Whether the model runs through torch.compile; compiled and eager are different rows."""
    schedule: ScheduleSpec = field(default_factory=ScheduleSpec)
    scaler: ScalerSpec | None = None
    """This workload's own loss scaling; None takes the profile's."""
    settings: Mapping[str, int | float | bool | str] = field(default_factory=dict)
    """The workload's own sizes: the fields of its `Settings` class."""

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "accumulation"):
            _positive(name, getattr(self, name), LARGEST_COUNT)
        if not 0 <= self.warmup_steps < self.steps:
            raise UsageError(
                f"warmup_steps {self.warmup_steps} leaves no step of {self.steps} to time; make it smaller than steps."
            )
        if self.clip_norm is not None:
            _positive("clip_norm", self.clip_norm)


@dataclass(frozen=True)
class Profile:
    """One size of the whole benchmark; a TOML file of this form (see `suite/profiles/`)."""

    name: str
    summary: str
    precisions: tuple[str, ...]
    workloads: Mapping[str, Setup]
    seeds: tuple[int, ...] = (0,)
    repeats: int = 1
    """Fresh processes per cell and seed: the unit of every speed statistic."""
    timeout_seconds: float = 600.0
    """Wall-clock limit of one trial."""
    scaler: ScalerSpec = field(default_factory=ScalerSpec)

    def __post_init__(self) -> None:
        _positive("repeats", self.repeats, LARGEST_COUNT)
        _positive("timeout_seconds", self.timeout_seconds, LONGEST_SECONDS)
        for name in ("precisions", "workloads", "seeds"):
            if not getattr(self, name):
                raise UsageError(f"{name} is empty; name at least one.")


@dataclass(frozen=True)
class TrialSpec:
    """One fresh process: one workload in one precision with one seed."""

    workload: str
    precision: str
    seed: int
    repeat: int
    device: str
    """`cpu` or `cuda:0`: resolved before the plan is made."""
    threads: int
    """CPU threads of the trial, the same in every precision."""
    profile: str
    timeout_seconds: float
    scaler: ScalerSpec
    setup: Setup
    deterministic: bool = False
    """Only deterministic kernels: for `ampmark verify`. Such a trial is never timed."""

    @property
    def trial_id(self) -> str:
        """Readable and unique within a run; also the name of the trial's log."""
        return f"{self.workload}-{self.precision}-s{self.seed}-r{self.repeat}"

    @functools.cached_property
    def setup_sha256(self) -> str:
        """Hash of all that two trials must share to be compared: everything but seed, repeat and time limit."""
        shared = encode(self)
        for key in ("seed", "repeat", "timeout_seconds", "profile"):
            del shared[key]
        del shared["setup"]["scaler"]  # resolved into `scaler`, wherever it was written
        return hashlib.sha256(json.dumps(shared, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Plan:
    """The trials of one run, in the order in which they run."""

    profile: str
    device: str
    trials: tuple[TrialSpec, ...]

    def __post_init__(self) -> None:
        if not 0 < len(self.trials) <= LARGEST_COUNT:
            raise UsageError(f"the plan has {len(self.trials)} trials; choose from 1 to {LARGEST_COUNT}.")


def expand(
    profile: Profile,
    *,
    device: str,
    threads: int,
    workloads: Iterable[str] = (),
    precisions: Iterable[str] = (),
    seeds: Iterable[int] = (),
    repeats: int | None = None,
    timeout_seconds: float | None = None,
    compiled: bool = False,
    deterministic: bool = False,
    batch_scale: int = 1,
) -> Plan:
    """Cross workload × precision × seed × repeat; an empty choice means all that the profile has.

    `compiled` runs every workload through torch.compile in any case; each trains with `batch_scale` times its batch.

    Repeats are the outermost loop and every second one runs backwards (A B C, C B A, …), so that a machine that
    drifts during the run moves all cells alike.

    Raises:
        UsageError: a workload that the profile does not size, a count below one, or an impossible seed.
    """
    chosen = tuple(dict.fromkeys(workloads)) or tuple(profile.workloads)
    for name in chosen:
        if name not in profile.workloads:
            raise UsageError(f"profile {profile.name!r} has no workload {name!r}; {nearest(name, profile.workloads)}")
    if repeats is not None:
        _positive("--repeats", repeats, LARGEST_COUNT)
    if timeout_seconds is not None:
        _positive("--timeout", timeout_seconds, LONGEST_SECONDS)
    modes = tuple(dict.fromkeys(precisions)) or tuple(dict.fromkeys(profile.precisions))
    drawn = _seeds(seeds) or _seeds(profile.seeds)
    _positive("--batch-scale", batch_scale, LARGEST_COUNT)
    setups = {
        name: replace(setup, compile=compiled or setup.compile, batch_size=batch_scale * setup.batch_size)
        for name, setup in profile.workloads.items()
        if name in chosen
    }
    cells = [(workload, mode) for workload in chosen for mode in modes]
    trials = [
        TrialSpec(
            workload=workload,
            precision=precision,
            seed=seed,
            repeat=repeat,
            device=device,
            threads=threads,
            profile=profile.name,
            timeout_seconds=timeout_seconds or profile.timeout_seconds,
            scaler=profile.workloads[workload].scaler or profile.scaler,
            setup=setups[workload],
            deterministic=deterministic,
        )
        for repeat in range(repeats or profile.repeats)
        for seed in drawn
        for workload, precision in (cells if repeat % 2 == 0 else reversed(cells))
    ]
    return Plan(profile=profile.name, device=device, trials=tuple(trials))


def _seeds(seeds: Iterable[int]) -> tuple[int, ...]:
    for seed in (drawn := tuple(dict.fromkeys(seeds))):
        if not 0 <= seed < 2**63:
            raise UsageError(f"seed {seed} is not usable; give a whole number from 0 to 2^63 - 1.")
    return drawn


def more_of(plan: Plan, cells: Collection[tuple[str, str]], processes: int) -> Plan:
    """So many more processes of these cells of a plan, with each of its seeds; repeats go on where the plan ends.

    Raises:
        UsageError: the plan has none of these cells.
    """
    repeats = 1 + max(spec.repeat for spec in plan.trials)
    once = {(spec.workload, spec.precision, spec.seed): spec for spec in plan.trials}
    chosen = [spec for spec in once.values() if (spec.workload, spec.precision) in cells]
    trials = tuple(
        replace(spec, repeat=repeat)
        for repeat in range(repeats, repeats + processes)
        for spec in (chosen if repeat % 2 == 0 else reversed(chosen))
    )
    return replace(plan, trials=trials)


def _positive(name: str, value: Any, largest: float = math.inf) -> None:
    if not value > 0:
        raise UsageError(f"{name} is {value}; give a number above 0.")
    if value > largest or not math.isfinite(value):
        raise UsageError(f"{name} is {value}; give a finite number up to {largest:g}.")


def _one_of(name: str, value: str, known: Iterable[str]) -> None:
    if value not in known:
        raise UsageError(f"{name}: {value!r} is not known; {nearest(value, known)}")
