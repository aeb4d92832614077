"""Results on disk: nothing finished is lost, nothing damaged is read."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import records
from pandas.testing import assert_frame_equal

from suite.columns import STEP_COLUMNS, TRIAL_COLUMNS
from suite.errors import DamagedResults, NewerSchema, NoResults, ResultsError, UnwritableResults
from suite.files import read_parquet
from suite.record import Outcome, TrialRecord
from suite.store import RunWriter, create_run, find_run, list_runs, load_records, load_run, reopen_run

RECORDS = [
    records.record(spec=records.spec("gpt", "fp32"), order=0),
    records.record(Outcome.CRASHED, spec=records.spec("gpt", "bf16"), order=1, reason="killed by signal 9"),
]


def _open(results: Path, trials: list[TrialRecord] = RECORDS) -> RunWriter:
    """A run of two trials that is not sealed."""
    writer = create_run(results, records.plan(trials), records.environment(), "ampmark run")
    for record in trials:
        writer.append(record, f"log of {record.spec.trial_id}\n")
    return writer


def _refusal(kind: type[ResultsError], call: Any, *arguments: Any) -> str:
    with pytest.raises(kind) as caught:
        call(*arguments)
    return str(caught.value)


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


# --- the way in and out ---------------------------------------------------------------------------------------------


def test_what_is_appended_is_what_a_reopened_run_holds(tmp_path: Path) -> None:
    writer = _open(tmp_path)
    again = reopen_run(writer.folder)
    assert again.records == RECORDS
    assert again.info == writer.info
    assert again.finished == {"gpt-fp32-s0-r0", "gpt-bf16-s0-r0"}


def test_a_sealed_run_can_be_opened_again_and_says_that_it_is_complete(tmp_path: Path) -> None:
    run = _open(tmp_path).seal()
    again = reopen_run(run.folder)
    assert (again.records, again.info.sealed_at) == (RECORDS, run.info.sealed_at)
    assert_frame_equal(load_run(run.folder).trials, run.trials)


def test_complete_records_are_read_in_the_order_of_the_plan_sealed_or_not(tmp_path: Path) -> None:
    writer = _open(tmp_path, RECORDS[::-1])
    assert load_records(writer.folder) == (writer.info, RECORDS)
    sealed = writer.seal()
    assert load_records(sealed.folder) == (sealed.info, RECORDS)
    _edit(sealed.folder / "trials.jsonl", "killed by signal 9", "killed by signal 8")
    assert "trials.jsonl" in _refusal(DamagedResults, load_records, sealed.folder)


def test_every_trials_log_is_kept(tmp_path: Path) -> None:
    folder = _open(tmp_path).folder
    logs = {path.name: path.read_text(encoding="utf-8") for path in (folder / "logs").iterdir()}
    assert logs == {
        "gpt-fp32-s0-r0.txt": "log of gpt-fp32-s0-r0\n",
        "gpt-bf16-s0-r0.txt": "log of gpt-bf16-s0-r0\n",
    }


def test_a_new_run_is_named_for_its_time_and_lies_under_runs(tmp_path: Path) -> None:
    folder = _open(tmp_path / "deep" / "results").folder
    assert folder.parent == tmp_path / "deep" / "results" / "runs"
    assert pd.Series([folder.name]).str.fullmatch(r"\d{8}T\d{6}\.\d{3}Z-[0-9a-f]{6}").all()


def test_a_sealed_run_says_so_and_holds_the_same_frames_as_its_journal_did(tmp_path: Path) -> None:
    writer = _open(tmp_path)
    interrupted = load_run(writer.folder)
    sealed = writer.seal()
    assert interrupted.info.sealed_at is None
    assert sealed.info.sealed_at is not None
    assert set(sealed.info.files or {}) == {"trials.jsonl", "trials.parquet", "steps.parquet"}
    assert_frame_equal(sealed.trials, interrupted.trials)
    assert_frame_equal(sealed.steps, interrupted.steps)
    assert sealed.trials["trial"].tolist() == ["gpt-fp32-s0-r0", "gpt-bf16-s0-r0"]
    assert len(sealed.steps) == records.STEPS
    assert_frame_equal(load_run(writer.folder).trials, sealed.trials)


def test_frames_have_the_documented_columns_and_types_in_their_order(tmp_path: Path) -> None:
    run = _open(tmp_path).seal()
    assert {name: str(kind) for name, kind in run.trials.dtypes.items()} == TRIAL_COLUMNS
    assert {name: str(kind) for name, kind in run.steps.dtypes.items()} == STEP_COLUMNS
    assert list(run.trials) == list(TRIAL_COLUMNS)


def test_plain_pandas_reads_the_files_with_the_documented_types(tmp_path: Path) -> None:
    run = _open(tmp_path).seal()
    trials = pd.read_parquet(run.folder / "trials.parquet")
    steps = pd.read_parquet(run.folder / "steps.parquet")
    assert {name: str(kind) for name, kind in trials.dtypes.items()} == TRIAL_COLUMNS
    assert {name: str(kind) for name, kind in steps.dtypes.items()} == STEP_COLUMNS


@pytest.mark.parametrize("sealed", [True, False])
def test_a_run_without_a_single_trial_has_empty_frames_of_the_same_form(tmp_path: Path, sealed: bool) -> None:
    writer = create_run(tmp_path, records.plan(RECORDS), records.environment(), "test")
    run = writer.seal() if sealed else load_run(writer.folder)
    assert (len(run.trials), len(run.steps)) == (0, 0)
    assert {name: str(kind) for name, kind in run.trials.dtypes.items()} == TRIAL_COLUMNS
    assert {name: str(kind) for name, kind in run.steps.dtypes.items()} == STEP_COLUMNS


def test_rows_come_in_the_order_of_the_plan_even_if_trials_were_resumed(tmp_path: Path) -> None:
    run = _open(tmp_path, RECORDS[::-1]).seal()
    assert run.trials["order"].tolist() == [0, 1]


def test_missing_numbers_are_missing_and_never_zero(tmp_path: Path) -> None:
    run = _open(tmp_path).seal()
    crashed = run.trials.set_index("precision").loc["bf16"]
    for name in ("step_seconds_median", "overflow_count", "peak_rss_bytes", "quality", "attestation", "scale_first"):
        assert pd.isna(crashed[name]), name


def test_numbers_that_are_not_finite_survive(tmp_path: Path) -> None:
    losses = (1.0, math.nan, math.inf, -math.inf, *[2.0] * 8)
    record = records.record(Outcome.DIVERGED, steps=records.trace(losses=losses), reason="the loss was not finite")
    writer = _open(tmp_path, [record])
    kept = reopen_run(writer.folder).records[0].steps
    assert kept is not None
    assert repr(kept.losses) == repr(losses)
    for run in (load_run(writer.folder), writer.seal()):
        assert repr(run.steps["loss"].tolist()) == repr(list(losses))


def test_large_integers_are_kept_exactly_beside_missing_ones(tmp_path: Path) -> None:
    flops = 2**53 + 1
    run = _open(tmp_path, [records.record(flops_per_step=flops), RECORDS[1]]).seal()
    assert run.trials["flops_per_step"].tolist() == [flops, pd.NA]


# --- interruptions --------------------------------------------------------------------------------------------------


def test_a_line_cut_off_by_a_kill_is_left_out_and_the_earlier_ones_are_kept(tmp_path: Path) -> None:
    folder = _open(tmp_path).folder
    journal = folder / "trials.jsonl"
    journal.write_bytes(journal.read_bytes()[:-20])
    assert load_run(folder).trials["trial"].tolist() == ["gpt-fp32-s0-r0"]
    assert reopen_run(folder).finished == {"gpt-fp32-s0-r0"}


def test_a_run_goes_on_after_a_line_cut_off_by_a_kill(tmp_path: Path) -> None:
    folder = _open(tmp_path).folder
    journal = folder / "trials.jsonl"
    journal.write_bytes(journal.read_bytes()[:-20])
    reopen_run(folder).append(RECORDS[1], "second attempt")
    again = reopen_run(folder)
    assert again.records == RECORDS
    assert again.seal().trials["trial"].tolist() == ["gpt-fp32-s0-r0", "gpt-bf16-s0-r0"]


# --- damage ---------------------------------------------------------------------------------------------------------


def test_a_damaged_line_is_named_with_its_file_and_number(tmp_path: Path) -> None:
    folder = _open(tmp_path).folder
    journal = folder / "trials.jsonl"
    first, second = journal.read_text(encoding="utf-8").splitlines()
    journal.write_text(f"{first}\n{second[:50]}\n{second}\n", encoding="utf-8")
    message = _refusal(DamagedResults, load_run, folder)
    assert message.startswith(f"{journal}, line 2 is damaged (")
    assert message.endswith("; restore it from a copy or delete the run.")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[]", "{journal}, line 1 is damaged (not a table); restore it from a copy or delete the run."),
        ('{"schema": 1}', "{journal}, line 1 is not a trial record: 'record'"),
        (
            '{"schema": 1, "record": {"outcom": "ok"}}',
            "{journal}, line 1 is not a trial record: {journal}, line 1: unknown key 'outcom'; did you mean 'outcome'?",
        ),
    ],
)
def test_a_line_that_is_no_record_is_named(tmp_path: Path, line: str, message: str) -> None:
    folder = _open(tmp_path).folder
    journal = folder / "trials.jsonl"
    journal.write_text(line + "\n", encoding="utf-8")
    assert _refusal(DamagedResults, load_run, folder) == message.format(journal=journal)


@pytest.mark.parametrize(
    ("old", "new"),
    [('"outcome": "ok"', '"outcome": ["ok"]'), ('"batch_size": 4', '"batch_size": 0'), ('"seed": 0', '"seed": "0"')],
)
def test_a_record_with_an_impossible_value_is_damage_in_that_line(tmp_path: Path, old: str, new: str) -> None:
    folder = _open(tmp_path).folder
    _edit(folder / "trials.jsonl", old, new)
    message = _refusal(DamagedResults, load_run, folder)
    assert message.startswith(f"{folder / 'trials.jsonl'}, line 1 is not a trial record: ")


@pytest.mark.parametrize("name", ["trials.jsonl", "trials.parquet", "steps.parquet"])
def test_a_changed_file_of_a_sealed_run_is_refused(tmp_path: Path, name: str) -> None:
    path = _open(tmp_path).seal().folder / name
    path.write_bytes(path.read_bytes() + b" ")
    expected = f"{path} is not the file that was sealed; restore it from a copy or delete the run."
    assert _refusal(DamagedResults, load_run, path.parent) == expected


@pytest.mark.parametrize("name", ["trials.jsonl", "trials.parquet", "steps.parquet"])
def test_a_missing_file_of_a_sealed_run_is_refused(tmp_path: Path, name: str) -> None:
    path = _open(tmp_path).seal().folder / name
    path.unlink()
    expected = f"{path} is missing from a sealed run; restore it from a copy or delete the run."
    assert _refusal(DamagedResults, load_run, path.parent) == expected


def test_a_missing_journal_of_an_unsealed_run_is_damage(tmp_path: Path) -> None:
    folder = _open(tmp_path).folder
    (folder / "trials.jsonl").unlink()
    expected = f"{folder / 'trials.jsonl'} is missing from a run; restore it from a copy or delete the run."
    assert _refusal(DamagedResults, load_run, folder) == expected


@pytest.mark.parametrize("text", ["{", "[]", '{"schema": 1}', "\udcff"])
def test_a_damaged_run_description_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = _open(tmp_path).folder / "run.json"
    path.write_text(text, encoding="utf-8", errors="surrogateescape")
    assert _refusal(DamagedResults, load_run, path.parent).startswith(str(path))
    assert _refusal(DamagedResults, list_runs, tmp_path).startswith(str(path))


def test_a_plan_with_an_impossible_value_is_damage(tmp_path: Path) -> None:
    path = _open(tmp_path).folder / "run.json"
    _edit(path, '"batch_size": 4', '"batch_size": 0')
    expected = f"{path} is not a run description: {path}.plan.trials[0].setup: batch_size is 0; give a number above 0."
    assert _refusal(DamagedResults, load_run, path.parent) == expected


def test_a_record_that_was_not_planned_or_comes_twice_is_refused(tmp_path: Path) -> None:
    folder = _open(tmp_path).folder
    journal = folder / "trials.jsonl"
    text = journal.read_text(encoding="utf-8")
    first = text.splitlines(keepends=True)[0]
    journal.write_text(text + first, encoding="utf-8")
    number = len(text.splitlines()) + 1
    trial = RECORDS[0].spec.trial_id
    assert _refusal(DamagedResults, load_run, folder) == (
        f"{journal}, line {number}: {trial} has two records; restore it from a copy."
    )
    journal.write_text(first.replace('"batch_size": 4', '"batch_size": 5'), encoding="utf-8")
    assert _refusal(DamagedResults, load_run, folder) == (
        f"{journal}, line 1: {trial} is not as planned; restore it from a copy."
    )


@pytest.mark.parametrize(("table", "column"), [("trials", "samples_per_second"), ("steps", "loss")])
def test_tables_that_do_not_follow_from_the_journal_are_refused(tmp_path: Path, table: str, column: str) -> None:
    """Sealed again with the forged table's own sum, as a forger would."""
    folder = _open(tmp_path).seal().folder
    assert len(load_records(folder)[1]) > 0
    path = folder / f"{table}.parquet"
    forged = pd.read_parquet(path)
    forged[column] = forged[column] * 100
    forged.to_parquet(path)
    described = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    described["files"][path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / "run.json").write_text(json.dumps(described), encoding="utf-8")
    assert _refusal(DamagedResults, load_records, folder) == (
        f"{path} is not what follows from trials.jsonl; restore both from a copy."
    )


