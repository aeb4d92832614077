"""Which precision is recommended: the rule on literal cells, and that it never contradicts the table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
import records
from hypothesis import given, settings
from hypothesis import strategies as st

from suite.judge.calibration import Calibration, CellCalibration
from suite.judge.findings import PrecisionQuality
from suite.judge.recommendation import RULE, Recommendation, recommend, recommendations
from suite.record import Caution, Outcome, Quality, TrialRecord
from suite.report.cells import Grid
from suite.report.matrix import build_matrix
from suite.store import Run

FP32 = (0.100, 0.101, 0.099)


def _said(precision: str, conclusion: str = "equivalent", reason: str | None = None) -> PrecisionQuality:
    return PrecisionQuality("gpt", precision, "perplexity", conclusion, 0.0, None, None, 0.1, 5, reason)


def _recommended(trials: Sequence[TrialRecord], *qualities: PrecisionQuality) -> Recommendation:
    (found,) = recommend(records.run(trials), qualities)
    return found


def test_the_fastest_mode_of_equivalent_quality_with_what_it_saves() -> None:
    trials = [*records.cell(FP32), *records.cell([0.05, 0.0505, 0.0495], precision="bf16")]
    found = _recommended(trials, _said("bf16"))
    assert (found.precision, found.reason) == ("bf16", "bf16 is the fastest mode that qualifies")
    assert (found.qualified, found.uncounted) == ("bf16", ())
    assert found.speedup is not None
    assert found.speedup.value == pytest.approx(2.0)
    assert found.speedup.low is not None
    assert found.speedup.low < 2.0
    assert found.memory is not None
    assert found.memory.value == 1.0
    assert found.energy is None


def test_where_the_quality_of_a_faster_mode_is_not_shown_nothing_is_recommended_yet() -> None:
    trials = [*records.cell(FP32), *records.cell([0.05] * 3, precision="bf16")]
    found = _recommended(trials, _said("bf16", "undecided", "1 seed"))
    assert (found.precision, found.speedup) == (None, None)
    assert found.reason == "bf16 would be faster than fp32, and its quality is not shown yet"
    assert (found.qualified, found.uncounted) == ("fp32", ("bf16",))
    assert found.modes[1].excluded == "its quality is undecided: 1 seed"


def test_a_faster_mode_that_trains_worse_is_passed_over() -> None:
    trials = [
        *records.cell(FP32),
        *records.cell([0.04] * 3, precision="fp16-static"),
        *records.cell([0.05] * 3, precision="bf16"),
    ]
    found = _recommended(trials, _said("fp16-static", "worse"), _said("bf16", "better"))
    assert found.precision == "bf16"
    assert [mode.excluded for mode in found.modes] == [None, "its quality is worse", None]


@pytest.mark.parametrize(
    ("bf16", "why"),
    [
        (
            records.cell([0.05] * 3, precision="bf16", outcome=Outcome.EMULATED),
            "emulated: computed without units for it",
        ),
        (
            records.cell([0.05] * 3, precision="bf16", cautions=(Caution("foreign_load", "end it"),)),
            "3 of 3 trials were disturbed",
        ),
        (
            [
                *records.cell([0.05] * 2, precision="bf16"),
                records.record(Outcome.DIVERGED, reason="nan", spec=records.spec("gpt", "bf16", repeat=2)),
            ],
            "1 of 3 trials have no numbers (diverged)",
        ),
        (
            [records.record(Outcome.UNSUPPORTED, reason="no.", spec=records.spec("gpt", "bf16"))],
            "1 of 1 trials have no numbers (unsupported)",
        ),
    ],
    ids=["emulated", "disturbed", "diverged", "unsupported"],
)
def test_what_is_not_ranked_is_not_recommended(bf16: list[TrialRecord], why: str) -> None:
    found = _recommended([*records.cell(FP32), *bf16], _said("bf16"))
    assert (found.precision, found.speedup) == ("fp32", None)
    assert found.modes[1].excluded == why


def test_modes_that_the_intervals_do_not_tell_apart_are_named() -> None:
    trials = [
        *records.cell(FP32),
        *records.cell([0.050, 0.052, 0.048], precision="bf16"),
        *records.cell([0.0505, 0.0525, 0.0485], precision="fp16-dynamic"),
    ]
    found = _recommended(trials, _said("bf16"), _said("fp16-dynamic"))
    assert (found.precision, found.close) == ("bf16", ("fp16-dynamic",))


@pytest.mark.parametrize(("fp32", "bf16"), [(1, 1), (1, 3), (3, 1)])
def test_one_process_shows_no_order_and_the_reason_says_so(fp32: int, bf16: int) -> None:
    trials = [*records.cell([0.1, 0.101, 0.099][:fp32]), *records.cell([0.05, 0.051, 0.049][:bf16], precision="bf16")]
    found = _recommended(trials, _said("bf16"))
    assert (found.precision, found.unordered, found.close) == ("bf16", ("fp32",), ())
    assert (
        found.reason
        == "bf16 takes the least time for a sample of the modes that qualify; 1 process: the order is not shown"
    )


def test_only_the_modes_of_one_process_are_said_to_have_no_order() -> None:
    trials = [
        *records.cell(FP32),
        *records.cell([0.05, 0.0505, 0.0495], precision="bf16"),
        *records.cell([0.06], precision="fp16-dynamic"),
    ]
    found = _recommended(trials, _said("bf16"), _said("fp16-dynamic"))
    assert (found.precision, found.unordered) == ("bf16", ("fp16-dynamic",))
    assert found.reason.endswith("; 1 process: the order is not shown against fp16-dynamic")


def test_one_process_of_a_mode_that_is_not_proven_would_not_be_faster() -> None:
    trials = [*records.cell([0.1]), *records.cell([0.05], precision="bf16")]
    found = _recommended(trials, _said("bf16", "undecided", "1 seed"))
    assert found.precision is None
    assert found.reason == (
        "bf16 takes less time for a sample (1 process: the order is not shown) than fp32, "
        "and its quality is not shown yet"
    )


def test_a_disturbed_fp32_does_not_qualify_and_the_only_mode_left_has_an_order() -> None:
    trials = [
        *records.cell([0.1], cautions=(Caution("foreign_load", "end it"),)),
        *records.cell([0.05], precision="bf16"),
    ]
    found = _recommended(trials, _said("bf16"))
    assert (found.precision, found.reason) == ("bf16", "bf16 is the fastest mode that qualifies")
    assert found.modes[0].excluded == "1 of 1 trials were disturbed"


def test_the_rule_names_its_margin() -> None:
    assert "within a margin of 1.5 standard deviations between seeds, frozen or the run's own" in RULE


def test_a_run_without_fp32_has_nothing_to_be_equivalent_to() -> None:
    found = _recommended(records.cell([0.05] * 3, precision="bf16"))
    assert (found.precision, found.reason) == (None, "no mode qualifies")


MODES = ("fp32", "tf32", "bf16", "fp16-dynamic")
conclusions = st.sampled_from(["equivalent", "better", "worse", "undecided", "none"])
outcomes = st.sampled_from([Outcome.OK, Outcome.EMULATED, Outcome.DIVERGED, Outcome.UNSUPPORTED])


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_recommendation_never_contradicts_the_table(data: st.DataObject) -> None:
    trials: list[TrialRecord] = []
    said = []
    medians, outcome, quality, quiet = {}, {}, {}, {}
    for mode in MODES:
        outcome[mode] = data.draw(outcomes)
        medians[mode] = data.draw(st.floats(0.01, 1.0))
        quality[mode] = data.draw(conclusions)
        quiet[mode] = data.draw(st.booleans())
        cautions = () if quiet[mode] else (Caution("cpu_steal", "move"),)
        if outcome[mode].measured:
            trials += records.cell([medians[mode]] * 2, precision=mode, outcome=outcome[mode], cautions=cautions)
        else:
            trials.append(records.record(outcome[mode], reason="so.", spec=records.spec("gpt", mode)))
        if quality[mode] != "none" and mode != "fp32":
            said.append(_said(mode, quality[mode]))
    found = _recommended(trials, *said)
    fair = [
        mode
        for mode in MODES
        if outcome[mode] is Outcome.OK and quiet[mode] and (mode == "fp32" or quality[mode] in ("equivalent", "better"))
    ]
    if found.precision is None:
        faster = [m for m in MODES if outcome[m] is Outcome.OK and quiet[m] and quality[m] in ("undecided", "none")]
        faster += ["fp32"] * outcome["fp32"].measured
        assert not fair or any(medians[mode] <= min(medians[m] for m in fair) for mode in faster)
    else:
        assert found.precision in fair
        assert medians[found.precision] == min(medians[mode] for mode in fair)
    assert json.dumps(found.reason)


def _skipping(seconds: float, skipped: Sequence[int], repeats: int = 3) -> list[TrialRecord]:
    """Ten timed steps of four samples, of which those of `skipped` (2 to 11) changed nothing."""
    steps = replace(records.trace(seconds, overflow_steps=skipped), skips_overflow=True)
    return [records.record(spec=records.spec("gpt", "fp16-dynamic", repeat=n), steps=steps) for n in range(repeats)]


def test_a_mode_that_skips_steps_is_ranked_by_the_samples_of_the_applied_ones() -> None:
    """fp32: 400 samples/s; bf16: 4 / 8.5 ms = 470.6; fp16 has steps of 8 ms and skips half of them: 250."""
    trials = [*records.cell([0.01] * 3), *records.cell([0.0085] * 3, precision="bf16"), *_skipping(0.008, range(2, 7))]
    found = _recommended(trials, _said("bf16"), _said("fp16-dynamic"))
    assert (found.precision, found.close) == ("bf16", ())
    assert found.speedup is not None
    assert found.speedup.value == pytest.approx(0.01 / 0.0085)
    fp16 = found.modes[2]
    assert fp16.step is not None
    assert fp16.sample is not None
    assert (fp16.step.value, fp16.sample.value, fp16.skipped) == (pytest.approx(0.008), pytest.approx(1 / 250), True)
    assert found.modes[1].skipped is False
    assert "least time for a sample of an applied step" in RULE


def test_a_mode_of_which_no_timed_step_was_applied_is_not_ranked() -> None:
    trials = [*records.cell([0.01] * 3), *_skipping(0.005, range(12))]
    found = _recommended(trials, _said("fp16-dynamic"))
    assert (found.precision, found.modes[1].unranked) == ("fp32", "no timed step was applied")
    trials = [*records.cell([0.01] * 3), *_skipping(0.005, range(12), 1), *_skipping(0.005, (), 3)[1:]]
    found = _recommended(trials, _said("fp16-dynamic"))
    assert found.modes[1].unranked == "no timed step was applied in 1 of 3 trials"


def test_a_mode_that_is_slower_than_a_disturbed_fp32_is_not_recommended() -> None:
    trials = [
        *records.cell([0.05] * 3, cautions=(Caution("foreign_load", "end it"),)),
        *records.cell([0.1] * 3, precision="bf16"),
    ]
    found = _recommended(trials, _said("bf16"))
    assert (found.precision, found.qualified) == (None, "bf16")
    assert found.reason == "fp32 takes less time than bf16, and does not qualify: 3 of 3 trials were disturbed"


@pytest.mark.parametrize(
    ("spread", "reason"),
    [
        (0.001, "bf16 is the fastest mode that qualifies"),
        (0.4, "bf16 takes the least time of the modes that qualify; fp32 cannot be told apart from it"),
    ],
)
def test_a_mode_is_the_fastest_only_where_the_intervals_tell(spread: float, reason: str) -> None:
    scattered = [0.04 * (1 + spread * place) for place in range(3)]
    trials = [*records.cell([1.1 * seconds for seconds in scattered]), *records.cell(scattered, precision="bf16")]
    found = _recommended(trials, _said("bf16"))
    assert (found.precision, found.reason) == ("bf16", reason)


@pytest.mark.parametrize(
    ("spread", "would"),
    [(0.001, "would be faster than"), (0.4, "takes less time for a sample than, as far as can be told,")],
)
def test_a_mode_of_unknown_quality_would_be_faster_only_where_the_intervals_tell(spread: float, would: str) -> None:
    scattered = [0.04 * (1 + spread * place) for place in range(3)]
    trials = [*records.cell([1.1 * seconds for seconds in scattered]), *records.cell(scattered, precision="bf16")]
    found = _recommended(trials)
    assert (found.precision, found.reason) == (None, f"bf16 {would} fp32, and its quality is not shown yet")


def test_the_matrix_and_the_recommendation_have_one_speed() -> None:
    """The geometric mean of 10, 10, 10, 10 and 30 ms is 10 × 3^(1/5) = 12.46 ms, which is 1.133 times 11 ms."""
    run = records.run([*records.cell([0.01] * 4 + [0.03]), *records.cell([0.011] * 5, precision="bf16")])
    (found,) = recommend(run, [_said("bf16")])
    assert (found.precision, found.close) == ("bf16", ("fp32",))
    assert found.speedup is not None
    assert found.speedup.value == pytest.approx(10 * 3**0.2 / 11)
    assert _in_matrix(run)["bf16"].startswith("1.13× as fast, not told apart")


def _in_matrix(run: Run) -> dict[str, str]:
    """What the matrix says of each mode's speed."""
    (row,) = build_matrix(Grid.of(run), ())
    return {cell.precision: fact.value for cell in row.cells for fact in cell.facts if fact.label == "vs fp32"}


