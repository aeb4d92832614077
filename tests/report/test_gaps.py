"""What was not measured and why: one row per reason."""

from __future__ import annotations

from pathlib import Path

from literal_runs import measured, plan_of, run_of, stopped

from suite.readings import Hardware, HardwareState
from suite.record import Outcome
from suite.report.cells import Grid
from suite.report.gaps import gap_table
from suite.store import Run


def _rows(run: Run, *, beginning: str) -> list[tuple[str, ...]]:
    return [row for row in gap_table(Grid.of(run), (), None).rows if row[0].startswith(beginning)]


def test_reasons_that_differ_in_their_numbers_alone_are_one_row_with_the_range(tmp_path: Path) -> None:
    plan = plan_of(("gpt", "lstm"), ("fp32",), repeats=2)
    seconds = iter(("0.61", "0.57", "0.61", "10.2"))
    trials = [
        measured(
            spec,
            hardware=Hardware(
                during=HardwareState(), reasons={"steal_share": f"the window of {next(seconds)} s is below 1 s"}
            ),
        )
        for spec in plan.trials
    ]
    name = "hardware: processors' time taken by other virtual machines"
    assert _rows(run_of(tmp_path, plan, trials), beginning=name) == [
        (name, "the window of 0.57 to 10.2 s is below 1 s", "all 2 measured cells")
    ]


def test_reasons_of_which_several_quantities_differ_stay_apart(tmp_path: Path) -> None:
    plan = plan_of(("gpt", "lstm"), ("fp32",))
    reasons = ("0.5 s is shorter than 1 s", "1.5 s is shorter than 2 s")
    trials = [stopped(spec, Outcome.FAILED, why) for spec, why in zip(plan.trials, reasons, strict=True)]
    rows = _rows(run_of(tmp_path, plan, trials), beginning="trial")
    assert [row[1] for row in rows] == [f"failed: {why}" for why in reasons]


def test_a_status_is_no_quantity(tmp_path: Path) -> None:
    plan = plan_of(("gpt", "lstm"), ("fp32",))
    reasons = ("ended with exit status 1", "ended with exit status 9")
    trials = [stopped(spec, Outcome.CRASHED, why) for spec, why in zip(plan.trials, reasons, strict=True)]
    rows = _rows(run_of(tmp_path, plan, trials), beginning="trial")
    assert [row[1] for row in rows] == [f"crashed: {why}" for why in reasons]


def test_names_and_versions_are_no_numbers_and_other_words_are_other_reasons(tmp_path: Path) -> None:
    plan = plan_of(("gpt", "lstm", "bert"), ("fp32",))
    reasons = ("fp16 needs torch 2.9.1", "fp8 needs torch 2.9.1", "fp16 needs torch 2.9.2")
    trials = [stopped(spec, Outcome.FAILED, why) for spec, why in zip(plan.trials, reasons, strict=True)]
    assert [row[1:] for row in _rows(run_of(tmp_path, plan, trials), beginning="trial")] == [
        ("failed: fp16 needs torch 2.9.1", "gpt × fp32"),
        ("failed: fp8 needs torch 2.9.1", "lstm × fp32"),
        ("failed: fp16 needs torch 2.9.2", "bert × fp32"),
    ]