# --- other versions -------------------------------------------------------------------------------------------------


def test_a_run_of_a_newer_ampmark_is_refused_before_it_is_misread(tmp_path: Path) -> None:
    path = _open(tmp_path).seal().folder / "run.json"
    _edit(path, '"schema": 4', '"new_key": 3, "schema": 5')
    expected = f"{path} has schema 5, but this ampmark reads up to 4; update ampmark."
    assert _refusal(NewerSchema, load_run, path.parent) == expected


def test_a_journal_line_of_a_newer_ampmark_is_refused(tmp_path: Path) -> None:
    folder = _open(tmp_path).folder
    _edit(folder / "trials.jsonl", '{"schema": 4', '{"schema": 5')
    expected = f"{folder / 'trials.jsonl'} has schema 5, but this ampmark reads up to 4; update ampmark."
    assert _refusal(NewerSchema, load_run, folder) == expected


def _as_of_schema_3(folder: Path) -> None:
    """Make a sealed run one of schema 3: without what a record and a table have had since, and sealed again."""
    journal, table = folder / "trials.jsonl", folder / "trials.parquet"
    lines = [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()]
    for line in lines:
        line["schema"] = line["record"]["schema"] = 3
        del line["record"]["operators"], line["record"]["operators_reason"]
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    pd.read_parquet(table).drop(columns=["operators", "operators_reason"]).to_parquet(table, index=False)
    described = json.loads((folder / "run.json").read_text(encoding="utf-8")) | {"schema": 3}
    described["files"] |= {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (journal, table)}
    (folder / "run.json").write_text(json.dumps(described), encoding="utf-8")


