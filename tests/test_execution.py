"""A plan carried out in turn with an anchor: the order of blocks, and what an anchor that fails costs.

The trials of the candidate are not run: a stand-in for the runner yields the events of trials that went well.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import records
from fake_python import FakePython
from fake_runner import MACHINE, FakeRunner

from suite import runner
from suite.anchor import Anchor
from suite.companions import AnchorNote, anchor_folder, anchor_of, read_note
from suite.execution import RunInterruptedError, execute
from suite.judge.baseline import Approval
from suite.runner import AnchorBlock, Event, Finished
from suite.spec import Plan
from suite.store import RunWriter, create_run, load_run, reopen_run


@pytest.fixture
def trials(monkeypatch: pytest.MonkeyPatch) -> FakeRunner:
    fake = FakeRunner()
    monkeypatch.setattr(runner, "run_plan", fake)
    return fake


@pytest.fixture
def python(tmp_path: Path) -> FakePython:
    return FakePython(tmp_path / "environment")


def _plan(repeats: int = 3, precisions: tuple[str, ...] = ("fp32",)) -> Plan:
    specs = [records.spec("gpt", precision, 0, repeat) for repeat in range(repeats) for precision in precisions]
    return Plan("test", "cpu", tuple(specs))


def _writer(results: Path, plan: Plan) -> RunWriter:
    return create_run(results, plan, records.environment(), "ampmark run")


def _anchor(folder: Path, python: FakePython) -> Anchor:
    profile = folder / "profile.toml"
    profile.write_text('name = "test"\n', encoding="utf-8")
    approval = Approval("main", "run-1", "f" * 64, "Test CPU", "trusted", "2026-01-01T00:00:00+00:00")
    base = records.run(records.cell([0.1]))
    return Anchor(approval, profile, str(python.path), None, (("gpt", "fp32"), ("gpt", "bf16")), (0,), base)


def _turns(events: list[Event]) -> list[str]:
    """What ran when: `A` is a block of the anchor, other words are the candidate's finished trials."""
    kinds = {AnchorBlock: lambda event: "A", Finished: lambda event: event.record.spec.trial_id}
    return [kinds[type(event)](event) for event in events if type(event) in kinds]


def _leave_blocks(python: FakePython, elsewhere: Path, seconds: list[float]) -> None:
    for value in seconds:
        python.stores(records.stored(elsewhere, records.cell([value])))


# --- alone ----------------------------------------------------------------------------------------------------------


def test_without_an_anchor_every_trial_is_run_stored_and_the_run_sealed(tmp_path: Path, trials: FakeRunner) -> None:
    events: list[Event] = []
    run = execute(_writer(tmp_path, _plan(2)), MACHINE, events.append)
    assert _turns(events) == ["gpt-fp32-s0-r0", "gpt-fp32-s0-r1"]
    assert list(run.trials["trial"]) == trials.started == ["gpt-fp32-s0-r0", "gpt-fp32-s0-r1"]
    assert run.info.sealed_at is not None
    assert read_note(run.folder) is None
    assert (run.folder / "logs" / "gpt-fp32-s0-r1.txt").read_text(encoding="utf-8") == "log of gpt-fp32-s0-r1"


def test_trials_that_have_a_record_are_not_run_again(tmp_path: Path, trials: FakeRunner) -> None:
    plan = _plan(3)
    writer = _writer(tmp_path, plan)
    writer.append(records.record(spec=plan.trials[1], order=1), "")
    run = execute(writer, MACHINE, lambda event: None)
    assert trials.started == ["gpt-fp32-s0-r0", "gpt-fp32-s0-r2"]
    assert list(run.trials["repeat"]) == [0, 1, 2]


def test_an_interrupt_says_which_run_it_was_and_keeps_what_ended(tmp_path: Path, trials: FakeRunner) -> None:
    trials.interrupted_at = "gpt-fp32-s0-r1"
    writer = _writer(tmp_path, _plan(3))
    with pytest.raises(RunInterruptedError) as caught:
        execute(writer, MACHINE, lambda event: None)
    assert caught.value.run == writer.info.run
    assert isinstance(caught.value, KeyboardInterrupt)
    kept = load_run(writer.folder)
    assert (kept.info.sealed_at, list(kept.trials["trial"])) == (None, ["gpt-fp32-s0-r0"])


# --- in turn --------------------------------------------------------------------------------------------------------


def test_blocks_go_anchor_candidate_candidate_anchor_so_that_a_drift_moves_both_alike(
    tmp_path: Path, trials: FakeRunner, python: FakePython
) -> None:
    events: list[Event] = []
    plan = _plan(4, ("fp32", "bf16"))
    execute(_writer(tmp_path, plan), MACHINE, events.append, _anchor(tmp_path, python))
    assert _turns(events) == [
        *("A", "gpt-fp32-s0-r0", "gpt-bf16-s0-r0"),
        *("gpt-fp32-s0-r1", "gpt-bf16-s0-r1", "A"),
        *("A", "gpt-fp32-s0-r2", "gpt-bf16-s0-r2"),
        *("gpt-fp32-s0-r3", "gpt-bf16-s0-r3", "A"),
    ]
    assert len(python.blocks) == 4
    assert {(*call.option("--workload"), *call.option("--precision")) for call in python.blocks} == {
        ("gpt", "fp32", "bf16")
    }
    said = [event for event in events if isinstance(event, AnchorBlock)]
    assert said == [AnchorBlock("main", 2)] * 4


