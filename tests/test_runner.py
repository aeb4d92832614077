"""Trials that go wrong in every way, in real processes: each is one record, and the next one is unharmed."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from suite.errors import UsageError
from suite.process import Job, _BoundedLog
from suite.record import Outcome
from suite.runner import Finished, Machine, Phase, Started, run_plan, survey
from suite.spec import OptimizerSpec, Plan, ScalerSpec, Setup, TrialSpec

ROOT = Path(__file__).parents[1]
SETUP = Setup(steps=6, warmup_steps=1, batch_size=4, optimizer=OptimizerSpec("sgd", 0.01))


def _spec(fault: str, precision: str = "fp32", timeout_seconds: float = 60.0) -> TrialSpec:
    setup = replace(SETUP, settings={"fault": fault})
    return TrialSpec("tiny", precision, 0, 0, "cpu", 1, fault, timeout_seconds, ScalerSpec(), setup)


@pytest.fixture(scope="module")
def machine() -> Machine:
    return survey("cpu")


def _run(machine: Machine, *specs: TrialSpec) -> list[Finished]:
    plan = Plan("test", "cpu", tuple(replace(spec, seed=seed) for seed, spec in enumerate(specs)))
    return [event for event in run_plan(plan, machine) if isinstance(event, Finished)]


def test_the_parent_never_loads_torch(machine: Machine) -> None:
    # This process may have torch from other tests, so ask a fresh one.
    code = "import sys; from suite.runner import survey; survey('cpu'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("fault", "outcome", "reason"),
    [
        ("raise", Outcome.FAILED, "RuntimeError: the <workload> broke"),
        ("exit", Outcome.CRASHED, "the process ended without a record: exit status 7."),
        (
            "kill",
            Outcome.CRASHED,
            "the process ended without a record: killed by signal 9 (SIGKILL) "
            "(often the kernel's out-of-memory killer).",
        ),
        ("overflow", Outcome.DIVERGED, "a gradient was not finite at step 3, and the step was applied."),
    ],
)
def test_what_goes_wrong_is_one_record_and_the_others_are_unharmed(
    machine: Machine, fault: str, outcome: Outcome, reason: str
) -> None:
    before, broken, after = _run(machine, _spec("none"), _spec(fault), _spec("none"))
    assert (broken.record.outcome, broken.record.reason) == (outcome, reason)
    assert before.record.outcome is after.record.outcome is Outcome.OK
    assert [event.record.order for event in (before, broken, after)] == [0, 1, 2]


@pytest.mark.parametrize("fault", ["hang", "chatter"])
def test_a_trial_that_never_ends_is_killed_at_its_limit_and_the_next_one_runs(machine: Machine, fault: str) -> None:
    hung, after = _run(machine, _spec(fault, timeout_seconds=4.0), _spec("none"))
    assert hung.record.outcome is Outcome.TIMED_OUT
    assert hung.record.reason == "not finished after 4 s; raise --timeout or choose less work."
    assert after.record.outcome is Outcome.OK


def test_more_memory_than_there_is_is_an_outcome(machine: Machine) -> None:
    (event,) = _run(machine, _spec("memory"))
    assert event.record.outcome is Outcome.OUT_OF_MEMORY


def test_a_flood_of_output_neither_blocks_nor_fills_anything(machine: Machine) -> None:
    flooded, after = _run(machine, _spec("flood"), _spec("none"))
    assert flooded.record.outcome is after.record.outcome is Outcome.OK
    assert len(flooded.log) < 600_000
    assert "bytes cut" in flooded.log


def test_a_child_that_outlives_its_trial_is_killed_with_it(machine: Machine) -> None:
    chatty, after = _run(machine, _spec("child", timeout_seconds=30.0), _spec("none"))
    assert chatty.record.outcome is after.record.outcome is Outcome.OK
    assert chatty.record.total_seconds is not None
    assert chatty.record.total_seconds < 20.0


def test_a_workload_may_have_processes_of_its_own(machine: Machine) -> None:
    (event,) = _run(machine, _spec("loader"))
    assert event.record.outcome is Outcome.OK, event.log


def test_a_torch_that_cannot_be_loaded_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise RuntimeError('broken build')\n", encoding="utf-8")
    environment = dict(os.environ) | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    command = [sys.executable, "-m", "suite", "run", "--profile", "smoke", "--home", str(tmp_path)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "broken build" in ended.stderr
    assert ended.stderr.splitlines()[-1].startswith("ampmark: ")


def test_a_failed_trial_keeps_the_end_of_its_output(machine: Machine) -> None:
    (event,) = _run(machine, _spec("raise"))
    assert event.record.log_tail is not None
    assert event.record.log_tail.endswith("RuntimeError: the <workload> broke")
    assert "Traceback" in event.log


def test_events_come_in_order(machine: Machine) -> None:
    events = list(run_plan(Plan("test", "cpu", (_spec("none"),)), machine))
    assert isinstance(events[0], Started)
    assert isinstance(events[-1], Finished)
    assert next(event.name for event in events if isinstance(event, Phase)) == "starting"


def test_trials_to_skip_are_not_started(machine: Machine) -> None:
    spec = _spec("none")
    assert list(run_plan(Plan("test", "cpu", (spec,)), machine, skip=frozenset({spec.trial_id}))) == []


def test_closing_the_run_kills_the_running_trial(machine: Machine) -> None:
    events = run_plan(Plan("test", "cpu", (_spec("hang"),)), machine)
    while not (isinstance(event := next(events), Phase) and event.name.startswith("training")):
        pass
    events.close()
    (after,) = _run(machine, _spec("none"))
    assert after.record.outcome is Outcome.OK


def test_a_workload_that_is_not_installed_is_a_failed_trial(machine: Machine) -> None:
    (event,) = _run(machine, replace(_spec("none"), workload="absent"))
    assert event.record.outcome is Outcome.FAILED
    assert event.record.reason is not None
    assert event.record.reason.startswith("workload 'absent' is not known;")


def test_a_device_that_is_not_here_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="'cuda:99' is not here"):
        survey("cuda:99")


def test_a_job_that_dies_at_once_says_how() -> None:
    job = Job({"absent": {}}, 60.0)
    assert [message for message in job if "record" in message] == []
    assert job.ending() == "exit status 1"
    assert "KeyError" in job.log()


@pytest.mark.parametrize(
    ("chunks", "text"),
    [
        ([b"abc"], "abc"),
        ([b"0123456789"], "0123456789"),
        ([b"0123", b"456789abcdef"], "01234\n[… 6 bytes cut …]\nbcdef"),
        ([b"x" * 4, b"y" * 100, b"z" * 100], "xxxxy\n[… 194 bytes cut …]\nzzzzz"),
        ([b"\xff"], "\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_a_long_log_keeps_its_beginning_and_its_end(chunks: list[bytes], text: str) -> None:
    log = _BoundedLog(5)
    for chunk in chunks:
        log.add(chunk)
    assert log.text() == text