def test_a_run_of_an_older_schema_reads_with_nulls_for_what_came_later(tmp_path: Path) -> None:
    run = _open(tmp_path).seal()
    _as_of_schema_3(run.folder)
    older = load_run(run.folder)
    assert {name: str(kind) for name, kind in older.trials.dtypes.items()} == TRIAL_COLUMNS
    assert_frame_equal(older.trials, run.trials)  # these records have no operators either
    assert older.trials["operators"].isna().all()
    info, read = load_records(run.folder)
    assert info.schema == 3
    assert [record.operators for record in read] == [None, None]


@pytest.mark.parametrize("column", ["operators", "order", "deterministic", "step_seconds_median"])
def test_a_column_of_any_type_is_null_in_an_older_table_and_damage_in_one_of_today(tmp_path: Path, column: str) -> None:
    folder = _open(tmp_path).seal().folder
    path = folder / "trials.parquet"
    pd.read_parquet(path).drop(columns=[column]).to_parquet(path, index=False)
    older = read_parquet(path, TRIAL_COLUMNS, schema=3)
    assert older[column].isna().all()
    assert {name: str(kind) for name, kind in older.dtypes.items()} == TRIAL_COLUMNS
    assert f"{path} is not the table it should be" in _refusal(DamagedResults, read_parquet, path, TRIAL_COLUMNS)


