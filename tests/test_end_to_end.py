"""The whole tool on all four workloads and all modes, through the command line, in the smallest profile.

Every cell runs twice with the same seed, in two processes: the second must be the first again, bit for bit.
"""

from __future__ import annotations

import json
import math
import re
from itertools import product
from pathlib import Path

import pandas as pd
import pytest

import suite
from suite.cli import main

WORKLOADS = ("gpt", "bert", "resnet", "lstm")
MODES = ("fp32", "tf32", "fp16-static", "fp16-dynamic", "bf16", "fp16-unscaled")
CELLS = list(product(WORKLOADS, MODES))
#: What a mode must prove to have run in.
ARITHMETIC = {"fp32": "fp32", "bf16": "bf16"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with one run of 4 workloads × 6 modes × 2 repeats."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.raises(SystemExit) as ending:
        main(["run", "--profile", "smoke", "--repeats", "2", "--device", "cpu", "--home", str(folder)])
    assert ending.value.code == 0
    return folder


@pytest.fixture(scope="module")
def run(home: Path) -> suite.Run:
    return suite.load_run(suite.find_run(home / "results", "latest"))


def _cell(run: suite.Run, workload: str, mode: str) -> pd.DataFrame:
    return run.trials[(run.trials["workload"] == workload) & (run.trials["precision"] == mode)]


def test_every_trial_has_a_row(run: suite.Run) -> None:
    assert len(run.trials) == 4 * 6 * 2
    assert set(zip(run.trials["workload"], run.trials["precision"], strict=True)) == set(CELLS)


@pytest.mark.parametrize(("workload", "mode"), CELLS)
def test_every_cell_has_numbers_or_says_why_not(run: suite.Run, workload: str, mode: str) -> None:
    for _, row in _cell(run, workload, mode).iterrows():
        if mode == "tf32":
            assert row["outcome"] == "unsupported"
            assert row["reason"].startswith("TF32 exists on NVIDIA GPUs")
            assert math.isnan(row["step_seconds_median"])
            continue
        assert row["outcome"] in ("ok", "emulated"), row["reason"]
        assert (row["outcome"] == "emulated") == pd.notna(row["reason"])
        assert row["step_seconds_median"] > 0
        assert row["samples_per_second"] > 0
        assert row["peak_rss_bytes"] > row["rss_before_bytes"] > 0
        assert math.isfinite(row["quality"])
        assert row["flops_per_step"] > 0


@pytest.mark.parametrize(("workload", "mode"), CELLS)
def test_what_ran_is_what_was_asked_for(run: suite.Run, workload: str, mode: str) -> None:
    if mode != "tf32":
        assert set(_cell(run, workload, mode)["effective_precision"]) == {ARITHMETIC.get(mode, "fp16")}


@pytest.mark.parametrize(("workload", "mode"), CELLS)
def test_the_same_seed_gives_the_same_losses_and_the_same_parameters(run: suite.Run, workload: str, mode: str) -> None:
    rows = _cell(run, workload, mode)
    assert sorted(rows["repeat"]) == [0, 1]
    if mode != "tf32":
        assert rows["losses_sha256"].nunique() == 1
        assert rows["parameters_sha256"].nunique() == 1
        assert rows["overflow_steps"].nunique() == 1


def test_every_cell_is_verified_bit_for_bit_in_deterministic_mode(
    home: Path, run: suite.Run, capsys: pytest.CaptureFixture[str]
) -> None:
    trials = [f"{workload}-{mode}-s0-r1" for workload, mode in CELLS]
    with pytest.raises(SystemExit) as ending:
        main(["verify", run.info.run, *trials, "--home", str(home), "--json"])
    assert ending.value.code == 0
    found = {trial["trial"]: trial["conclusion"] for trial in json.loads(capsys.readouterr().out)["trials"]}
    assert found == {trial: "skipped" if "-tf32-" in trial else "verified" for trial in trials}


@pytest.mark.parametrize("workload", WORKLOADS)
def test_the_modes_differ_in_what_they_compute(run: suite.Run, workload: str) -> None:
    digests = {mode: _cell(run, workload, mode)["losses_sha256"].iloc[0] for mode in ("fp32", "bf16", "fp16-static")}
    assert len(set(digests.values())) == 3


@pytest.mark.parametrize("workload", WORKLOADS)
def test_fp32_and_bf16_never_overflow(run: suite.Run, workload: str) -> None:
    for mode in ("fp32", "bf16"):
        assert set(_cell(run, workload, mode)["overflow_count"]) == {0}


@pytest.mark.parametrize("workload", WORKLOADS)
def test_a_static_scale_stays_and_only_scaled_modes_have_one(run: suite.Run, workload: str) -> None:
    static = _cell(run, workload, "fp16-static").iloc[0]
    assert static["scale_first"] == static["scale_last"] == static["scale_lowest"] == 1024.0
    assert _cell(run, workload, "fp16-dynamic").iloc[0]["scale_first"] == 65536.0
    assert _cell(run, workload, "fp16-unscaled")["scale_first"].isna().all()


def test_the_steps_frame_holds_every_step_of_every_measured_trial(run: suite.Run) -> None:
    measured = run.trials[run.trials["outcome"].isin(["ok", "emulated"])]
    counted = run.steps.groupby("trial").size()
    assert counted.to_dict() == dict(zip(measured["trial"], measured["steps"], strict=True))
    one = run.steps[run.steps["trial"] == "gpt-fp32-s0-r0"]
    row = run.trials[run.trials["trial"] == "gpt-fp32-s0-r0"].iloc[0]
    timed = one[~one["warmup"].astype(bool)]
    assert timed["seconds"].sum() == pytest.approx(row["timed_seconds"])
    assert len(timed) * row["samples_per_step"] / timed["seconds"].sum() == pytest.approx(row["samples_per_second"])


def test_the_files_are_plain_parquet_and_json(home: Path, run: suite.Run) -> None:
    frame = pd.concat(map(pd.read_parquet, (home / "results" / "runs").glob("*/trials.parquet")))
    assert len(frame) == len(run.trials)
    assert json.loads((run.folder / "run.json").read_text(encoding="utf-8"))["schema"] == 4
    assert all((run.folder / "logs" / f"{trial}.txt").exists() for trial in run.trials["trial"])


def test_the_report_names_every_cell_and_asks_nobody_for_anything(home: Path, run: suite.Run) -> None:
    page = (home / "reports" / run.info.run / "index.html").read_text(encoding="utf-8")
    for workload, mode in CELLS:
        assert f'id="cell--{workload}--{mode}"' in page
    # The charts' data, and the one script, which lies beside the pages.
    (source,) = re.findall(r'<script src="([^"]*)"', page)
    assert (home / "reports" / run.info.run / source).resolve().parent == (home / "reports").resolve()
    assert page.count("<script") == 1 + page.count('<script type="application/json">')
    assert page.count("<svg") >= 4


def test_the_run_against_itself_is_not_regressed(home: Path) -> None:
    run = suite.load_run(suite.find_run(home / "results", "latest"))
    assert {finding.verdict.value for finding in suite.compare(run, run).findings} <= {
        "unchanged", "inconclusive", "not measured"
    }  # fmt: skip


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> suite.Run:
    """The quick profile in the two modes that are fast on any CPU that has AVX-512, and bearable elsewhere."""
    home = tmp_path_factory.mktemp("learnt")
    with pytest.raises(SystemExit) as ending:
        main(["run", "--profile", "quick", "--precision", "fp32", "--precision", "bf16", "--home", str(home)])
    assert ending.value.code == 0
    return suite.load_run(suite.find_run(home / "results", "latest"))


@pytest.mark.parametrize("workload", WORKLOADS)
@pytest.mark.parametrize("mode", ["fp32", "bf16"])
def test_in_the_quick_profile_the_loss_falls_and_the_baseline_is_beaten(
    learnt: suite.Run, workload: str, mode: str
) -> None:
    (row,) = (row for _, row in _cell(learnt, workload, mode).iterrows())
    assert row["timed_steps"] >= 20
    assert row["final_loss"] < row["first_loss"]
    better = row["quality"] - row["quality_baseline"]
    assert better > 0 if row["quality_higher_is_better"] else better < 0
