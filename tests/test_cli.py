"""The commands in this process, on a workload that trains in milliseconds: what they print, store and exit with."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from suite.cli import main
from suite.store import create_run, load_records

ROOT = Path(__file__).parents[1]

PROFILE = """
name = "tiny"
summary = "linear regression from the test plug-in"
precisions = ["fp32", "tf32", "fp16-dynamic"]
timeout_seconds = 60.0
[workloads.tiny]
steps = 20
warmup_steps = 3
batch_size = 8
[workloads.tiny.optimizer]
name = "adamw"
learning_rate = 0.1
[workloads.tiny.settings]
"""


def ampmark(*arguments: object) -> int:
    """Run a command line; the exit status."""
    with pytest.raises(SystemExit) as ending:
        main([str(argument) for argument in arguments])
    code = ending.value.code
    return code if isinstance(code, int) else 0


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("profile") / "tiny.toml"
    path.write_text(PROFILE, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def stored(profile: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with one finished run of five repeats."""
    home = tmp_path_factory.mktemp("home")
    assert ampmark("run", "--profile", profile, "--repeats", 5, "--precision", "fp32", "--home", home) == 0
    return home


@pytest.fixture
def home(stored: Path, tmp_path: Path) -> Path:
    """A copy of it to spoil."""
    return Path(shutil.copytree(stored, tmp_path / "home"))


def _measured_again(home: Path) -> Path:
    """A later run that came out as the only one did."""
    info, trials = load_records(_only_run(home))
    writer = create_run(home / "results", info.plan, info.environment, info.command)
    for trial in trials:
        writer.append(trial, "")
    return writer.seal().folder


def _only_run(home: Path) -> Path:
    (folder,) = (home / "results" / "runs").iterdir()
    return folder