# --- finding --------------------------------------------------------------------------------------------------------


def _empty_runs(results: Path, *names: str) -> None:
    for name in names:
        (results / "runs" / name).mkdir(parents=True)
        (results / "runs" / name / "run.json").touch()


def test_a_run_is_found_by_id_by_its_beginning_by_path_and_as_the_latest(tmp_path: Path) -> None:
    _empty_runs(tmp_path, "20260102T000000Z-bbbbbb", "20260101T000000Z-aaaaaa", "20260103T000000Z-cccccc")
    runs = tmp_path / "runs"
    assert find_run(tmp_path, "20260101T000000Z-aaaaaa").name == "20260101T000000Z-aaaaaa"
    assert find_run(tmp_path, "20260102").name == "20260102T000000Z-bbbbbb"
    assert find_run(tmp_path, str(runs / "20260101T000000Z-aaaaaa")) == runs / "20260101T000000Z-aaaaaa"
    assert find_run(tmp_path, "latest").name == "20260103T000000Z-cccccc"


def test_a_beginning_that_fits_more_than_one_run_or_none_is_refused(tmp_path: Path) -> None:
    _empty_runs(tmp_path, "20260101T000000Z-aaaaaa", "20260101T000001Z-bbbbbb")
    tail = "`ampmark list` shows their ids."
    assert _refusal(NoResults, find_run, tmp_path, "2026") == f"2 runs under {tmp_path} begin with '2026'; {tail}"
    assert _refusal(NoResults, find_run, tmp_path, "2025") == f"no run under {tmp_path} begin with '2025'; {tail}"


