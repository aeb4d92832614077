"""The history of a machine from stored runs: every series, worst first, what decides it, and what is accepted."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import records

from suite.errors import NoResults, UsageError
from suite.judge.acknowledged import acknowledgements
from suite.judge.followed import accept, follow, histories, machine_labels, suspects
from suite.judge.trends import State
from suite.store import create_run, list_runs

NIGHTS = 13


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirteen nights: gpt is steady, lstm is 20 % slower in the last one, bert came last."""
    results = tmp_path_factory.mktemp("results")
    for number in range(NIGHTS):
        flicker = 1 + 0.001 * (number % 3)
        last = number == NIGHTS - 1
        trials = [
            *records.cell([0.1 * flicker], "gpt"),
            *records.cell([0.1 * flicker * (1.2 if last else 1.0)], "lstm", "bf16"),
            *(records.cell([0.1], "bert") if last else []),
        ]
        records.stored(results, trials)
    return results


@pytest.fixture
def results(nights: Path, tmp_path: Path) -> Path:
    """A copy of them to change."""
    return Path(shutil.copytree(nights, tmp_path / "results"))


def test_every_series_of_the_machine_is_judged_and_the_worst_comes_first(nights: Path) -> None:
    device, trends = follow(nights)
    assert device == "Test CPU"
    assert [(trend.cell, trend.state, trend.nights) for trend in trends] == [
        ("lstm × bf16", State.SUSPECT, 13),
        ("gpt × fp32", State.STEADY, 13),
        ("bert × fp32", State.TOO_SHORT, 1),
    ]
    assert trends[0].last_run == list_runs(nights)[-1].run


def test_suspects_are_the_cells_that_a_fresh_run_would_decide(nights: Path) -> None:
    (suspect,) = suspects(nights)
    newest = list_runs(nights)[-1]
    assert (suspect.workload, suspect.precision, suspect.run) == ("lstm", "bf16", newest.run)
    assert [spec.trial_id for spec in suspect.trials] == ["lstm-bf16-s0-r0"]
    assert suspect.setup_sha256 == suspect.trials[0].setup_sha256


