"""A small trial, made by hand, on a bench with a fake clock: every number of its record is known beforehand."""

from __future__ import annotations

import torch

from suite.measure.device import Hardware
from suite.measure.instruments import Instruments
from suite.measure.trial import Bench
from suite.spec import OptimizerSpec, ScalerSpec, Setup, TrialSpec

CPU = torch.device("cpu")
#: A processor that computes everything natively, so that outcomes do not depend on the machine of the test.
CAPABLE = Hardware("cpu", "test", cpu_flags=frozenset({"avx512_fp16", "avx512_bf16"}))

SETUP = Setup(steps=10, warmup_steps=2, batch_size=8, optimizer=OptimizerSpec("sgd", 0.05))
SPEC = TrialSpec(
    workload="tiny",
    precision="fp32",
    seed=0,
    repeat=0,
    device="cpu",
    threads=torch.get_num_threads(),
    profile="test",
    timeout_seconds=10.0,
    scaler=ScalerSpec(initial_scale=1024.0, growth_interval=4, static_scale=64.0),
    setup=SETUP,
)


class TickingMeter:
    """Every step takes a quarter of a second, the first one a whole one."""

    def start(self) -> None:
        self.marks = 0

    def mark(self) -> None:
        self.marks += 1

    def stop(self) -> tuple[float, ...]:
        return (1.0,) + (0.25,) * (self.marks - 1)

    def resume(self) -> None:
        self.resumed_after = self.marks


def bench(hardware: Hardware = CAPABLE) -> Bench:
    """The processor of the test, said to be `hardware`."""
    return Bench(CPU, hardware, Instruments(CPU, "no NVIDIA device"), TickingMeter())
