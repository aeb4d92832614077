"""Approved baselines: they move only by approval, and only to something that can be a measure."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import records
from pandas.testing import assert_frame_equal

from suite.errors import DamagedResults, NoBaseline, SuiteError, UnwritableResults, UsageError
from suite.judge.baseline import approve, find, list_approvals
from suite.record import Outcome
from suite.store import Run, create_run, load_run

HERE = records.environment()
ELSEWHERE = records.environment(device_name="Other CPU")


def _stored(results: Path, seconds: float = 0.1) -> Run:
    return records.stored(results, records.cell([seconds]))


def _refusal(kind: type[SuiteError], results: Path, run: Run, name: str = "main", reason: str = "first") -> str:
    with pytest.raises(kind) as caught:
        approve(results, run, name, reason)
    assert list_approvals(results) == []
    return str(caught.value)


def test_an_approved_run_is_found_again_with_its_approval(tmp_path: Path) -> None:
    run = _stored(tmp_path)
    approval = approve(tmp_path, run, "main", "release 1.0")
    found, base = find(tmp_path, "main", HERE.fingerprint)
    assert found == approval
    assert (approval.name, approval.run, approval.reason) == ("main", run.info.run, "release 1.0")
    assert (approval.fingerprint, approval.device) == (HERE.fingerprint, "Test CPU")
    assert base.info == run.info
    assert_frame_equal(base.trials, run.trials)


def test_a_baseline_outlives_the_run_it_was_copied_from(tmp_path: Path) -> None:
    run = _stored(tmp_path)
    approve(tmp_path, run, "main", "release 1.0")
    shutil.rmtree(run.folder)
    assert find(tmp_path, "main", HERE.fingerprint)[1].info.run == run.info.run


def test_a_second_approval_replaces_the_first_and_leaves_nothing_behind(tmp_path: Path) -> None:
    first, second = _stored(tmp_path, 0.1), _stored(tmp_path, 0.2)
    approve(tmp_path, first, "main", "first")
    (find(tmp_path, "main", HERE.fingerprint)[1].folder / "left-over").touch()
    approve(tmp_path, second, "main", "second")
    found, base = find(tmp_path, "main", HERE.fingerprint)
    assert (found.reason, found.run, base.info.run) == ("second", second.info.run, second.info.run)
    assert [path.name for path in (tmp_path / "baselines" / "main").iterdir()] == [HERE.fingerprint[:12]]
    assert not (base.folder / "left-over").exists()


def test_names_and_machines_have_their_own_baselines_and_all_are_listed(tmp_path: Path) -> None:
    here, elsewhere = _stored(tmp_path), records.stored(tmp_path, records.cell([0.1]), ELSEWHERE)
    approve(tmp_path, here, "main", "a")
    approve(tmp_path, here, "v1.0", "b")
    approve(tmp_path, elsewhere, "main", "c")
    assert sorted((a.name, a.device, a.reason) for a in list_approvals(tmp_path)) == [
        ("main", "Other CPU", "c"),
        ("main", "Test CPU", "a"),
        ("v1.0", "Test CPU", "b"),
    ]
    assert find(tmp_path, "main", ELSEWHERE.fingerprint)[0].reason == "c"


def test_a_baseline_can_itself_be_approved_under_another_name(tmp_path: Path) -> None:
    approve(tmp_path, _stored(tmp_path), "main", "a")
    _, base = find(tmp_path, "main", HERE.fingerprint)
    approve(tmp_path, base, "copy", "b")
    assert find(tmp_path, "copy", HERE.fingerprint)[0].reason == "b"


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "/etc", ".hidden", "-x", "a b", "a\n", "ä", "a\\b"])
def test_a_name_that_is_no_plain_file_name_is_refused(tmp_path: Path, name: str) -> None:
    message = _refusal(UsageError, tmp_path / "results", _stored(tmp_path), name=name)
    assert message == f"baseline name {name!r} is not usable; give letters, digits, dots, dashes and underscores."
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs"]


@pytest.mark.parametrize("reason", ["", "  ", "\n\t"])
def test_an_approval_without_a_reason_is_refused(tmp_path: Path, reason: str) -> None:
    message = _refusal(UsageError, tmp_path, _stored(tmp_path), reason=reason)
    assert message == "--reason is empty; say why this run may be the measure of later ones."


def test_a_run_that_was_cut_short_is_refused(tmp_path: Path) -> None:
    trials = records.cell([0.1])
    writer = create_run(tmp_path, records.plan(trials), HERE, "ampmark run")
    writer.append(trials[0], "")
    run = load_run(writer.folder)
    name = run.info.run
    message = _refusal(UsageError, tmp_path, run)
    assert message == f"run {name} was cut short; complete it with `ampmark run --resume {name}` first."


def test_a_run_without_numbers_is_refused(tmp_path: Path) -> None:
    run = records.stored(tmp_path, [records.record(Outcome.CRASHED), records.record(Outcome.UNSUPPORTED)])
    expected = f"run {run.info.run} has no trial with numbers; approve one that has."
    assert _refusal(UsageError, tmp_path, run) == expected


def test_emulated_numbers_are_numbers(tmp_path: Path) -> None:
    approve(tmp_path, records.stored(tmp_path, [records.record(Outcome.EMULATED)]), "main", "a")
    assert len(list_approvals(tmp_path)) == 1


def test_without_any_baseline_the_message_says_how_to_approve_one(tmp_path: Path) -> None:
    with pytest.raises(NoBaseline) as caught:
        find(tmp_path, "main", HERE.fingerprint)
    assert str(caught.value) == (
        "no baseline 'main' is approved for this machine and software; "
        "run `ampmark baseline approve latest --name main --reason TEXT` on a run you trust."
    )


def test_without_a_baseline_of_this_name_and_machine_the_message_says_which_there_are(tmp_path: Path) -> None:
    approve(tmp_path, _stored(tmp_path), "main", "a")
    approve(tmp_path, records.stored(tmp_path, records.cell([0.1]), ELSEWHERE), "nightly", "b")
    with pytest.raises(NoBaseline) as caught:
        find(tmp_path, "nightly", HERE.fingerprint)
    assert "(approved so far: 'main' for Test CPU, 'nightly' for Other CPU)" in str(caught.value)


@pytest.mark.parametrize("text", ["{", "[]", '{"name": "main"}'])
def test_a_damaged_approval_is_refused_by_name(tmp_path: Path, text: str) -> None:
    approve(tmp_path, _stored(tmp_path), "main", "a")
    path = find(tmp_path, "main", HERE.fingerprint)[1].folder.parent / "baseline.json"
    path.write_text(text, encoding="utf-8")
    for call in (lambda: find(tmp_path, "main", HERE.fingerprint), lambda: list_approvals(tmp_path)):
        with pytest.raises(DamagedResults) as caught:
            call()
        assert str(caught.value).startswith(f"{path} is damaged (")
        assert str(caught.value).endswith("); approve the baseline again.")


def test_a_baseline_whose_numbers_were_changed_is_refused(tmp_path: Path) -> None:
    approve(tmp_path, _stored(tmp_path), "main", "a")
    path = find(tmp_path, "main", HERE.fingerprint)[1].folder / "trials.parquet"
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(DamagedResults, match="is not the file that was sealed"):
        find(tmp_path, "main", HERE.fingerprint)


def test_a_file_where_the_baselines_should_be_is_refused(tmp_path: Path) -> None:
    run = _stored(tmp_path)
    (tmp_path / "baselines").write_text("not a folder", encoding="utf-8")
    with pytest.raises(UnwritableResults) as caught:
        approve(tmp_path, run, "main", "a")
    folder = tmp_path / "baselines" / "main" / HERE.fingerprint[:12]
    assert str(caught.value) == f"{folder} cannot be written to (Not a directory); give another folder with --out."


def test_an_approval_that_fails_leaves_the_former_baseline(tmp_path: Path) -> None:
    approve(tmp_path, _stored(tmp_path), "main", "first")
    lost = _stored(tmp_path, 0.2)
    shutil.rmtree(lost.folder)
    with pytest.raises(UnwritableResults, match=r"cannot be written to \(No such file or directory\)"):
        approve(tmp_path, lost, "main", "second")
    assert [approval.reason for approval in list_approvals(tmp_path)] == ["first"]


def test_a_copy_that_fails_in_the_middle_says_why(tmp_path: Path) -> None:
    run = _stored(tmp_path)
    (run.folder / "logs" / "dangling").symlink_to(tmp_path / "nowhere")
    message = _refusal(UnwritableResults, tmp_path, run)
    assert "No such file or directory" in message
    assert "None" not in message