@pytest.fixture(scope="module")
def two_setups(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve nights of eager gpt and twelve compiled ones, each 20 % slower in its last; then one of batch size 8."""
    results = tmp_path_factory.mktemp("results")
    for number in range(12):
        for compiled in (False, True):
            setup = records.setup(compile=compiled)
            steps = records.trace(0.1 * (1.2 if number == 11 else 1 + 0.001 * (number % 3)))
            records.stored(results, [records.record(spec=records.spec(setup=setup), steps=steps)])
    records.stored(results, [records.record(spec=records.spec(setup=records.setup(batch_size=8)))])
    return results


def test_each_setup_of_a_cell_is_judged_by_itself_and_made_again_like_its_own_newest_run(two_setups: Path) -> None:
    _, trends = follow(two_setups)
    assert [(trend.state, trend.nights) for trend in trends] == [
        (State.SUSPECT, 12),
        (State.SUSPECT, 12),
        (State.TOO_SHORT, 1),
    ]
    assert len({trend.setup_sha256 for trend in trends}) == 3
    runs = [info.run for info in list_runs(two_setups)]
    assert [(suspect.run, suspect.trials[0].setup.compile) for suspect in suspects(two_setups)] == [
        (runs[-3], False),
        (runs[-2], True),
    ]


def test_of_several_series_of_a_cell_that_got_worse_one_is_named(two_setups: Path, tmp_path: Path) -> None:
    results = Path(shutil.copytree(two_setups, tmp_path / "results"))
    with pytest.raises(UsageError, match="gpt/fp32 has several series that got worse; name one of gpt/fp32@"):
        accept(results, "gpt/fp32", "why")
    with pytest.raises(UsageError, match="there is no series 'gpt/fp32@xyz'; "):
        accept(results, "gpt/fp32@xyz", "why")
    eager, compiled = suspects(results)
    accept(results, f"gpt/fp32@{compiled.setup_sha256[:8]}", "why")
    assert [made.setup_sha256 for made in acknowledgements(results)] == [compiled.setup_sha256]
    # Of those that are left only one got worse, so that the cell is enough to name it; as the table writes it, too.
    accept(results, "gpt × fp32", "why")
    assert [made.setup_sha256 for made in acknowledgements(results)][1:] == [eager.setup_sha256]


def test_an_accepted_level_is_kept_and_the_series_begins_anew(results: Path) -> None:
    accept(results, "lstm/bf16", "more layers")
    (made,) = acknowledgements(results)
    assert (made.workload, made.precision, made.reason) == ("lstm", "bf16", "more layers")
    _, trends = follow(results)
    assert {trend.cell: trend.state for trend in trends}["lstm × bf16"] == State.ACKNOWLEDGED
    assert suspects(results) == []


@pytest.mark.parametrize(
    ("cell", "hint"), [("lstm/bf61", "did you mean 'lstm/bf16'?"), ("x", "known are: bert/fp32, gpt/fp32, lstm/bf16.")]
)
def test_a_series_that_is_not_there_is_named_with_those_that_are(nights: Path, cell: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        accept(nights, cell, "why")
    assert str(caught.value).startswith(f"there is no series {cell!r}; {hint}")


def test_a_level_is_accepted_on_the_machine_that_got_worse_though_another_one_ran_since(tmp_path: Path) -> None:
    for number in range(13):
        slower = 1.2 if number == 12 else 1 + 0.001 * (number % 3)
        records.stored(tmp_path, records.cell([0.1 * slower]))
        records.stored(tmp_path, records.cell([0.2]), records.environment(cpu="another"))
    accept(tmp_path, "gpt/fp32", "known")
    (made,) = acknowledgements(tmp_path)
    assert made.run == list_runs(tmp_path)[-2].run


def test_where_only_some_steps_got_slower_the_means_say_so_from_night_to_night(tmp_path: Path) -> None:
    """From the thirteenth night on two of ten timed steps take three times as long."""
    usual, stalls = (0.1,) * 12, (0.1,) * 10 + (0.3, 0.3)
    for number in range(20):
        flicker = 1 + 0.001 * (number % 3)
        steps = records.trace(seconds=tuple(flicker * second for second in (stalls if number >= 12 else usual)))
        records.stored(tmp_path, [records.record(steps=steps)])
    _, (trend,) = follow(tmp_path)
    assert (trend.state, trend.change) == (State.SUSPECT, pytest.approx(0.4, abs=0.01))
    assert trend.reasons[-1] == ("the mean of the steps says so, their median is steady: only some steps got slower")


def test_a_steady_series_has_nothing_to_accept(nights: Path) -> None:
    with pytest.raises(UsageError, match="gpt × fp32 is steady"):
        accept(nights, "gpt/fp32", "why")
    assert acknowledgements(nights) == []


def test_without_a_finished_run_there_is_no_history(tmp_path: Path) -> None:
    create_run(tmp_path, records.plan(records.cell([0.1])), records.environment(), "ampmark run")
    with pytest.raises(NoResults) as caught:
        follow(tmp_path)
    assert str(caught.value) == (
        f"no finished runs are stored under {tmp_path}; run `ampmark run` first, or give --home."
    )


def test_a_night_a_little_above_the_others_is_run_again_and_not_shown_as_suspect(tmp_path: Path) -> None:
    for number in range(12):
        slower = 1.03 if number == 11 else 1 + 0.01 * (number % 3)
        records.stored(tmp_path, records.cell([0.1 * slower], "gpt"))
    _, (trend,) = follow(tmp_path)
    assert (trend.state, trend.reasons) == (State.STEADY, ())
    (suspect,) = suspects(tmp_path)
    assert suspect.run == list_runs(tmp_path)[-1].run


def test_a_run_on_another_machine_hides_no_regression_of_this_one(tmp_path: Path) -> None:
    for number in range(17):
        slower = 1.2 if number >= 12 else 1 + 0.001 * (number % 3)
        records.stored(tmp_path, records.cell([0.1 * slower], "gpt"))
    before = [(trend.state, trend.nights) for trend in follow(tmp_path)[1]]
    records.stored(tmp_path, records.cell([0.1], "gpt"), records.environment(threads=1))
    device, trends = follow(tmp_path)
    assert device == "Test CPU"
    assert [(trend.state, trend.nights, trend.device) for trend in trends] == [
        (*before[0], "Test CPU (Test CPU, 2 threads)"),
        (State.TOO_SHORT, 1, "Test CPU (Test CPU, 1 thread)"),
    ]


def test_machines_come_newest_first_with_their_series_and_what_these_say(nights: Path, results: Path) -> None:
    newer = records.stored(results, records.cell([0.1], "gpt"), records.environment(device_name="Other CPU"))
    found = histories(results, list_runs(results))
    assert [(machine.label, machine.newest.run) for machine in found] == [
        ("Other CPU", newer.info.run),
        ("Test CPU", list_runs(nights)[-1].run),
    ]
    assert [(series.cell, len(series.nights), trend.state) for series, trend in found[1].judged] == [
        ("gpt × fp32", 13, State.STEADY),
        ("lstm × bf16", 13, State.SUSPECT),
        ("bert × fp32", 1, State.TOO_SHORT),
    ]


def test_only_the_given_runs_are_judged_and_without_a_finished_one_nothing(nights: Path, tmp_path: Path) -> None:
    (machine,) = histories(nights, list_runs(nights)[:5])
    assert {len(series.nights) for series, _ in machine.judged} == {5}
    writer = create_run(tmp_path, records.plan(records.cell([0.1])), records.environment(), "ampmark run")
    assert histories(tmp_path, [writer.info]) == []
    assert machine_labels([writer.info]) == {writer.info.run: "Test CPU"}
