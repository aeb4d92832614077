"""Verdicts, trends and frozen choices as they are printed where there is no terminal (200 columns, no colour)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from suite.judge.calibration import Calibration, CellCalibration
from suite.judge.findings import Finding, MetricClass, OperatorGrowth, PrecisionQuality, Verdict, Verdicts
from suite.judge.trends import State, Trend
from suite.terminal.verdicts import print_calibration, print_trends, print_verdicts

Capture = pytest.CaptureFixture[str]


def _rows(printed: str) -> list[list[str]]:
    """The rows of the table printed, its head included."""
    lines = [line for line in printed.splitlines() if line.startswith(("│", "┃"))]
    return [[part.strip() for part in line.strip()[1:-1].replace("┃", "│").split("│")] for line in lines]


def _finding(verdict: Verdict, metric: str = "step_seconds", **fields: Any) -> Finding:
    return replace(Finding("gpt", "bf16", metric, verdict), **fields)


def _printed(capsys: Capture, *findings: Finding, **fields: Any) -> str:
    made = Verdicts("run-a", "run-b", "main", "f" * 64, "Test CPU", 0.01, 0.05, 0.02, findings)
    print_verdicts(replace(made, **fields))
    return capsys.readouterr().out


# --- verdicts -------------------------------------------------------------------------------------------------------


def test_what_weakens_the_comparison_comes_before_the_table(capsys: Capture) -> None:
    printed = _printed(capsys, _finding(Verdict.UNCHANGED), warnings=("baseline 'main' is 100 days old", "a shift"))
    assert printed.splitlines()[:3] == [
        "0 regressed, 0 improved, 1 unchanged, 0 inconclusive on Test CPU, against baseline 'main' (run run-a)",
        "! baseline 'main' is 100 days old",
        "! a shift",
    ]


def test_what_is_unchanged_beside_the_time_is_counted_and_not_shown(capsys: Capture) -> None:
    printed = _printed(
        capsys,
        _finding(Verdict.UNCHANGED),
        _finding(Verdict.UNCHANGED, "overflow_steps"),
        _finding(Verdict.UNCHANGED, "overflow_steps", workload="lstm"),
        _finding(Verdict.UNCHANGED, "peak_rss_bytes"),
    )
    assert [row[1] for row in _rows(printed)] == ["metric", "step_seconds"]
    assert printed.splitlines()[-1] == "also unchanged: overflow_steps in 2 cells, peak_rss_bytes in 1 cell"


def test_what_is_unchanged_for_a_reason_is_shown(capsys: Capture) -> None:
    printed = _printed(capsys, _finding(Verdict.UNCHANGED, "overflow_steps", reasons=("there must be none",)))
    assert _rows(printed)[1][-1] == "there must be none"
    assert "also unchanged" not in printed


@pytest.mark.parametrize(
    ("metric_class", "amount", "span", "seen"),
    [
        (MetricClass.STOCHASTIC, "+3.0%", "-1.2% … +7.5%", "≥ 4.6%"),
        (MetricClass.QUALITY, "+0.03", "-0.012 … +0.0749", "≥ 0.0456"),
    ],
)
def test_a_quality_is_shown_in_its_own_unit_and_all_else_as_a_share(
    capsys: Capture, metric_class: MetricClass, amount: str, span: str, seen: str
) -> None:
    numbers = {"change": 0.03, "low": -0.012, "high": 0.0749, "minimum_detectable": 0.0456}
    row = _rows(_printed(capsys, _finding(Verdict.INCONCLUSIVE, metric_class=metric_class, **numbers)))[1]
    assert row[3:6] == [amount, span, seen]


@pytest.mark.parametrize(
    ("metric_class", "text"),
    [(MetricClass.STOCHASTIC, "12 processes a side would decide"), (MetricClass.QUALITY, "12 seeds would decide")],
)
def test_what_would_decide_is_counted_in_the_unit_of_the_test(
    capsys: Capture, metric_class: MetricClass, text: str
) -> None:
    finding = _finding(Verdict.INCONCLUSIVE, metric_class=metric_class, runs_to_decide=12)
    assert _rows(_printed(capsys, finding))[1][-1] == text
    assert _rows(_printed(capsys, replace(finding, verdict=Verdict.REGRESSED)))[1][-1] == ""


def test_the_operators_to_blame_are_named_with_the_command_that_says_more(capsys: Capture) -> None:
    operators = tuple(OperatorGrowth(f"op{number}", 0.1, 0.2, 1.0, 1.0) for number in range(4))
    printed = _printed(capsys, _finding(Verdict.REGRESSED, operators=operators, notes=("noted",)))
    # The table wraps what is too long for 200 columns.
    words = " ".join(row[-1] for row in _rows(printed)[1:])
    assert words == "noted; most in op0, op1, op2 (`ampmark explain gpt/bf16`)"


def test_a_precision_that_trains_worse_or_better_than_float32_is_said_below(capsys: Capture) -> None:
    said = PrecisionQuality("gpt", "bf16", "perplexity", "worse", 0.0512, 0.04, 0.06, 0.02, 5)
    others = (
        replace(said, workload="lstm", conclusion="better", difference=-0.5),
        replace(said, conclusion="equivalent"),
        replace(said, conclusion="undecided"),
    )
    printed = _printed(capsys, _finding(Verdict.UNCHANGED), against_fp32=(said, *others))
    assert printed.splitlines()[-2:] == [
        "gpt × bf16: perplexity is worse than float32's by 0.0512 over 5 seeds",
        "lstm × bf16: perplexity is better than float32's by 0.5 over 5 seeds",
    ]


# --- trends ---------------------------------------------------------------------------------------------------------


def test_every_series_is_a_row_and_the_states_are_counted(capsys: Capture) -> None:
    slower = Trend(
        "gpt",
        "bf16",
        State.REGRESSED,
        34,
        anchored=True,
        change=0.1052,
        p=0.00012,
        first_run="run-30",
        last_run="run-31",
        reasons=("slower since run run-30, most likely, and confirmed", "noted"),
    )
    trends = [slower, replace(slower, last_run="run-30"), Trend("lstm", "fp32", State.STEADY, 40, anchored=False)]
    print_trends(trends, "Test CPU")
    printed = capsys.readouterr().out
    assert printed.splitlines()[0] == "2 regressed, 1 steady on Test CPU"
    assert "\x1b" not in printed
    head, first, second, third = [row for row in _rows(printed) if row[0]]
    assert head == ["cell", "state", "nights", "anchored", "change", "p", "between runs", "why"]
    assert first[:7] == ["gpt × bf16", "regressed", "34", "yes", "+10.5%", "0.00012", "run-30 … run-31"]
    assert first[7].startswith("slower since run run-30")
    assert second[6] == "run-30"
    assert third == ["lstm × fp32", "steady", "40", "no", "", "", "", ""]


def test_two_series_of_one_cell_are_told_apart_by_their_setup(capsys: Capture) -> None:
    names = [("gpt", "1a2b3c4d5e"), ("gpt", "99887766aa"), ("lstm", "1a2b3c4d5e")]
    trends = [Trend(name, "bf16", State.STEADY, 40, anchored=True, setup_sha256=setup) for name, setup in names]
    print_trends(trends, "Test CPU")
    cells = [row[0] for row in _rows(capsys.readouterr().out)[1:]]
    assert cells == ["gpt × bf16 @1a2b3c4d", "gpt × bf16 @99887766", "lstm × bf16"]


def test_without_a_series_there_is_nothing_to_count(capsys: Capture) -> None:
    print_trends([], "Test CPU")
    assert capsys.readouterr().out.splitlines()[0] == "no series on Test CPU"


# --- frozen choices -------------------------------------------------------------------------------------------------


def test_frozen_choices_are_shown_cell_by_cell(capsys: Capture) -> None:
    variation = {"median": 0.0012, "min": 0.0345, "q10": 0.02}
    cells = (
        CellCalibration("gpt", "bf16", "s", 20, "median", variation, "perplexity", 20, 0.0237),
        CellCalibration("lstm", "fp32", "s", 4, None, {}, "accuracy", 4, None),
    )
    print_calibration(Calibration(cells=cells))
    assert _rows(capsys.readouterr().out) == [
        ["cell", "processes", "estimator", "run to run", "seeds", "quality margin"],
        ["gpt × bf16", "20", "median", "median 0.12%, min 3.45%, q10 2.00%", "20", "0.0237 perplexity"],
        ["lstm × fp32", "4", "median (too few processes)", "", "4", ""],
    ]


@pytest.mark.parametrize("text", ["[red]x[/red]", "[/]", ":fire:", "[link=x]y"])
def test_names_and_reasons_are_shown_literally(capsys: Capture, text: str) -> None:
    print_trends([Trend(f"w{text}", "p", State.SUSPECT, 1, anchored=False, reasons=(text,))], text)
    printed = capsys.readouterr().out
    assert printed.splitlines()[0] == f"1 suspect on {text}"
    row = _rows(printed)[1]
    assert (row[0], row[-1]) == (f"w{text} × p", text)
    said = PrecisionQuality("w", "p", text, "worse", 0.1, None, None, None, 5)
    assert f"w × p: {text} is worse than" in _printed(capsys, _finding(Verdict.UNCHANGED, text), against_fp32=(said,))
