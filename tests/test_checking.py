"""`verify`, `selfcheck` and `run --deterministic` through the command line, on a workload of milliseconds."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from suite.cli import main

PROFILE = """
name = "tiny"
summary = "linear regression from the test plug-in"
precisions = ["fp32", "tf32", "bf16"]
timeout_seconds = 60.0
[workloads.tiny]
steps = 8
warmup_steps = 2
batch_size = 8
[workloads.tiny.optimizer]
name = "adamw"
learning_rate = 0.1
[workloads.tiny.settings]
"""
Capture = pytest.CaptureFixture[str]


def ampmark(*arguments: object) -> int:
    """Run a command line; the exit status."""
    with pytest.raises(SystemExit) as ending:
        main([str(argument) for argument in arguments])
    code = ending.value.code
    return code if isinstance(code, int) else 0


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a finished run, its profile, and the file that perturbs its replays."""
    home = tmp_path_factory.mktemp("home")
    (home / "perturbation").touch()
    (home / "tiny.toml").write_text(f'{PROFILE}perturbation = "{home / "perturbation"}"\n', encoding="utf-8")
    assert ampmark("run", "--profile", home / "tiny.toml", "--home", home) == 0
    return home


@pytest.fixture
def perturbation(stored: Path) -> Any:
    """What is changed after the record was made, for one test."""
    path = stored / "perturbation"
    yield path
    path.write_text("", encoding="utf-8")


def _journal(folder: Path, change: Callable[[str], str]) -> None:
    """Change an unsealed copy's plan and journal alike, as somebody might who can also take the seal away."""
    (run,) = (folder / "results" / "runs").iterdir()
    described = json.loads((run / "run.json").read_text(encoding="utf-8"))
    described["files"] = described["sealed_at"] = None
    (run / "run.json").write_text(change(json.dumps(described)), encoding="utf-8")
    journal = run / "trials.jsonl"
    before = journal.read_text(encoding="utf-8")
    after = change(before)
    assert after != before
    journal.write_text(after, encoding="utf-8")


def test_an_unchanged_run_is_verified(stored: Path, capsys: Capture) -> None:
    assert ampmark("verify", "--home", stored) == 0
    printed = capsys.readouterr().out
    assert re.search(r"tiny-fp32-s0-r0 +verified\n", printed)
    assert "tiny-tf32-s0-r0              skipped · unsupported: TF32 exists on NVIDIA GPUs" in printed
    assert printed.rstrip().endswith(": 2 verified, 1 skipped")


def test_chosen_trials_as_one_json_document(stored: Path, capsys: Capture) -> None:
    assert ampmark("verify", "latest", "tiny-fp32-s0-r0", "--home", stored, "--json") == 0
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert document["counts"]["verified"] == 1
    assert [trial["trial"] for trial in document["trials"]] == ["tiny-fp32-s0-r0"]
    assert document["trials"][0]["difference"] is None
    assert "verified" in captured.err


def test_a_changed_batch_is_exit_status_4_with_its_step(stored: Path, perturbation: Path, capsys: Capture) -> None:
    perturbation.write_text("batch 5", encoding="utf-8")
    assert ampmark("verify", "--home", stored, "--precision", "bf16", "--json") == 4
    (trial,) = json.loads(capsys.readouterr().out)["trials"]
    assert trial["conclusion"] == "differs"
    assert (trial["difference"]["what"], trial["difference"]["step"]) == ("loss", 5)
    assert re.match(r"loss of step 5: [0-9.]+ recorded, [0-9.]+ replayed; two replays agree: ", trial["reason"])


def test_a_forged_precision_is_named(stored: Path, tmp_path: Path, capsys: Capture) -> None:
    home = Path(shutil.copytree(stored, tmp_path / "home"))
    _journal(home, lambda text: text.replace('"effective": "fp32"', '"effective": "bf16"'))
    assert ampmark("verify", "--home", home, "--precision", "fp32") == 4
    assert "contradicts itself · it claims to have run in 'bf16'" in capsys.readouterr().out


def test_a_changed_setting_is_named_with_its_step(stored: Path, tmp_path: Path, capsys: Capture) -> None:
    home = Path(shutil.copytree(stored, tmp_path / "home"))
    _journal(home, lambda text: text.replace('"learning_rate": 0.1,', '"learning_rate": 0.11,'))
    assert ampmark("verify", "--home", home, "--precision", "fp32") == 4
    assert "differs · loss of step 1: " in capsys.readouterr().out


