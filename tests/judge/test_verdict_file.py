"""verdict.json: what CI finds in it, that it is read back whole, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from suite.errors import DamagedResults, UnwritableResults
from suite.judge.findings import Finding, Verdict, Verdicts
from suite.judge.verdict_file import read_verdicts, write_verdicts

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


def test_every_field_is_described_beside_the_reports(tmp_path: Path) -> None:
    write_verdicts(tmp_path, VERDICTS)
    data = json.loads((tmp_path / "run-1" / "verdict.json").read_text(encoding="utf-8"))
    described = (Path(__file__).parents[2] / "reports" / "README.md").read_text(encoding="utf-8")
    assert [name for name in data if f"`{name}`" not in described] == []


def test_a_run_that_was_not_judged_has_none(tmp_path: Path) -> None:
    assert read_verdicts(tmp_path, "run-1") is None


@pytest.mark.parametrize("text", ["{", "[]", "3", '"x"', '{"schema": 1}', '{"schema": 2}', '{"schema": 1, "x": 0}'])
def test_anything_else_is_damaged_and_can_be_made_again(tmp_path: Path, text: str) -> None:
    (tmp_path / "run-1").mkdir()
    (tmp_path / "run-1" / "verdict.json").write_text(text, encoding="utf-8")
    with pytest.raises(DamagedResults, match="`ampmark gate run-1` writes it again"):
        read_verdicts(tmp_path, "run-1")


def test_a_file_of_another_schema_is_not_guessed_at(tmp_path: Path) -> None:
    (tmp_path / "run-1").mkdir()
    (tmp_path / "run-1" / "verdict.json").write_text('{"schema": 2}', encoding="utf-8")
    with pytest.raises(DamagedResults, match="its schema is 2, this ampmark reads 1"):
        read_verdicts(tmp_path, "run-1")


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "run-1").write_text("", encoding="utf-8")
    with pytest.raises(UnwritableResults):
        write_verdicts(tmp_path, VERDICTS)
