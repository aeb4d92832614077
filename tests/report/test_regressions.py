from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from suite.judge.findings import Finding, MetricClass, OperatorGrowth, Verdict, Verdicts
from suite.report.regressions import alarm_sentence, finding_rows, thresholds, worst_first

SLOWER = Finding(
    "gpt",
    "bf16",
    "step_seconds",
    Verdict.REGRESSED,
    base=0.010,
    candidate=0.0103,
    change=0.03,
    low=0.02,
    high=0.04,
    p_adjusted=0.0004,
    minimum_detectable=0.011,
    processes_base=5,
    processes_candidate=4,
)
MUCH_SLOWER = Finding("lstm", "fp32", "step_seconds", Verdict.REGRESSED, MetricClass.STOCHASTIC, change=0.5)
UNDECIDED = Finding(
    "gpt", "fp32", "step_seconds", Verdict.INCONCLUSIVE, change=0.1, runs_to_decide=17, reasons=("why",)
)
BYTES = Finding(
    "gpt",
    "bf16",
    "peak_allocated_bytes",
    Verdict.REGRESSED,
    base=2.0**30,
    candidate=2.0**31,
    change=1.0,
    processes_base=1,
)
STEPS = Finding("gpt", "fp16-dynamic", "overflow_steps", Verdict.IMPROVED, MetricClass.EXACT, base=4.0, candidate=2.0)
GONE = Finding("bert", "bf16", "outcome", Verdict.FAILED, reasons=("out of memory: no", "before: ok"))
TOGETHER = Finding(
    "all",
    "all",
    "step_seconds",
    Verdict.REGRESSED,
    MetricClass.STOCHASTIC,
    change=0.05,
    reasons=("machine-wide shift: 8 of 20 cells are slower, by 4.0% to 6.0%", "the machine, or code"),
)


def verdicts(findings: Sequence[Finding]) -> Verdicts:
    return Verdicts("base", "candidate", None, "f" * 64, "Example GPU", 0.01, 0.05, 0.02, tuple(findings))


def test_the_worst_and_largest_comes_first() -> None:
    assert worst_first([UNDECIDED, STEPS, SLOWER, GONE, MUCH_SLOWER]) == [MUCH_SLOWER, SLOWER, GONE, UNDECIDED, STEPS]


def test_a_finding_reads_like_this() -> None:
    (row,) = finding_rows([SLOWER])
    shown = [row.metric, row.sign.glyph, row.sign.word, row.values, row.change, row.minimum_detectable]
    assert [text.replace("\u00a0", " ") for text in shown] == [
        "step time",
        "▲",
        "regressed",
        "10.0 ms → 10.3 ms",
        "+3.0 % [+2.0, +4.0]",
        "1.1 %",
    ]
    assert (row.p_adjusted, row.processes, row.runs, row.why) == ("0.0004", "5 against 4", "–", "")


def test_overflows_that_vary_are_shown_as_means_with_what_could_have_been_seen_and_what_would_decide() -> None:
    varying = Finding(
        "gpt",
        "fp16-dynamic",
        "overflow_steps",
        Verdict.INCONCLUSIVE,
        MetricClass.COUNT,
        base=1.4,
        candidate=2.2,
        change=0.571,
        minimum_detectable=2.0,
        runs_to_decide=13,
        processes_base=5,
        processes_candidate=5,
        reasons=("why",),
    )
    (row,) = finding_rows([varying])
    shown = [row.values, row.change, row.minimum_detectable, row.runs, row.why]
    assert [text.replace("\u00a0", " ") for text in shown] == [
        "1.40 → 2.20",
        "+57.1 % (no interval)",
        "200 %",
        "13",
        "why",
    ]