def test_a_journal_that_is_not_what_was_sealed_is_refused(stored: Path, tmp_path: Path, capsys: Capture) -> None:
    home = Path(shutil.copytree(stored, tmp_path / "home"))
    (run,) = (home / "results" / "runs").iterdir()
    with (run / "trials.jsonl").open("a", encoding="utf-8") as journal:
        journal.write("\n")
    assert ampmark("verify", "--home", home) == 2
    assert "trials.jsonl" in capsys.readouterr().err


def test_another_machine_is_exit_status_2_with_every_difference(stored: Path, tmp_path: Path, capsys: Capture) -> None:
    home = Path(shutil.copytree(stored, tmp_path / "home"))
    (run,) = (home / "results" / "runs").iterdir()
    described = json.loads((run / "run.json").read_text(encoding="utf-8"))
    described["environment"] |= {"torch": "1.0", "cpu": "Other CPU"}
    (run / "run.json").write_text(json.dumps(described), encoding="utf-8")
    assert ampmark("verify", "--home", home) == 2
    message = capsys.readouterr().err
    assert "cannot be verified here: torch: 1.0 → " in message
    assert "; cpu: Other CPU → " in message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("latest", "tiny-fp23-s0-r0"), "the run has no trial 'tiny-fp23-s0-r0'; did you mean 'tiny-fp32-s0-r0'?"),
        (("--workload", "gpt"), "no finished trial of the run fits these choices; `ampmark show` lists what it has."),
        (("--timeout", "0"), "--timeout is 0.0; give seconds above 0, at most 2.592e+06."),
        (("--precision", "tf32"), "has nothing to verify: none of these trials has numbers; choose others."),
    ],
)
def test_nothing_to_verify_and_bad_choices_are_exit_status_2(
    stored: Path, arguments: tuple[str, ...], message: str, capsys: Capture
) -> None:
    assert ampmark("verify", *arguments, "--home", stored) == 2
    assert message in capsys.readouterr().err


def test_a_deterministic_run_trains_the_same_bits_is_not_timed_and_verifies(
    stored: Path, tmp_path: Path, capsys: Capture
) -> None:
    profile = stored / "tiny.toml"
    assert ampmark("run", "--profile", profile, "--deterministic", "--home", tmp_path, "--json") == 0
    deterministic = json.loads(capsys.readouterr().out)["trials"]
    assert ampmark("show", "--home", stored, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    for ours, theirs in zip(document["trials"], deterministic, strict=True):
        assert ours["parameters_sha256"] == theirs["parameters_sha256"]
        assert theirs["deterministic"] is True
        assert theirs["step_seconds_median"] is None
    assert ampmark("verify", "--home", tmp_path) == 0
    (run,) = (tmp_path / "results" / "runs").iterdir()
    command = json.loads((run / "run.json").read_text(encoding="utf-8"))["command"]
    assert command == "ampmark run --profile tiny.toml --deterministic"


def test_selfcheck_runs_two_sides_and_says_what_it_can_see(stored: Path, tmp_path: Path, capsys: Capture) -> None:
    arguments = ("--profile", stored / "tiny.toml", "--precision", "fp32", "--repeats", 3, "--home", tmp_path)
    status = ampmark("selfcheck", *arguments, "--json")
    document = json.loads(capsys.readouterr().out)
    (cell,) = document["cells"]
    assert (cell["workload"], cell["precision"], cell["processes"]) == ("tiny", "fp32", 3)
    assert cell["variation"] > 0
    assert cell["minimum_detectable"] > 0.02
    assert document["headline"].startswith("With 3 processes a side ")
    # A loaded machine may alarm where nothing changed: that is what the status is for.
    assert status == (4 if cell["alarms"] else 0)
    (run,) = (tmp_path / "results" / "runs").iterdir()
    described = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert len(described["plan"]["trials"]) == 6
    assert described["command"] == "ampmark selfcheck --profile tiny.toml --precision fp32 --repeats 3"


def test_selfcheck_needs_three_processes_a_side(capsys: Capture) -> None:
    assert ampmark("selfcheck", "--repeats", 2) == 2
    assert "--repeats is 2; give at least 3 processes a side (5 are usual)." in capsys.readouterr().err