@pytest.mark.parametrize("name", ["latest", "2026"])
def test_an_empty_results_folder_says_what_to_do(tmp_path: Path, name: str) -> None:
    expected = f"no runs are stored under {tmp_path}; run `ampmark run` first, or give --home."
    assert _refusal(NoResults, find_run, tmp_path, name) == expected


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    expected = f"{tmp_path / 'run.json'} does not exist; give the folder of a run (`ampmark list` shows them)."
    assert _refusal(NoResults, load_run, tmp_path) == expected


def test_runs_are_listed_oldest_first(tmp_path: Path) -> None:
    folder = _open(tmp_path).folder
    _edit(folder / "run.json", folder.name, "20990101T000000Z-ffffff")
    folder.rename(folder.with_name("20990101T000000Z-ffffff"))
    second = _open(tmp_path).seal()
    listed = list_runs(tmp_path)
    assert [info.sealed_at is None for info in listed] == [False, True]
    assert listed[0] == second.info
    assert list_runs(tmp_path / "nothing") == []


def test_a_copy_of_a_run_is_refused_and_not_counted_as_another_one(tmp_path: Path) -> None:
    run = _open(tmp_path).seal()
    copy = run.folder.with_name(f"{run.info.run}-bak")
    shutil.copytree(run.folder, copy)
    expected = f"{copy} holds run {run.info.run} under another name; remove the copy."
    assert _refusal(DamagedResults, list_runs, tmp_path) == expected
    assert load_run(copy).info == run.info  # by its path it can be looked at