def test_every_trial_of_the_candidate_is_stored_once_whatever_ran_between(
    tmp_path: Path, trials: FakeRunner, python: FakePython
) -> None:
    run = execute(_writer(tmp_path, _plan(3)), MACHINE, lambda event: None, _anchor(tmp_path, python))
    assert trials.started == ["gpt-fp32-s0-r0", "gpt-fp32-s0-r1", "gpt-fp32-s0-r2"]
    assert list(run.trials["trial"]) == trials.started
    assert run.info.sealed_at is not None
    assert read_note(run.folder) == AnchorNote("main", "run-1", own_python=True)


def test_the_blocks_lie_beside_the_run_and_are_its_anchor(
    tmp_path: Path, trials: FakeRunner, python: FakePython
) -> None:
    _leave_blocks(python, tmp_path / "elsewhere", [0.1, 0.2, 0.3])
    run = execute(_writer(tmp_path, _plan(3)), MACHINE, lambda event: None, _anchor(tmp_path, python))
    assert len(list((anchor_folder(run.folder) / "runs").iterdir())) == 3
    anchor = anchor_of([run])
    assert anchor is not None
    assert list(zip(anchor.trials["repeat"], anchor.trials["step_seconds_median"], strict=True)) == [
        (0, 0.1),
        (1, 0.2),
        (2, 0.3),
    ]


def test_an_anchor_of_a_worktree_is_noted_as_one_that_can_be_had_again(
    tmp_path: Path, trials: FakeRunner, python: FakePython
) -> None:
    worktree = _anchor(tmp_path, python)
    worktree = replace(worktree, path=tmp_path)
    run = execute(_writer(tmp_path, _plan(1)), MACHINE, lambda event: None, worktree)
    assert read_note(run.folder) == AnchorNote("main", "run-1", own_python=False)


# --- an anchor that fails -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fails_at", "turns"),
    [
        (1, ["A", "gpt-fp32-s0-r0", "gpt-fp32-s0-r1", "gpt-fp32-s0-r2"]),
        (2, ["A", "gpt-fp32-s0-r0", "gpt-fp32-s0-r1", "A", "gpt-fp32-s0-r2"]),
        (3, ["A", "gpt-fp32-s0-r0", "gpt-fp32-s0-r1", "A", "A", "gpt-fp32-s0-r2"]),
    ],
)
def test_an_anchor_that_fails_ends_there_and_the_candidate_goes_on(
    tmp_path: Path, trials: FakeRunner, python: FakePython, fails_at: int, turns: list[str]
) -> None:
    python.block(f'if [ "$(grep -c "from suite.cli" "$here/calls")" = {fails_at} ]; then echo broke >&2; exit 9; fi')
    _leave_blocks(python, tmp_path / "elsewhere", [0.1] * (fails_at - 1))
    events: list[Event] = []
    run = execute(_writer(tmp_path, _plan(3)), MACHINE, events.append, _anchor(tmp_path, python))
    assert _turns(events) == turns
    assert list(run.trials["trial"]) == ["gpt-fp32-s0-r0", "gpt-fp32-s0-r1", "gpt-fp32-s0-r2"]
    assert run.info.sealed_at is not None
    assert read_note(run.folder) == AnchorNote(
        "main", "run-1", own_python=True, reason="the anchor's code ended with status 9: broke"
    )
    anchor = anchor_of([run])
    assert (0 if anchor is None else len(anchor.trials)) == fails_at - 1


def test_an_interrupt_during_a_block_of_the_anchor_keeps_the_candidates_trials(
    tmp_path: Path, trials: FakeRunner, python: FakePython
) -> None:
    def press_ctrl_c(event: Event) -> None:
        if isinstance(event, AnchorBlock) and trials.started:
            raise KeyboardInterrupt

    writer = _writer(tmp_path, _plan(3))
    with pytest.raises(RunInterruptedError):
        execute(writer, MACHINE, press_ctrl_c, _anchor(tmp_path, python))
    kept = load_run(writer.folder)
    assert list(kept.trials["trial"]) == ["gpt-fp32-s0-r0", "gpt-fp32-s0-r1"]
    assert kept.info.sealed_at is None


def test_a_run_that_was_cut_short_is_completed_without_its_anchor_and_keeps_the_blocks_it_had(
    tmp_path: Path, trials: FakeRunner, python: FakePython
) -> None:
    _leave_blocks(python, tmp_path / "elsewhere", [0.1, 0.2])
    trials.interrupted_at = "gpt-fp32-s0-r2"
    writer = _writer(tmp_path, _plan(3))
    with pytest.raises(RunInterruptedError):
        execute(writer, MACHINE, lambda event: None, _anchor(tmp_path, python))
    trials.interrupted_at = None
    folder = writer.folder
    writer._release()  # its process has ended
    run = execute(reopen_run(folder), MACHINE, lambda event: None)
    assert list(run.trials["repeat"]) == [0, 1, 2]
    anchor = anchor_of([run])
    assert anchor is not None
    assert list(anchor.trials["repeat"]) == [0, 1]


def test_an_anchor_that_turns_out_to_be_other_code_ends_after_its_first_block(
    tmp_path: Path, trials: FakeRunner, python: FakePython
) -> None:
    for value in (0.1, 0.1, 0.1):
        block = records.stored(tmp_path / "elsewhere", records.cell([value]), records.environment(torch="9.9"))
        python.stores(block)
    run = execute(_writer(tmp_path, _plan(3)), MACHINE, lambda event: None, _anchor(tmp_path, python))
    assert len(list((anchor_folder(run.folder) / "runs").iterdir())) == 1
    assert len(run.trials) == 3
    note = read_note(run.folder)
    assert note is not None
    assert note.reason == f"it is not the baseline's code (torch: {records.environment().torch} → 9.9)"
