"""What lies in a run's folder for its sake: blocks of an anchor numbered like its own, later processes joined to it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import records

from suite.companions import (
    AnchorNote,
    anchor_folder,
    anchor_of,
    looks_of,
    read_note,
    topup_folder,
    whole,
    write_note,
)
from suite.errors import DamagedResults
from suite.judge.cells import pairs_of
from suite.record import TrialRecord
from suite.store import Run, create_run


def _repeats(first: int, seconds: Sequence[float], precision: str = "fp32") -> list[TrialRecord]:
    """One process per time; repeats count from `first`."""
    return [
        records.record(spec=records.spec("gpt", precision, repeat=first + number), steps=records.trace(value))
        for number, value in enumerate(seconds)
    ]


def _block(run: Run, seconds: float) -> Run:
    """A block of its anchor: one process, whose repeat is 0 as in any run of one repeat."""
    return records.stored(anchor_folder(run.folder), _repeats(0, [seconds]))


def _cut_short(results: Path) -> None:
    create_run(results, records.plan(_repeats(0, [0.9])), records.environment(), "ampmark run")


def _times(run: Run) -> dict[int, float]:
    """Repeat -> seconds per step."""
    return dict(zip(run.trials["repeat"], run.trials["step_seconds_median"], strict=True))


# --- top-ups --------------------------------------------------------------------------------------------------------


def test_a_run_without_companions_is_its_only_look(tmp_path: Path) -> None:
    run = records.stored(tmp_path, _repeats(0, [0.1]))
    assert [look.info.run for look in looks_of(run)] == [run.info.run]
    assert whole([run]) is run
    assert anchor_of([run]) is None


def test_every_top_up_is_a_look_oldest_first_and_one_that_was_cut_short_is_none(tmp_path: Path) -> None:
    run = records.stored(tmp_path, _repeats(0, [0.1]))
    first = records.stored(topup_folder(run.folder), _repeats(1, [0.2]))
    _cut_short(topup_folder(run.folder))
    second = records.stored(topup_folder(run.folder), _repeats(2, [0.3]))
    assert [look.info.run for look in looks_of(run)] == [run.info.run, first.info.run, second.info.run]


def test_the_looks_together_are_one_run_with_all_trials_steps_and_plans(tmp_path: Path) -> None:
    run = records.stored(tmp_path, [*_repeats(0, [0.1, 0.2]), *_repeats(0, [0.5], "bf16")])
    records.stored(topup_folder(run.folder), _repeats(2, [0.3, 0.4]))
    looks = looks_of(run)
    joined = whole(looks)
    assert (joined.info.run, joined.folder) == (run.info.run, run.folder)
    assert [spec.trial_id for spec in joined.info.plan.trials] == [
        "gpt-fp32-s0-r0",
        "gpt-fp32-s0-r1",
        "gpt-bf16-s0-r0",
        "gpt-fp32-s0-r2",
        "gpt-fp32-s0-r3",
    ]
    assert list(joined.trials["step_seconds_median"]) == [0.1, 0.2, 0.5, 0.3, 0.4]
    assert len(joined.steps) == 5 * records.STEPS
    assert list(joined.trials.index) == list(range(5))
    assert joined.trials.dtypes.equals(run.trials.dtypes)
    # The stored run itself is as it was.
    assert len(run.trials) == 3


# --- the anchor -----------------------------------------------------------------------------------------------------


def test_blocks_are_numbered_like_the_repeats_that_they_were_run_in_turn_with(tmp_path: Path) -> None:
    run = records.stored(tmp_path, _repeats(0, [0.11, 0.21, 0.31]))
    for seconds in (0.1, 0.2, 0.3):
        _block(run, seconds)
    anchor = anchor_of([run])
    assert anchor is not None
    assert _times(anchor) == {0: 0.1, 1: 0.2, 2: 0.3}
    assert [spec.repeat for spec in anchor.info.plan.trials] == [0, 1, 2]
    pairs = pairs_of((anchor.trials, run.trials))
    assert [
        (float(pair["step_seconds_median_base"]), float(pair["step_seconds_median_candidate"]))
        for pair in pairs.to_dict("records")
    ] == [(0.1, 0.11), (0.2, 0.21), (0.3, 0.31)]


def test_blocks_of_a_top_up_go_on_where_its_repeats_do(tmp_path: Path) -> None:
    run = records.stored(tmp_path, _repeats(0, [0.11, 0.21]))
    for seconds in (0.1, 0.2):
        _block(run, seconds)
    more = records.stored(topup_folder(run.folder), _repeats(5, [0.31, 0.41]))
    for seconds in (0.3, 0.4):
        _block(more, seconds)
    anchor = anchor_of(looks_of(run))
    assert anchor is not None
    assert _times(anchor) == {0: 0.1, 1: 0.2, 5: 0.3, 6: 0.4}


def test_an_anchor_that_ended_early_has_the_first_blocks(tmp_path: Path) -> None:
    run = records.stored(tmp_path, _repeats(0, [0.1, 0.2, 0.3]))
    _block(run, 0.5)
    _cut_short(anchor_folder(run.folder))
    anchor = anchor_of([run])
    assert anchor is not None
    assert _times(anchor) == {0: 0.5}


def test_every_seed_of_a_block_has_its_number(tmp_path: Path) -> None:
    trials = [records.record(spec=records.spec(seed=seed, repeat=repeat)) for repeat in (0, 1) for seed in (3, 4)]
    run = records.stored(tmp_path, trials)
    for _ in range(2):
        records.stored(anchor_folder(run.folder), [records.record(spec=records.spec(seed=seed)) for seed in (3, 4)])
    anchor = anchor_of([run])
    assert anchor is not None
    assert [(spec.seed, spec.repeat) for spec in anchor.info.plan.trials] == [(3, 0), (4, 0), (3, 1), (4, 1)]
    assert len(pairs_of((anchor.trials, run.trials))) == 4


# --- the note -------------------------------------------------------------------------------------------------------


def test_the_note_says_which_baseline_was_run_again_and_what_became_of_it(tmp_path: Path) -> None:
    assert read_note(tmp_path) is None
    note = AnchorNote("main", "run-1", own_python=True, reason="it broke")
    write_note(tmp_path, note)
    assert read_note(tmp_path) == note
    write_note(tmp_path, AnchorNote("main", "run-1"))
    assert read_note(tmp_path) == AnchorNote("main", "run-1", own_python=False, reason=None)


@pytest.mark.parametrize("text", ["{", "[]", '{"baseline": "main"}', '{"baseline": 3, "base_run": "r"}'])
def test_a_damaged_note_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "anchor.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DamagedResults) as caught:
        read_note(tmp_path)
    assert str(caught.value).startswith(f"{path} is damaged (")
    assert str(caught.value).endswith("); restore it from a copy or delete the run.")
