"""A finding in words: every number of its rule, the operators to blame, and the command that shows it again."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import records

from suite.errors import UsageError
from suite.judge.comparison import Terms, compare_runs
from suite.judge.explain import explain, find_cell
from suite.judge.findings import Finding, MetricClass, OperatorGrowth, Verdict, Verdicts
from suite.record import TrialRecord

SLOWER = Finding(
    "gpt",
    "bf16",
    "step_seconds",
    Verdict.REGRESSED,
    MetricClass.STOCHASTIC,
    base=0.1,
    candidate=0.105,
    change=0.05,
    low=0.03,
    high=0.0704,
    low90=0.0381,
    high90=0.062,
    limit=0.02,
    p=0.0004,
    p_adjusted=0.0048,
    family=12,
    minimum_detectable=0.031,
    estimator="median",
    test="Welch",
    values_base=(0.099, 0.1, 0.101),
    values_candidate=(0.104, 0.105, 0.106),
    processes_base=3,
    processes_candidate=3,
    operators=(
        OperatorGrowth("aten::mm", 0.0401, 0.0442, 12.0, 13.0),
        OperatorGrowth("aten::_to_copy", 0.0, 0.0005, 0.0, 30.0),
        OperatorGrowth("aten::copy_", 0.0002, 0.0006, None, 4.0),
    ),
    notes=("the workload's source file is not the one that the base was measured with",),
)


def _verdicts(*findings: Finding, baseline: str | None = "main") -> Verdicts:
    return Verdicts(
        "run-a", "run-b", baseline, "f" * 64, "Test CPU", 0.01, 0.05, 0.02, findings, reproduce="ampmark gate run-b"
    )


def _lines(finding: Finding) -> list[str]:
    """What is said of the finding itself."""
    _, blank, *lines = explain(_verdicts(finding), "gpt/bf16")
    assert (blank, lines[-2:]) == ("", ["", "again: ampmark gate run-b"])
    return lines[:-2]


# --- the whole ------------------------------------------------------------------------------------------------------


def test_a_regression_is_explained_with_every_number_of_its_rule() -> None:
    assert _lines(SLOWER) == [
        "step_seconds: regressed",
        "  test: Welch of the median per process",
        "  base      (3): 99 ms  100 ms  101 ms",
        "  candidate (3): 104 ms  105 ms  106 ms",
        "  change = exp(mean ln candidate − mean ln base) − 1 = 105 ms / 100 ms − 1 = +5.00%",
        "  98 % interval +3.00% to +7.04%; 90 % +3.81% to +6.20%",
        "  alarm needs: one-sided p 0.0002 ≤ 0.01 (yes), adjusted over 12 cells 0.0048 ≤ 0.05 (yes), "
        "change ≥ 2.0% or ≤ -1.96% (yes)",
        "  slower operator: aten::mm, 40.1 ms → 44.2 ms of its own a step (4.1 ms more), 12 → 13 calls",
        "  slower operator: aten::_to_copy, 0 ms → 0.5 ms of its own a step (0.5 ms more), 0 → 30 calls",
        "  slower operator: aten::copy_, at most 0.2 ms → 0.6 ms of its own a step (at least 0.4 ms more), "
        "unknown → 4 calls",
        "  the workload's source file is not the one that the base was measured with",
    ]


def test_the_first_line_names_the_cell_and_both_runs() -> None:
    assert explain(_verdicts(SLOWER), "gpt/bf16")[0] == "gpt × bf16: run run-b against baseline 'main', run run-a"
    assert explain(_verdicts(SLOWER, baseline=None), "gpt/bf16")[0] == "gpt × bf16: run run-b against run-a"
    anchored = replace(_verdicts(SLOWER), anchored=True, warnings=("baseline 'main' is 100 days old",))
    assert explain(anchored, "gpt/bf16")[:2] == [
        "gpt × bf16: run run-b against baseline 'main', run run-a, run again in turn with it",
        "! baseline 'main' is 100 days old",
    ]


def test_every_finding_of_the_cell_is_explained_and_no_other() -> None:
    findings = (SLOWER, replace(SLOWER, metric="peak_rss_bytes"), replace(SLOWER, workload="lstm"))
    lines = explain(_verdicts(*findings), "gpt/bf16")
    assert [line for line in lines if line.endswith(": regressed")] == [
        "step_seconds: regressed",
        "peak_rss_bytes: regressed",
    ]


def test_without_a_command_to_repeat_there_is_no_such_line() -> None:
    assert not any("again:" in line for line in explain(replace(_verdicts(SLOWER), reproduce=None), "gpt/bf16"))


# --- the rule -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"p": 0.03}, "one-sided p 0.015 ≤ 0.01 (no), "),
        ({"p_adjusted": 0.06}, "adjusted over 12 cells 0.06 ≤ 0.05 (no), "),
        ({"change": 0.0199}, "change ≥ 2.0% or ≤ -1.96% (no)"),
        ({"change": 0.02}, "change ≥ 2.0% or ≤ -1.96% (yes)"),
        ({"change": math.expm1(-math.log(1.02))}, "change ≥ 2.0% or ≤ -1.96% (yes)"),
    ],
)
def test_every_condition_says_whether_it_holds(changed: dict[str, float], expected: str) -> None:
    (rule,) = [line for line in _lines(replace(SLOWER, **changed)) if line.startswith("  alarm needs: ")]
    assert expected in rule


def test_an_undecided_finding_says_what_would_have_been_seen_and_what_would_decide() -> None:
    lines = _lines(replace(SLOWER, verdict=Verdict.INCONCLUSIVE, runs_to_decide=19, operators=(), notes=()))
    assert lines[-2:] == [
        "  a change for the worse of 3.1% would have been called one nine times in ten",
        "  19 processes a side would decide, if difference and spread stay as they are",
    ]


def test_the_numbers_are_those_of_a_real_comparison_with_its_own_levels() -> None:
    seconds = (0.1000, 0.1001, 0.0999, 0.1002, 0.0998)
    base, slower = records.cell(seconds), records.cell([value * 1.1 for value in seconds])
    terms = Terms(baseline="main", looks=3, reproduce="ampmark gate candidate --top-up")
    verdicts = compare_runs(records.run(base), records.run(slower, "candidate"), terms)
    lines = explain(verdicts, "gpt fp32")
    assert "  base      (5): 100 ms  100.1 ms  99.9 ms  100.2 ms  99.8 ms" in lines
    assert "  change = exp(mean ln candidate − mean ln base) − 1 = 110 ms / 100 ms − 1 = +10.00%" in lines
    (rule,) = [line for line in lines if "alarm needs" in line and "+" not in line and "2.0%" in line]
    assert "≤ 0.00333 (yes), adjusted over 1 cells" in rule
    assert "≤ 0.0167 (yes), change ≥ 2.0% or ≤ -1.96% (yes)" in rule
    assert lines[-1] == "again: ampmark gate candidate --top-up"


# --- other classes --------------------------------------------------------------------------------------------------


def test_memory_is_shown_in_mebibytes() -> None:
    memory = replace(
        SLOWER,
        metric="peak_rss_bytes",
        base=100.0 * 2**20,
        candidate=110.0 * 2**20,
        limit=0.05,
        values_base=(100.0 * 2**20,) * 3,
    )
    lines = _lines(memory)
    assert "  base      (3): 100.0 MiB  100.0 MiB  100.0 MiB" in lines
    assert any("= 110.0 MiB / 100.0 MiB − 1 = " in line for line in lines)
    assert any("change ≥ 5.0% or ≤ -4.76%" in line for line in lines)


def test_exact_quantities_are_shown_to_the_last_digit() -> None:
    exact = Finding(
        "gpt",
        "bf16",
        "peak_allocated_bytes",
        Verdict.REGRESSED,
        MetricClass.EXACT,
        base=1_073_741_824.0,
        candidate=1_073_741_825.0,
        test="equality under equal seeds",
    )
    assert _lines(exact) == [
        "peak_allocated_bytes: regressed",
        "  test: equality under equal seeds",
        "  base 1073741824, candidate 1073741825",
    ]


def test_bytes_that_vary_are_shown_to_the_last_digit() -> None:
    varying = Finding(
        "gpt",
        "bf16",
        "peak_allocated_bytes",
        Verdict.INCONCLUSIVE,
        MetricClass.COUNT,
        base=1_073_741_824.5,
        candidate=1_073_742_336.0,
        p=1.0,
        test="permutation of processes",
        values_base=(1_073_741_824.0, 1_073_741_825.0),
        values_candidate=(1_073_742_336.0,),
        processes_base=2,
        processes_candidate=1,
        reasons=("why",),
    )
    assert _lines(varying) == [
        "peak_allocated_bytes: inconclusive",
        "  why",
        "  test: permutation of processes",
        "  base      (2): 1073741824  1073741825",
        "  candidate (1): 1073742336",
        "  alarm needs: one-sided p 0.5 ≤ 0.01 (no), or at least 5 processes a side without overlap (no)",
    ]


COUNTED = Finding(
    "gpt",
    "bf16",
    "overflow_steps",
    Verdict.INCONCLUSIVE,
    MetricClass.COUNT,
    base=1.4,
    candidate=2.2,
    change=0.571,
    p=0.238,
    minimum_detectable=2.0,
    runs_to_decide=13,
    test="permutation of processes",
    values_base=(1.0, 2.0, 1.0, 2.0, 1.0),
    values_candidate=(1.0, 3.0, 2.0, 3.0, 2.0),
    processes_base=5,
    processes_candidate=5,
)


def test_an_undecided_count_is_explained_with_every_number_of_its_rule() -> None:
    assert _lines(COUNTED) == [
        "overflow_steps: inconclusive",
        "  test: permutation of processes",
        "  base      (5): 1  2  1  2  1",
        "  candidate (5): 1  3  2  3  2",
        "  change = mean candidate / mean base − 1 = 2.2 / 1.4 − 1 = +57.10%",
        "  alarm needs: one-sided p 0.119 ≤ 0.01 (no), or at least 5 processes a side without overlap (no)",
        "  a change for the worse of 200.0% would have been called one, both sides scattering as they do",
        "  13 processes a side would decide, if difference and spread stay as they are",
    ]


BINOMIAL = "exact binomial, no overlap"
WELCH = "Welch on logarithms"


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        (
            {"p": 0.008, "verdict": Verdict.REGRESSED},
            "one-sided p 0.004 ≤ 0.01 (yes), or at least 5 processes a side without overlap",
        ),
        (
            {"p": 0.0238, "verdict": Verdict.REGRESSED},
            "one-sided p 0.0119 ≤ 0.01 (no), or at least 5 processes a side without overlap (yes)",
        ),
        ({"p": 0.002, "test": BINOMIAL}, "one-sided p 0.001 ≤ 0.01 (yes), and no overlap (no)"),
        (
            {"p": 0.002, "test": BINOMIAL, "verdict": Verdict.REGRESSED},
            "one-sided p 0.001 ≤ 0.01 (yes), and no overlap (yes)",
        ),
        ({"p": 0.2, "test": BINOMIAL}, "one-sided p 0.1 ≤ 0.01 (no), and no overlap"),
        (
            {"p": 0.002, "test": WELCH, "limit": 0.05, "verdict": Verdict.IMPROVED},
            "one-sided p 0.001 ≤ 0.01 (yes), change ≥ 5.0% or ≤ -4.76% (yes)",
        ),
    ],
)
def test_the_rule_of_counts_is_that_of_the_test(fields: dict[str, object], rule: str) -> None:
    (said,) = [line for line in _lines(replace(COUNTED, **fields)) if "alarm needs" in line]
    assert said == f"  alarm needs: {rule}"


def test_counts_of_too_few_processes_have_no_rule() -> None:
    assert not any("alarm needs" in line for line in _lines(replace(COUNTED, p=None)))


def test_the_level_of_counts_is_that_of_a_real_comparison_of_three_looks() -> None:
    def side(*counts: int) -> list[TrialRecord]:
        # Of as many overflows, always at other steps.
        return [
            records.record(
                spec=records.spec(repeat=repeat),
                steps=records.trace(overflow_steps=[(repeat + step) % 12 for step in range(number)]),
            )
            for repeat, number in enumerate(counts)
        ]

    verdicts = compare_runs(
        records.run(side(1, 2, 1, 2, 1)), records.run(side(4, 3, 4, 3, 4), "candidate"), Terms(looks=3)
    )
    lines = explain(verdicts, "gpt/fp32")
    place = lines.index("overflow_steps: regressed")
    assert lines[place + 1 : place + 6] == [
        "  the sides do not overlap (one-sided p = 0.004, level 0.0033)",
        "  test: permutation of processes",
        "  base      (5): 1  2  1  2  1",
        "  candidate (5): 4  3  4  3  4",
        "  change = mean candidate / mean base − 1 = 3.6 / 1.4 − 1 = +157.14%",
    ]
    assert lines[place + 6] == (
        "  alarm needs: one-sided p 0.00397 ≤ 0.00333 (no), or at least 5 processes a side without overlap (yes)"
    )


def test_quality_is_explained_in_its_own_unit() -> None:
    quality = Finding(
        "gpt",
        "bf16",
        "quality (accuracy)",
        Verdict.INCONCLUSIVE,
        MetricClass.QUALITY,
        base=0.8,
        candidate=0.75,
        change=0.05,
        low90=0.01,
        high90=0.09,
        limit=0.03,
        p=0.04,
        p_adjusted=0.08,
        family=2,
        minimum_detectable=0.0625,
        runs_to_decide=11,
        test="paired t over seeds",
        values_base=(0.79, 0.8, 0.81),
        values_candidate=(0.74, 0.75, 0.76),
        processes_base=3,
        processes_candidate=3,
    )
    assert _lines(quality) == [
        "quality (accuracy): inconclusive",
        "  test: paired t over seeds",
        "  base      (3): 0.79  0.8  0.81",
        "  candidate (3): 0.74  0.75  0.76",
        "  mean difference over 3 seeds = +0.05 (positive is worse)",
        "  90 % interval +0.01 to +0.09; margin 0.03",
        "  alarm needs: one-sided p 0.02 ≤ 0.01 (no), adjusted over 2 cells 0.08 ≤ 0.05 (no), "
        "change ≥ 0.03 or ≤ -0.03 (yes)",
        "  a change for the worse of 0.0625 would have been called one nine times in ten",
        "  11 seeds would decide, if difference and spread stay as they are",
    ]


def test_what_has_no_numbers_has_its_reasons() -> None:
    failed = Finding("gpt", "bf16", "outcome", Verdict.FAILED, reasons=("crashed: signal 9", "before: ok"))
    assert _lines(failed) == ["outcome: failed", "  crashed: signal 9", "  before: ok"]


# --- finding a cell -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["gpt × bf16", "gpt/bf16", "gpt:bf16", "gpt-bf16", "gpt bf16", " GPT / BF16 ", "gpt×bf16", "Gpt--bf16"]
)
def test_a_cell_may_be_spelled_in_several_ways(text: str) -> None:
    others = (replace(SLOWER, precision="fp32"), replace(SLOWER, workload="lstm"))
    assert find_cell(_verdicts(SLOWER, *others), text) == [SLOWER]


def test_a_name_with_a_dash_is_found_by_every_spelling() -> None:
    finding = replace(SLOWER, precision="fp16-dynamic")
    for text in ("gpt/fp16-dynamic", "gpt × fp16-dynamic", "gpt-fp16-dynamic", "gpt fp16 dynamic"):
        assert find_cell(_verdicts(finding), text) == [finding]


#: Two cells whose names are the same with a dash for the separator.
STATIC = (
    replace(SLOWER, workload="lm", precision="fp16-static"),
    replace(SLOWER, workload="lm-fp16", precision="static"),
)


@pytest.mark.parametrize(
    ("text", "found"),
    [("lm/fp16-static", 0), ("lm × fp16-static", 0), ("lm-fp16/static", 1), ("lm-fp16 × static", 1)],
)
def test_of_two_cells_that_look_alike_the_one_that_is_written_exactly_is_meant(text: str, found: int) -> None:
    assert find_cell(_verdicts(*STATIC), text) == [STATIC[found]]


@pytest.mark.parametrize("text", ["lm-fp16-static", "lm fp16 static", "LM/fp16-static"])
def test_of_two_cells_that_look_alike_none_is_guessed(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        find_cell(_verdicts(*STATIC), text)
    assert str(caught.value) == f"{text!r} may be lm/fp16-static or lm-fp16/static; give one of these."


def test_the_one_finding_of_a_machine_wide_shift_is_called_all() -> None:
    shift = Finding("all", "all", "step_seconds", Verdict.INCONCLUSIVE, MetricClass.STOCHASTIC, change=0.1)
    assert find_cell(_verdicts(shift, SLOWER), "all/all") == [shift]


@pytest.mark.parametrize("text", ["gpt", "gpt/fp61", "", "×", "bf16/gpt"])
def test_an_unknown_cell_is_refused_with_those_there_are(text: str) -> None:
    findings = (SLOWER, replace(SLOWER, metric="peak_rss_bytes"), replace(SLOWER, workload="lstm"))
    with pytest.raises(UsageError) as caught:
        explain(_verdicts(*findings), text)
    assert str(caught.value) == f"the comparison has no cell {text!r}; it has gpt/bf16, lstm/bf16."


def test_a_comparison_without_any_finding_has_no_cell() -> None:
    with pytest.raises(UsageError, match="it has none"):
        find_cell(_verdicts(), "gpt/bf16")
