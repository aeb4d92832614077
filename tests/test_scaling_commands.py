"""`scan-scale` and `demo underflow` through the command line."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from loss_scales import MARKOV, outcome, point, scan
from rich.console import Console
from test_cli import PROFILE, ampmark

from suite.loss_scale.findings import judge
from suite.record import Outcome
from suite.terminal.loss_scales import print_scan, print_underflow


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(PROFILE, encoding="utf-8")
    return path


def test_scan_scale_prints_the_window_and_writes_the_page(
    profile: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ampmark("scan-scale", "tiny", "--profile", profile, "--home", tmp_path) == 0
    captured = capsys.readouterr()
    (page,) = (tmp_path / "reports").glob("scan-scale-tiny-*.html")
    assert captured.out.rstrip().endswith(f"report: {page}")
    assert "tiny, profile tiny, seed 0, 20 steps in float32: worst of 9 moments" in captured.out
    assert " are safe: " in captured.out
    assert "tiny: 20 steps in float32 on " in captured.err


def test_scan_scale_as_one_document(profile: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("scan-scale", "tiny", "--profile", profile, "--home", tmp_path, "--steps", 2, "--seed", 5, "--json")
    assert ampmark(*words) == 0
    document = json.loads(capsys.readouterr().out)
    assert [entry["step"] for entry in document["scan"]["points"]] == [0, 1, 2]
    assert document["scan"]["spec"]["seed"] == 5
    assert document["scales"][:3] == [1.0, 2.0, 4.0]
    assert len(document["flushed_shares"]) == len(document["overflowed_shares"]) == 25
    assert document["window"]["found"] is True
    assert Path(document["page"]).is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("tinny",), "workload 'tinny' is not known; did you mean 'tiny'?"),
        (("markov",), "profile 'tiny' has no workload 'markov'; "),
        (("tiny", "--steps", "0"), "steps is 0; give a number above 0."),
    ],
)
def test_what_cannot_be_scanned_is_refused(
    words: tuple[str, ...], message: str, profile: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ampmark("scan-scale", *words, "--profile", profile, "--home", tmp_path) == 2
    assert f"ampmark: {message}" in capsys.readouterr().err


def drawn(print_table, subject) -> str:  # type: ignore[no-untyped-def]
    stream = io.StringIO()
    print_table(subject, Console(file=stream, width=200, highlight=False, markup=False, emoji=False))
    return stream.getvalue()


def line_of(text: str, beginning: str) -> str:
    (line,) = (line for line in text.splitlines() if line.strip("│ ").startswith(beginning))
    return line


def test_the_table_of_a_scan_marks_window_and_profile() -> None:
    text = drawn(print_scan, scan(point(flushed={0: 400, 4: 8, 8: 0}, largest=3.0)))
    assert "40 %" in line_of(text, "2^0 ")
    assert line_of(text, "2^0 ").count("█") == 8
    assert "safe" not in line_of(text, "2^3 ")
    assert "safe, static" in line_of(text, "2^10 ")
    assert "dynamic starts" in line_of(text, "2^16 ")
    assert line_of(text, "2^24 ").count("█") == 10


def test_the_table_of_the_demo_shows_numbers_verdicts_and_reasons() -> None:
    trials = outcome(3.0, 3.1, 6.0, 4.0, 2.9, 3.19)
    trials[5] = replace(trials[5], outcome=Outcome.CRASHED, reason="the process ended without a record.", steps=None)
    text = drawn(print_underflow, judge(trials, MARKOV))
    assert "75.0 %" in line_of(text, "fp16-unscaled")
    assert "-2.5 %" in line_of(text, "fp16-static 2^16")
    assert "falls short" in line_of(text, "fp16-static 2^3")
    assert "no numbers" in line_of(text, "fp16-dynamic  ")
    assert "fp16-dynamic: the process ended without a record." in text
    assert "Not as in the papers: fp16-dynamic: no numbers, expected: matches fp32." in text


@pytest.mark.slow
def test_the_papers_experiment_comes_out_on_all_three_workloads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = ampmark("demo", "underflow", "--device", "cpu", "--home", tmp_path, "--json")
    document = json.loads(capsys.readouterr().out)
    assert document["headline"] == "Loss scaling is required, as the papers say: found on markov, gpt, lstm."
    assert status == 0
    for experiment in document["experiments"]:
        rows = {row["title"]: row for row in experiment["rows"]}
        assert len(rows) == 6
        assert rows["fp16-unscaled"]["flushed_share"] > 0.6
        assert {row["record"]["attestation"]["effective"] for row in rows.values()} == {"fp32", "bf16", "fp16"}
    assert Path(document["page"]).is_file()
