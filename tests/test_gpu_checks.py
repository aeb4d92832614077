"""tools/gpu_checks.py with checks whose end is known, and one real check on this machine's CPU."""

from __future__ import annotations

import json
import os
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from suite.measure.switches import restore, switches
from tools.checks import CHECKS, Check, Conditions
from tools.gpu_checks import Result, exit_status, main, run_checks, table


def check(function: str, seconds: float = 30.0, number: int = 1, **fields: object) -> Check:
    return Check(number, function, seconds, f"tests.fake_checks:{function}", **fields)  # type: ignore[arg-type]


def run(folder: Path, *checks: Check, **options: object) -> list[Result]:
    return run_checks(checks, folder / "out", **({"device": "cuda:0"} | options))  # type: ignore[arg-type]


def test_a_check_that_meets_its_targets_passes_and_its_runs_are_kept(tmp_path: Path) -> None:
    (result,) = run(tmp_path, check("passes"))
    assert (result.outcome, result.reason) == ("passed", "")
    assert list(result.measurements) == [
        {"name": "device", "value": "cuda:0", "target": "", "met": True},
        {"name": "ratio", "value": "1.001", "target": "≤ 1.005", "met": True},
    ]
    with tarfile.open(tmp_path / "out" / "runs.tar") as archive:
        assert archive.getnames() == ["check-1", "check-1/record.txt"]


@pytest.mark.parametrize(
    ("function", "outcome", "reason"),
    [
        ("misses", "missed", ""),
        ("has_no_time", "incomplete", ""),
        ("refuses", "not run", "the driver does not tell"),
        ("breaks", "failed", "exit status 1: RuntimeError: the second half broke"),
        ("dies", "failed", "exit status 7: it was silent"),
    ],
)
def test_every_other_end_has_its_word_and_keeps_what_was_measured(
    tmp_path: Path, function: str, outcome: str, reason: str
) -> None:
    (result,) = run(tmp_path, check(function))
    assert (result.outcome, result.reason) == (outcome, reason)
    assert len(result.measurements) == {"misses": 2, "dies": 0}.get(function, 1)


def test_a_check_is_killed_at_its_limit_with_all_that_it_started(tmp_path: Path) -> None:
    began = time.monotonic()
    (result,) = run(tmp_path, check("hangs", seconds=2.0))
    assert time.monotonic() - began < 20
    assert (result.outcome, result.reason) == ("timed out", "killed after 2 s")
    (child,) = result.measurements
    status = Path(f"/proc/{child['value']}/status")
    assert not status.exists() or "State:\tZ" in status.read_text(encoding="utf-8")


def test_results_are_lines_of_json_written_one_by_one(tmp_path: Path) -> None:
    run(tmp_path, check("breaks"), check("passes", number=2))
    lines = [json.loads(line) for line in (tmp_path / "out" / "checks.jsonl").read_text("utf-8").splitlines()]
    assert [(line["check"], line["name"], line["outcome"]) for line in lines] == [
        (1, "breaks", "failed"),
        (2, "passes", "passed"),
    ]
    log = (tmp_path / "out" / "checks.log").read_text("utf-8")
    assert "=== 1 breaks\nsome words before\n" in log
    assert "RuntimeError: the second half broke" in log


@pytest.mark.parametrize(
    ("made", "options", "reason"),
    [
        (check("passes", gpu=True), {"device": "cpu"}, "needs a GPU"),
        (check("passes", needs=("no_such_module",)), {}, "needs no_such_module, which is not installed"),
        (
            check("passes"),
            {"total_seconds": 0.0},
            "the time for all checks was used up; run it alone with --only",
        ),
    ],
)
def test_what_cannot_be_run_says_why(tmp_path: Path, made: Check, options: dict[str, object], reason: str) -> None:
    (result,) = run(tmp_path, made, **options)
    assert (result.outcome, result.reason, result.measurements) == ("not run", reason, ())


@pytest.mark.parametrize(
    ("options", "limit"), [({}, "10"), ({"full": True}, "40"), ({"device": "cpu"}, "40"), ({"total_seconds": 5}, "5")]
)
def test_the_long_form_and_a_cpu_have_four_times_the_time(
    tmp_path: Path, options: dict[str, object], limit: str
) -> None:
    (result,) = run(tmp_path, check("tells_its_time", seconds=10.0), **options)
    assert float(result.measurements[0]["value"]) == pytest.approx(float(limit), abs=0.1)
    assert result.outcome == "passed"


