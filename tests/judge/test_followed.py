"""The history of a machine from stored runs: every series, worst first, what decides it, and what is accepted."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import records

from suite.errors import NoResults, UsageError
from suite.judge.followed import accept, follow, newest_run, suspects
from suite.judge.history import State, acknowledgements
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
    assert suspects(nights) == [("lstm", "bf16")]


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


def test_a_steady_series_has_nothing_to_accept(nights: Path) -> None:
    with pytest.raises(UsageError, match="gpt × fp32 is steady"):
        accept(nights, "gpt/fp32", "why")
    assert acknowledgements(nights) == []


def test_the_newest_run_is_the_last_one_that_was_finished(results: Path) -> None:
    newest = list_runs(results)[-1].run
    create_run(results, records.plan(records.cell([0.1])), records.environment(), "ampmark run")
    assert newest_run(results).run == newest


def test_without_a_finished_run_there_is_no_history(tmp_path: Path) -> None:
    create_run(tmp_path, records.plan(records.cell([0.1])), records.environment(), "ampmark run")
    with pytest.raises(NoResults) as caught:
        follow(tmp_path)
    assert str(caught.value) == (
        f"no finished runs are stored under {tmp_path}; run `ampmark run` first, or give --home."
    )
