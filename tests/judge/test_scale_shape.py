"""Where a dynamic loss scale settles, and how often it still skips."""

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
    skips: int | Sequence[int] = 0,
    steps: int = 1000,
    calibration: int = 2,
    interval: int = 2000,
    seeds: Sequence[int] | None = None,
    lowest: Sequence[float] | None = None,
) -> pd.DataFrame:
    """One row per process, of seed 0 unless told: where its scale settled after it began at 65536, the lowest unless
    told; `skips` are those of each process, or of all alike."""
    count = len(settled)
    spec = json.dumps({"scaler": {"growth_interval": interval}})
    rows = {
        "seed": [0] * count if seeds is None else list(seeds),
        "scale_settled": list(settled),
        "scale_lowest": list(settled if lowest is None else lowest),
        "scale_highest": [None if value is None else max(65536.0, value) for value in settled],
        "steps": [steps] * count,
        "overflow_calibration_count": [calibration] * count,
        "overflow_steady_count": [skips] * count if isinstance(skips, int) else list(skips),
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
            ("under seed 0 the settled scale moved by -1.0 doublings, within the play of its growth interval",),
        ),
        (
            1024,
            2048,
            Verdict.CHANGED,
            ("under seed 0 the settled scale moved by +1.0 doublings, within the play of its growth interval",),
        ),
        (1024, 256, Verdict.REGRESSED, ("under seed 0 the scale settles 4 times lower",)),
        (1024, 2, Verdict.REGRESSED, ("under seed 0 the scale settles 512 times lower",)),
        (1024, 4096, Verdict.CHANGED, ("under seed 0 the scale settles 4 times higher",)),
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


def test_means_that_differ_by_rounding_alone_are_the_same() -> None:
    # The exponents are 10, 10, 9 and 8, 9, 9 against 9, 10, 9 and 9, 9, 9: a third down and a third up.
    seeds = (0, 0, 0, 1, 1, 1)
    found = _judge(
        _side(1024, 1024, 512, 256, 512, 512, seeds=seeds), _side(512, 1024, 512, 512, 512, 512, seeds=seeds)
    )
    assert (found.verdict, found.reasons) == (Verdict.UNCHANGED, ())


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


@pytest.mark.parametrize(
    ("before", "after", "verdict", "shown", "reasons"),
    [
        # All fall alike: the first is named.
        (
            (16384, 1024, 4096, 256, 512),
            (1024, 64, 256, 16, 32),
            Verdict.REGRESSED,
            (16384, 1024),
            ("under seed 0 the scale settles 16 times lower",),
        ),
        # One of five falls, and the mean of them moves by 9 / 5 doublings.
        (
            (1024, 1024, 1024, 1024, 1024),
            (1024, 1024, 1024, 2, 1024),
            Verdict.REGRESSED,
            (1024, 2),
            ("under seed 3 the scale settles 512 times lower",),
        ),
        # Ten doublings down and ten up are no change of the mean.
        (
            (65536, 64, 1024, 1024, 1024),
            (64, 65536, 1024, 1024, 1024),
            Verdict.REGRESSED,
            (65536, 64),
            ("under seed 0 the scale settles 1024 times lower",),
        ),
        (
            (1024, 1024, 1024, 1024, 1024),
            (2048, 16384, 512, 512, 1024),
            Verdict.CHANGED,
            (1024, 16384),
            ("under seed 1 the scale settles 16 times higher",),
        ),
        (
            (1024, 64, 1024, 1024, 1024),
            (1024, 32, 1024, 1024, 1024),
            Verdict.CHANGED,
            (64, 32),
            ("under seed 1 the settled scale moved by -1.0 doublings, within the play of its growth interval",),
        ),
        ((1024, 64, 512, 8, 2), (1024, 64, 512, 8, 2), Verdict.UNCHANGED, (1024, 1024), ()),
    ],
)
def test_each_seed_is_compared_with_itself_and_one_that_falls_is_enough(
    before: tuple[int, ...],
    after: tuple[int, ...],
    verdict: Verdict,
    shown: tuple[int, int],
    reasons: tuple[str, ...],
) -> None:
    seeds = range(5)
    found = _judge(_side(*before, seeds=seeds), _side(*after, seeds=seeds))
    assert (found.verdict, found.reasons) == (verdict, reasons)
    assert (found.base, found.candidate) == shown
    assert (found.values_base, found.values_candidate) == (before, after)