def test_the_table_has_a_row_per_check_and_marks_what_was_missed() -> None:
    found = [
        {"name": "ratio", "value": "1.2", "target": "≤ 1.005", "met": False},
        {"name": "spread", "value": "0.3 %", "target": "", "met": True},
        {"name": "cells", "value": "no time was left", "target": "all", "met": None},
    ]
    results = [Result(6, "overhead", "missed", 12.34, "", found), Result(7, "NVML", "not run", 0.0, "needs a GPU")]
    assert table(results).splitlines() == [
        "check  name                     outcome    seconds",
        "    6  overhead                 missed        12.3",
        "      ✗ ratio: 1.2 (target: ≤ 1.005)",
        "        spread: 0.3 %",
        "      ? cells: no time was left (target: all)",
        "    7  NVML                     not run        0.0  needs a GPU",
    ]


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [
        (["passed", "passed"], 0),
        (["passed", "not run"], 3),
        (["incomplete"], 3),
        (["missed", "not run"], 1),
        (["passed", "failed"], 1),
        (["timed out"], 1),
        ([], 3),
    ],
)
def test_the_exit_status_is_0_only_if_everything_passed(outcomes: list[str], status: int) -> None:
    assert exit_status(Result(1, "a", outcome, 0.0) for outcome in outcomes) == status


def test_checks_are_chosen_by_number_and_the_table_is_stored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = [check("misses", number=1), check("passes", number=2)]
    assert main(["--out", str(tmp_path), "--only", "2"], known) == 0
    stored = (tmp_path / "checks.txt").read_text("utf-8")
    assert "passes" in stored
    assert "misses" not in stored
    assert stored in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["--out", str(tmp_path), "--only", "3"], known)
    assert "there is no check [3]; known are [1, 2]" in capsys.readouterr().err


def test_the_checks_are_numbered_as_in_the_list_and_say_their_targets() -> None:
    import importlib

    assert [found.number for found in CHECKS] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12]
    assert sum(found.seconds for found in CHECKS) <= 540
    for found in CHECKS[1:]:
        module, _, function = found.target.partition(":")
        words = " ".join((getattr(importlib.import_module(module), function).__doc__ or "").split())
        assert "Target" in words, found.name
        assert "the design's" in words, found.name


@pytest.mark.parametrize(
    ("ours", "met"),
    [
        ([1.0, 1.01, 1.0, 1.0], True),
        ([1.1, 1.2, 1.1, 1.1], False),
        ([1.0, 1.0, 1.2, 1.3], None),  # half of the pairs say so, which is no evidence
    ],
)
def test_an_overhead_is_a_miss_only_where_the_noise_allows_to_say_so(ours: list[float], met: bool | None) -> None:
    from tools.checks.loop import compared

    assert compared(ours, [1.0] * 4, 1.005).met is met


@pytest.fixture
def switches_restored() -> Iterator[None]:
    before, onednn = switches(), torch.backends.mkldnn.enabled
    yield
    restore(before)
    torch.backends.mkldnn.set_flags(onednn)


@pytest.mark.usefixtures("switches_restored")
def test_the_attestation_check_passes_on_this_cpu(tmp_path: Path) -> None:
    from tools.checks.arithmetic import attestation

    found = {m.name: m for m in attestation(Conditions("cpu", False, os.fspath(tmp_path), 60.0, time.monotonic()))}
    assert all(measurement.met for measurement in found.values())
    assert found["fp32 convolution"].value.startswith("fp32 (error against float64: convolution ")
    assert found["bf16 recurrence"].value.startswith("bf16 (")
    assert found["tf32 matmul"].value.startswith("unsupported: TF32 exists on NVIDIA GPUs")
    assert "mkldnn.matmul.fp32_precision was bf16 and not ieee" in found["fp32 with a spoilt switch"].value


def test_the_oracle_of_the_overflow_check_knows_when_parameters_moved() -> None:
    from tools.checks import overflow
    from tools.checks.small import Small, SmallSettings

    case = overflow.Case(overflow.FP16_STATIC, overflow.OPTIMIZERS[0], accumulation=2, clip_norm=1.0)
    cpu = torch.device("cpu")
    # Two micro-batches a step: 0 belongs to step 0, 5 to step 2.
    workload = Small(SmallSettings(overflowing=(0, 5)), batch_size=8, seed=0, device=cpu)
    recorded, moved = overflow.train_case(case, workload, cpu)
    assert [step for step, flag in enumerate(recorded) if flag] == [0, 2]
    assert [step for step, flag in enumerate(moved) if not flag] == [0, 2]


@pytest.mark.parametrize(
    ("recorded", "moved", "said"),
    [
        ((False, True, False), (True, False, True), None),
        ((False, False, False), (True, False, True), "recorded in []; parameters moved in [0, 2]"),
        ((False, True, False), (True, True, True), "recorded in [1]; parameters moved in [0, 1, 2]"),
    ],
)
def test_recorder_and_parameters_must_both_agree_with_what_was_injected(
    recorded: tuple[bool, ...], moved: tuple[bool, ...], said: str | None
) -> None:
    from tools.checks.overflow import disagreement

    found = disagreement("case", (False, True, False), recorded, moved)
    assert found == (said and f"case: overflow injected in steps [1], {said}")