# --- folders that cannot be written to ------------------------------------------------------------------------------


def test_a_file_where_the_results_folder_should_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("not a folder", encoding="utf-8")
    message = _refusal(UnwritableResults, _open, tmp_path / "results")
    assert message.startswith(f"{tmp_path / 'results' / 'runs'}")
    assert message.endswith("; give another folder with --out.")


@pytest.mark.parametrize("blocked", ["trials.jsonl", "logs/gpt-fp32-s0-r0.txt"])
def test_a_trial_that_cannot_be_kept_is_an_error_and_not_a_loss_in_silence(tmp_path: Path, blocked: str) -> None:
    writer = create_run(tmp_path, records.plan(RECORDS), records.environment(), "test")
    (writer.folder / blocked).unlink(missing_ok=True)
    (writer.folder / blocked).mkdir()
    message = _refusal(UnwritableResults, writer.append, RECORDS[0], "")
    assert message == f"{writer.folder} cannot be written to (Is a directory); give another folder with --out."
    assert writer.records == []


@pytest.mark.parametrize("blocked", ["trials.parquet", "run.json"])
def test_a_run_that_cannot_be_sealed_says_so(tmp_path: Path, blocked: str) -> None:
    writer = _open(tmp_path)
    (writer.folder / blocked).unlink(missing_ok=True)
    (writer.folder / blocked).mkdir()
    message = _refusal(UnwritableResults, writer.seal)
    assert message == f"{writer.folder} cannot be written to (Is a directory); give another folder with --out."


@pytest.mark.parametrize("files", [None, {}, {"trials.jsonl": "0"}])
def test_a_seal_that_does_not_cover_the_files_is_damage(tmp_path: Path, files: dict[str, str] | None) -> None:
    path = _open(tmp_path).seal().folder / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | {"files": files}), encoding="utf-8")
    said = "does not seal trials.jsonl, trials.parquet, steps.parquet; restore it from a copy."
    assert _refusal(DamagedResults, load_run, path.parent) == f"{path} {said}"
    assert _refusal(DamagedResults, list_runs, tmp_path) == f"{path} {said}"


@pytest.mark.parametrize(
    ("created_at", "said"),
    [
        ("yesterday", "Invalid isoformat string: 'yesterday'"),
        ("2026-01-01T00:00:00", "created_at is '2026-01-01T00:00:00'; it has a time zone."),
    ],
)
def test_a_run_without_a_time_of_its_own_is_damage(tmp_path: Path, created_at: str, said: str) -> None:
    path = _open(tmp_path).seal().folder / "run.json"
    described = json.loads(path.read_text(encoding="utf-8")) | {"created_at": created_at}
    path.write_text(json.dumps(described), encoding="utf-8")
    expected = f"{path} is not a run description: {path}: {said}"
    assert _refusal(DamagedResults, load_run, path.parent) == expected
    assert _refusal(DamagedResults, list_runs, tmp_path) == expected


def test_an_id_that_is_a_path_is_damage(tmp_path: Path) -> None:
    path = _open(tmp_path).seal().folder / "run.json"
    described = json.loads(path.read_text(encoding="utf-8")) | {"run": "../../elsewhere"}
    path.write_text(json.dumps(described), encoding="utf-8")
    assert "is no name" in _refusal(DamagedResults, load_run, path.parent)


def test_json_too_deep_to_read_is_damage(tmp_path: Path) -> None:
    path = _open(tmp_path).folder / "run.json"
    path.write_text("[" * 200_000, encoding="utf-8")
    assert "is damaged" in _refusal(DamagedResults, load_run, path.parent)
