"""The section that answers which precision to use: it words what the rule says, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import records
from hypothesis import given, settings
from hypothesis import strategies as st
from literal_runs import GIB, measured, plan_of, run_of, steps_of

from suite import api
from suite.home import Home
from suite.judge.calibration import Calibration, CellCalibration, freeze
from suite.judge.comparison import compare_runs
from suite.judge.findings import PrecisionQuality
from suite.judge.recommendation import RULE, recommend, recommendations
from suite.readings import Energy, Memory
from suite.record import Caution, Outcome, TrialRecord
from suite.report.cells import Grid
from suite.report.matrix import build_matrix
from suite.report.page import page_html
from suite.report.recommendation_section import RecommendationRow, recommendation_section
from suite.report.templating import templates
from suite.store import Run

FP32 = (0.100, 0.101, 0.099)
HOSTILE = '<script>alert(1)</script>{{7*7}}"></td>\u202e'
SPACE = "\u00a0"
Read = Callable[[str], Any]


def _said(precision: str, conclusion: str = "equivalent", **fields: Any) -> PrecisionQuality:
    made = PrecisionQuality("gpt", precision, "perplexity", conclusion, 0.0, None, None, None, 5)
    return replace(made, **fields)


def _row(trials: Sequence[TrialRecord], *qualities: PrecisionQuality) -> RecommendationRow:
    (row,) = recommendation_section(records.run(trials), qualities).rows
    return row


def _others(row: RecommendationRow) -> dict[str, str]:
    return {other.precision: other.why.replace(SPACE, " ") for other in row.others}


def test_the_recommended_mode_has_its_reason_and_what_it_saves_with_intervals() -> None:
    saving = {"memory": Memory(peak_allocated_bytes=3 * GIB), "energy": Energy(20.0, 10)}
    plain = {"memory": Memory(peak_allocated_bytes=4 * GIB), "energy": Energy(40.0, 10)}
    row = _row(
        [*records.cell(FP32, **plain), *records.cell([0.05, 0.0505, 0.0495], precision="bf16", **saving)], _said("bf16")
    )
    assert (row.precision, row.anchor) == ("bf16", "cell--gpt--bf16")
    assert f"{row.sign.glyph} {row.sign.word}" == "✓ use"
    quality = "its perplexity is equivalent to fp32’s over 5 seeds: no difference"
    assert row.why == f"bf16 is the fastest mode that qualifies; {quality}"
    assert row.step.replace(SPACE, " ") == "50.0 ms [48.8, 51.3] a step"
    assert row.speed.replace(SPACE, " ") == "2.00× [1.96, 2.05]"
    assert (row.memory.replace(SPACE, " "), row.memory_layer) == ("0.750× [0.750, 0.750]", "(allocated)")
    assert row.energy.replace(SPACE, " ") == "0.500× [0.500, 0.500]"
    assert _others(row) == {"fp32": "qualifies and is slower: 100 ms [97.5, 103] a step"}


def test_beside_the_recommended_mode_stand_the_numbers_that_its_quality_is_judged_by() -> None:
    trials = [*records.cell(FP32), *records.cell([0.05, 0.0505, 0.0495], precision="bf16")]
    row = _row(trials, _said("bf16", difference=-0.003, low90=-0.009, high90=0.003, margin=0.02))
    assert row.why.replace(SPACE, " ").endswith(
        "its perplexity is equivalent to fp32’s over 5 seeds: 0.00300 better, "
        "90 % interval [−0.0030, +0.0090] (above 0 is better), margin 0.0200"
    )


def test_one_process_has_no_interval_and_what_was_not_measured_is_a_dash() -> None:
    row = _row([*records.cell([0.1]), *records.cell([0.05], precision="bf16")], _said("bf16", "better", seeds=1))
    least = "takes the least time for a sample of the modes that qualify"
    assert f"{least}; 1 process: the order is not shown; its" in row.why
    assert row.why.endswith("; its perplexity is better than fp32’s over 1 seed: no difference")
    assert (row.speed, row.energy) == (f"2.00×{SPACE}(1{SPACE}process)", "–")
    assert _others(row) == {"fp32": "qualifies; 1 process: the order is not shown: 100 ms (1 process) a step"}


def test_where_fp32_itself_is_the_one_nothing_is_compared_with_it() -> None:
    row = _row([*records.cell(FP32), *records.cell([0.2] * 3, precision="bf16")], _said("bf16"))
    assert (row.precision, row.speed, row.memory, row.energy) == ("fp32", "the reference", "–", "–")


def test_where_a_faster_mode_is_not_shown_to_be_as_good_there_is_none_yet_and_the_numbers_say_how_far() -> None:
    trials = [*records.cell(FP32), *records.cell([0.05] * 3, precision="bf16")]
    quality = _said("bf16", "undecided", difference=0.012, low90=-0.002, high90=0.026, margin=0.02, reason="5 seeds")
    row = _row(trials, quality)
    assert (row.precision, row.anchor, row.sign.word) == (None, None, "none yet")
    assert row.why == "bf16 would be faster than fp32, and its quality is not shown yet"
    assert (row.speed, row.memory, row.energy) == ("–", "–", "–")
    assert _others(row) == {
        "fp32": "qualifies: 100 ms [97.5, 103] a step",
        "bf16": "its quality is undecided: 5 seeds; perplexity 0.0120 worse, "
        "90 % interval [−0.026, +0.0020] (above 0 is better), margin 0.0200",
    }


def test_without_any_mode_that_qualifies_there_is_none() -> None:
    row = _row(records.cell([0.1] * 2, outcome=Outcome.EMULATED))
    assert (row.precision, row.sign.word, row.why) == (None, "none", "no mode qualifies")
    assert _others(row) == {"fp32": "emulated: computed without units for it"}


def test_a_reference_that_is_not_fit_to_be_ranked_weakens_the_ratios() -> None:
    disturbed = records.cell(FP32, cautions=(Caution("foreign_load", "end it"),))
    row = _row([*disturbed, *records.cell([0.05] * 3, precision="bf16")], _said("bf16"))
    assert row.precision == "bf16"
    assert row.why.endswith("; fp32, which it is compared with, does not qualify itself")


def test_modes_as_fast_as_the_intervals_can_tell_are_named_beside_it() -> None:
    trials = [
        *records.cell(FP32),
        *records.cell([0.050, 0.052, 0.048], precision="bf16"),
        *records.cell([0.0505, 0.0525, 0.0485], precision="fp16-dynamic"),
    ]
    row = _row(trials, _said("bf16"), _said("fp16-dynamic"))
    assert (row.precision, row.close, list(_others(row))) == ("bf16", ("fp16-dynamic",), ["fp32"])


MODES = ("fp32", "tf32", "bf16", "fp16-dynamic")
conclusions = st.sampled_from(["equivalent", "better", "worse", "undecided", "none"])
outcomes = st.sampled_from([Outcome.OK, Outcome.EMULATED, Outcome.DIVERGED, Outcome.UNSUPPORTED])


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_the_section_names_exactly_what_the_rule_says_and_never_contradicts_the_matrix(data: st.DataObject) -> None:
    trials: list[TrialRecord] = []
    said = []
    for mode in MODES:
        outcome, median = data.draw(outcomes), data.draw(st.floats(0.01, 1.0))
        cautions = () if data.draw(st.booleans()) else (Caution("cpu_steal", "move"),)
        if outcome.measured:
            trials += records.cell([median, 1.01 * median], precision=mode, outcome=outcome, cautions=cautions)
        else:
            trials.append(records.record(outcome, reason="so.", spec=records.spec("gpt", mode)))
        quality = data.draw(conclusions)
        said += [] if quality == "none" or mode == "fp32" else [_said(mode, quality)]
    run = records.run(trials)
    (rule,), section = recommend(run, said), recommendation_section(run, said)
    (row,) = section.rows
    assert (section.rule, row.workload, row.precision) == (RULE, "gpt", rule.precision)
    assert row.why.startswith(rule.reason)
    assert row.close == rule.close
    assert [other.precision for other in row.others] == [m for m in MODES if m not in (rule.precision, *rule.close)]
    excluded = {mode.precision: mode.excluded for mode in rule.modes}
    assert all(other.why.startswith(excluded[other.precision] or "qualifies") for other in row.others)
    (shown,) = build_matrix(Grid.of(run), [])
    matrix = {cell.precision: cell for cell in shown.cells}
    for named in (*row.close, *([row.precision] if row.precision else [])):
        assert matrix[named].sign.word == "ok"
        assert matrix[named].judgements == ()


def test_the_section_stands_right_after_the_matrix_with_the_rule_and_the_level(tmp_path: Path, read: Read) -> None:
    plan = plan_of(("gpt",), ("fp32", "bf16"), repeats=3)
    seconds = {"fp32": 0.010, "bf16": 0.005}
    records_ = [
        measured(s, steps=steps_of(seconds[s.precision] * (1 + 0.001 * s.repeat)), allocated=GIB) for s in plan.trials
    ]
    html = page_html(run_of(tmp_path, plan, records_), None)
    assert re.findall(r'<h2 id="([a-z]+)"', html)[:3] == ["matrix", "recommendation", "changes"]
    page = read(html)
    for part in (
        f"The rule: {RULE}",
        "In brackets: 95 % intervals over fresh processes.",
        "gpt ✓ use bf16 5.00 ms [4.99, 5.02] a step bf16 is the fastest mode that qualifies; "
        "its accuracy is equivalent to fp32’s over 1 seed: no difference 2.00× [2.00, 2.00] "
        "1.00× [1.00, 1.00] (allocated) – – "
        "Not the others: fp32: qualifies and is slower: 10.0 ms",
    ):
        assert part in page.words, part
    assert page.attributes("href").count("#cell--gpt--bf16") == 2


def test_a_judged_run_is_recommended_by_the_qualities_of_its_verdicts(tmp_path: Path, read: Read) -> None:
    plan = plan_of(("gpt",), ("fp32", "bf16"), repeats=3)
    seconds = {"fp32": 0.010, "bf16": 0.005}
    run = run_of(tmp_path, plan, [measured(s, steps=steps_of(seconds[s.precision])) for s in plan.trials])
    verdicts = replace(compare_runs(run, run), against_fp32=(_said("bf16", "worse", difference=0.2, margin=0.1),))
    words = read(page_html(run, verdicts)).words
    assert "fp32 is the fastest mode that qualifies" in words
    assert "bf16: its quality is worse; perplexity 0.200 worse, no interval, margin 0.100" in words
    assert "(worse than fp32: 0.200 worse, no interval, margin 0.100; 5 seeds)" in words


def _wavering(folder: Path) -> Run:
    """Five seeds whose own margin makes bf16 equivalent: 1.5 times 0.0158 = 0.0237."""
    plan = plan_of(("gpt",), ("fp32", "bf16"), seeds=(0, 1, 2, 3, 4))
    seconds, lost = {"fp32": 0.010, "bf16": 0.005}, (0.004, 0.003, 0.005, 0.004, 0.004)
    records_ = [
        measured(
            spec,
            steps=steps_of(seconds[spec.precision]),
            accuracy=0.80 + 0.01 * spec.seed - lost[spec.seed] * (spec.precision == "bf16"),
        )
        for spec in plan.trials
    ]
    return run_of(folder, plan, records_)


def test_without_verdicts_the_frozen_margins_decide_as_they_do_on_the_page_of_machines(
    tmp_path: Path, read: Read
) -> None:
    run = _wavering(tmp_path / "results")
    setup = run.info.plan.trials[0].setup_sha256
    margin = CellCalibration("gpt", "fp32", setup, 20, quality_metric="accuracy", seeds=10, quality_margin=0.002)
    frozen = Calibration(run.info.fingerprint, "another", "2026-01-01", "A/A", (margin,))
    for calibration, chosen, said in (
        (None, "bf16", "equivalent to fp32: 0.00400 worse"),
        (frozen, "fp32", "worse than fp32: 0.00400 worse"),
    ):
        (found,) = recommendations(run, calibration or Calibration())
        words = read(page_html(run, None, calibration=calibration)).words
        assert (found.precision, f"✓ use {chosen}" in words, said in words) == (chosen, True, True)
    freeze(tmp_path / "results", frozen)
    page = api.report(run, home=Home.at(tmp_path))
    assert "worse than fp32: 0.00400 worse" in read(page.read_text(encoding="utf-8")).words


def test_damaged_margins_are_said_on_the_page(tmp_path: Path, read: Read) -> None:
    run = _wavering(tmp_path / "results")
    path = freeze(tmp_path / "results", Calibration(run.info.fingerprint))
    path.write_text("{")
    page = api.report(run, home=Home.at(tmp_path))
    words = read(page.read_text(encoding="utf-8")).words
    assert f"{path.name} is damaged" in words
    assert "equivalent to fp32: 0.00400 worse" in words


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_names_are_text_in_the_section_and_nothing_else(precision: str, read: Read) -> None:
    run = records.run([*records.cell(FP32), *records.cell([0.05] * 3, precision=precision + HOSTILE)])
    quality = _said(precision + HOSTILE, metric=HOSTILE, reason=HOSTILE)
    section = recommendation_section(run, [quality])
    template = templates().from_string('{% import "macros.html.j2" as show %}{% include "recommendation.html.j2" %}')
    page = read(template.render(recommendation=section))
    assert "<script" not in page.html
    assert "\u202e" not in page.html
    assert f"✓ use {precision}<script>alert(1)</script>{{{{7*7}}}}" in page.words
