"""The details of one cell: its worst verdict, and the command that plans the same trials again."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from literal_runs import SETUP, measured, plan_of, run_of, stopped

from suite.judge.findings import Finding, Verdict
from suite.record import Outcome
from suite.report.cell_section import CellSection, cell_section
from suite.report.cells import Grid
from suite.report.page import page_html
from suite.spec import Plan, Profile, expand

Read = Callable[[str], Any]
SLOWER = Finding("gpt", "fp32", "step_seconds", Verdict.REGRESSED, change=0.2)
UNCHANGED = Finding("gpt", "fp32", "peak_allocated_bytes", Verdict.UNCHANGED)


def _section(folder: Path, plan: Plan, *findings: Finding, batch_scale: int = 1) -> CellSection:
    run = run_of(folder, plan, [measured(spec) for spec in plan.trials])
    (cell,) = Grid.of(run)
    return cell_section(cell, findings, batch_scale=batch_scale)


def _planned_by(command: str, profile: Profile) -> Plan:
    """What the command line makes of the options in the command, on a machine with two threads."""
    words = shlex.split(command)
    assert words[:2] == ["ampmark", "run"]
    flags = {word for word in words if word in ("--compile", "--deterministic")}
    rest = [word for word in words[2:] if word not in flags]
    options = dict(zip(rest[::2], rest[1::2], strict=True))
    assert options.pop("--profile") == profile.name
    made = expand(
        profile,
        device=options.pop("--device"),
        threads=2,
        workloads=[options.pop("--workload")],
        precisions=[options.pop("--precision")],
        seeds=[int(seed) for seed in options.pop("--seeds").split(",")],
        repeats=int(options.pop("--repeats", "1")),
        compiled="--compile" in flags,
        deterministic="--deterministic" in flags,
        batch_scale=int(options.pop("--batch-scale", "1")),
    )
    assert options == {}
    return made


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("by_profile", [False, True])
@pytest.mark.parametrize("batch_scale", [1, 8])
def test_measuring_it_again_plans_the_same_trials(
    tmp_path: Path, compiled: bool, deterministic: bool, by_profile: bool, batch_scale: int
) -> None:
    setups = {"gpt": replace(SETUP, compile=by_profile)}
    profile = Profile("tiny", "for tests", ("fp32", "bf16"), setups, seeds=(0, 3), repeats=2)
    plan = expand(
        profile,
        device="cuda:0",
        threads=2,
        precisions=["fp32"],
        compiled=compiled,
        deterministic=deterministic,
        batch_scale=batch_scale,
    )
    again = _planned_by(_section(tmp_path, plan, batch_scale=batch_scale).command, profile)
    assert again == plan
    assert {spec.setup_sha256 for spec in again.trials} == {plan.trials[0].setup_sha256}


def test_the_worst_verdict_is_the_cells_own(tmp_path: Path) -> None:
    plan = plan_of(precisions=("fp32",))
    said = [
        (found.worst and found.worst.word, found.worst_metric, found.loud)
        for found in (
            _section(tmp_path / "0", plan),
            _section(tmp_path / "1", plan, UNCHANGED),
            _section(tmp_path / "2", plan, UNCHANGED, SLOWER),
            _section(tmp_path / "3", plan, replace(SLOWER, precision="bf16")),
        )
    ]
    assert said == [(None, "", False), ("unchanged", "", False), ("regressed", "step time", True), (None, "", False)]


def test_a_cell_of_which_a_process_crashed_has_no_tick_in_the_list(tmp_path: Path, read: Read) -> None:
    plan = plan_of(precisions=("fp32",), repeats=2)
    run = run_of(tmp_path, plan, [measured(plan.trials[0]), stopped(plan.trials[1], Outcome.CRASHED, "SIGKILL")])
    html = page_html(run, None)
    (summary,) = re.findall(r"<summary><h3>.*?</summary>", html, flags=re.DOTALL)
    assert read(f"<div>{summary}</div>").words.startswith("gpt × fp32 ! 1 of 2 ok 1 of 2 trials measured")
    assert 'class="detail loud"' in html