def test_a_steady_seed_that_falls_further_than_the_others_vary_is_enough() -> None:
    # Seed 0 varies by one doubling, seed 1 agrees on both sides.
    seeds = (0, 0, 1, 1)
    base = _side(1024, 512, 4096, 4096, seeds=seeds)
    found = _judge(base, _side(512, 1024, 1024, 1024, seeds=seeds))
    assert (found.verdict, found.reasons) == (Verdict.REGRESSED, ("under seed 1 the scale settles 4 times lower",))
    assert (found.base, found.candidate) == (4096, 1024)


def test_a_steady_seed_that_falls_no_further_than_the_others_vary_may_agree_by_chance() -> None:
    seeds = (0, 0, 1, 1)
    found = _judge(_side(1024, 256, 1024, 1024, seeds=seeds), _side(1024, 256, 256, 256, seeds=seeds))
    said = "under seed 1 the scale settles 4 times lower, but it varies between processes and they are too few to tell"
    assert (found.verdict, found.reasons) == (Verdict.INCONCLUSIVE, (said,))


def test_a_varying_seed_that_falls_is_not_hidden_by_the_mean_of_all() -> None:
    # Seed 0 falls by nine doublings, the mean of five seeds by 1.8.
    seeds = (0, 0, 1, 1, 2, 2, 3, 3, 4, 4)
    still = (64, 64) * 4
    found = _judge(_side(1024, 2048, *still, seeds=seeds), _side(2, 4, *still, seeds=seeds))
    said = (
        "under seed 0 the scale settles 512 times lower, but it varies between processes and they are too few to tell"
    )
    assert (found.verdict, found.reasons) == (Verdict.INCONCLUSIVE, (said,))


def test_processes_are_exchanged_within_their_seed_where_they_vary() -> None:
    # Two against two under each of three seeds, none overlapping: 1 / 6³ = 0.005.
    seeds = (0, 0, 1, 1, 2, 2)
    base = _side(65536, 32768, 4096, 2048, 512, 256, seeds=seeds)
    found = _judge(base, _side(8192, 4096, 512, 512, 32, 64, seeds=seeds))
    # By 3, 2.5 and 3 doublings, from 15.5, 11.5 and 8.5.
    assert (found.verdict, found.reasons) == (Verdict.REGRESSED, ("the scale settles 7 times lower",))
    assert (found.base, found.candidate) == pytest.approx((2 ** (35.5 / 3), 2**9))
    two = _judge(_side(65536, 32768, 4096, 2048, seeds=seeds[:4]), _side(8192, 4096, 512, 512, seeds=seeds[:4]))
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


# --- how low it falls -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "verdict", "reasons"),
    [
        (1024, 1024, Verdict.UNCHANGED, ()),
        # Calibration's play, and one halving more in a probe.
        (1024, 512, Verdict.UNCHANGED, ()),
        (512, 1024, Verdict.UNCHANGED, ()),
        (16, 1024, Verdict.UNCHANGED, ()),
        (1024, 256, Verdict.REGRESSED, ("under seed 0 the lowest scale is 4 times lower (256, before 1024)",)),
        (1024, 1, Verdict.REGRESSED, ("under seed 0 the lowest scale is 1024 times lower (1, before 1024)",)),
    ],
)
def test_a_lowest_scale_that_is_two_halvings_lower_is_a_regression_wherever_it_settles(
    before: float, after: float, verdict: Verdict, reasons: tuple[str, ...]
) -> None:
    found = _judge(_side(1024, lowest=[before]), _side(1024, lowest=[after]))
    assert (found.verdict, found.reasons) == (verdict, reasons)
    assert (found.base, found.candidate, found.values_candidate) == (1024, 1024, (1024,))
    assert found.test == "settled and lowest scale, 2 halvings"


def test_the_lowest_scale_of_one_seed_is_enough_and_says_nothing_where_the_settled_one_fell() -> None:
    seeds = range(3)
    base = _side(1024, 64, 512, seeds=seeds)
    one = _judge(base, _side(1024, 64, 512, lowest=(1024, 64, 8), seeds=seeds))
    said = ("under seed 2 the lowest scale is 64 times lower (8, before 512)",)
    assert (one.verdict, one.reasons) == (Verdict.REGRESSED, said)
    both = _judge(base, _side(256, 64, 512, lowest=(256, 64, 8), seeds=seeds))
    assert (both.verdict, both.reasons) == (Verdict.REGRESSED, ("under seed 0 the scale settles 4 times lower",))


