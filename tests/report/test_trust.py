"""What a comparison rests on stands on the page itself, and the measured rates stand on every page."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from literal_runs import measured, plan_of, run_of, steps_of

from suite.judge.comparison import compare_runs
from suite.judge.findings import Finding, MetricClass, Verdict, Verdicts
from suite.report.page import page_html
from suite.report.trust import trust

Read = Callable[[str], Any]
TIME = Finding(
    "gpt",
    "bf16",
    "step_seconds",
    Verdict.UNCHANGED,
    MetricClass.STOCHASTIC,
    family=8,
    processes_base=5,
    processes_candidate=5,
)


def _verdicts(*findings: Finding) -> Verdicts:
    return Verdicts("base", "candidate", None, "f" * 64, "Example GPU", 0.01, 0.05, 0.02, findings)


def _said(verdicts: Verdicts | None) -> str:
    return trust(verdicts).comparison.replace("\u00a0", " ")


def test_processes_family_and_error_rates_of_this_comparison_are_one_sentence() -> None:
    assert _said(_verdicts(TIME, replace(TIME, precision="fp32", processes_candidate=4))) == (
        "This comparison of step times rests on K = 5 processes of the base against 4–5 of the candidate in each cell; "
        "a family of 8 cells with enough processes for a test; α = 0.01 one-sided, q = 0.05, δ = 2 %; "
        "1 look at the data."
    )


def test_looks_that_share_the_error_rates_and_cells_that_are_not_tested_are_said() -> None:
    thirds = replace(_verdicts(TIME), alpha=0.01 / 3, false_discovery_rate=0.05 / 3, looks=3)
    assert "; α = 0.00333 one-sided, q = 0.0167, δ = 2 %; 3 looks at the data, each at these α and q." in _said(thirds)
    assert "; no cell has enough processes for a test; " in _said(_verdicts(replace(TIME, family=None)))
    assert "rests on no process with a step time on both sides; " in _said(_verdicts())
    assert "a family of 1 cell with enough" in _said(_verdicts(replace(TIME, family=1)))


def test_without_a_comparison_there_are_the_measured_rates_alone() -> None:
    alone = trust(None)
    assert alone.comparison == ""
    assert re.search(r"as measured on \d{4}-\d\d-\d\d on series whose truth is known: two sides", alone.measured)
    assert alone.table.rows


def test_the_sentences_stand_outside_what_is_folded(tmp_path: Path, read: Read) -> None:
    plan = plan_of(repeats=5)
    run = run_of(tmp_path, plan, [measured(s, steps=steps_of(0.01 * (1 + 0.001 * s.repeat))) for s in plan.trials])
    for verdicts in (compare_runs(run, run), None):
        unfolded = re.sub(r"<details>.*?</details>", "", page_html(run, verdicts), flags=re.DOTALL)
        words = read(unfolded).words
        assert ("K = 5 processes of the base against 5 of the candidate" in words) is (verdicts is not None)
        assert "two sides, 5 processes each: false alarms" in words
