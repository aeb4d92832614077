"""Approved baselines: they move only by approval, and only to something that can be a measure."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from subprocess import PIPE

import pytest
import records
from pandas.testing import assert_frame_equal

from suite.decode import encode
from suite.errors import DamagedResults, Incomparable, NoBaseline, SuiteError, UnwritableResults, UsageError
from suite.files import held_for_reading
from suite.judge.baseline import approve, find, list_approvals, weaknesses
from suite.record import Caution, Outcome, TrialRecord
from suite.store import Run, create_run, load_run

ROOT = Path(__file__).parents[2]
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
    found, base = find(tmp_path, "main", HERE)
    assert found == approval
    assert (approval.name, approval.run, approval.reason) == ("main", run.info.run, "release 1.0")
    assert (approval.fingerprint, approval.device) == (HERE.fingerprint, "Test CPU")
    assert base.info == run.info
    assert_frame_equal(base.trials, run.trials)


def test_a_baseline_outlives_the_run_it_was_copied_from(tmp_path: Path) -> None:
    run = _stored(tmp_path)
    approve(tmp_path, run, "main", "release 1.0")
    shutil.rmtree(run.folder)
    assert find(tmp_path, "main", HERE)[1].info.run == run.info.run


def test_a_second_approval_replaces_the_first_and_leaves_nothing_behind(tmp_path: Path) -> None:
    first, second = _stored(tmp_path, 0.1), _stored(tmp_path, 0.2)
    approve(tmp_path, first, "main", "first")
    (find(tmp_path, "main", HERE)[1].folder / "left-over").touch()
    approve(tmp_path, second, "main", "second")
    found, base = find(tmp_path, "main", HERE)
    assert (found.reason, found.run, base.info.run) == ("second", second.info.run, second.info.run)
    assert [path.name for path in (tmp_path / "baselines" / "main").iterdir()] == [HERE.fingerprint[:12]]
    assert not (base.folder / "left-over").exists()


def test_approvals_at_the_same_time_all_succeed_and_the_last_one_counts(tmp_path: Path) -> None:
    runs = [_stored(tmp_path, 0.1), _stored(tmp_path, 0.2)]
    approve(tmp_path, runs[0], "main", "the first of all")
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda number: approve(tmp_path, runs[number % 2], "main", f"no. {number}"), range(12)))
    found, base = find(tmp_path, "main", HERE)
    assert found in made
    assert base.info.run == found.run
    assert {path.name for path in base.folder.parent.iterdir()} == {"baseline.json", found.copy}
    assert {path.name for path in (tmp_path / "baselines").iterdir()} == {".lock", "main"}


_APPROVE = """
import sys
from pathlib import Path
from suite.judge.baseline import approve
from suite.store import load_run
results, folder = map(Path, sys.argv[1:])
run = load_run(folder)
print("ready", flush=True)
sys.stdin.readline()
for _ in range(5):
    approve(results, run, "main", "r")
