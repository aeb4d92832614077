"""Slower code, measured and judged through the command line: the verdict, the operator to blame, and the anchor."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from suite.cli import main

PROFILE = """
name = "tiny"
summary = "milliseconds"
precisions = ["fp32"]
repeats = 5
[workloads.tiny]
steps = 40
warmup_steps = 5
batch_size = 64
[workloads.tiny.optimizer]
name = "sgd"
learning_rate = 0.01
[workloads.tiny.settings]
"""
Capture = pytest.CaptureFixture[str]


def ampmark(*arguments: object) -> int:
    """Run a command line; the exit status."""
    with pytest.raises(SystemExit) as ending:
        main([str(argument) for argument in arguments])
    code = ending.value.code
    return code if isinstance(code, int) else 0


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with an approved baseline of 5 processes, and the file that makes later ones slower."""
    (tmp_path / "perturbation").touch()
    text = f'{PROFILE}perturbation = "{tmp_path / "perturbation"}"\n'
    (tmp_path / "tiny.toml").write_text(text, encoding="utf-8")
    assert ampmark("run", "--profile", tmp_path / "tiny.toml", "--home", tmp_path) == 0
    assert ampmark("baseline", "approve", "latest", "--reason", "test", "--home", tmp_path) == 0
    return tmp_path


def _time(capsys: Capture, home: Path) -> dict[str, Any]:
    """The finding on the step time of the latest run."""
    capsys.readouterr()
    assert ampmark("explain", "tiny/fp32", "--json", "--home", home) == 0
    findings = json.loads(capsys.readouterr().out)
    return next(finding for finding in findings if finding["metric"] == "step_seconds")


def test_copies_in_the_loss_are_regressed_and_explain_names_the_copying_operator(home: Path, capsys: Capture) -> None:
    (home / "perturbation").write_text("copies 400", encoding="utf-8")  # several times the work of the step
    assert ampmark("run", "--profile", home / "tiny.toml", "--home", home) == 0
    status = ampmark("gate", "--home", home)
    found = _time(capsys, home)
    if found["reasons"]:  # a machine with other load lowers confidence, and the gate says so
        assert (status, found["verdict"]) == (0, "inconclusive")
        pytest.skip(f"other load on this machine: {found['reasons'][0]}")
    assert (status, found["verdict"]) == (1, "regressed")
    assert found["change"] > 0.3
    blamed = found["operators"][0]
    assert blamed["name"] in ("aten::copy_", "aten::clone")
    assert blamed["candidate_calls"] >= blamed["base_calls"] + 400
    assert ampmark("explain", "tiny/fp32", "--home", home) == 0
    assert f"slower operator: {blamed['name']}" in capsys.readouterr().out


def test_the_baselines_code_runs_in_turn_and_is_what_the_candidate_is_judged_against(
    tmp_path: Path, capsys: Capture
) -> None:
    choice = ("--profile", "smoke", "--workload", "lstm", "--precision", "fp32", "--repeats", "3", "--home", tmp_path)
    assert ampmark("run", *choice) == 0
    assert ampmark("baseline", "approve", "latest", "--reason", "test", "--home", tmp_path) == 0
    assert ampmark("run", *choice, "--anchor", "main", "--anchor-python", sys.executable) == 0
    capsys.readouterr()
    assert ampmark("gate", "--json", "--home", tmp_path) in (0, 1)  # milliseconds, of which a busy machine makes much
    verdicts = json.loads(capsys.readouterr().out)
    assert verdicts["anchored"]
    time = next(finding for finding in verdicts["findings"] if finding["metric"] == "step_seconds")
    assert (time["processes_base"], time["processes_candidate"]) == (3, 3)
    assert time["test"] in ("paired t over blocks", "Welch over blocks")
    runs = sorted((tmp_path / "results" / "runs").iterdir())
    blocks = sorted((runs[-1] / "anchor" / "results" / "runs").iterdir())
    assert (len(runs), len(blocks)) == (2, 3)