def test_operators_that_grew_are_named_and_one_that_the_base_does_not_name_by_its_least_growth() -> None:
    operators = (
        OperatorGrowth("aten::mm", 0.04, 0.05, 4.0, 4.0),
        OperatorGrowth("aten::copy_", 0.002, 0.005, None, 8.0),
    )
    (row,) = finding_rows([replace(SLOWER, operators=operators)])
    said = "operators whose own time grew most: aten::mm +10.0 ms, aten::copy_ at least +3.00 ms"
    assert row.why.replace("\u00a0", " ") == said


def test_exact_metrics_have_no_interval_and_say_so() -> None:
    rows = finding_rows([BYTES, STEPS, GONE, MUCH_SLOWER])
    assert [row.change.replace("\u00a0", " ") for row in rows] == [
        "+100 % (exact)",
        "exact",
        "–",
        "+50.0 % (no interval)",
    ]
    assert [row.values.replace("\u00a0", " ") for row in rows][:2] == ["1.00 GiB → 2.00 GiB", "4 → 2"]
    assert rows[2].why == "out of memory: no; before: ok"


def test_the_sentence_counts_what_got_worse() -> None:
    said = "3 findings in 2 cells got worse: gpt × bf16, bert × bf16."
    assert alarm_sentence(verdicts([SLOWER, BYTES, GONE])) == said
    assert alarm_sentence(verdicts([SLOWER])) == "1 finding in 1 cell got worse: gpt × bf16."
    assert alarm_sentence(verdicts([STEPS])) == "Nothing regressed."
    assert alarm_sentence(verdicts([UNDECIDED])).startswith("Nothing regressed. 1 could not be decided")


def test_the_sentence_names_the_worst_cells_and_counts_the_rest() -> None:
    many = [replace(SLOWER, workload=f"w{n}", change=0.01 * n) for n in range(1, 6)]
    said = "5 findings in 5 cells got worse: w5 × bf16, w4 × bf16, w3 × bf16 and 2 more."
    assert alarm_sentence(verdicts(many)) == said


def test_cells_that_moved_together_are_said_as_that_and_lead_to_no_cell() -> None:
    said = "Machine-wide shift: 8 of 20 cells are slower, by 4.0% to 6.0%."
    assert alarm_sentence(verdicts([TOGETHER])) == said
    assert alarm_sentence(verdicts([TOGETHER, SLOWER, BYTES])) == f"{said} 2 findings in 1 cell got worse: gpt × bf16."
    faster = replace(TOGETHER, verdict=Verdict.IMPROVED)
    assert alarm_sentence(verdicts([faster, SLOWER])) == "1 finding in 1 cell got worse: gpt × bf16."
    assert [row.anchor for row in finding_rows([TOGETHER, SLOWER, GONE], {"cell--gpt--bf16"})] == [
        None,
        "cell--gpt--bf16",
        None,
    ]


def test_what_cannot_be_compared_is_never_nothing_and_stands_before_what_is_undecided() -> None:
    lost = [Finding(f"w{n}", "bf16", "outcome", Verdict.INCOMPARABLE, reasons=("gone",)) for n in range(4)]
    one = "1 cell cannot be compared with the base, which may hide anything: w0 × bf16."
    assert alarm_sentence(verdicts([lost[0], replace(lost[0], metric="setup"), STEPS])) == one
    assert alarm_sentence(verdicts([SLOWER, lost[0]])) == f"1 finding in 1 cell got worse: gpt × bf16. {one}"
    many = (
        "4 cells cannot be compared with the base, which may hide anything: w0 × bf16, w1 × bf16, w2 × bf16 and 1 more."
    )
    assert alarm_sentence(verdicts(lost)) == many
    assert worst_first([STEPS, UNDECIDED, lost[0], GONE, SLOWER]) == [SLOWER, GONE, lost[0], UNDECIDED, STEPS]


def test_thresholds_are_stated() -> None:
    said = thresholds(verdicts([])).replace("\u00a0", " ")
    for part in ("δ = 2 %", "α = 0.01", "q = 0.05"):
        assert part in said