paces = st.lists(st.sampled_from([0.008, 0.01, 0.0101, 0.011, 0.03]), min_size=1, max_size=4)


@settings(max_examples=60, deadline=None)
@given(fp32=paces, bf16=paces, fp16=paces, skipped=st.sets(st.integers(2, 11)), disturbed=st.booleans())
def test_the_recommended_mode_is_never_shown_slower_than_fp32(
    fp32: list[float], bf16: list[float], fp16: list[float], skipped: set[int], disturbed: bool
) -> None:
    cautions = (Caution("foreign_load", "end it"),) if disturbed else ()
    steps = [replace(records.trace(each, overflow_steps=skipped), skips_overflow=True) for each in fp16]
    trials = [
        *records.cell(fp32, cautions=cautions),
        *records.cell(bf16, precision="bf16"),
        *(records.record(spec=records.spec("gpt", "fp16-dynamic", repeat=n), steps=one) for n, one in enumerate(steps)),
    ]
    run = records.run(trials)
    (found,) = recommend(run, [_said("bf16"), _said("fp16-dynamic")])
    if found.precision is not None:
        assert "slower" not in _in_matrix(run)[found.precision]


def test_the_qualities_are_judged_by_what_was_frozen_for_the_setups_of_the_run() -> None:
    """0.01 lost under each of five seeds that reach the same: too much for their own margin, not for one of 0.1."""
    trials = [
        records.record(
            spec=records.spec("gpt", precision, seed=seed),
            steps=records.trace(seconds),
            quality=Quality({"accuracy": accuracy}, "accuracy", True, 0.5, "majority class"),
        )
        for precision, seconds, accuracy in (("fp32", 0.04, 0.75), ("bf16", 0.02, 0.74))
        for seed in range(5)
    ]
    run = records.run(trials)
    setup = run.info.plan.trials[0].setup_sha256
    frozen = CellCalibration("gpt", "fp32", setup, 20, quality_metric="accuracy", seeds=20, quality_margin=0.1)
    elsewhere = CellCalibration("gpt", "fp32", "another", 20, quality_metric="accuracy", seeds=20, quality_margin=0.1)
    found = [recommendations(run, Calibration(cells=cells))[0] for cells in ((), (frozen,), (elsewhere,))]
    assert [each.precision for each in found] == ["fp32", "bf16", "fp32"]
