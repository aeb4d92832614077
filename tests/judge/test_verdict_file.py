"""verdict.json: what CI finds in it, that it is read back whole, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from suite.errors import DamagedResults, UnwritableResults
from suite.judge.findings import Finding, Verdict, Verdicts
from suite.judge.verdict_file import document, read_refusal, read_verdicts, write_refusal, write_verdicts

VERDICTS = Verdicts(
    base_run="run-0",
    candidate_run="run-1",
    baseline="main",
    fingerprint="f" * 64,
    device="Test CPU",
    alpha=0.01,
    false_discovery_rate=0.05,
    delta=0.02,
    findings=(Finding("gpt", "bf16", "step_seconds", Verdict.REGRESSED, change=0.05, values_base=(0.1, 0.2)),),
)


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    write_verdicts(tmp_path, VERDICTS)
    assert read_verdicts(tmp_path, "run-1") == VERDICTS


def test_whoever_reads_the_file_need_not_know_the_rules(tmp_path: Path) -> None:
    write_verdicts(tmp_path, VERDICTS)
    data = json.loads((tmp_path / "run-1" / "verdict.json").read_text(encoding="utf-8"))
    assert (data["schema"], data["exit_status"]) == (1, 1)
    assert data["headline"].startswith("1 regressed, 0 improved, ")
    assert data["findings"][0]["verdict"] == "regressed"
    assert json.loads(json.dumps(document(VERDICTS))) == data


def test_a_run_that_could_not_be_judged_says_so_in_the_place_of_what_was_said_before(tmp_path: Path) -> None:
    write_verdicts(tmp_path, VERDICTS)
    write_refusal(tmp_path, "run-1", "no baseline 'main' is approved.")
    assert json.loads((tmp_path / "run-1" / "verdict.json").read_text(encoding="utf-8")) == {
        "schema": 1,
        "headline": "no baseline 'main' is approved.",
        "exit_status": 2,
        "findings": [],
    }
    assert read_verdicts(tmp_path, "run-1") is None
    assert read_refusal(tmp_path, "run-1") == "no baseline 'main' is approved."
    write_verdicts(tmp_path, VERDICTS)
    assert read_verdicts(tmp_path, "run-1") == VERDICTS
    assert read_refusal(tmp_path, "run-1") is None


def test_every_field_is_described_beside_the_reports(tmp_path: Path) -> None:
    write_verdicts(tmp_path, VERDICTS)
    data = json.loads((tmp_path / "run-1" / "verdict.json").read_text(encoding="utf-8"))
    described = (Path(__file__).parents[2] / "reports" / "README.md").read_text(encoding="utf-8")
    assert [name for name in data if f"`{name}`" not in described] == []


def test_a_run_that_no_gate_has_looked_at_was_neither_judged_nor_refused(tmp_path: Path) -> None:
    assert read_verdicts(tmp_path, "run-1") is None
    assert read_refusal(tmp_path, "run-1") is None


def _refused(reports: Path, text: str) -> str:
    """Why this text is not taken for the verdicts of run-1: one sentence that names the file."""
    path = reports / "run-1" / "verdict.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DamagedResults) as caught:
        read_verdicts(reports, "run-1")
    said = str(caught.value)
    assert said.startswith(f"{path} ")
    assert said.endswith("; `ampmark gate run-1` writes it again.")
    assert "\n" not in said
    return said.removeprefix(f"{path} ").removesuffix("; `ampmark gate run-1` writes it again.")


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "3",
        '"x"',
        "{}",
        '{"schema": 1}',
        '{"schema": "2"}',
        '{"schema": 1, "x": 0}',
        '{"schema": 1, "headline": "h", "exit_status": 2, "findings": null}',
        "[" * 100_000,
        '{"schema": 1, "findings": ' + "[" * 100_000,
    ],
)
def test_anything_else_is_damaged_and_can_be_made_again(tmp_path: Path, text: str) -> None:
    assert _refused(tmp_path, text).startswith("is damaged (")


@pytest.mark.parametrize("schema", [0, 2])
def test_a_file_of_another_schema_is_not_guessed_at_and_not_called_damaged(tmp_path: Path, schema: int) -> None:
    text = json.dumps(document(VERDICTS) | {"schema": schema, "new": 1})
    expected = f"was written by another version of ampmark (schema {schema}, this one reads 1)"
    assert _refused(tmp_path, text) == expected


def test_verdicts_of_another_run_are_damaged(tmp_path: Path) -> None:
    text = json.dumps(document(VERDICTS) | {"candidate_run": "run-9"})
    assert _refused(tmp_path, text) == "is damaged (it is of run run-9)"


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "run-1").write_text("", encoding="utf-8")
    with pytest.raises(UnwritableResults):
        write_verdicts(tmp_path, VERDICTS)
    with pytest.raises(UnwritableResults):
        write_refusal(tmp_path, "run-1", "why")
