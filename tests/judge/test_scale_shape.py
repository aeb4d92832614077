"""Where a dynamic loss scale settles, how low it fell, and how often it still skips."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pandas as pd
import pytest

from suite.columns import TRIAL_COLUMNS
from suite.judge.findings import Finding, MetricClass, Verdict
from suite.judge.scale_shape import judge_scale_shape

CELL = ("gpt", "fp16-dynamic")


def _side(
    *settled: float | None,
    lowest: float | None = None,
    skips: int = 0,
    steps: int = 1000,
    calibration: int = 2,
    interval: int = 2000,
    seeds: Sequence[int] | None = None,
) -> pd.DataFrame:
    """One row per process, of seed 0 unless told: where its scale settled after it began at 65536."""
    count = len(settled)
    spec = json.dumps({"scaler": {"growth_interval": interval}})
    rows = {
        "seed": [0] * count if seeds is None else list(seeds),
        "scale_settled": list(settled),
        "scale_lowest": [value if lowest is None else lowest for value in settled],
        "scale_highest": [None if value is None else max(65536.0, value) for value in settled],
        "steps": [steps] * count,
        "overflow_calibration_count": [calibration] * count,
        "overflow_steady_count": [skips] * count,
        "spec": [spec] * count,
    }
    return pd.DataFrame({name: pd.Series(column, dtype=TRIAL_COLUMNS[name]) for name, column in rows.items()})


def _judge(base: pd.DataFrame, candidate: pd.DataFrame) -> Finding:
    found = judge_scale_shape(CELL, (base, candidate))
    assert found is not None
    return found


# --- where it settles -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "verdict", "reasons"),
    [
        (1024, 1024, Verdict.UNCHANGED, ()),
        (
            1024,
            512,
            Verdict.CHANGED,
            ("the settled scale moved by -1.0 doublings, within the play of its growth interval",),
        ),
        (
            1024,
            2048,
            Verdict.CHANGED,
            ("the settled scale moved by +1.0 doublings, within the play of its growth interval",),
        ),
        (1024, 256, Verdict.REGRESSED, ("the scale settles 4 times lower",)),
        (1024, 2, Verdict.REGRESSED, ("the scale settles 512 times lower",)),
        (1024, 4096, Verdict.CHANGED, ("the scale settles 4 times higher",)),
    ],
)
def test_two_halvings_are_a_regression_and_one_process_is_enough(
    before: float, after: float, verdict: Verdict, reasons: tuple[str, ...]
) -> None:
    found = _judge(_side(before), _side(after))
    assert (found.verdict, found.reasons) == (verdict, reasons)
    assert (found.base, found.candidate) == (before, after)
    assert (found.values_base, found.values_candidate) == ((before,), (after,))
    assert (found.metric, found.metric_class) == ("loss_scale", MetricClass.SHAPE)


def test_the_mean_of_several_processes_is_the_geometric_one() -> None:
    found = _judge(_side(1024, 256, 512, 512), _side(512, 512, 512, 512))
    assert (found.verdict, found.reasons) == (Verdict.UNCHANGED, ())
    assert (found.base, found.candidate, found.processes_base) == (512, 512, 4)


def test_scales_that_vary_between_processes_need_enough_of_them() -> None:
    found = _judge(_side(1024, 2048), _side(128, 256))
    assert found.verdict == Verdict.INCONCLUSIVE
    assert found.reasons == (
        "the scale settles 8 times lower, but it varies between processes and they are too few to tell",
    )
    # 2 / C(6, 3) = 0.1 is the smallest p of three against three; five against five have 2 / C(10, 5) = 0.008.
    three = _judge(_side(1024, 2048, 1024), _side(128, 256, 128))
    assert three.verdict == Verdict.INCONCLUSIVE
    five = _judge(_side(1024, 2048, 1024, 2048, 1024), _side(128, 256, 128, 256, 128))
    assert (five.verdict, five.reasons) == (Verdict.REGRESSED, ("the scale settles 8 times lower",))


def test_a_scale_that_settles_higher_is_never_an_alarm() -> None:
    found = _judge(_side(128, 256, 128, 256, 128), _side(1024, 2048, 1024, 2048, 1024))
    assert (found.verdict, found.reasons) == (Verdict.CHANGED, ("the scale settles 8 times higher",))


# --- seed by seed ---------------------------------------------------------------------------------------------------


def test_seeds_that_settle_apart_are_compared_each_with_itself() -> None:
    seeds = (0, 1, 2, 3)
    found = _judge(_side(16384, 1024, 4096, 256, seeds=seeds), _side(1024, 64, 256, 16, seeds=seeds))
    assert (found.verdict, found.reasons) == (Verdict.REGRESSED, ("the scale settles 16 times lower",))
    assert (found.base, found.candidate) == (2048, 128)


def test_seeds_that_move_in_different_directions_are_not_told_by_their_mean() -> None:
    seeds = (0, 1, 2)
    found = _judge(_side(1024, 1024, 1024, seeds=seeds), _side(2048, 16, 16, seeds=seeds))
    assert found.verdict == Verdict.INCONCLUSIVE
    swapped = _judge(_side(1024, 64, seeds=(0, 1)), _side(64, 1024, seeds=(0, 1)))
    assert swapped.verdict == Verdict.CHANGED


def test_processes_are_exchanged_within_their_seed_where_they_vary() -> None:
    # Two against two under each of three seeds, none overlapping: 1 / 6³ = 0.005.
    seeds = (0, 0, 1, 1, 2, 2)
    base = _side(65536, 32768, 4096, 4096, 512, 256, seeds=seeds)
    candidate = _side(8192, 4096, 512, 512, 32, 64, seeds=seeds)
    assert _judge(base, candidate).verdict == Verdict.REGRESSED
    two = _judge(_side(65536, 32768, 4096, 4096, seeds=seeds[:4]), _side(8192, 4096, 512, 512, seeds=seeds[:4]))
    assert two.verdict == Verdict.INCONCLUSIVE


def test_only_common_seeds_count_and_a_note_names_them() -> None:
    found = _judge(_side(1024, 65536, seeds=(0, 1)), _side(1024, 8, seeds=(0, 2)))
    assert found.verdict == Verdict.UNCHANGED
    assert found.notes == ("only the common seeds are compared (0): the base has 0, 1, the candidate 0, 2",)


def test_five_a_side_that_do_not_overlap_alarm_at_a_third_of_the_level_too() -> None:
    sides = _side(1024, 2048, 1024, 2048, 1024), _side(128, 256, 128, 256, 128)
    found = judge_scale_shape(CELL, sides, 0.01 / 3)
    assert found is not None
    assert found.verdict == Verdict.REGRESSED
    overlapping = judge_scale_shape(CELL, (sides[0], _side(64, 64, 1024, 64, 64)), 0.01 / 3)
    assert overlapping is not None
    assert overlapping.verdict == Verdict.INCONCLUSIVE


# --- what must not be -----------------------------------------------------------------------------------------------


def test_a_scale_below_one_is_regressed_even_where_it_settles_as_before() -> None:
    found = _judge(_side(1024), _side(1024, lowest=0.5))
    assert (found.verdict, found.reasons) == (Verdict.REGRESSED, ("the scale fell to 0.5, below 1",))
    assert _judge(_side(1024, lowest=0.5), _side(1024, lowest=0.5)).verdict == Verdict.UNCHANGED


@pytest.mark.parametrize(
    ("skips", "interval", "verdict"),
    [
        (0, 2000, Verdict.UNCHANGED),
        (9, 2000, Verdict.UNCHANGED),
        (11, 2000, Verdict.REGRESSED),
        # A scale that is probed every 20 steps may be skipped twice in as many.
        (90, 20, Verdict.UNCHANGED),
        (110, 20, Verdict.REGRESSED),
    ],
)
def test_more_skips_than_the_probing_of_a_larger_scale_explains_are_regressed(
    skips: int, interval: int, verdict: Verdict
) -> None:
    usual = {"skips": 0, "steps": 1000, "calibration": 0, "interval": interval}
    found = _judge(_side(1024, 1024, **usual), _side(1024, 1024, **(usual | {"skips": skips})))
    assert found.verdict == verdict
    if verdict is Verdict.REGRESSED:
        shares = {2000: "1.1% of the steps after calibration are skipped, more than 1.0%"}
        assert found.reasons == (
            shares.get(interval, "11.0% of the steps after calibration are skipped, more than 10.0%"),
        )


def test_skips_while_the_scale_is_calibrated_do_not_count() -> None:
    found = _judge(_side(1024), _side(1024, skips=4, steps=1000, calibration=500))
    assert found.verdict == Verdict.UNCHANGED
    assert _judge(_side(1024), _side(1024, skips=6, steps=1000, calibration=500)).verdict == Verdict.REGRESSED


def test_a_trial_that_never_left_calibration_has_no_steady_state_to_judge() -> None:
    assert _judge(_side(1024), _side(1024, steps=10, calibration=10)).verdict == Verdict.UNCHANGED


# --- nothing to judge -----------------------------------------------------------------------------------------------


def test_a_base_without_a_scale_has_no_finding_and_a_candidate_without_one_says_so() -> None:
    some, none = _side(1024), _side(None)
    assert judge_scale_shape(CELL, (none, some)) is None
    assert judge_scale_shape(CELL, (none, none)) is None
    found = _judge(some, none)
    assert (found.verdict, found.reasons) == (
        Verdict.NOT_MEASURED,
        ("the candidate has no loss scale, the base has",),
    )


def test_other_seeds_cannot_be_compared_but_what_must_not_be_is_still_seen() -> None:
    base = _side(1024, 1024, seeds=(0, 1))
    found = _judge(base, _side(16, seeds=(5,)))
    assert (found.verdict, found.base) == (Verdict.NOT_MEASURED, None)
    assert found.reasons == ("no common seeds: the base has 0, 1, the candidate 5",)
    assert _judge(base, _side(16, lowest=0.5, seeds=(5,))).verdict == Verdict.REGRESSED


def test_a_static_scale_has_no_shape() -> None:
    static = _side(65536.0, 65536.0)
    assert judge_scale_shape(("gpt", "fp16-static"), (static, static)) is None


def test_a_scale_that_began_to_move_has_one() -> None:
    assert _judge(_side(65536.0), _side(1024.0)).verdict == Verdict.REGRESSED
