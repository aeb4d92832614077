from __future__ import annotations

from dataclasses import replace

import pytest
from ampmark_tiny import Tiny, TinySettings
from trials import CPU, SETUP, SPEC

from suite.measure.loop import train
from suite.measure.optimizer import make_optimizer
from suite.measure.precision import FP32


class Diary:
    """A meter that writes down what is called, and what the loop calls besides."""

    def __init__(self) -> None:
        self.entries: list[str] = []

    def start(self) -> None:
        self.entries.append("start")

    def mark(self) -> None:
        self.entries.append("mark")

    def resume(self) -> None:
        self.entries.append("resume")

    def stop(self) -> tuple[float, ...]:
        return ()


@pytest.mark.parametrize(
    ("warmup_steps", "entries"),
    [
        (0, "start window resume mark mark mark"),
        (1, "start window resume warm mark mark mark"),
        (2, "start mark window resume warm mark mark"),
    ],
)
def test_the_instruments_are_read_one_step_before_the_first_timed_one(warmup_steps: int, entries: str) -> None:
    """So that a GPU, which they leave without work, has some again when the first timed step is launched."""
    setup = replace(SETUP, steps=3, warmup_steps=warmup_steps)
    workload = Tiny(TinySettings(), batch_size=8, seed=0, device=CPU)
    model = workload.model()
    diary = Diary()
    train(
        workload,
        model,
        make_optimizer(model, setup.optimizer),
        FP32.policy(CPU, setup.steps, SPEC.scaler, None),
        setup,
        diary,
        lambda: diary.entries.append("window"),
        lambda: diary.entries.append("warm"),
    )
    assert diary.entries == entries.split()