def test_lowest_scales_that_vary_between_processes_are_exchanged_like_settled_ones() -> None:
    base = _side(*[1024] * 5, lowest=(1024, 512, 1024, 512, 1024))
    five = _judge(base, _side(*[1024] * 5, lowest=(64, 32, 64, 32, 64)))
    assert (five.verdict, five.reasons) == (Verdict.REGRESSED, ("the lowest scale is 16 times lower (49, before 776)",))
    one = _judge(base, _side(*[1024] * 5, lowest=(1024, 512, 1024, 512, 4)))
    assert (one.verdict, one.reasons) == (Verdict.UNCHANGED, ())
    three = _judge(_side(1024, 1024, 1024, lowest=(1024, 512, 512)), _side(1024, 1024, 1024, lowest=(64, 32, 64)))
    assert (three.verdict, three.reasons) == (
        Verdict.INCONCLUSIVE,
        (
            "the lowest scale is 13 times lower (51, before 645), but it varies between processes and they are too few "
            "to tell",
        ),
    )


def test_a_lowest_scale_that_rose_is_never_undecided() -> None:
    found = _judge(_side(1024, 1024, lowest=(4, 8)), _side(1024, 1024, lowest=(512, 1024)))
    assert (found.verdict, found.reasons) == (Verdict.UNCHANGED, ())


# --- how often it skips ---------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize(
    ("before", "after", "verdict", "reasons"),
    [
        (5, 300, Verdict.REGRESSED, ("30.0% of the steps after calibration are skipped, more than 1.0%",)),
        (
            11,
            300,
            Verdict.REGRESSED,
            ("30.0% of the steps after calibration are skipped, before 1.1%: more than 1.0% more",),
        ),
        (11, 21, Verdict.UNCHANGED, ()),
        # 33 against 11 of a thousand each: P(33 or more of 44) = 0.0006. 22 against 11: P(22 or more of 33) = 0.04.
        (
            11,
            33,
            Verdict.REGRESSED,
            ("3.3% of the steps after calibration are skipped, before 1.1%: more than 1.0% more",),
        ),
        (11, 22, Verdict.UNCHANGED, ()),
        (300, 11, Verdict.UNCHANGED, ()),
        # As much more, and of so many no surprise: P(311 or more of 611) = 0.34.
        (300, 311, Verdict.UNCHANGED, ()),
        (300, 300, Verdict.UNCHANGED, ()),
    ],
)
def test_a_base_that_skips_already_is_no_licence_to_skip_more(
    before: int, after: int, verdict: Verdict, reasons: tuple[str, ...]
) -> None:
    found = _judge(_side(1024, skips=before, calibration=0), _side(1024, skips=after, calibration=0))
    assert (found.verdict, found.reasons) == (verdict, reasons)


def test_more_skips_of_processes_that_vary_are_judged_by_exchanging_them() -> None:
    def judged(before: Sequence[int], after: Sequence[int]) -> tuple[Verdict, tuple[str, ...]]:
        sides = (_side(*[1024] * len(side), skips=side, calibration=0) for side in (before, after))
        found = _judge(*sides)
        return found.verdict, found.reasons

    more = "10.4% of the steps after calibration are skipped, before 3.4%: more than 1.0% more"
    assert judged((10, 60, 20, 50, 30), (100, 110, 90, 120, 100)) == (Verdict.REGRESSED, (more,))
    # A burst in one process is none in the others, however many skips it has.
    burst = "8.0% of the steps after calibration are skipped, before 3.4%: more than 1.0% more"
    few = ", but it varies between processes and they are too few to tell"
    assert judged((10, 60, 20, 50, 30), (10, 60, 20, 50, 260)) == (Verdict.INCONCLUSIVE, (burst + few,))
    three = "10.0% of the steps after calibration are skipped, before 3.0%: more than 1.0% more"
    assert judged((10, 60, 20), (100, 110, 90)) == (Verdict.INCONCLUSIVE, (three + few,))
    assert judged((10, 60, 20, 50, 30), (60, 10, 20, 30, 50)) == (Verdict.UNCHANGED, ())


def _skips(before: Sequence[int], after: Sequence[int]) -> tuple[Verdict, tuple[str, ...]]:
    found = _judge(*(_side(*[1024] * len(side), skips=side, steps=200, calibration=0) for side in (before, after)))
    return found.verdict, found.reasons