def test_run_stores_shows_and_reports(profile: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ampmark("run", "--profile", profile, "--home", tmp_path) == 0
    printed = capsys.readouterr().out
    assert "3 trials, profile tiny, on " in printed
    assert "tiny-tf32-s0-r0" in printed
    assert "TF32 exists on NVIDIA GPUs" in printed
    run = _only_run(tmp_path)
    page = tmp_path / "reports" / run.name / "index.html"
    assert printed.rstrip().endswith(f"report: {page}")
    assert f'href="{run.name}/index.html"' in (tmp_path / "reports" / "index.html").read_text(encoding="utf-8")
    assert page.stat().st_size > 10_000
    assert {path.name for path in run.iterdir()} == {
        ".lock", "logs", "profile.toml", "run.json", "steps.parquet", "trials.jsonl", "trials.parquet"
    }  # fmt: skip
    trials = pd.read_parquet(run / "trials.parquet")
    assert list(trials["outcome"])[:2] == ["ok", "unsupported"]
    described = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert described["command"] == "ampmark run --profile tiny.toml"
    assert str(tmp_path) not in (run / "run.json").read_text(encoding="utf-8")


def test_a_compiled_run_says_what_was_compiled_and_nothing_else(profile: Path, tmp_path: Path) -> None:
    # Inductor itself, in a trial's own process; it takes seconds. A process of ours, for what is said at its very end.
    words = ["run", "--profile", str(profile), "--precision", "fp32", "--compile", "--timeout", "300"]
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "plugin")])
    ended = subprocess.run(
        [sys.executable, "-m", "suite", *words, "--home", str(tmp_path)],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "tiny: through torch.compile" in ended.stdout
    assert "leaked" not in ended.stderr
    assert "Warning" not in ended.stderr
    run = _only_run(tmp_path)
    (trial,) = pd.read_parquet(run / "trials.parquet").to_dict("records")
    assert (trial["outcome"], trial["compiled"], trial["graphs"], trial["graph_breaks"]) == ("ok", True, 1, 0)
    assert trial["compile_seconds"] > 0
    reports = tmp_path / "reports" / run.name
    assert "Through torch.compile: tiny." in (reports / "summary.md").read_text(encoding="utf-8")
    assert "20 steps of batch 8, torch.compile" in (reports / "index.html").read_text(encoding="utf-8")
    described = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert described["command"] == "ampmark run --profile tiny.toml --precision fp32 --timeout 300 --compile"


def test_a_failed_trial_is_exit_status_4(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "broken.toml"
    path.write_text(PROFILE + 'fault = "raise"\n', encoding="utf-8")
    status = ampmark("run", "--profile", path, "--precision", "fp32", "--home", tmp_path, "--json")
    assert status == 4
    document = json.loads(capsys.readouterr().out)
    assert document["trials"][0]["outcome"] == "failed"


def test_list_and_show_give_text_and_json(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = _only_run(home).name
    assert ampmark("list", "--home", home) == 0
    assert run in capsys.readouterr().out
    assert ampmark("list", "--home", home, "--json") == 0
    listed = json.loads(capsys.readouterr().out)
    assert [entry["run"] for entry in listed["runs"]] == [run]
    assert {"gpt", "bert", "resnet", "lstm", "tiny"} <= set(listed["workloads"])
    assert {"fp32", "tf32", "bf16-again"} <= set(listed["precisions"])
    assert listed["profiles"] == ["quick", "smoke", "standard"]
    assert ampmark("show", run[:-2], "--home", home) == 0
    assert "rmse" in capsys.readouterr().out
    assert ampmark("show", "--home", home, "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["trials"]) == 5


def test_emissions_are_shown_only_by_the_users_own_factor(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ampmark("show", "--home", home) == 0
    assert "CO2e" not in capsys.readouterr().out
    assert ampmark("show", "--home", home, "--grams-co2e-per-kwh", 380) == 0
    printed = capsys.readouterr().out
    assert "tiny × fp32: no energy, so no CO2e: " in printed
    assert printed.rstrip().endswith("CO2e at 380 g per kWh, the factor given on the command line")
    assert ampmark("show", "--home", home, "--grams-co2e-per-kwh", 380, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["grams_co2e_per_kwh"] == 380
    assert {trial["grams_co2e_per_sample"] for trial in document["trials"]} == {None}
    assert ampmark("show", "--home", home, "--grams-co2e-per-kwh", -1) == 2
    assert "is no factor" in capsys.readouterr().err


def test_the_same_run_against_itself_is_unchanged(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ampmark("compare", "latest", "latest", "--home", home, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["headline"].startswith("0 regressed, 0 improved, ")
    verdicts = {finding["metric"]: finding["verdict"] for finding in document["findings"]}
    assert verdicts["overflow_steps"] == "unchanged"
    assert verdicts["step_seconds"] in ("unchanged", "inconclusive")
    assert ampmark("compare", "latest", "latest", "--home", home) == 0
    assert "tiny × fp32" in capsys.readouterr().out


def test_a_gate_without_a_baseline_is_exit_status_2(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ampmark("gate", "--home", home) == 2
    message = capsys.readouterr().err
    assert message.startswith("ampmark: no baseline 'main' is approved for this machine and software; run `ampmark")
    assert message.count("\n") == 1


def test_a_refused_gate_leaves_no_older_verdict_that_says_fine(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ampmark("baseline", "approve", "latest", "--reason", "r", "--home", home) == 0
    run = _measured_again(home)
    assert ampmark("gate", "--home", home) == 0
    path = home / "reports" / run.name / "verdict.json"
    assert json.loads(path.read_text(encoding="utf-8"))["exit_status"] == 0
    shutil.rmtree(home / "results" / "baselines")
    capsys.readouterr()
    assert ampmark("gate", "--home", home) == 2
    said = capsys.readouterr().err.removeprefix("ampmark: ").rstrip("\n")
    refused = {"schema": 1, "headline": said, "exit_status": 2, "findings": []}
    assert json.loads(path.read_text(encoding="utf-8")) == refused
    assert ampmark("explain", "tiny/fp32", "--home", home) == 2
    assert f"run {run.name} was not judged yet" in capsys.readouterr().err
    assert ampmark("report", "--home", home) == 0
    page = path.with_name("index.html").read_text(encoding="utf-8")
    assert "not compared with a baseline: no baseline &#39;main&#39; is approved" in page


def test_a_gate_that_meets_a_damaged_baseline_leaves_no_older_verdict_either(home: Path) -> None:
    assert ampmark("baseline", "approve", "latest", "--reason", "r", "--home", home) == 0
    run = _measured_again(home)
    assert ampmark("gate", "--home", home) == 0
    (approval,) = (home / "results" / "baselines").glob("*/*/baseline.json")
    approval.write_text("{", encoding="utf-8")
    assert ampmark("gate", "--home", home) == 2
    verdict = json.loads((home / "reports" / run.name / "verdict.json").read_text(encoding="utf-8"))
    assert (verdict["exit_status"], verdict["findings"]) == (2, [])
    assert verdict["headline"].startswith(f"{approval} is damaged (")


def test_a_gate_of_the_baseline_itself_is_exit_status_2(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = _only_run(home).name
    assert ampmark("baseline", "approve", "latest", "--reason", "r", "--home", home) == 0
    capsys.readouterr()
    assert ampmark("gate", "--home", home) == 2
    assert capsys.readouterr().err == (
        f"ampmark: run {run} is baseline 'main' itself, so there is nothing to compare; "
        "measure again with `ampmark run`.\n"
    )
    assert ampmark("report", "--home", home) == 0
    page = Path(capsys.readouterr().out.strip()).read_text(encoding="utf-8")
    assert f"not compared with a baseline: run {run} is baseline &#39;main&#39; itself" in page


def test_what_the_gate_prints_as_json_is_what_it_writes(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ampmark("baseline", "approve", "latest", "--reason", "r", "--home", home) == 0
    run = _measured_again(home).name
    capsys.readouterr()
    assert ampmark("gate", "--home", home, "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((home / "reports" / run / "verdict.json").read_text(encoding="utf-8"))
    assert (printed["schema"], printed["exit_status"], printed["candidate_run"]) == (1, 0, run)


@pytest.mark.parametrize(
    ("arguments", "status", "error"),
    [
        (("gate",), 0, ""),
        (("gate", "--json"), 0, "report: "),
        (("list",), 0, ""),
        (("gate", "--baseline", "none"), 2, "ampmark: no baseline 'none' is approved "),
    ],
)
def test_a_reader_that_leaves_early_changes_neither_the_exit_status_nor_what_is_written(
    home: Path, arguments: tuple[str, ...], status: int, error: str
) -> None:
    """As in `ampmark gate | true`: nobody reads a single line."""
    assert ampmark("baseline", "approve", "latest", "--reason", "r", "--home", home) == 0
    run = _measured_again(home).name
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run(
        [sys.executable, "-m", "suite", *arguments, "--home", str(home)],
        cwd=ROOT,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)
    assert ended.returncode == status
    assert ended.stderr.startswith(error)
    assert ended.stderr.count("\n") == bool(error)
    written = home / "reports" / run
    if status == 0 and arguments[0] == "gate":
        assert {path.name for path in written.iterdir()} == {"index.html", "junit.xml", "summary.md", "verdict.json"}


def test_a_message_that_nobody_reads_leaves_the_exit_status(home: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    words = [sys.executable, "-m", "suite", "gate", "--home", str(home)]
    assert subprocess.run(words, cwd=ROOT, stdout=writer, stderr=writer, check=False).returncode == 2
    os.close(writer)


def test_approve_then_gate_then_list(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = _only_run(home).name
    assert ampmark("baseline", "approve", "latest", "--reason", "first good run", "--home", home) == 0
    run = _measured_again(home).name
    capsys.readouterr()
    assert ampmark("gate", "--home", home) == 0
    out = capsys.readouterr().out
    assert "0 regressed" in out
    folder = home / "reports" / run
    assert {path.name for path in folder.iterdir()} == {"index.html", "junit.xml", "summary.md", "verdict.json"}
    verdict = json.loads((folder / "verdict.json").read_text(encoding="utf-8"))
    assert (verdict["baseline"], verdict["base_run"], verdict["candidate_run"]) == ("main", base, run)
    assert ampmark("baseline", "list", "--home", home) == 0
    assert "first good run" in capsys.readouterr().out
    assert ampmark("baseline", "list", "--home", home, "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["name"] == "main"
    assert ampmark("report", "--home", home) == 0
    assert capsys.readouterr().out.strip() == str(folder / "index.html")


def test_a_slower_candidate_is_regressed_named_and_exit_status_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A newer version of the plug-in is installed whose step takes 25 ms where it took 20."""
    path = tmp_path / "tiny.toml"
    path.write_text(PROFILE + "delay_seconds = 0.020\n", encoding="utf-8")
    run = ("run", "--profile", path, "--precision", "fp32", "--repeats", 5, "--home", tmp_path)
    assert ampmark(*run) == 0
    assert ampmark("baseline", "approve", "latest", "--reason", "before", "--home", tmp_path) == 0
    _install_slower_plugin(tmp_path / "newer", monkeypatch)
    assert ampmark(*run) == 0
    capsys.readouterr()
    assert ampmark("gate", "--home", tmp_path) == 1
    assert "1 regressed" in capsys.readouterr().out
    latest = sorted((tmp_path / "reports").glob("*/verdict.json"))[-1].parent
    worst = json.loads((latest / "verdict.json").read_text(encoding="utf-8"))["findings"][0]
    assert (worst["workload"], worst["precision"], worst["metric"]) == ("tiny", "fp32", "step_seconds")
    assert 0.1 < worst["change"] < 0.5
    assert "1 regressed" in (latest / "index.html").read_text(encoding="utf-8")


def _install_slower_plugin(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = (Path(__file__).parent / "plugin" / "ampmark_tiny.py").read_text(encoding="utf-8")
    wait = "_busy(self._settings.delay_seconds)"
    assert wait in source
    folder.mkdir()
    (folder / "ampmark_tiny.py").write_text(source.replace(wait, "_busy(1.25 * self._settings.delay_seconds)"))
    monkeypatch.syspath_prepend(folder)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "--workload", "gtp"), "workload 'gtp' is not known; did you mean 'gpt'?"),
        (("run", "--precision", "fp61"), "precision 'fp61' is not known; "),
        (("run", "--profile", "qiuck"), "profile 'qiuck' is not known; did you mean 'quick'?"),
        (("run", "--profile", "absent.toml"), "profile absent.toml cannot be read"),
        (("run", "--seeds", "1,x"), "--seeds '1,x' is not a list of whole numbers"),
        (("run", "--seeds", ",,"), "--seeds ',,' is not a list of whole numbers"),
        (("run", "--timeout", "inf"), "--timeout is inf; give a finite number up to 2.592e+06."),
        (("run", "--repeats", 10**9), "--repeats is 1000000000; give a finite number up to 1e+06."),
        (("run", "--resume", "latest", "--repeats", 0), "--resume completes a run as it was planned"),
        (("show", ""), "no run under "),
        (("show", "a" * 5000), "no run under "),
        (("run", "--device", "gpu"), "--device 'gpu' is not known; give cpu, cuda or cuda:N."),
        (("run", "--repeats", 0), "--repeats is 0; give a number above 0."),
        (("run", "--resume", "x", "--workload", "gpt"), "--resume completes a run as it was planned"),
        (("run", "--resume", "x", "--anchor-python", "python3"), "--resume completes a run as it was planned"),
        (("run", "--resume", "latest"), "is complete; there is nothing to resume."),
        (("show", "absent"), "no run under "),
        (("compare", "absent", "latest"), "no run under "),
        (("gate", "--fail-on", "slower"), "--fail-on 'slower' is not known; "),
        (("baseline", "approve", "latest", "--reason", " "), "--reason is empty"),
        (("baseline", "approve", "latest", "--reason", "r", "--name", "../x"), "baseline name '../x' is not usable"),
    ],
)
def test_bad_input_is_one_line_that_says_what_and_what_to_do(
    home: Path, arguments: tuple[object, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ampmark(*arguments, "--home", home) == 2
    error = capsys.readouterr().err
    assert error.startswith("ampmark: ")
    assert message in error
    assert error.count("\n") == 1


def test_a_profile_with_a_wrong_key_names_the_nearest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(PROFILE.replace("batch_size", "batchsize"), encoding="utf-8")
    assert ampmark("run", "--profile", path, "--home", tmp_path) == 2
    assert "unknown key 'batchsize'; did you mean 'batch_size'?" in capsys.readouterr().err


def test_an_unwritable_folder_is_found_before_anything_runs(
    profile: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder", encoding="utf-8")
    assert ampmark("run", "--profile", profile, "--home", blocked) == 2
    captured = capsys.readouterr()
    assert "cannot be written to" in captured.err
    assert "loading torch" not in captured.out


def test_damaged_missing_and_newer_files_are_named(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = _only_run(home)
    parquet = run / "trials.parquet"
    whole = parquet.read_bytes()
    parquet.write_bytes(whole[:-1])
    assert ampmark("report", "--home", home) == 2
    assert f"{parquet} is not the file that was sealed" in capsys.readouterr().err
    parquet.unlink()
    assert ampmark("show", "--home", home) == 2
    assert f"{parquet} is missing from a sealed run" in capsys.readouterr().err
    described = json.loads((run / "run.json").read_text(encoding="utf-8"))
    (run / "run.json").write_text(json.dumps(described | {"schema": 99}), encoding="utf-8")
    assert ampmark("list", "--home", home) == 2
    assert "has schema 99, but this ampmark reads up to 4; update ampmark." in capsys.readouterr().err


def test_an_interrupted_run_keeps_what_finished_and_can_be_completed(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = _only_run(home)
    before = pd.read_parquet(run / "trials.parquet")
    _cut_short(run, trials=2)
    assert ampmark("gate", "--home", home) == 2
    assert "was cut short and may hide a regression" in capsys.readouterr().err
    assert ampmark("show", "--home", home) == 0
    assert "incomplete: 2 of 5 trials" in capsys.readouterr().out
    assert ampmark("baseline", "approve", "latest", "--reason", "r", "--home", home) == 2
    assert "was cut short; complete it with" in capsys.readouterr().err
    assert ampmark("run", "--resume", "latest", "--home", home) == 0
    after = pd.read_parquet(run / "trials.parquet")
    assert list(after["trial"]) == list(before["trial"])
    # The first two were kept, the others ran again and, with the same seed, came out the same.
    assert list(after["started_at"])[:2] == list(before["started_at"])[:2]
    assert list(after["losses_sha256"]) == list(before["losses_sha256"])


def _cut_short(run: Path, trials: int) -> None:
    """Leave the run as a kill would have: some journal lines, a half-written one, nothing sealed."""
    for name in ("trials.parquet", "steps.parquet"):
        (run / name).unlink()
    lines = (run / "trials.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (run / "trials.jsonl").write_text("".join(lines[:trials]) + lines[trials][:100], encoding="utf-8")
    described = json.loads((run / "run.json").read_text(encoding="utf-8"))
    (run / "run.json").write_text(json.dumps(described | {"sealed_at": None, "files": None}), encoding="utf-8")


def test_ctrl_c_keeps_what_finished_and_resume_completes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A real interrupt of a real process, in the middle of its second trial."""
    profile = tmp_path / "tiny.toml"
    profile.write_text(PROFILE + "delay_seconds = 0.2\n", encoding="utf-8")
    command = [sys.executable, "-m", "suite", "run", "--profile", str(profile), "--repeats", "3", "--precision", "fp32"]
    path = os.pathsep.join([str(Path(__file__).parents[1]), str(Path(__file__).parent / "plugin")])
    environment = dict(os.environ) | {"PYTHONPATH": path, "AMPMARK_HOME": str(tmp_path)}
    # A shell starts what it runs in the background with this signal ignored, and children inherit that.
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        signal.signal(signal.SIGINT, inherited)
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("tiny-fp32-s0-r0"):
                process.send_signal(signal.SIGINT)
                break
        rest = process.stdout.read()
    assert process.returncode == 130
    assert f"every finished trial is kept. Complete with: ampmark run --resume {_only_run(tmp_path).name}" in rest
    assert ampmark("show", "--home", tmp_path) == 0
    assert "incomplete: 1 of 3 trials" in capsys.readouterr().out
    assert ampmark("run", "--resume", "latest", "--home", tmp_path) == 0
    assert len(pd.read_parquet(_only_run(tmp_path) / "trials.parquet")) == 3


def test_a_run_that_is_still_being_written_cannot_be_resumed_by_another_process(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = _only_run(home)
    _cut_short(run, trials=2)
    hold = f"import sys, time; from suite.files import lock; from pathlib import Path; lock(Path({str(run)!r}))"
    command = [sys.executable, "-c", hold + "; print('held', flush=True); time.sleep(60)"]
    with subprocess.Popen(command, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert ampmark("run", "--resume", "latest", "--home", home) == 2
        holder.kill()
    assert "is being written by another process; wait for it or end it." in capsys.readouterr().err
    assert ampmark("run", "--resume", "latest", "--home", home) == 0


def test_a_damaged_baseline_costs_the_comparison_and_not_the_report(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ampmark("baseline", "approve", "latest", "--reason", "r", "--home", home) == 0
    (path,) = (home / "results" / "baselines").glob("*/*/baseline.json")
    path.write_text("{", encoding="utf-8")
    assert ampmark("report", "--home", home) == 0
    page = Path(capsys.readouterr().out.splitlines()[-1])
    assert "baseline.json is damaged" in page.read_text(encoding="utf-8")
    assert not (page.parent / "verdict.json").exists()
    assert ampmark("gate", "--home", home) == 2


def test_a_report_shows_the_verdicts_that_the_gate_left_unless_a_baseline_is_named(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("main", "other"):
        assert ampmark("baseline", "approve", "latest", "--reason", "r", "--name", name, "--home", home) == 0
    _measured_again(home)
    assert ampmark("gate", "--baseline", "other", "--home", home) == 0
    (path,) = (home / "reports").glob("*/verdict.json")
    assert ampmark("report", "--home", home) == 0
    assert json.loads(path.read_text(encoding="utf-8"))["baseline"] == "other"
    assert ampmark("report", "--baseline", "main", "--home", home) == 0
    assert json.loads(path.read_text(encoding="utf-8"))["baseline"] == "main"
    capsys.readouterr()
    assert ampmark("report", "--baseline", "none", "--home", home) == 2
    assert "'none'" in capsys.readouterr().err
    assert json.loads(path.read_text(encoding="utf-8"))["baseline"] == "main"


def test_a_damaged_verdict_costs_the_comparison_and_not_the_report(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ampmark("baseline", "approve", "latest", "--reason", "r", "--home", home) == 0
    _measured_again(home)
    assert ampmark("gate", "--home", home) == 0
    (path,) = (home / "reports").glob("*/verdict.json")
    path.write_text("{", encoding="utf-8")
    capsys.readouterr()
    assert ampmark("report", "--home", home) == 0
    page = Path(capsys.readouterr().out.splitlines()[-1])
    assert f"ampmark gate {path.parent.name}` writes it again" in page.read_text(encoding="utf-8")


def test_an_error_in_ampmark_itself_is_never_the_status_of_a_regression(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*arguments: object) -> None:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr("suite.cli.looking.print_run", broken)
    assert ampmark("show", "--home", home) == 2
    assert "an error in ampmark itself (RuntimeError: unforeseen)" in capsys.readouterr().err


def test_json_keeps_every_digit(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ampmark("show", "--home", home, "--json") == 0
    shown = json.loads(capsys.readouterr().out)["trials"]
    stored = pd.read_parquet(_only_run(home) / "trials.parquet")
    assert [trial["step_seconds_median"] for trial in shown] == list(stored["step_seconds_median"])
    assert shown[0]["energy_joules"] is None
