"""Stored runs as series: which nights belong together, and what each of them says."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import records

from suite.companions import AnchorNote, anchor_folder, write_note
from suite.errors import DamagedResults
from suite.files import sha256
from suite.judge.calibration import Calibration, CellCalibration
from suite.judge.nights import Night, Series, series_of
from suite.record import Caution, Environment, Outcome, TrialRecord
from suite.store import Run, create_run

NOTHING_FROZEN = Calibration()


def _night(results: Path, *seconds: float, machine: Environment | None = None, **fields: Any) -> Run:
    """A run of gpt × fp32 with one process per time."""
    return records.stored(results, records.cell(seconds, **fields), machine)


def _series(results: Path, calibration: Calibration = NOTHING_FROZEN) -> Series:
    (found,) = series_of(results, calibration)
    return found


def _only(results: Path, calibration: Calibration = NOTHING_FROZEN) -> Night:
    (night,) = _series(results, calibration).nights
    return night


# --- which nights there are -----------------------------------------------------------------------------------------


def test_nothing_stored_is_no_series(tmp_path: Path) -> None:
    assert series_of(tmp_path, NOTHING_FROZEN) == []


def test_a_night_is_the_mean_logarithm_of_its_processes(tmp_path: Path) -> None:
    run = _night(tmp_path, 0.1, 0.2, 0.4)
    night = _only(tmp_path)
    assert night == Night(
        run=run.info.run,
        at=run.info.created_at,
        commit="abc",
        fingerprint=run.info.fingerprint,
        value=pytest.approx(math.log(0.2)),
        processes=3,
        mean=pytest.approx(math.log(0.2)),
    )


def test_every_cell_is_a_series_and_its_nights_come_oldest_first(tmp_path: Path) -> None:
    first = records.stored(tmp_path, [*records.cell([0.1], "gpt"), *records.cell([0.3], "lstm", "bf16")])
    second = _night(tmp_path, 0.2)
    gpt, lstm = series_of(tmp_path, NOTHING_FROZEN)
    assert (gpt.cell, lstm.cell) == ("gpt × fp32", "lstm × bf16")
    assert [(night.run, math.exp(night.value)) for night in gpt.nights] == [
        (first.info.run, pytest.approx(0.1)),
        (second.info.run, pytest.approx(0.2)),
    ]
    assert [night.run for night in lstm.nights] == [first.info.run]


def test_a_run_that_was_cut_short_is_no_night(tmp_path: Path) -> None:
    _night(tmp_path, 0.1)
    writer = create_run(tmp_path, records.plan(records.cell([0.2])), records.environment(), "ampmark run")
    writer.append(records.record(), "")
    assert len(_series(tmp_path).nights) == 1


def test_trials_without_numbers_and_without_a_time_are_left_out(tmp_path: Path) -> None:
    crashed = records.record(Outcome.CRASHED, spec=records.spec(repeat=2))
    records.stored(tmp_path, [*records.cell([0.1, 0.1]), crashed])
    checked = [replace(item, spec=replace(item.spec, deterministic=True)) for item in records.cell([0.5])]
    records.stored(tmp_path, checked)
    assert (_only(tmp_path).processes, math.exp(_only(tmp_path).value)) == (2, pytest.approx(0.1))


def test_another_machine_is_another_series_and_the_newest_run_says_which_is_meant(tmp_path: Path) -> None:
    other = records.environment(device_name="Other CPU", cpu="Other CPU")
    elsewhere = _night(tmp_path, 0.9, machine=other)
    here = _night(tmp_path, 0.1)
    assert [night.run for night in _series(tmp_path).nights] == [here.info.run]
    (found,) = series_of(tmp_path, NOTHING_FROZEN, elsewhere.info)
    assert [night.run for night in found.nights] == [elsewhere.info.run]


def test_other_software_is_the_same_series_with_another_fingerprint(tmp_path: Path) -> None:
    _night(tmp_path, 0.1)
    _night(tmp_path, 0.1, machine=records.environment(torch="2.15.0"))
    first, second = _series(tmp_path).nights
    assert first.fingerprint != second.fingerprint


def test_other_sizes_and_a_compiled_model_are_each_a_series_of_their_own(tmp_path: Path) -> None:
    def made(**fields: Any) -> list[TrialRecord]:
        return [records.record(spec=records.spec(setup=records.setup(**fields)), steps=records.trace(0.1))]

    small, large, again, compiled = (
        records.stored(tmp_path, made(**fields)) for fields in ({}, {"batch_size": 8}, {}, {"compile": True})
    )
    series = series_of(tmp_path, NOTHING_FROZEN)
    assert [[night.run for night in found.nights] for found in series] == [
        [small.info.run, again.info.run],
        [large.info.run],
        [compiled.info.run],
    ]
    assert [found.setup_sha256 for found in series] == [
        run.trials.iloc[0]["setup_sha256"] for run in (small, large, compiled)
    ]


def test_a_night_with_a_caution_is_marked(tmp_path: Path) -> None:
    _night(tmp_path, 0.1)
    _night(tmp_path, 0.1, 0.1, cautions=(Caution("cpu_steal", "9 %"),))
    assert [night.disturbed for night in _series(tmp_path).nights] == [False, True]


# --- the estimator --------------------------------------------------------------------------------------------------


def _uneven() -> list[TrialRecord]:
    """Steps of 0.1 s but for one of 0.05 s: the median is 0.1, the minimum 0.05."""
    return [records.record(steps=records.trace(seconds=(*[0.1] * 11, 0.05)))]


@pytest.mark.parametrize(("setup", "estimator", "seconds"), [("this one", "min", 0.05), ("another one", "median", 0.1)])
def test_a_frozen_estimator_is_used_for_the_setup_that_it_was_frozen_for(
    tmp_path: Path, setup: str, estimator: str, seconds: float
) -> None:
    run = records.stored(tmp_path, _uneven())
    sha = run.trials.iloc[0]["setup_sha256"] if setup == "this one" else "0" * 64
    frozen = Calibration(cells=(CellCalibration("gpt", "fp32", sha, 20, estimator="min"),))
    assert _series(tmp_path, frozen).estimator == estimator
    assert math.exp(_only(tmp_path, frozen).value) == pytest.approx(seconds)


# --- the anchor -----------------------------------------------------------------------------------------------------


def _blocks(run: Run, blocks: Sequence[float], base_run: str = "the-base", **fields: Any) -> None:
    """An anchor of so many blocks beside a run."""
    write_note(run.folder, AnchorNote("main", base_run))
    for seconds in blocks:
        records.stored(anchor_folder(run.folder), records.cell([seconds], **fields))


def test_the_anchor_of_a_night_is_the_mean_of_its_blocks_and_says_whose_code_it_was(tmp_path: Path) -> None:
    _blocks(_night(tmp_path, 0.1), [0.2, 0.8], base_run="20260101T000000Z-abc")
    night = _only(tmp_path)
    assert night.anchor == pytest.approx(math.log(0.4))
    assert night.anchor_run == "20260101T000000Z-abc"
    assert math.exp(night.value) == pytest.approx(0.1)


def test_blocks_of_an_anchor_are_no_nights_of_their_own(tmp_path: Path) -> None:
    _blocks(_night(tmp_path, 0.1), [0.2])
    assert len(_series(tmp_path).nights) == 1


def test_a_cell_that_the_anchor_did_not_run_has_none(tmp_path: Path) -> None:
    _blocks(_night(tmp_path, 0.1), [0.2], precision="bf16")
    night = _only(tmp_path)
    assert (night.anchor, night.anchor_run) == (None, None)


def test_an_anchor_with_another_setup_is_none(tmp_path: Path) -> None:
    run = _night(tmp_path, 0.1)
    write_note(run.folder, AnchorNote("main", "the-base"))
    other = records.record(spec=records.spec(setup=records.setup(batch_size=8)))
    records.stored(anchor_folder(run.folder), [other])
    assert _only(tmp_path).anchor is None


def test_a_note_of_an_anchor_that_failed_at_once_is_no_anchor(tmp_path: Path) -> None:
    run = _night(tmp_path, 0.1)
    write_note(run.folder, AnchorNote("main", "the-base", reason="it broke"))
    assert _only(tmp_path).anchor is None


@pytest.mark.parametrize(("blocks", "known"), [(2, False), (3, True)])
def test_an_anchor_that_broke_counts_where_it_has_as_many_blocks_as_the_gate_asks_for(
    tmp_path: Path, blocks: int, known: bool
) -> None:
    run = _night(tmp_path, 0.1)
    write_note(run.folder, AnchorNote("main", "the-base", reason="it broke"))
    for _ in range(blocks):
        records.stored(anchor_folder(run.folder), records.cell([0.2]))
    assert (_only(tmp_path).anchor is not None) == known


@pytest.mark.parametrize(
    "fields",
    [
        {"cautions": (Caution("foreign_load", "somebody else"),)},
        {"spec": records.spec(seed=1)},
    ],
)
def test_a_night_whose_anchor_was_disturbed_or_lacks_a_seed_is_disturbed(
    tmp_path: Path, fields: dict[str, Any]
) -> None:
    run = _night(tmp_path, 0.1)
    write_note(run.folder, AnchorNote("main", "the-base"))
    records.stored(anchor_folder(run.folder), [replace(records.cell([0.1])[0], **fields)])
    night = _only(tmp_path)
    assert (night.anchor is not None, night.disturbed) == (True, True)


# --- files that are older, or damaged -------------------------------------------------------------------------------


def test_a_night_that_an_older_ampmark_stored_is_read_with_gaps_where_it_had_no_columns(tmp_path: Path) -> None:
    run = _night(tmp_path, 0.1)
    path = run.folder / "trials.parquet"
    pd.read_parquet(path).drop(columns=["deterministic", "step_seconds_q10"]).to_parquet(path, index=False)
    described = json.loads((run.folder / "run.json").read_text(encoding="utf-8"))
    described |= {"schema": 1, "files": described["files"] | {"trials.parquet": sha256(path)}}
    (run.folder / "run.json").write_text(json.dumps(described), encoding="utf-8")
    assert math.exp(_only(tmp_path).value) == pytest.approx(0.1)


def test_a_night_whose_numbers_were_changed_is_refused(tmp_path: Path) -> None:
    path = _night(tmp_path, 0.1).folder / "trials.parquet"
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(DamagedResults, match="is not the file that was sealed"):
        series_of(tmp_path, NOTHING_FROZEN)


# --- what came after the last night ----------------------------------------------------------------------------------


def test_runs_that_planned_a_cell_and_have_no_time_of_it_are_named(tmp_path: Path) -> None:
    _night(tmp_path, 0.1)
    crashed = records.stored(tmp_path, [records.record(Outcome.CRASHED, reason="it broke.")])
    (series,) = series_of(tmp_path, Calibration())
    assert (series.without_numbers, series.ended) == ((crashed.info.run,), False)


@pytest.mark.parametrize(("runs", "ended"), [(2, False), (3, True)])
def test_a_cell_that_several_runs_did_not_plan_has_ended(tmp_path: Path, runs: int, ended: bool) -> None:
    _night(tmp_path, 0.1)
    for _ in range(runs):
        records.stored(tmp_path, records.cell([0.1], "bert"))
    series = next(found for found in series_of(tmp_path, Calibration()) if found.workload == "gpt")
    assert (series.without_numbers, series.ended) == ((), ended)


def test_other_seeds_are_another_series(tmp_path: Path) -> None:
    for seeds in ((0, 1), (0, 1), (1,)):
        trials = [records.record(spec=records.spec(seed=seed)) for seed in seeds]
        records.stored(tmp_path, trials)
    found = series_of(tmp_path, Calibration())
    assert [(series.seeds, len(series.nights)) for series in found] == [((0, 1), 2), ((1,), 1)]


def test_a_night_in_which_a_seed_failed_is_disturbed_and_says_how_many_trials_did(tmp_path: Path) -> None:
    failed = records.record(Outcome.CRASHED, reason="it broke.", spec=records.spec(seed=1))
    records.stored(tmp_path, [records.record(spec=records.spec(seed=0)), failed])
    (series,) = series_of(tmp_path, Calibration())
    (night,) = series.nights
    assert (series.seeds, night.processes, night.failed, night.disturbed) == ((0, 1), 1, 1, True)