FEW = ", but it varies between processes and they are too few to tell"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # 3 against 2 of 200 steps are 1.5 % against a usual 1 %, and no surprise.
        ((2,), (3,)),
        ((2, 2, 2), (3, 3, 3)),
        # P(5 or more of 6) = 0.11.
        ((1,), (5,)),
    ],
)
def test_a_rate_above_the_usual_limit_by_chance_is_no_alarm(before: Sequence[int], after: Sequence[int]) -> None:
    assert _skips(before, after) == (Verdict.UNCHANGED, ())


def test_rates_about_the_usual_limit_that_vary_are_left_open() -> None:
    said = "1.3% of the steps after calibration are skipped, more than 1.0%" + FEW
    assert _skips((1, 3, 0, 2, 2), (2, 4, 1, 3, 3)) == (Verdict.INCONCLUSIVE, (said,))
    assert _skips((1, 3, 2), (2, 4, 2)) == (Verdict.INCONCLUSIVE, (said,))
    # A burst in one process is none in the others.
    burst = "2.0% of the steps after calibration are skipped, more than 1.0%" + FEW
    assert _skips((0, 0, 0, 0, 0), (0, 0, 20, 0, 0)) == (Verdict.INCONCLUSIVE, (burst,))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((0,), (20,)),
        ((0, 0), (20, 21)),
        ((0, 0, 0), (20, 22, 18)),
        ((1, 0, 2, 0, 1), (20, 22, 18, 19, 21)),
        ((0, 0, 0, 0, 0), (20, 20, 20, 20, 20)),
    ],
)
def test_a_rise_from_next_to_nothing_to_many_is_found(before: Sequence[int], after: Sequence[int]) -> None:
    said = "10.0% of the steps after calibration are skipped, more than 1.0%"
    assert _skips(before, after) == (Verdict.REGRESSED, (said if after != (20, 21) else said.replace("10.0", "10.2"),))


def test_processes_of_other_seeds_are_exchanged_over_all_seeds() -> None:
    usual = {"steps": 200, "calibration": 0}
    base = _side(*[1024] * 5, skips=(0, 1, 0, 2, 0), seeds=(0, 1, 2, 3, 4), **usual)
    many = _side(*[1024] * 5, skips=(20, 21, 19, 22, 18), seeds=(0, 1, 5, 5, 6), **usual)
    assert _judge(base, many).verdict == Verdict.REGRESSED
    some = _side(*[1024] * 5, skips=(2, 4, 1, 3, 3), seeds=(0, 1, 5, 5, 6), **usual)
    assert _judge(base, some).verdict == Verdict.INCONCLUSIVE


def test_a_base_that_never_left_calibration_has_shown_nothing() -> None:
    found = _judge(_side(1024, steps=10, calibration=10), _side(1024, skips=100))
    said = "10.0% of the steps after calibration are skipped, more than 1.0%, but the base never left calibration"
    assert (found.verdict, found.reasons) == (Verdict.INCONCLUSIVE, (said,))


def test_both_alarms_of_one_scale_are_one_finding_with_both_reasons() -> None:
    found = _judge(_side(1024, skips=5, calibration=0), _side(64, skips=300, calibration=0))
    assert (found.verdict, found.reasons) == (
        Verdict.REGRESSED,
        (
            "under seed 0 the scale settles 16 times lower",
            "30.0% of the steps after calibration are skipped, more than 1.0%",
        ),
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


def test_other_seeds_cannot_be_compared_but_skips_are_still_seen() -> None:
    base = _side(1024, 1024, seeds=(0, 1))
    found = _judge(base, _side(16, seeds=(5,)))
    assert (found.verdict, found.base) == (Verdict.NOT_MEASURED, None)
    assert found.reasons == ("no common seeds: the base has 0, 1, the candidate 5",)
    assert _judge(base, _side(16, skips=11, calibration=0, seeds=(5,))).verdict == Verdict.REGRESSED


def test_a_static_scale_has_no_shape() -> None:
    static = _side(65536.0, 65536.0)
    assert judge_scale_shape(("gpt", "fp16-static"), (static, static)) is None


def test_a_scale_that_began_to_move_has_one() -> None:
    assert _judge(_side(65536.0), _side(1024.0)).verdict == Verdict.REGRESSED
