"""`ampmark demo underflow`: the experiment of the papers on mixed precision, as ordinary trials.

Micikevicius et al. (ICLR 2018, arXiv 1710.03740) found networks that do not reach float32's loss in float16 unless the
loss is scaled: too many gradients are too small for float16. Kalamkar et al. (2019, arXiv 1905.12322) found that
bfloat16 needs no scaling. Here a weight of the loss makes the gradients small, as a large batch does (a mean over N
tokens divides every gradient by N), and AdamW with an epsilon of 1e-20 and without clipping makes the training
indifferent to that weight: in exact arithmetic nothing changes, and float32 shows it.

Two things hide the effect, and are avoided: AdamW's usual epsilon of 1e-8 stops float32 as well where gradients are
that small; and Adam makes up for a third of the gradients being lost, so the weights are such that unscaled loses most.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, replace

from suite.loss_scale.scan import power
from suite.spec import OptimizerSpec, Plan, ScalerSpec, ScheduleSpec, Setup, TrialSpec

__all__ = ["EXPERIMENTS", "MODES", "Experiment", "Mode", "Reach", "underflow_plan"]

TRIAL_SECONDS = 300.0
THREADS = 1
"""Of every trial: networks this small gain nothing from a second thread, and lose much where other programs run."""


class Reach(enum.StrEnum):
    """How near a mode came to float32's final training loss."""

    REFERENCE = "the reference"
    MATCHES = "matches fp32"
    FALLS_SHORT = "falls short"
    FAILS = "fails"
    NO_NUMBERS = "no numbers"


@dataclass(frozen=True)
class Mode:
    """One row of an experiment, and what the papers let one expect of it."""

    key: str
    precision: str
    expected: Reach


MODES = (
    Mode("fp32", "fp32", Reach.REFERENCE),
    Mode("bf16", "bf16", Reach.MATCHES),
    Mode("unscaled", "fp16-unscaled", Reach.FAILS),
    Mode("too small", "fp16-static", Reach.FALLS_SHORT),
    Mode("fitting", "fp16-static", Reach.MATCHES),
    Mode("dynamic", "fp16-dynamic", Reach.MATCHES),
)


@dataclass(frozen=True)
class Experiment:
    """One workload, the weight of its loss, and two static scales."""

    workload: str
    title: str
    setup: Setup
    too_small: float
    fitting: float

    @property
    def loss_weight(self) -> float:
        """What the training loss is multiplied by."""
        return float(self.setup.settings["loss_weight"])

    def static_scale(self, mode: Mode) -> float | None:
        """The scale of a mode with a constant one."""
        return {"too small": self.too_small, "fitting": self.fitting}.get(mode.key)

    def title_of(self, mode: Mode) -> str:
        """`fp16-static 2^7`."""
        scale = self.static_scale(mode)
        return mode.precision if scale is None else f"{mode.precision} {power(scale)}"


def _adamw(learning_rate: float) -> OptimizerSpec:
    return OptimizerSpec("adamw", learning_rate, beta2=0.95, epsilon=1e-20)


EXPERIMENTS = (
    Experiment(
        workload="markov",
        title="synthetic language of 1024 symbols",
        setup=Setup(
            steps=100,
            warmup_steps=2,
            batch_size=128,
            optimizer=_adamw(6e-3),
            schedule=ScheduleSpec(warmup_steps=5),
            settings={
                "vocabulary": 1024,
                "successors": 8,
                "noise": 0.15,
                "embedding_size": 64,
                "hidden_size": 128,
                "evaluation_pairs": 4096,
                "loss_weight": 2.0**-13,  # a mean over 2^20 symbols: one of 2^13 such micro-batches
            },
        ),
        too_small=2.0**3,
        fitting=2.0**16,
    ),
    Experiment(
        workload="gpt",
        title="GPT on the presidents' messages",
        setup=Setup(
            steps=120,
            warmup_steps=2,
            batch_size=4,
            optimizer=_adamw(1e-3),
            schedule=ScheduleSpec(warmup_steps=5),
            settings={
                "layers": 1,
                "heads": 4,
                "hidden_size": 64,
                "sequence_length": 64,
                "vocabulary": 256,
                "dropout": 0.0,
                "evaluation_sequences": 16,
                "loss_weight": 2.0**-18,
            },
        ),
        too_small=2.0**5,
        fitting=2.0**20,
    ),
    Experiment(
        workload="lstm",
        title="LSTM on the weather of three airports",
        setup=Setup(
            steps=60,
            warmup_steps=2,
            batch_size=32,
            optimizer=_adamw(3e-3),
            schedule=ScheduleSpec(warmup_steps=5),
            onednn=False,  # it has no 16-bit LSTM on most CPUs
            settings={
                "layers": 1,
                "hidden_size": 64,
                "context_hours": 24,
                "horizon_hours": 12,
                "dropout": 0.0,
                "evaluation_windows": 500,
                "loss_weight": 2.0**-23,  # the squared error in a unit 2900 times the deviation
            },
        ),
        too_small=2.0**4,
        fitting=2.0**34,
    ),
)


def underflow_plan(device: str, experiments: Sequence[Experiment] = EXPERIMENTS) -> Plan:
    """Every experiment in every mode, one process each. The two static scales of a workload are told apart by
    `repeat`, which is part of a trial's id."""
    trials = [_trial(experiment, mode, device) for experiment in experiments for mode in MODES]
    return Plan("underflow", device, tuple(trials))


def _trial(experiment: Experiment, mode: Mode, device: str) -> TrialSpec:
    # torch's own first scale; its growth interval of 2000 steps would never fire here.
    scaler = ScalerSpec(growth_interval=10)
    scale = experiment.static_scale(mode)
    return TrialSpec(
        workload=experiment.workload,
        precision=mode.precision,
        seed=0,
        repeat=1 if mode.key == "fitting" else 0,
        device=device,
        threads=THREADS,
        profile="underflow",
        timeout_seconds=TRIAL_SECONDS,
        scaler=scaler if scale is None else replace(scaler, static_scale=scale),
        setup=experiment.setup,
    )
