"""Which machines did the same work, from literal setups and digests."""

from __future__ import annotations

from dataclasses import replace

import records
from machines import machine, rated

from suite.purchase.tasks import odd_ones, task_of
from suite.record import Outcome
from suite.store import Run

TRIALS = rated([100.0])


def _odd(*runs: Run, voters: tuple[str, ...] | None = None) -> dict[str, str]:
    tasks = {run.info.run: task for run in runs if (task := task_of(run, "gpt")) is not None}
    return odd_ones(tasks, tasks if voters is None else voters)


def test_all_modes_of_a_workload_share_one_task() -> None:
    fp32, bf16 = machine("A", TRIALS), machine("B", rated([100.0], "bf16"))
    assert task_of(fp32, "gpt") == task_of(bf16, "gpt")
    assert _odd(fp32, bf16) == {}


def test_what_most_did_is_the_usual_work_and_the_difference_is_named() -> None:
    runs = machine("A", TRIALS), machine("B", TRIALS), machine("C", TRIALS, batch_size=8, clip_norm=1.0)
    assert _odd(*runs) == {
        "run-C": "other work than most machines did: batch size 8, elsewhere 4; clip norm 1.0, elsewhere none"
    }


def test_of_two_neither_is_the_usual_one_whichever_comes_first() -> None:
    one, other = machine("A", TRIALS), machine("B", TRIALS, steps=30)
    assert _odd(one, other) == dict.fromkeys(["run-A", "run-B"], "the machines did different work: steps 12 and 30")
    assert set(_odd(other, one)) == {"run-A", "run-B"}


def test_another_source_of_the_workload_is_other_work() -> None:
    one, other = (
        machine(name, [replace(trial, workload_sha256=digest * 64) for trial in TRIALS])
        for name, digest in ("Aa", "Bb")
    )
    assert _odd(one, other)["run-A"] == ("the machines did different work: the workload's source aaaaaaaa and bbbbbbbb")
    assert _odd(one, machine("C", TRIALS))["run-A"].endswith("the workload's source aaaaaaaa and not recorded")


def test_the_workloads_own_sizes_are_named_as_it_names_them_and_only_the_first_few_differences() -> None:
    one = machine("A", TRIALS, settings={"hidden_size": 128})
    other = machine("B", TRIALS, settings={"hidden_size": 256}, batch_size=8, clip_norm=1.0, onednn=False, steps=30)
    said = _odd(one, other)["run-A"]
    assert said.endswith(
        "batch size 4 and 8; clip norm none and 1.0; onednn yes and no; hidden size 128 and 256; and 1 more"
    )


def test_a_machine_without_numbers_has_no_say() -> None:
    failed = records.record(Outcome.OUT_OF_MEMORY, reason="80 GiB.", spec=records.spec(setup=records.setup(steps=30)))
    assert task_of(records.run([failed]), "gpt") is None
    assert task_of(machine("A", TRIALS), "bert") is None


def test_a_machine_that_cannot_be_ranked_does_not_make_its_work_the_usual_one() -> None:
    one, other = machine("A", TRIALS), machine("B", TRIALS, steps=30)
    assert _odd(one, other, voters=("run-A",)) == {"run-B": "other work than most machines did: steps 30, elsewhere 12"}
    assert set(_odd(one, other, voters=())) == {"run-A", "run-B"}
    assert odd_ones({}, ()) == {}