"""


def test_two_processes_may_approve_at_the_same_time(tmp_path: Path) -> None:
    folders = [_stored(tmp_path, 0.1).folder, _stored(tmp_path, 0.2).folder]
    words = [[sys.executable, "-c", _APPROVE, str(tmp_path), str(folder)] for folder in folders]
    both = [subprocess.Popen(each, cwd=ROOT, text=True, stdin=PIPE, stdout=PIPE, stderr=PIPE) for each in words]
    for process in both:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in both:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate()[1] for process in both]
    assert [(process.returncode, text) for process, text in zip(both, said, strict=True)] == [(0, ""), (0, "")]
    found, base = find(tmp_path, "main", HERE)
    assert {path.name for path in base.folder.parent.iterdir()} == {"baseline.json", found.copy}


def test_while_baselines_are_approved_each_one_found_is_whole(tmp_path: Path) -> None:
    """The same run again, and another one: what is found is always one of them, and never half of it."""
    runs = [_stored(tmp_path, 0.1), _stored(tmp_path, 0.2)]
    approve(tmp_path, runs[0], "main", "first")
    with ThreadPoolExecutor(1) as pool:
        approvals = [pool.submit(approve, tmp_path, runs[number // 2 % 2], "main", "again") for number in range(12)]
        found = {find(tmp_path, "main", HERE)[1].info.run}
        while not all(approval.done() for approval in approvals):
            found.add(find(tmp_path, "main", HERE)[1].info.run)
    assert found <= {run.info.run for run in runs}
    assert [approval.result().name for approval in approvals] == ["main"] * 12


def test_an_approval_waits_for_whoever_reads_the_former_one(tmp_path: Path) -> None:
    first, second = _stored(tmp_path, 0.1), _stored(tmp_path, 0.2)
    approve(tmp_path, first, "main", "first")
    with ThreadPoolExecutor(1) as pool:
        with held_for_reading(tmp_path / "baselines"):
            waiting = pool.submit(approve, tmp_path, second, "main", "second")
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.2)
            assert find(tmp_path, "main", HERE)[0].reason == "first"
        waiting.result()
    assert find(tmp_path, "main", HERE)[0].reason == "second"


def test_the_former_copy_is_there_until_the_new_one_is_pointed_at(tmp_path: Path) -> None:
    """An approval that is killed in between leaves a copy that nothing points at; the next one clears it away."""
    run = _stored(tmp_path)
    former = approve(tmp_path, run, "main", "first")
    _, base = find(tmp_path, "main", HERE)
    shutil.copytree(run.folder, base.folder.with_name(f"{run.info.run}.left"))
    assert find(tmp_path, "main", HERE)[0] == former
    again = approve(tmp_path, run, "main", "again")
    assert former.copy != again.copy
    assert {path.name for path in base.folder.parent.iterdir()} == {"baseline.json", again.copy}


def test_a_baseline_of_an_older_version_is_found_and_replaced(tmp_path: Path) -> None:
    """Its copy has the run's own name, and baseline.json does not say so."""
    run = _stored(tmp_path)
    approval = approve(tmp_path, run, "main", "first")
    folder = find(tmp_path, "main", HERE)[1].folder
    path = folder.with_name("baseline.json")
    folder.rename(folder.with_name(run.info.run))
    old = {name: value for name, value in encode(approval).items() if name != "copy"}
    path.write_text(json.dumps(old), encoding="utf-8")
    (tmp_path / "baselines" / ".lock").unlink()
    found, base = find(tmp_path, "main", HERE)
    assert (found.copy, base.info) == (None, run.info)
    again = approve(tmp_path, base, "main", "again")
    assert {path.name for path in folder.parent.iterdir()} == {"baseline.json", again.copy}


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
    assert find(tmp_path, "main", ELSEWHERE)[0].reason == "c"


def test_a_baseline_can_itself_be_approved_under_another_name(tmp_path: Path) -> None:
    approve(tmp_path, _stored(tmp_path), "main", "a")
    _, base = find(tmp_path, "main", HERE)
    approve(tmp_path, base, "copy", "b")
    assert find(tmp_path, "copy", HERE)[0].reason == "b"


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "/etc", ".hidden", "-x", "a b", "a\n", "ä", "a\\b"])
def test_a_name_that_is_no_plain_file_name_is_refused(tmp_path: Path, name: str) -> None:
    message = _refusal(UsageError, tmp_path / "results", _stored(tmp_path), name=name)
    assert message == f"baseline name {name!r} is not usable; give letters, digits, dots, dashes and underscores."
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs"]


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", "mian ", "n" * 256, "n" * 10000])
def test_a_name_that_no_baseline_can_have_is_looked_for_nowhere(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError) as approved:
        approve(tmp_path, _stored(tmp_path), name, "first")
    with pytest.raises(UsageError) as found:
        find(tmp_path, name, HERE)
    assert str(found.value) == str(approved.value)
    if len(name) > 255:
        assert str(found.value) == (
            f"baseline name 'nnnnnnnnnnnnnnnnnnnn'… has {len(name)} characters; give one of at most 255."
        )


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
        find(tmp_path, "main", HERE)
    assert str(caught.value) == (
        "no baseline 'main' is approved for this machine and software; "
        "run `ampmark baseline approve latest --name main --reason TEXT` on a run you trust."
    )


def test_without_a_baseline_of_this_name_the_message_says_which_there_are(tmp_path: Path) -> None:
    approve(tmp_path, _stored(tmp_path), "main", "a")
    approve(tmp_path, records.stored(tmp_path, records.cell([0.1]), ELSEWHERE), "nightly", "b")
    with pytest.raises(NoBaseline) as caught:
        find(tmp_path, "weekly", HERE)
    assert "(approved so far: 'main' for Test CPU, 'nightly' for Other CPU)" in str(caught.value)


def test_of_a_baseline_for_another_stack_the_message_says_what_differs_and_what_to_do(tmp_path: Path) -> None:
    before = records.environment(torch="2.13.0", threads=4)
    run = records.stored(tmp_path, records.cell([0.1]), before)
    approve(tmp_path, run, "main", "a")
    with pytest.raises(Incomparable) as caught:
        find(tmp_path, "main", HERE)
    assert str(caught.value) == (
        "baseline 'main' is approved for other machines or software only; what differs from the nearest, run "
        f"{run.info.run} on Test CPU: torch: 2.13.0 → 2.14.1; threads: 4 → 2. Approve a baseline for this stack with "
        "`ampmark baseline approve latest --name main --reason TEXT`, or measure on the old one."
    )


