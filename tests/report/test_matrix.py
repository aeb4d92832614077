"""Every state a cell can be in, and known numbers as they stand in the matrix."""

from __future__ import annotations

from pathlib import Path

import pytest
from literal_runs import (
    GIB,
    caution,
    diverged,
    emulated,
    instrumented,
    measured,
    plan_of,
    run_of,
    steps_of,
    stopped,
)

from suite.judge.findings import Finding, MetricClass, Verdict
from suite.judge.quality import against_fp32
from suite.record import Outcome, TrialRecord
from suite.report.cells import Grid
from suite.report.matrix import MatrixCell, build_matrix
from suite.spec import Plan

MODES = ("fp32", "tf32", "bf16")


def matrix(
    folder: Path, plan: Plan, records: list[TrialRecord], findings: tuple[Finding, ...] = ()
) -> list[MatrixCell]:
    run = run_of(folder, plan, records, seal=False)
    rows = build_matrix(Grid.of(run), findings, against_fp32(run))
    return [cell for row in rows for cell in row.cells]


def facts(cell: MatrixCell) -> dict[str, str]:
    return {fact.label: f"{fact.value} {fact.aside}".strip().replace("\u00a0", " ") for fact in cell.facts}


def test_a_measured_row_says_these_numbers(tmp_path: Path) -> None:
    plan = plan_of(precisions=MODES)
    fp32, tf32, bf16 = plan.trials
    cells = matrix(
        tmp_path,
        plan,
        [
            measured(fp32, 0.020, allocated=2 * GIB, accuracy=0.80),
            measured(tf32, 0.016, allocated=2 * GIB, accuracy=0.80),
            measured(bf16, 0.010, allocated=GIB, accuracy=0.79),
        ],
    )
    assert facts(cells[0]) == {
        "vs fp32": "the reference",
        "vs tf32": "0.800× as fast (1 process, no interval)",
        "step": "20.0 ms (1 process)",
        "rate": "200 samples/s",
        "memory": "2.00 GiB (allocated)",
        "overflow": "0",
        "quality": "accuracy 0.8000",
    }
    assert facts(cells[1])["quality"] == "accuracy 0.8000 (equivalent to fp32: no difference; 1 seed)"
    assert "vs tf32" not in facts(cells[1])
    assert facts(cells[2]) == {
        "vs fp32": "2.00× as fast (1 process, no interval)",
        "vs tf32": "1.60× as fast (1 process, no interval)",
        "step": "10.0 ms (1 process)",
        "rate": "400 samples/s",
        "memory": "0.50× fp32 (1.00 GiB allocated)",
        "overflow": "0",
        "quality": "accuracy 0.7900 (undecided against fp32: 0.0100 worse, no interval; 1 seed)",
    }
    assert [cell.sign.word for cell in cells] == ["ok", "ok", "ok"]


def test_emulated_speed_is_shown_and_not_ranked(tmp_path: Path) -> None:
    plan = plan_of()
    cells = matrix(tmp_path, plan, [measured(plan.trials[0], 0.010), emulated(plan.trials[1], 0.360)])
    assert cells[1].sign.word == "emulated"
    assert facts(cells[1])["vs fp32"] == "0.0278× as fast (1 process, no interval) (emulated, not ranked)"


@pytest.mark.parametrize(
    "outcome", [outcome for outcome in Outcome if not outcome.measured and outcome is not Outcome.DIVERGED]
)
def test_a_cell_without_numbers_says_why(tmp_path: Path, outcome: Outcome) -> None:
    plan = plan_of()
    cells = matrix(tmp_path, plan, [measured(plan.trials[0]), stopped(plan.trials[1], outcome, "This is why.")])
    assert cells[1].sign.word == outcome.value
    assert cells[1].note == "This is why."
    assert cells[1].facts == ()
    assert cells[1].anchor == "cell--gpt--bf16"


def test_a_diverged_cell_names_its_step(tmp_path: Path) -> None:
    plan = plan_of()
    cells = matrix(tmp_path, plan, [measured(plan.trials[0]), diverged(plan.trials[1], step=6)])
    assert cells[1].sign.word == "diverged"
    assert cells[1].note == "diverged at step 6: the loss was not finite at step 6, and the step was applied."


def test_some_trials_of_a_cell_may_have_stopped(tmp_path: Path) -> None:
    plan = plan_of(precisions=("fp32",), repeats=3)
    first, second, third = plan.trials
    cells = matrix(
        tmp_path, plan, [measured(first, 0.010), measured(second, 0.012), stopped(third, Outcome.CRASHED, "SIGKILL")]
    )
    assert (cells[0].sign.glyph, cells[0].sign.word, cells[0].sign.tone) == ("!", "2 of 3 ok", "warn")
    assert cells[0].tone == "bad"
    assert cells[0].note == "✗ 1 of 3 trials crashed: SIGKILL"
    assert facts(cells[0])["step"] == "11.0 ms (10.0–12.0 ms, 2 processes)"


