"""Real replays of a workload that somebody changed after it was recorded: the first step that differs is named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import records

from suite.errors import Incomparable
from suite.record import Outcome, TrialRecord
from suite.replay import Conclusion, Verification
from suite.runner import Finished, Machine, Phase, Started, run_plan, survey
from suite.spec import OptimizerSpec, Plan, ScalerSpec, Setup, TrialSpec
from suite.verification import check_machine, other_code, verify


@pytest.fixture(scope="module")
def machine() -> Machine:
    return survey("cpu")


@pytest.fixture
def perturbation(tmp_path: Path) -> Path:
    """What the replay does otherwise than the record; nothing as long as it is empty."""
    path = tmp_path / "perturbation"
    path.touch()
    return path


def _recorded(machine: Machine, perturbation: Path, precision: str = "fp32", fault: str = "none") -> TrialRecord:
    settings = {"perturbation": str(perturbation), "fault": fault}
    setup = Setup(steps=8, warmup_steps=1, batch_size=4, optimizer=OptimizerSpec("sgd", 0.05), settings=settings)
    scaler = ScalerSpec(growth_interval=2)
    spec = TrialSpec("tiny", precision, 0, 0, "cpu", 1, "test", 60.0, scaler, setup)
    (event,) = [event for event in run_plan(Plan("test", "cpu", (spec,)), machine) if isinstance(event, Finished)]
    return event.record


def _verified(record: TrialRecord, machine: Machine) -> Verification:
    (said,) = [event for event in verify([record], machine) if isinstance(event, Verification)]
    return said


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16-static", "fp16-dynamic", "fp16-unscaled"])
def test_an_unchanged_record_is_verified_in_every_mode(machine: Machine, perturbation: Path, precision: str) -> None:
    record = _recorded(machine, perturbation, precision)
    assert record.outcome.measured
    assert _verified(record, machine).conclusion is Conclusion.VERIFIED


@pytest.mark.parametrize(("precision", "outcome"), [("fp16-dynamic", Outcome.EMULATED), ("bf16", Outcome.DIVERGED)])
def test_overflows_and_divergences_repeat_as_well(
    machine: Machine, perturbation: Path, precision: str, outcome: Outcome
) -> None:
    record = _recorded(machine, perturbation, precision, fault="overflow")
    assert record.steps is not None
    assert record.steps.overflowed[3]
    assert record.outcome in (outcome, Outcome.OK)  # fp16 is native on some processors
    assert _verified(record, machine).conclusion is Conclusion.VERIFIED


@pytest.mark.parametrize(
    ("change", "what", "step"),
    [("weight", "digest of the initial weights", None), ("batch 5", "loss", 5), ("batch 0", "loss", 0)],
)
def test_one_changed_weight_or_batch_is_named_with_its_step(
    machine: Machine, perturbation: Path, change: str, what: str, step: int | None
) -> None:
    record = _recorded(machine, perturbation)
    perturbation.write_text(change, encoding="utf-8")
    said = _verified(record, machine)
    assert said.conclusion is Conclusion.DIFFERS
    assert said.difference is not None
    assert (said.difference.what, said.difference.step) == (what, step)
    assert said.reason is not None
    assert said.reason.endswith("so the record was made by other code, weights, data or settings.")


def test_one_changed_setting_shows_at_the_first_step_that_feels_it(machine: Machine, perturbation: Path) -> None:
    record = _recorded(machine, perturbation)
    optimizer = replace(record.spec.setup.optimizer, learning_rate=0.05000001)
    claimed = replace(record, spec=replace(record.spec, setup=replace(record.spec.setup, optimizer=optimizer)))
    difference = _verified(claimed, machine).difference
    assert difference is not None
    assert (difference.what, difference.step) == ("loss", 1)


def test_training_that_never_repeats_is_told_from_a_record_of_something_else(
    machine: Machine, perturbation: Path
) -> None:
    record = _recorded(machine, perturbation)
    perturbation.write_text("chance 4", encoding="utf-8")
    said = _verified(record, machine)
    assert said.conclusion is Conclusion.NOT_DETERMINISTIC
    assert said.difference is not None
    assert (said.difference.what, said.difference.step) == ("loss", 4)


def test_a_replay_that_breaks_says_how(machine: Machine, perturbation: Path) -> None:
    record = _recorded(machine, perturbation)
    perturbation.write_text("raise", encoding="utf-8")
    said = _verified(record, machine)
    assert said.conclusion is Conclusion.REPLAY_FAILED
    assert said.reason == "failed: RuntimeError: the workload broke since"


def test_an_operator_without_a_deterministic_form_cannot_be_verified(machine: Machine, perturbation: Path) -> None:
    said = _verified(_recorded(machine, perturbation, fault="put"), machine)
    assert said.conclusion is Conclusion.REPLAY_FAILED
    assert said.reason is not None
    assert said.reason.startswith("unsupported: put_ has no deterministic form on this device")


def test_what_is_skipped_starts_no_process_and_the_rest_says_what_it_does(machine: Machine, perturbation: Path) -> None:
    skipped = records.record(Outcome.UNSUPPORTED, reason="no TF32 here.")
    events = list(verify([skipped, _recorded(machine, perturbation)], machine, timeout_seconds=30.0))
    assert isinstance(events[0], Verification)
    assert isinstance(events[1], Started)
    assert (events[1].index, events[1].total) == (1, 2)
    assert (events[1].spec.deterministic, events[1].spec.timeout_seconds) == (True, 30.0)
    assert all(isinstance(event, Phase) for event in events[2:-1])
    assert isinstance(events[-1], Verification)


def test_another_machine_is_refused_with_what_differs() -> None:
    info = records.run([records.record()], machine=records.environment(torch="2.13.0", threads=4)).info
    with pytest.raises(Incomparable, match=r"verified here: torch: 2\.13\.0 → 2\.14\.1; threads: 4 → 2\. Bits repeat"):
        check_machine(info, Machine(records.environment(), None))
    check_machine(info, Machine(info.environment, None))


def test_another_ampmark_is_no_other_machine() -> None:
    info = records.run([records.record()], machine=records.environment(git_commit="old")).info
    here = Machine(records.environment(git_commit="new"), None)
    check_machine(info, here)
    assert other_code(info, here) == ["git_commit: old → new"]
