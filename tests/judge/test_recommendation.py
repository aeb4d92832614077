"""Which precision is recommended: the rule on literal cells, and that it never contradicts the table."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
import records
from hypothesis import given, settings
from hypothesis import strategies as st

from suite.judge.findings import PrecisionQuality
from suite.judge.recommendation import Recommendation, recommend
from suite.record import Caution, Outcome, TrialRecord

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
            "emulated: the hardware does not compute in it",
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
        assert not fair or any(medians[mode] <= min(medians[m] for m in fair) for mode in faster)
    else:
        assert found.precision in fair
        assert medians[found.precision] == min(medians[mode] for mode in fair)
    assert json.dumps(found.reason)
