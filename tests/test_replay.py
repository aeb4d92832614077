"""The comparison of a record with its replay: every value, the first difference, and the conclusion in words."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import replace
from typing import Any

import pytest
import records
from hypothesis import given
from hypothesis import strategies as st

from suite.readings import Compilation, FlushShare, OperatorProfile
from suite.record import Attestation, Outcome, Quality, StepTrace, TrialRecord
from suite.replay import MEASURED, Conclusion, Difference, conclude, first_difference, obstacle

SCALED = records.trace(scales=(1024.0,) * records.STEPS, skips_overflow=True, last_scale=2048.0)
RECORD = records.record(
    steps=SCALED,
    initial_sha256="a" * 64,
    parameters_sha256="b" * 64,
    workload_sha256="c" * 64,
    quality=Quality({"accuracy": 0.75, "loss": 1.5}, "accuracy", True, 0.5, "majority class"),
)


def _with(steps: StepTrace = SCALED, **series: Any) -> TrialRecord:
    return replace(RECORD, steps=replace(steps, **series))


def _at(series: str, step: int, value: Any) -> TrialRecord:
    values = list(getattr(SCALED, series))
    values[step] = value
    return _with(**{series: tuple(values)})


def test_the_same_record_has_no_difference_whatever_its_times_and_memory() -> None:
    other = replace(_with(seconds=(9.0,) * records.STEPS, warmup_steps=3), order=7, started_at="later", cautions=())
    assert first_difference(RECORD, other) is None
    assert first_difference(replace(RECORD, operators=OperatorProfile(2, "cpu", ())), other) is None
    assert first_difference(replace(RECORD, operators_reason="none was taken"), other) is None


@pytest.mark.parametrize(
    ("replayed", "difference"),
    [
        (
            replace(RECORD, initial_sha256="d" * 64),
            Difference("digest of the initial weights", "a" * 64, "d" * 64),
        ),
        (_at("scales", 4, 512.0), Difference("loss scale", "1024.0", "512.0", 4)),
        (_at("losses", 4, 8.000000000000002), Difference("loss", "8.0", "8.000000000000002", 4)),
        (_at("overflowed", 4, True), Difference("overflow", "False", "True", 4)),
        (_at("gradient_norms", 4, math.inf), Difference("gradient norm", "1.0", "inf", 4)),
        (_with(last_scale=1024.0), Difference("loss scale after the last step", "2048.0", "1024.0")),
        (_with(scales=None, last_scale=None), Difference("loss scale", "1024.0", "None", 0)),
        (
            replace(RECORD, losses_sha256="d" * 64),
            Difference("digest of the loss curve", "1" * 64, "d" * 64),
        ),
        (
            replace(RECORD, parameters_sha256="d" * 64),
            Difference("digest of the final weights", "b" * 64, "d" * 64),
        ),
        (
            replace(RECORD, quality=Quality({"accuracy": 0.75, "loss": 1.25}, "accuracy", True, 0.5, "x")),
            Difference("held-out loss", "1.5", "1.25"),
        ),
        (replace(RECORD, quality=None), Difference("held-out accuracy", "0.75", "None")),
        (
            replace(RECORD, attestation=Attestation("bf16", {"aten.addmm/float32": 3}, {"matmul": 1e-7})),
            Difference("effective precision", "fp32", "bf16"),
        ),
        (
            replace(RECORD, attestation=Attestation("fp32", {"aten.addmm/float32": 2}, {"matmul": 1e-7})),
            Difference("operator census", "[('aten.addmm/float32', 3)]", "[('aten.addmm/float32', 2)]"),
        ),
        (
            replace(RECORD, attestation=Attestation("fp32", {"aten.addmm/float32": 3}, {"matmul": 2e-7})),
            Difference("probe error of matmul", "1e-07", "2e-07"),
        ),
        (replace(RECORD, outcome=Outcome.EMULATED), Difference("outcome", "ok", "emulated")),
    ],
)
def test_every_value_that_differs_is_named(replayed: TrialRecord, difference: Difference) -> None:
    assert first_difference(RECORD, replayed) == difference


def test_a_difference_reads_like_this() -> None:
    assert Difference("loss", "0.25", "0.5", 3).words() == "loss of step 3: 0.25 recorded, 0.5 replayed"
    assert Difference("outcome", "ok", "diverged").words() == "outcome: ok recorded, diverged replayed"


def test_the_sign_of_zero_is_a_bit_and_nan_is_nan() -> None:
    zero, minus, nan = (_at("losses", 5, value) for value in (0.0, -0.0, math.nan))
    assert first_difference(zero, minus) == Difference("loss", "0.0", "-0.0", 5)
    assert first_difference(nan, _at("losses", 5, math.nan)) is None
    assert first_difference(nan, zero) == Difference("loss", "nan", "0.0", 5)


def test_a_shorter_replay_differs_in_its_number_of_steps() -> None:
    short = StepTrace((0.1,) * 3, SCALED.losses[:3], (1.0,) * 3, (False,) * 3, (1024.0,) * 3, True, 1024.0, 0)
    assert first_difference(RECORD, _with(short)) == Difference("number of steps", "12", "3")


def test_what_an_older_record_lacks_is_not_compared() -> None:
    older = replace(RECORD, schema=2, initial_sha256=None, losses_sha256=None)
    assert first_difference(older, RECORD) is None
    assert first_difference(RECORD, older) is not None
    assert first_difference(replace(older, schema=RECORD.schema), RECORD) is not None


ATTESTED = RECORD.attestation
assert ATTESTED is not None
QUALITY = RECORD.quality
assert QUALITY is not None


@pytest.mark.parametrize(
    ("forged", "what"),
    [
        (replace(RECORD, flops_per_step=10**6), "flops_per_step"),
        (replace(RECORD, samples_per_step=4000), "samples_per_step"),
        (replace(RECORD, tokens_per_step=1), "tokens_per_step"),
        (_with(skips_overflow=False), "steps.skips_overflow"),
        (replace(RECORD, quality=replace(QUALITY, baseline=9999.0)), "quality.baseline"),
        (replace(RECORD, quality=replace(QUALITY, higher_is_better=False)), "quality.higher_is_better"),
        (replace(RECORD, quality=replace(QUALITY, primary="loss")), "quality.primary"),
        (replace(RECORD, attestation=replace(ATTESTED, flops={"float32": 9})), "attestation.flops"),
        (replace(RECORD, attestation=replace(ATTESTED, settings={"x": "tf32"})), "attestation.settings"),
        (replace(RECORD, attestation=replace(ATTESTED, parameter_types={"float16": 5})), "attestation.parameter_types"),
        (replace(RECORD, attestation=replace(ATTESTED, kernels={"x": 5})), "attestation.kernels"),
        (replace(RECORD, flush=FlushShare(1.0, 5, 4, 0)), "flush"),
        (replace(RECORD, emulation="no units"), "emulation"),
        (replace(RECORD, first_bad_step=3), "first_bad_step"),
        (replace(RECORD, compilation=Compilation(1.0, 1, 0, 0)), "compilation"),
        (_with(scales=None, last_scale=None), "loss scale"),
        (replace(RECORD, parameters_sha256=None), "digest of the final weights"),
    ],
)
def test_whatever_a_trial_computes_is_compared_and_may_not_be_taken_away(forged: TrialRecord, what: str) -> None:
    difference = first_difference(forged, RECORD)
    assert difference is not None
    assert difference.what.startswith(what)


def test_every_field_of_a_record_is_compared_or_named_as_measured() -> None:
    """A field that is added one day is compared unless somebody says here that it is measured."""
    fields = {field.name for field in dataclasses.fields(TrialRecord)}
    measured = {name for name in MEASURED if "." not in name}
    assert measured < fields
    assert {name.partition(".")[0] for name in MEASURED - measured} == {"steps", "compilation"}


@pytest.mark.parametrize(
    ("impossible", "reason"),
    [
        (replace(RECORD, steps=None), "its outcome is ok, but it has no steps"),
        (replace(RECORD, attestation=None, quality=None), "its outcome is ok, but it has no quality, attestation"),
        (_with(warmup_steps=5), "its warm-up of 5 steps is not what its step times give"),
    ],
)
def test_a_record_that_contradicts_itself_is_not_replayed(impossible: TrialRecord, reason: str) -> None:
    said = obstacle(impossible)
    assert said is not None
    assert said.conclusion is Conclusion.CONTRADICTORY
    assert said.reason == f"{reason}: the record was changed after it was made."


@given(
    places=st.sets(
        st.tuples(st.integers(0, records.STEPS - 1), st.sampled_from(["scales", "losses", "gradient_norms"])),
        min_size=1,
    )
)
def test_the_first_difference_is_the_earliest_in_the_order_of_training(places: set[tuple[int, str]]) -> None:
    changed = RECORD
    for step, series in places:
        steps = changed.steps
        assert steps is not None
        values = list(getattr(steps, series))
        values[step] = math.nextafter(values[step], math.inf)
        changed = replace(changed, steps=replace(steps, **{series: tuple(values)}))
    names = {"scales": "loss scale", "losses": "loss", "gradient_norms": "gradient norm"}
    step, series = min(places, key=lambda place: (place[0], list(names).index(place[1])))
    difference = first_difference(RECORD, changed)
    assert difference is not None
    assert (difference.step, difference.what) == (step, names[series])


@pytest.mark.parametrize(
    ("trial", "reason"),
    [
        (records.record(Outcome.UNSUPPORTED, reason="no TF32 here."), "unsupported: no TF32 here."),
        (records.record(Outcome.CRASHED, reason="exit status 7."), "crashed: exit status 7."),
        (
            records.record(Outcome.FAILED, reason="no evaluation", steps=records.trace(), attestation=None),
            "failed: no evaluation",
        ),
    ],
)
def test_a_record_without_numbers_is_skipped_with_its_reason(trial: TrialRecord, reason: str) -> None:
    said = obstacle(trial)
    assert said is not None
    assert (said.conclusion, said.reason) == (Conclusion.SKIPPED, reason)


def test_an_attestation_that_its_evidence_does_not_prove_is_named() -> None:
    forged = replace(RECORD, attestation=Attestation("bf16", {"aten.addmm/float32": 3}, {"matmul": 1e-7}))
    said = obstacle(forged)
    assert said is not None
    assert said.conclusion is Conclusion.CONTRADICTORY
    assert said.reason is not None
    assert said.reason.startswith("it claims to have run in 'bf16', which its own census and probe do not show")
    assert obstacle(RECORD) is None


OTHER = _at("losses", 4, 7.5)
FAILED = records.record(Outcome.TIMED_OUT, reason="not finished after 60 s.")
DIFFERS = "loss of step 4: 8.0 recorded, 7.5 replayed; two replays agree: this machine repeats itself, so the record"


def _on_cuda(item: TrialRecord, *, deterministic: bool) -> TrialRecord:
    return replace(item, spec=replace(item.spec, device="cuda:0", deterministic=deterministic))


def _compiled(item: TrialRecord) -> TrialRecord:
    return replace(item, spec=replace(item.spec, setup=replace(item.spec.setup, compile=True)))


def _of_other_source(item: TrialRecord) -> TrialRecord:
    return replace(item, workload_sha256="e" * 64)


@pytest.mark.parametrize(
    ("recorded", "first", "second", "conclusion", "reason"),
    [
        (RECORD, RECORD, None, Conclusion.VERIFIED, None),
        (
            RECORD,
            _of_other_source(RECORD),
            None,
            Conclusion.VERIFIED,
            "the workload's source file is not the recorded one, with the same result.",
        ),
        (replace(RECORD, workload_sha256=None), RECORD, None, Conclusion.VERIFIED, None),
        (
            RECORD,
            OTHER,
            OTHER,
            Conclusion.DIFFERS,
            f"{DIFFERS} was made by other code, weights, data or settings.",
        ),
        (
            RECORD,
            _of_other_source(OTHER),
            _of_other_source(OTHER),
            Conclusion.DIFFERS,
            "the workload's source file is not the recorded one; loss of step 4: 8.0 recorded, 7.5 replayed; "
            "two replays agree.",
        ),
        (
            _on_cuda(RECORD, deterministic=False),
            OTHER,
            OTHER,
            Conclusion.DIFFERS,
            f"{DIFFERS} was made by other code, weights, data or settings, or by ordinary kernels; "
            "`ampmark run --deterministic` makes records that can be verified.",
        ),
        (
            _compiled(RECORD),
            _compiled(OTHER),
            _compiled(OTHER),
            Conclusion.DIFFERS,
            f"{DIFFERS} was made by other code, weights, data or settings, or by ordinary kernels; "
            "`ampmark run --deterministic` makes records that can be verified.",
        ),
        (
            _on_cuda(RECORD, deterministic=True),
            OTHER,
            OTHER,
            Conclusion.DIFFERS,
            f"{DIFFERS} was made by other code, weights, data or settings.",
        ),
        (
            RECORD,
            OTHER,
            _at("losses", 2, 9.0),
            Conclusion.NOT_DETERMINISTIC,
            "two replays differ (loss of step 2: 10.0 once, 9.0 then): training is not deterministic on this machine, "
            "even in deterministic mode.",
        ),
        (RECORD, FAILED, None, Conclusion.REPLAY_FAILED, "timed out: not finished after 60 s."),
        (RECORD, OTHER, FAILED, Conclusion.REPLAY_FAILED, "timed out: not finished after 60 s."),
    ],
)
def test_the_conclusion_and_its_words(
    recorded: TrialRecord, first: TrialRecord, second: TrialRecord | None, conclusion: Conclusion, reason: str | None
) -> None:
    said = conclude(recorded, first, second)
    assert (said.conclusion, said.reason) == (conclusion, reason)
    assert said.conclusion.failed == (conclusion is not Conclusion.VERIFIED)


def test_a_difference_needs_a_second_replay() -> None:
    with pytest.raises(ValueError, match="give a second replay"):
        conclude(RECORD, OTHER, None)