@pytest.mark.parametrize(
    ("bf16", "said"),
    [
        ((0.010, 0.0101, 0.0099), "2.00× faster [1.96, 2.05]"),
        ((0.040, 0.0404, 0.0396), "2.00× slower [1.96, 2.05]"),
        ((0.020, 0.0202, 0.0198), "1.00× as fast, not told apart [0.978, 1.02]"),
    ],
)
def test_a_speed_has_its_interval_where_both_sides_have_processes(
    tmp_path: Path, bf16: tuple[float, ...], said: str
) -> None:
    plan = plan_of(repeats=3)
    of = {"fp32": (0.020, 0.0202, 0.0198), "bf16": bf16}
    cells = matrix(tmp_path, plan, [measured(spec, of[spec.precision][spec.repeat]) for spec in plan.trials])
    assert facts(cells[1])["vs fp32"] == said


def test_a_run_cut_short_gives_no_tick(tmp_path: Path) -> None:
    plan = plan_of(precisions=("fp32",), repeats=3)
    (cell,) = matrix(tmp_path, plan, [measured(plan.trials[0])])
    assert (cell.sign.glyph, cell.sign.word) == ("!", "1 of 3 ok")


def test_without_the_reference_there_is_no_ratio(tmp_path: Path) -> None:
    plan = plan_of()
    cells = matrix(tmp_path, plan, [stopped(plan.trials[0], Outcome.FAILED, "No."), measured(plan.trials[1])])
    assert facts(cells[1])["vs fp32"] == "– (fp32 has no numbers)"
    assert facts(cells[1])["memory"] == "1.00 GiB (allocated)"


def test_planned_and_not_run_and_not_planned(tmp_path: Path) -> None:
    whole, other = plan_of(("gpt",), ("fp32", "bf16")), plan_of(("lstm",), ("fp32",))
    plan = Plan("tiny", "cuda:0", (*whole.trials, *other.trials))
    cells = matrix(tmp_path, plan, [measured(whole.trials[0])])
    assert [cell.sign.word for cell in cells] == ["ok", "not run", "not run", "not planned"]
    assert cells[1].note == "1 of 1 trial not run: the run stopped before"
    assert cells[3].anchor is None


def test_the_memory_layer_is_the_best_that_both_sides_have(tmp_path: Path) -> None:
    plan = plan_of()
    records = [measured(plan.trials[0], allocated=None), measured(plan.trials[1], allocated=GIB)]
    assert facts(matrix(tmp_path, plan, records)[1])["memory"] == "1.00× fp32 (2.00 GiB resident on host)"


def test_overflow_is_split_and_spans_processes(tmp_path: Path) -> None:
    plan = plan_of(precisions=("fp16-dynamic",), seeds=(0, 1))
    scales = (8.0,) * 10
    records = [
        measured(plan.trials[0], steps=steps_of(scales=scales, overflowed=(0, 1, 5))),
        measured(plan.trials[1], steps=steps_of(scales=scales, overflowed=(0, 5, 6))),
    ]
    assert facts(matrix(tmp_path, plan, records)[0])["overflow"] == "1–2 calibration, 1–2 steady"


def test_quality_differences_are_paired_by_seed(tmp_path: Path) -> None:
    plan = plan_of(seeds=(0, 1))
    accuracy = {("fp32", 0): 0.70, ("fp32", 1): 0.80, ("bf16", 0): 0.72, ("bf16", 1): 0.81}
    records = [measured(spec, accuracy=accuracy[spec.precision, spec.seed]) for spec in plan.trials]
    cells = matrix(tmp_path, plan, records)
    said = "accuracy 0.7650 (undecided against fp32: 0.0150 better, no interval; 2 seeds)"
    assert facts(cells[1])["quality"] == said


def test_a_quality_is_concluded_as_the_recommendation_concludes_it_with_interval_and_margin(tmp_path: Path) -> None:
    plan = plan_of(seeds=(0, 1, 2, 3, 4))
    fp32, bf16 = (0.70, 0.74, 0.78, 0.72, 0.76), (0.698, 0.741, 0.777, 0.719, 0.761)
    of = {"fp32": fp32, "bf16": bf16}
    records = [measured(spec, accuracy=of[spec.precision][spec.seed]) for spec in plan.trials]
    run = run_of(tmp_path, plan, records, seal=False)
    (said,) = against_fp32(run)
    assert (said.conclusion, said.margin) == ("equivalent", pytest.approx(1.5 * 0.0316227766))
    ((_, cell),) = [row.cells for row in build_matrix(Grid.of(run), (), [said])]
    # The lowest and the highest seed alone would call it worse: its mean is.
    assert facts(cell)["quality"] == (
        "accuracy 0.7392 (equivalent to fp32: 0.000800 worse, "
        "90 % interval [−0.0025, +0.00091] (above 0 is better), margin 0.0474; 5 seeds)"
    )


