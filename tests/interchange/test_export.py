"""`ampmark export`: every form, to a file or to standard output, and bad input."""

from __future__ import annotations

import io
import json
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
import records

from suite.cli import main

Capture = pytest.CaptureFixture[str]


def ampmark(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(ended.value.code or 0)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    records.stored(tmp_path / "results", records.cell([0.1, 0.2]))
    return tmp_path


def _exported(home: Path, form: str) -> bytes:
    target = home / "made" / "run"
    assert ampmark("export", "latest", "--format", form, "-o", target, "--home", home) == 0
    return target.read_bytes()


def test_every_form_holds_the_stored_times(home: Path) -> None:
    times = [0.1, 0.2]
    assert pd.read_csv(io.BytesIO(_exported(home, "csv")))["step_seconds_median"].tolist() == times
    assert pd.read_parquet(io.BytesIO(_exported(home, "parquet")))["step_seconds_median"].tolist() == times
    assert [row["step_seconds_median"] for row in json.loads(_exported(home, "json"))["trials"]] == times
    (benchmark,) = json.loads(_exported(home, "pytest-benchmark"))["benchmarks"]
    assert (benchmark["stats"]["min"], benchmark["stats"]["max"]) == (0.1, 0.2)
    assert ElementTree.fromstring(_exported(home, "junit")).get("tests") == "2"


def test_junit_has_the_verdicts_once_the_run_was_judged(home: Path) -> None:
    assert ampmark("baseline", "approve", "latest", "--reason", "r", "--home", home) == 0
    records.stored(home / "results", records.cell([0.1, 0.2]))
    assert ampmark("gate", "--home", home) == 0
    names = {case.get("name") for case in ElementTree.fromstring(_exported(home, "junit")).iter("testcase")}
    assert "step_seconds" in names


def test_without_a_file_it_goes_to_standard_output(home: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert ampmark("export", "--home", home) == 0
    assert capfdbinary.readouterr().out.startswith(b"run,trial,")


def test_an_unknown_form_is_refused_with_those_there_are(home: Path, capsys: Capture) -> None:
    assert ampmark("export", "--format", "excel", "--home", home) == 2
    assert "pytest-benchmark" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_one_sentence(home: Path, capsys: Capture) -> None:
    (home / "taken").write_text("", encoding="utf-8")
    assert ampmark("export", "-o", home / "taken" / "run.csv", "--home", home) == 2
    assert "cannot be written" in capsys.readouterr().err