def test_of_several_baselines_for_others_the_nearest_of_the_name_is_told(tmp_path: Path) -> None:
    for name, fields in (
        ("main", {"device_name": "Other CPU", "python": "3.11.0"}),
        ("main", {"python": "3.13.0"}),
        ("nightly", {"python": "3.12.0", "os": "Linux 7"}),
        ("main", {"os": "Linux 5", "cpu": "Other CPU"}),
    ):
        approve(tmp_path, records.stored(tmp_path, records.cell([0.1]), records.environment(**fields)), name, "a")
    with pytest.raises(Incomparable, match=r"on Test CPU: python: 3\.13\.0 → 3\.12\.0\. Approve"):
        find(tmp_path, "main", HERE)


# --- what weakens a baseline ----------------------------------------------------------------------------------------

LOAD, STEAL = Caution("foreign_load", "somebody else"), Caution("cpu_steal", "another guest")


def _weaknesses(*trials: TrialRecord) -> tuple[str, ...]:
    return weaknesses(records.run(trials))


def test_three_quiet_processes_a_cell_weaken_nothing() -> None:
    assert _weaknesses(*records.cell([0.1] * 3), *records.cell([0.1] * 5, "lstm")) == ()
    # Seeds are processes as well.
    assert _weaknesses(*(records.record(spec=records.spec(seed=seed)) for seed in range(3))) == ()


def test_cells_with_fewer_than_three_processes_are_counted() -> None:
    said = (
        "2 cells have fewer than 3 processes, so without --anchor their times will always be inconclusive; "
        "run with --repeats 5."
    )
    few = [*records.cell([0.1] * 2), *records.cell([0.1], "lstm")]
    assert _weaknesses(*few, *records.cell([0.1] * 3, "bert")) == (said,)
    assert _weaknesses(*records.cell([0.1] * 2)) == (
        "1 cell has fewer than 3 processes, so without --anchor its time will always be inconclusive; "
        "run with --repeats 5.",
    )


def test_only_processes_that_were_timed_count() -> None:
    crashed = records.record(Outcome.CRASHED, spec=records.spec(repeat=2))
    assert len(_weaknesses(*records.cell([0.1] * 2), crashed)) == 1
    # A cell without numbers, and one that is never timed, have no time to decide.
    unsupported = records.record(Outcome.UNSUPPORTED, spec=records.spec("gpt", "fp8"))
    untimed = records.record(spec=records.spec("gpt", "bf16", deterministic=True))
    assert _weaknesses(*records.cell([0.1] * 3), unsupported, untimed) == ()


def test_disturbed_trials_are_counted_and_what_disturbed_them_is_named() -> None:
    trials = records.cell([0.1] * 4)
    trials[1] = replace(trials[1], cautions=(LOAD,))
    trials[3] = replace(trials[3], cautions=(STEAL, LOAD))
    assert _weaknesses(*trials) == (
        "2 of 4 trials were disturbed (foreign_load, cpu_steal); verdicts that rest on them will be inconclusive, "
        "so approve a run of a quiet machine.",
    )


def test_a_caution_that_does_not_speak_of_the_machine_is_no_disturbance() -> None:
    compiled = Caution("compiled_in_window", "torch.compile compiled after the warm-up")
    assert _weaknesses(*records.cell([0.1] * 3, cautions=(compiled,))) == ()


def test_a_weak_run_has_a_sentence_for_each_weakness() -> None:
    few, disturbed = _weaknesses(records.record(cautions=(STEAL,)))
    assert few.startswith("1 cell has fewer than 3 processes")
    assert disturbed.startswith("1 of 1 trials were disturbed (cpu_steal)")


# --- what is damaged ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["{", "[]", '{"name": "main"}'])
def test_a_damaged_approval_is_refused_by_name(tmp_path: Path, text: str) -> None:
    approve(tmp_path, _stored(tmp_path), "main", "a")
    path = find(tmp_path, "main", HERE)[1].folder.parent / "baseline.json"
    path.write_text(text, encoding="utf-8")
    for call in (lambda: find(tmp_path, "main", HERE), lambda: list_approvals(tmp_path)):
        with pytest.raises(DamagedResults) as caught:
            call()
        assert str(caught.value).startswith(f"{path} is damaged (")
        assert str(caught.value).endswith("); approve the baseline again.")


def test_a_baseline_whose_numbers_were_changed_is_refused(tmp_path: Path) -> None:
    approve(tmp_path, _stored(tmp_path), "main", "a")
    path = find(tmp_path, "main", HERE)[1].folder / "trials.parquet"
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(DamagedResults, match="is not the file that was sealed"):
        find(tmp_path, "main", HERE)


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