def test_a_quality_without_a_seed_on_both_sides_is_not_compared(tmp_path: Path) -> None:
    plan = plan_of(seeds=(0, 1))
    cells = matrix(tmp_path, plan, [measured(plan.trials[0]), measured(plan.trials[3])])
    assert facts(cells[1])["quality"] == "accuracy 0.8000 (not compared with fp32)"


def test_a_quality_below_its_baseline_is_pointed_out(tmp_path: Path) -> None:
    plan = plan_of(precisions=("fp32",))
    cells = matrix(tmp_path, plan, [measured(plan.trials[0], accuracy=0.4)])
    assert facts(cells[0])["quality"] == "accuracy 0.4000 (! does not beat majority class)"


def test_values_that_do_not_exist_are_dashes(tmp_path: Path) -> None:
    plan = plan_of(precisions=("fp32",))
    bare = TrialRecord(plan.trials[0], Outcome.OK, "2026-01-02T03:04:05+00:00")
    assert facts(matrix(tmp_path, plan, [bare])[0]) == {
        "vs fp32": "the reference",
        "step": "– (1 process)",
        "rate": "–",
        "memory": "– (not measured)",
        "overflow": "–",
        "quality": "–",
    }


def test_verdicts_stand_in_their_cells_as_glyph_word_and_numbers(tmp_path: Path) -> None:
    plan = plan_of()
    findings = (
        Finding("gpt", "bf16", "step_seconds", Verdict.REGRESSED, change=0.031, low=0.022, high=0.040),
        Finding("gpt", "bf16", "overflow_steps", Verdict.UNCHANGED, base=0.0, candidate=0.0),
        Finding("gpt", "bf16", "peak_allocated_bytes", Verdict.REGRESSED, change=0.12),
        Finding(
            "gpt",
            "fp32",
            "step_seconds",
            Verdict.INCONCLUSIVE,
            change=0.01,
            low=-0.02,
            high=0.04,
            minimum_detectable=0.054,
        ),
    )
    cells = matrix(tmp_path, plan, [measured(spec) for spec in plan.trials], findings)
    said = [
        [f"{j.sign.glyph} {j.sign.word} {j.metric} {j.text}".replace("\u00a0", " ") for j in c.judgements]
        for c in cells
    ]
    assert said == [
        ["? inconclusive step time +1.0 % [−2.0, +4.0]; only ≥ 5.4 % could be seen"],
        ["▲ regressed step time +3.1 % [+2.2, +4.0]", "▲ regressed peak allocated memory +12.0 %"],
    ]
    assert [cell.tone for cell in cells] == ["warn", "bad"]


def test_what_could_be_seen_of_a_quality_is_in_its_own_unit(tmp_path: Path) -> None:
    plan = plan_of(precisions=("fp32",))
    undecided = Finding(
        "gpt",
        "fp32",
        "quality (accuracy)",
        Verdict.INCONCLUSIVE,
        MetricClass.QUALITY,
        change=0.01,
        minimum_detectable=0.054,
    )
    (cell,) = matrix(tmp_path, plan, [measured(plan.trials[0])], (undecided,))
    assert [j.text for j in cell.judgements] == ["0.0100 worse; only ≥ 0.0540 could be seen"]


def test_utilisation_and_energy_have_a_line_where_they_are_known(tmp_path: Path) -> None:
    plan = plan_of()
    known, unknown = matrix(tmp_path, plan, [instrumented(plan.trials[0]), measured(plan.trials[1])])
    assert (facts(known)["MFU"], facts(known)["energy"]) == ("35 %", "16.0 J/sample")
    assert not {"MFU", "energy"} & facts(unknown).keys()


def test_a_caution_is_a_mark_and_a_sentence_in_its_cell(tmp_path: Path) -> None:
    plan = plan_of(precisions=("fp32",), repeats=2)
    disturbed = caution("foreign_load", "Other processes took 23 % of the processors' time.")
    (cell,) = matrix(tmp_path, plan, [measured(plan.trials[0], cautions=(disturbed,)), measured(plan.trials[1])])
    ((sign, metric, text),) = [(j.sign, j.metric, j.text) for j in cell.judgements]
    assert (sign.glyph, sign.word) == ("!", "caution")
    assert (metric, text) == ("foreign_load", "in 1 of 2 trials: Other processes took 23 % of the processors' time.")
    assert (cell.sign.word, cell.tone) == ("ok", "warn")
