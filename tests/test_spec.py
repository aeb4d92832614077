"""The plan: its order, its size, and what makes two trials comparable."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import records

from suite.errors import UsageError
from suite.spec import OptimizerSpec, Profile, ScalerSpec, ScheduleSpec, Setup, TrialSpec, expand


def _profile(**fields: Any) -> Profile:
    made = Profile(
        name="test",
        summary="",
        precisions=("fp32", "bf16"),
        workloads={"gpt": records.setup(), "lstm": records.setup(steps=20)},
    )
    return replace(made, **fields)


def _expand(profile: Profile | None = None, **choices: Any) -> list[TrialSpec]:
    return list(expand(profile or _profile(), device="cpu", threads=2, **choices).trials)


def _ids(trials: list[TrialSpec]) -> list[str]:
    return [trial.trial_id for trial in trials]


def test_repeats_are_outermost_and_every_second_one_runs_backwards() -> None:
    assert _ids(_expand(repeats=3)) == [
        "gpt-fp32-s0-r0",
        "gpt-bf16-s0-r0",
        "lstm-fp32-s0-r0",
        "lstm-bf16-s0-r0",
        "lstm-bf16-s0-r1",
        "lstm-fp32-s0-r1",
        "gpt-bf16-s0-r1",
        "gpt-fp32-s0-r1",
        "gpt-fp32-s0-r2",
        "gpt-bf16-s0-r2",
        "lstm-fp32-s0-r2",
        "lstm-bf16-s0-r2",
    ]


def test_seeds_come_between_repeats_and_cells() -> None:
    assert _ids(_expand(workloads=["gpt"], seeds=[7, 3], repeats=2)) == [
        "gpt-fp32-s7-r0",
        "gpt-bf16-s7-r0",
        "gpt-fp32-s3-r0",
        "gpt-bf16-s3-r0",
        "gpt-bf16-s7-r1",
        "gpt-fp32-s7-r1",
        "gpt-bf16-s3-r1",
        "gpt-fp32-s3-r1",
    ]


def test_without_choices_the_profile_decides() -> None:
    trials = _expand(_profile(seeds=(1, 2), repeats=2, timeout_seconds=5.0))
    assert len(trials) == len(set(_ids(trials))) == 2 * 2 * 2 * 2
    assert {trial.timeout_seconds for trial in trials} == {5.0}
    assert {trial.seed for trial in trials} == {1, 2}


def test_choices_keep_their_order_and_count_once() -> None:
    chosen = {"workloads": ["lstm", "gpt", "lstm"], "precisions": ["bf16", "bf16"], "seeds": [4, 4]}
    assert _ids(_expand(**chosen)) == ["lstm-bf16-s4-r0", "gpt-bf16-s4-r0"]


def test_a_precision_need_not_be_in_the_profile() -> None:
    assert _ids(_expand(workloads=["gpt"], precisions=["my-own"])) == ["gpt-my-own-s0-r0"]


def test_a_trial_carries_its_workloads_setup_and_loss_scaling() -> None:
    own, shared = ScalerSpec(static_scale=8.0), ScalerSpec(static_scale=16.0)
    profile = _profile(workloads={"gpt": records.setup(scaler=own), "lstm": records.setup(steps=20)}, scaler=shared)
    gpt, lstm = _expand(profile, precisions=["fp32"], timeout_seconds=9.0)
    assert (gpt.scaler, lstm.scaler) == (own, shared)
    assert (gpt.setup.steps, lstm.setup.steps) == (records.STEPS, 20)
    assert (gpt.device, gpt.threads, gpt.profile, gpt.timeout_seconds) == ("cpu", 2, "test", 9.0)


def test_a_compiled_plan_compiles_every_workload_and_compares_with_no_eager_one() -> None:
    compiled, eager = _expand(compiled=True), _expand()
    assert all(trial.setup.compile for trial in compiled)
    assert not any(trial.setup.compile for trial in eager)
    assert compiled[0].setup_sha256 != eager[0].setup_sha256


def test_a_larger_batch_is_that_of_every_workload_and_compares_with_no_smaller_one() -> None:
    profile = _profile(workloads={"gpt": records.setup(batch_size=3), "lstm": records.setup(batch_size=8)})
    larger, common = _expand(profile, batch_scale=4), _expand(profile)
    assert {(trial.workload, trial.setup.batch_size) for trial in larger} == {("gpt", 12), ("lstm", 32)}
    assert _ids(larger) == _ids(common)
    assert not {trial.setup_sha256 for trial in larger} & {trial.setup_sha256 for trial in common}


def test_the_plan_names_its_profile_and_device() -> None:
    plan = expand(_profile(), device="cuda:0", threads=1)
    assert (plan.profile, plan.device) == ("test", "cuda:0")


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"workloads": ["gtp"]}, "profile 'test' has no workload 'gtp'; did you mean 'gpt'?"),
        ({"repeats": 0}, "--repeats is 0; give a number above 0."),
        ({"repeats": -1}, "--repeats is -1; give a number above 0."),
        ({"batch_scale": 0}, "--batch-scale is 0; give a number above 0."),
        ({"timeout_seconds": 0.0}, "--timeout is 0.0; give a number above 0."),
        ({"timeout_seconds": float("nan")}, "--timeout is nan; give a number above 0."),
    ],
)
def test_a_choice_that_does_not_fit_is_refused(choices: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        _expand(**choices)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: OptimizerSpec("adam", 0.1), "name: 'adam' is not known; did you mean 'adamw'?"),
        (lambda: OptimizerSpec("sgd", 0.0), "learning_rate is 0.0; give a number above 0."),
        (lambda: ScheduleSpec("cosin"), "kind: 'cosin' is not known; did you mean 'cosine'?"),
        (lambda: ScalerSpec(initial_scale=0.5), "initial_scale is 0.5; give a finite scale of 1 or more."),
        (lambda: ScalerSpec(static_scale=math.inf), "static_scale is inf; give a finite scale of 1 or more."),
        (lambda: ScalerSpec(growth_interval=0), "growth_interval is 0; give a number above 0."),
        (
            lambda: ScalerSpec(growth_factor=1.0),
            "growth_factor 1.0 and backoff_factor 0.5 do not make a dynamic scale; "
            "give a growth factor above 1 and a back-off factor between 0 and 1.",
        ),
        (lambda: records.setup(steps=0), "steps is 0; give a number above 0."),
        (lambda: records.setup(batch_size=-4), "batch_size is -4; give a number above 0."),
        (lambda: records.setup(accumulation=0), "accumulation is 0; give a number above 0."),
        (lambda: records.setup(clip_norm=0.0), "clip_norm is 0.0; give a number above 0."),
        (
            lambda: records.setup(steps=5, warmup_steps=5),
            "warmup_steps 5 leaves no step of 5 to time; make it smaller than steps.",
        ),
        (
            lambda: records.setup(warmup_steps=-1),
            "warmup_steps -1 leaves no step of 12 to time; make it smaller than steps.",
        ),
        (lambda: _profile(repeats=0), "repeats is 0; give a number above 0."),
        (lambda: _profile(timeout_seconds=0.0), "timeout_seconds is 0.0; give a number above 0."),
        (lambda: _profile(seeds=()), "seeds is empty; name at least one."),
        (lambda: _profile(precisions=()), "precisions is empty; name at least one."),
        (lambda: _profile(workloads={}), "workloads is empty; name at least one."),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(make: Any, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        make()
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "other",
    [{"seed": 9}, {"repeat": 9}, {"timeout_seconds": 9.0}, {"profile": "other"}],
    ids=lambda fields: next(iter(fields)),
)
def test_trials_of_one_cell_share_a_setup_whatever_seed_repeat_time_limit_and_profile(other: dict[str, Any]) -> None:
    assert records.spec(**other).setup_sha256 == records.spec().setup_sha256


@pytest.mark.parametrize(
    "other",
    [
        {"workload": "lstm"},
        {"precision": "bf16"},
        {"device": "cuda:0"},
        {"threads": 4},
        {"scaler": ScalerSpec(growth_interval=10)},
        {"setup": records.setup(steps=13)},
        {"setup": records.setup(clip_norm=1.0)},
        {"setup": records.setup(settings={"layers": 2})},
        {"setup": records.setup(optimizer=OptimizerSpec("sgd", 0.1, momentum=0.9))},
        {"setup": records.setup(schedule=ScheduleSpec("cosine"))},
    ],
    ids=lambda fields: str(next(iter(fields))),
)
def test_trials_that_differ_in_anything_that_trains_do_not_share_a_setup(other: dict[str, Any]) -> None:
    assert records.spec(**other).setup_sha256 != records.spec().setup_sha256


def test_the_order_of_settings_does_not_matter_to_the_setup() -> None:
    one, other = records.setup(settings={"a": 1, "b": 2}), records.setup(settings={"b": 2, "a": 1})
    assert records.spec(setup=one).setup_sha256 == records.spec(setup=other).setup_sha256


def test_defaults_of_a_setup_do_not_clip_accumulate_or_schedule() -> None:
    made = Setup(steps=10, warmup_steps=0, batch_size=1, optimizer=OptimizerSpec("sgd", 0.1))
    assert (made.clip_norm, made.accumulation, made.schedule.kind, made.scaler) == (None, 1, "constant", None)
