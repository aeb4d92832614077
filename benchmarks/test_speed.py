"""The suite's own speed: `python -m nox -s perf`. Targets are asserted here and nowhere in the tests.

Absolute limits are generous ones that a person would notice being missed; they hold on two cores.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from suite.runner import Finished, Machine, run_plan, survey
from suite.spec import OptimizerSpec, Plan, ScalerSpec, Setup, TrialSpec

SETUP = Setup(steps=2, warmup_steps=1, batch_size=4, optimizer=OptimizerSpec("sgd", 0.01))
SPEC = TrialSpec("tiny", "fp32", 0, 0, "cpu", 1, "perf", 60.0, ScalerSpec(), SETUP)

Benchmark = Callable[..., object]


@pytest.fixture(scope="module")
def machine() -> Machine:
    return survey("cpu")


def test_a_later_trial_starts_within_half_a_second(benchmark: Benchmark, machine: Machine) -> None:
    starts: list[float] = []

    def one_trial() -> None:
        for event in run_plan(Plan("perf", "cpu", (SPEC,)), machine):
            if isinstance(event, Finished) and event.record.start_seconds is not None:
                starts.append(event.record.start_seconds)

    benchmark.pedantic(one_trial, rounds=10, warmup_rounds=1)  # type: ignore[attr-defined]
    assert len(starts) == 11
    assert sorted(starts)[-1] <= 0.5


@pytest.mark.parametrize(
    "arguments", [("list",), ("show",), ("compare", "latest", "latest"), ("report",)], ids=lambda words: words[0]
)
def test_a_judging_command_answers_within_three_seconds(
    benchmark: Benchmark, home: Path, arguments: tuple[str, ...]
) -> None:
    command = [sys.executable, "-m", "suite", *arguments, "--home", str(home)]

    def answer() -> None:
        subprocess.run(command, check=True, capture_output=True)

    benchmark.pedantic(answer, rounds=5, warmup_rounds=1)  # type: ignore[attr-defined]
    assert benchmark.stats.stats.median <= 3.0  # type: ignore[attr-defined]


def test_the_gate_answers_within_three_seconds_over_a_hundred_runs(benchmark: Benchmark, hundred_runs: Path) -> None:
    """From the command to its verdict, on the terminal and in verdict.json; the report comes after it."""
    command = [sys.executable, "-u", "-m", "suite", "gate", "--home", str(hundred_runs)]
    started: list[subprocess.Popen[str]] = []

    def answer() -> None:
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        assert started[-1].stdout is not None
        assert started[-1].stdout.readline().strip()
        assert list((hundred_runs / "reports").glob("*/verdict.json"))

    def end() -> None:
        with started.pop() as process:
            assert process.stdout is not None
            process.stdout.read()
        assert process.returncode == 0
        (verdict,) = (hundred_runs / "reports").glob("*/verdict.json")
        verdict.unlink()

    benchmark.pedantic(answer, rounds=5, teardown=end)  # type: ignore[attr-defined]
    assert benchmark.stats.stats.median <= 3.0  # type: ignore[attr-defined]
