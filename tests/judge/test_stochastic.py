"""Metrics that vary from process to process: which verdict over the whole family, and what the finding carries.

The sides are narrow tables of what is read here, so that hundreds of cells are judged in a moment.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suite.columns import TRIAL_COLUMNS
from suite.judge.cells import Cell, Sides
from suite.judge.findings import Finding, MetricClass, OperatorGrowth, Verdict
from suite.judge.samples import HOST_MEMORY, STEP_TIME
from suite.judge.stats import Levels
from suite.judge.stochastic import judge_family

STEADY = (0.1000, 0.1001, 0.0999, 0.10005, 0.09995)
"""Five processes that agree within 0.1 %."""
UNSTEADY = (0.100, 0.102, 0.098, 0.1015, 0.0985)
"""Five processes that agree within 2 %."""
NOISY = (0.100, 0.112, 0.090, 0.105, 0.095)
"""Five processes that agree within 10 %."""
CELL = ("gpt", "bf16")
ONE_LOOK = Levels()

MIRROR = {Verdict.REGRESSED: Verdict.IMPROVED, Verdict.IMPROVED: Verdict.REGRESSED}


def _side(values: Sequence[float], column: str = "step_seconds_median", **columns: Sequence[object]) -> pd.DataFrame:
    """One row per process; repeats count from 0."""
    made = {
        "seed": [0] * len(values),
        "repeat": list(range(len(values))),
        column: list(values),
        "cautions": ["[]"] * len(values),
        "workload_sha256": ["w"] * len(values),
        "operators": [None] * len(values),
        "sm_clock_mhz_lowest": [None] * len(values),
    } | {name: list(given) for name, given in columns.items()}
    return pd.DataFrame({name: pd.Series(rows, dtype=TRIAL_COLUMNS[name]) for name, rows in made.items()})


def _judge(sides: Sides, levels: Levels = ONE_LOOK, *, paired: bool = False) -> Finding:
    (found,) = judge_family(STEP_TIME, {CELL: sides}, levels, paired=(CELL,) if paired else ())
    return found


def _times(base: Sequence[float], candidate: Sequence[float], levels: Levels = ONE_LOOK) -> Finding:
    return _judge((_side(base), _side(candidate)), levels)


def _scaled(values: Sequence[float], factor: float) -> list[float]:
    return [value * factor for value in values]


# --- the verdict on one cell ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("factor", "verdict"),
    [
        (1.0, Verdict.UNCHANGED),
        (1.01, Verdict.UNCHANGED),
        (1.0195, Verdict.INCONCLUSIVE),
        (1.021, Verdict.REGRESSED),
        (1.5, Verdict.REGRESSED),
        (1 / 1.01, Verdict.UNCHANGED),
        (1 / 1.0195, Verdict.INCONCLUSIVE),
        (1 / 1.021, Verdict.IMPROVED),
        (0.5, Verdict.IMPROVED),
    ],
)
def test_steady_processes_are_judged_by_the_floor_of_two_percent(factor: float, verdict: Verdict) -> None:
    found = _times(STEADY, _scaled(STEADY, factor))
    assert found.verdict == verdict
    assert found.change == pytest.approx(factor - 1)
    assert (found.base, found.candidate) == pytest.approx((0.1, 0.1 * factor), rel=1e-4)


def test_a_finding_carries_all_that_it_was_computed_from() -> None:
    found = _times(UNSTEADY, _scaled(UNSTEADY[:4], 1.05))
    assert (found.workload, found.precision, found.metric) == ("gpt", "bf16", "step_seconds")
    assert (found.metric_class, found.test, found.estimator) == (MetricClass.STOCHASTIC, "Welch", "median")
    assert found.values_base == pytest.approx(UNSTEADY)
    assert found.values_candidate == pytest.approx(_scaled(UNSTEADY[:4], 1.05))
    assert (found.processes_base, found.processes_candidate, found.look) == (5, 4, 1)
    assert (found.limit, found.family) == (0.02, 1)
    assert found.p == found.p_adjusted
    assert found.low is not None
    assert found.low90 is not None
    assert found.high is not None
    assert found.high90 is not None
    assert found.low < found.low90 < 0.05 < found.high90 < found.high


def test_noisy_processes_are_inconclusive_with_what_could_have_been_seen_and_what_would_decide() -> None:
    found = _times(UNSTEADY, _scaled(UNSTEADY, 1.01))
    assert (found.verdict, found.reasons) == (Verdict.INCONCLUSIVE, ())
    assert found.change == pytest.approx(0.01)
    # The standard deviation of the logarithms is 1.77 %, its error √(2 / 5) of that; the non-central t with 8 degrees
    # of freedom exceeds t(0.99, 8) = 2.896 nine times in ten from a noncentrality of 4.384 on.
    assert found.minimum_detectable == pytest.approx(math.expm1(4.384 * 0.0177 * math.sqrt(2 / 5)), abs=0.0002)
    # ln 1.01 + t(0.95, 2K − 2) · 1.77 % · √(2 / K) is 0.0199 for K = 18 and 0.0197 for K = 19; ln 1.02 is 0.0198.
    assert found.runs_to_decide == 19


def test_a_decided_cell_needs_no_more_runs() -> None:
    assert _times(STEADY, STEADY).runs_to_decide is None
    assert _times(STEADY, _scaled(STEADY, 1.1)).runs_to_decide is None


@pytest.mark.parametrize(("base", "candidate", "fewest"), [(1, 1, 1), (2, 2, 2), (2, 9, 2), (5, 1, 1)])
def test_one_or_two_processes_are_never_conclusive(base: int, candidate: int, fewest: int) -> None:
    found = _times([0.1] * base, [1.0] * candidate)
    assert found.verdict == Verdict.INCONCLUSIVE
    few = f"{fewest} processes on the smaller side; at least 3 on each are needed (5 are usual)"
    assert found.reasons == (few,)
    assert (found.runs_to_decide, found.minimum_detectable, found.family) == (None, None, None)
    assert (found.change, found.p, found.p_adjusted, found.low) == (pytest.approx(9.0), None, None, None)
    assert (found.processes_base, found.processes_candidate) == (base, candidate)


def test_three_processes_on_each_side_are_enough_for_a_large_change() -> None:
    assert _times(STEADY[:3], _scaled(STEADY[:3], 1.1)).verdict == Verdict.REGRESSED


@pytest.mark.parametrize(("base", "candidate"), [(5, 3), (3, 5), (3, 12)])
def test_unequal_numbers_of_processes_are_compared_and_are_no_alarm_by_themselves(base: int, candidate: int) -> None:
    steady = (*STEADY, *STEADY, *STEADY)
    slower = _times(steady[:base], _scaled(steady[:candidate], 1.1))
    assert (slower.verdict, slower.processes_base, slower.processes_candidate) == (Verdict.REGRESSED, base, candidate)
    assert _times(steady[:base], steady[:candidate]).verdict == Verdict.UNCHANGED


def test_processes_that_all_took_the_same_time_are_judged_exactly() -> None:
    assert _times([0.1] * 5, [0.1] * 5).verdict == Verdict.UNCHANGED
    assert _times([0.1] * 5, [0.103] * 5).verdict == Verdict.REGRESSED
    assert _times([0.103] * 5, [0.1] * 5).verdict == Verdict.IMPROVED
    assert _times([0.1] * 3, [0.103] * 7).verdict == Verdict.REGRESSED


def test_one_side_without_noise_does_not_make_the_other_certain() -> None:
    assert _times([0.1] * 5, _scaled(NOISY, 1.03)).verdict == Verdict.INCONCLUSIVE
    assert _times([0.1] * 5, _scaled(STEADY, 1.03)).verdict == Verdict.REGRESSED


def test_a_process_without_a_time_is_left_out() -> None:
    found = _judge((_side((*STEADY, math.nan)), _side(STEADY)))
    assert (found.verdict, found.processes_base) == (Verdict.UNCHANGED, 5)


@pytest.mark.parametrize(
    ("base", "candidate", "verdict", "reason"),
    [
        ([math.nan] * 5, STEADY, Verdict.NOT_MEASURED, "the base has no value, the candidate has"),
        (STEADY, [math.nan] * 5, Verdict.INCOMPARABLE, "the candidate has no value, the base has"),
    ],
)
def test_what_one_side_lacks_altogether_is_named(
    base: Sequence[float], candidate: Sequence[float], verdict: Verdict, reason: str
) -> None:
    found = _times(base, candidate)
    assert (found.verdict, found.reasons) == (verdict, (reason,))


def test_what_neither_side_has_is_no_finding() -> None:
    assert judge_family(STEP_TIME, {CELL: (_side([math.nan] * 5), _side([math.nan] * 5))}, Levels()) == []


def test_only_seeds_that_both_sides_have_are_compared() -> None:
    """Seed 1 takes a tenth longer on both sides; the candidate has that one only."""
    slow = _scaled(STEADY, 1.1)
    base = _side([*STEADY, *slow], seed=[0] * 5 + [1] * 5, repeat=[0, 1, 2, 3, 4] * 2)
    found = _judge((base, _side(slow, seed=[1] * 5)))
    assert (found.verdict, found.processes_base, found.processes_candidate) == (Verdict.UNCHANGED, 5, 5)
    assert found.notes == ("only the common seeds are compared (1): the base has 0, 1, the candidate 1",)


def test_without_a_common_seed_nothing_is_compared() -> None:
    found = _judge((_side(STEADY), _side(STEADY, seed=[1] * 5)))
    assert (found.verdict, found.reasons) == (
        Verdict.INCOMPARABLE,
        ("no common seeds: the base has 0, the candidate 1",),
    )


@pytest.mark.parametrize(
    ("base", "candidate", "disturbed", "helps"),
    [
        (NOISY * 3, NOISY, 0, True),
        (NOISY, NOISY, 0, False),  # the base's part of the noise stays, and the error rates are divided
        (STEADY, STEADY[:2], 0, True),  # two of the candidate, which a top-up adds to
        (STEADY[:2], STEADY, 0, False),  # of the base it adds nothing
        (STEADY, _scaled(STEADY, 3.0), 3, True),
        (STEADY, _scaled(STEADY, 3.0), 0, False),  # decided
    ],
)
def test_a_top_up_is_worth_its_time_where_the_candidates_processes_are_what_is_missing(
    base: Sequence[float], candidate: Sequence[float], disturbed: int, helps: bool
) -> None:
    cautions = [_cautions("foreign_load")] * disturbed + ["[]"] * (len(candidate) - disturbed)
    assert _judge((_side(base), _side(candidate, cautions=cautions))).undecided == helps


def test_more_noise_alone_is_never_a_regression() -> None:
    """Twice the spread around the same centre: the mean is what is judged, and it did not move."""
    for factor in (2, 5, 20):
        wider = [0.1 + factor * (value - 0.1) for value in UNSTEADY]
        assert _times(UNSTEADY, wider).verdict == Verdict.INCONCLUSIVE


# --- symmetries -----------------------------------------------------------------------------------------------------

seconds = st.lists(st.integers(900, 1100).map(lambda ticks: ticks / 10_000), min_size=1, max_size=7)


@given(base=seconds, candidate=seconds, factor=st.sampled_from([0.8, 0.97, 1.0, 1.03, 1.3]))
@settings(max_examples=40, deadline=None)
def test_swapping_the_sides_mirrors_the_verdict(base: list[float], candidate: list[float], factor: float) -> None:
    candidate = _scaled(candidate, factor)
    one, other = _times(base, candidate), _times(candidate, base)
    assert other.verdict == MIRROR.get(one.verdict, one.verdict)
    assert one.change is not None
    assert other.change is not None
    assert (1 + one.change) * (1 + other.change) == pytest.approx(1.0)


@given(data=st.data(), base=seconds, candidate=seconds)
@settings(max_examples=40, deadline=None)
def test_the_verdict_does_not_depend_on_the_order_of_processes(
    data: st.DataObject, base: list[float], candidate: list[float]
) -> None:
    shuffled = _times(data.draw(st.permutations(base)), data.draw(st.permutations(candidate)))
    found = _times(base, candidate)
    assert (shuffled.verdict, shuffled.reasons) == (found.verdict, found.reasons)
    assert shuffled.change == pytest.approx(found.change)


# --- pairs ----------------------------------------------------------------------------------------------------------

DRIFTING = (0.100, 0.104, 0.109, 0.115, 0.120)
"""A machine that slows by a fifth while it is being measured."""
FOURTEEN_MORE = [1.03, 1.0305, 1.0295, 1.0302, 1.0298]


def test_sides_that_were_run_in_turn_are_compared_block_by_block() -> None:
    slower = [value * factor for value, factor in zip(DRIFTING, FOURTEEN_MORE, strict=True)]
    sides = _side(DRIFTING), _side(slower)
    together, apart = _judge(sides, paired=True), _judge(sides)
    assert (together.verdict, together.test) == (Verdict.REGRESSED, "paired t over blocks")
    assert (apart.verdict, apart.test) == (Verdict.INCONCLUSIVE, "Welch")
    assert together.change == pytest.approx(0.03, abs=1e-4)


def test_a_block_that_one_side_lacks_is_left_out_of_the_pairs() -> None:
    slower = _scaled(DRIFTING, 1.03)
    base = _side(DRIFTING[1:], repeat=[1, 2, 3, 4])
    found = _judge((base, _side(slower[:4])), paired=True)
    assert (found.verdict, found.test) == (Verdict.REGRESSED, "paired t over blocks")
    assert found.values_base == pytest.approx(DRIFTING[1:4])
    assert found.values_candidate == pytest.approx(slower[1:4])
    assert (found.processes_base, found.processes_candidate) == (3, 3)


def test_pairs_are_of_one_seed_and_one_block() -> None:
    base = _side((0.1, 0.2) * 3, seed=[0, 1] * 3, repeat=[0, 0, 1, 1, 2, 2])
    candidate = _side((0.206, 0.103) * 3, seed=[1, 0] * 3, repeat=[0, 0, 1, 1, 2, 2])
    found = _judge((base, candidate), paired=True)
    assert (found.verdict, found.change) == (Verdict.REGRESSED, pytest.approx(0.03))
    # The seeds of a block share its minutes: three blocks are three values, whatever the number of seeds.
    assert (found.processes_base, found.processes_candidate) == (3, 3)


def test_fewer_than_three_common_blocks_are_compared_without_pairs() -> None:
    base = _side(STEADY, repeat=[3, 4, 5, 6, 7])
    found = _judge((base, _side(_scaled(STEADY, 1.1))), paired=True)
    assert (found.test, found.verdict, found.processes_base) == ("Welch", Verdict.REGRESSED, 5)


# --- cautions and notes ---------------------------------------------------------------------------------------------


def _cautions(*codes: str) -> str:
    return json.dumps([{"code": code, "message": "cool it"} for code in codes])


THROTTLED = ["[]", _cautions("clock_throttled"), "[]", "[]", "[]"]


@pytest.mark.parametrize(
    ("factor", "verdict"), [(1.0, Verdict.UNCHANGED), (1.1, Verdict.REGRESSED), (0.9, Verdict.IMPROVED)]
)
def test_a_verdict_stands_that_is_the_same_without_the_disturbed_trial(factor: float, verdict: Verdict) -> None:
    found = _judge((_side(STEADY), _side(_scaled(STEADY, factor), cautions=THROTTLED)))
    assert (found.verdict, found.reasons) == (verdict, ())
    assert found.notes == ("clock_throttled in 1 of 10 trials; without them the verdict is the same",)
    assert found.change == pytest.approx(factor - 1)


def test_a_verdict_that_rests_on_a_disturbed_trial_is_inconclusive() -> None:
    """Without the third process nothing changed; and where three of five are left out, two are too few."""
    hidden = _judge(
        (_side(STEADY), _side([0.1, 0.1001, 0.2, 0.1, 0.1], cautions=["[]", "[]", THROTTLED[1], "[]", "[]"]))
    )
    assert (hidden.verdict, hidden.reasons) == (
        Verdict.INCONCLUSIVE,
        ("clock_throttled in 1 of 10 trials", "without them it is unchanged, +0.0%"),
    )
    assert (hidden.runs_to_decide, hidden.operators) == (None, ())
    few = [THROTTLED[1]] * 3 + ["[]"] * 2
    slower = _judge((_side(STEADY), _side(_scaled(STEADY, 1.1), cautions=few)))
    assert (slower.verdict, slower.reasons) == (
        Verdict.INCONCLUSIVE,
        (
            "clock_throttled in 3 of 10 trials",
            "only 5 against 2 processes are undisturbed, and 3 on each side are needed",
        ),
    )
    # Nothing could have been called anything, so no change is said to have been in sight.
    assert slower.minimum_detectable is None


def test_what_could_have_been_seen_is_what_both_views_would_have_seen() -> None:
    """Of three undisturbed processes a side less can be seen than of five."""
    quiet = _judge((_side(UNSTEADY), _side(UNSTEADY)))
    of_three = _judge((_side(UNSTEADY[:3]), _side(UNSTEADY[:3])))
    mixed = [THROTTLED[1]] * 2
    both = _judge((_side(UNSTEADY, cautions=["[]"] * 3 + mixed), _side(UNSTEADY, cautions=["[]"] * 3 + mixed)))
    assert both.minimum_detectable == of_three.minimum_detectable
    assert (of_three.minimum_detectable or 0.0) > (quiet.minimum_detectable or 0.0)


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "unchanged"), (1.1, "regressed"), (0.9, "improved")])
def test_of_what_another_clock_may_explain_nothing_is_said(factor: float, verdict: str) -> None:
    """1980 to 1200 MHz takes up to 65 % more time, and back as much less."""
    fast, slow = ({"sm_clock_mhz_lowest": [clock] * 5} for clock in (1980.0, 1200.0))
    clocks = (fast, slow) if factor >= 1 else (slow, fast)
    other = _judge((_side(STEADY, **clocks[0]), _side(_scaled(STEADY, factor), **clocks[1])))
    assert (other.verdict, other.minimum_detectable, other.undecided) == (Verdict.INCONCLUSIVE, None, False)
    was, is_ = ("1980", "1200") if factor >= 1 else ("1200", "1980")
    assert other.reasons == (f"the GPU's clock was {was} MHz and is {is_} MHz; lock it alike on both sides",)
    # One low sample in one process, and a clock that is 1 % lower, are the clock's own play.
    same = _side(_scaled(STEADY, factor), sm_clock_mhz_lowest=[1960.0, 1965.0, 400.0, 1960.0, 1975.0])
    assert _judge((_side(STEADY, **fast), same)).verdict == verdict


@pytest.mark.parametrize(
    ("factor", "before", "after", "verdict", "at_most"),
    [
        (1.5, 1980.0, 1935.0, Verdict.REGRESSED, "+2.3%"),
        (1.5, 1935.0, 1980.0, Verdict.REGRESSED, "-2.3%"),
        (0.5, 1935.0, 1980.0, Verdict.IMPROVED, "-2.3%"),
        (0.5, 1980.0, 1935.0, Verdict.IMPROVED, "+2.3%"),
        # 4.6 % is 2.3 % of the clock and 2.3 % of the code, which the interval does not keep from being 2.1 %.
        (1.0460, 1980.0, 1935.0, Verdict.REGRESSED, "+2.3%"),
        (1.0440, 1980.0, 1935.0, Verdict.INCONCLUSIVE, None),
        (1.03, 1980.0, 1935.0, Verdict.INCONCLUSIVE, None),
        (1 / 1.03, 1935.0, 1980.0, Verdict.INCONCLUSIVE, None),
    ],
)
def test_a_change_that_is_larger_than_the_clocks_explain_stands_and_names_them(
    factor: float, before: float, after: float, verdict: Verdict, at_most: str | None
) -> None:
    base = _side(STEADY, sm_clock_mhz_lowest=[before] * 5)
    found = _judge((base, _side(_scaled(STEADY, factor), sm_clock_mhz_lowest=[after] * 5)))
    assert found.verdict == verdict
    said = f"the GPU's clock was {before:.0f} MHz and is {after:.0f} MHz"
    if at_most is None:
        assert (found.reasons, found.undecided) == ((f"{said}; lock it alike on both sides",), False)
    else:
        notes = (f"{said}, which explains a change of {at_most} at most; this one goes beyond it",)
        assert (found.reasons, found.notes) == ((), notes)


def test_a_change_beyond_the_clocks_must_stand_without_the_disturbed_trials_too() -> None:
    """With all five processes the clock is not enough; without the disturbed one it may be."""
    clocks = {"sm_clock_mhz_lowest": [1935.0] * 5}
    slower = [0.1047, 0.1048, 0.1046, 0.1047, 0.1200]
    base = _side(STEADY, sm_clock_mhz_lowest=[1980.0] * 5)
    for cautions in (["[]"] * 5, ["[]"] * 4 + [THROTTLED[1]]):
        assert _judge((base, _side(slower, cautions=cautions, **clocks))).verdict == Verdict.INCONCLUSIVE
    much = [0.1497, 0.1498, 0.1496, 0.1497, 0.1520]
    found = _judge((base, _side(much, cautions=["[]"] * 4 + [THROTTLED[1]], **clocks)))
    assert (found.verdict, len(found.notes)) == (Verdict.REGRESSED, 2)


@pytest.mark.parametrize("clocks", [(0.0, 1980.0), (1980.0, 0.0), (0.0, 0.0), (-1.0, 1980.0)])
def test_a_clock_that_is_none_is_ignored(clocks: tuple[float, float]) -> None:
    before, after = ({"sm_clock_mhz_lowest": [clock] * 5} for clock in clocks)
    found = _judge((_side(STEADY, **before), _side(_scaled(STEADY, 1.1), **after)))
    assert (found.verdict, found.reasons, found.notes) == (Verdict.REGRESSED, (), ())


def test_more_processes_do_not_decide_what_another_clock_hides() -> None:
    """Of one process against twenty more would be measured, were it not for the clock."""
    base = _side(STEADY * 4, sm_clock_mhz_lowest=[1980.0] * 20)
    assert _judge((base, _side([0.1], sm_clock_mhz_lowest=[1980.0]))).undecided
    found = _judge((base, _side([0.1], sm_clock_mhz_lowest=[1200.0])))
    assert (found.verdict, found.undecided, len(found.reasons)) == (Verdict.INCONCLUSIVE, False, 2)


def test_of_sides_that_ran_in_turn_a_lower_clock_is_the_codes_own_doing() -> None:
    base = _side(STEADY, sm_clock_mhz_lowest=[1980.0] * 5)
    slower = _side(_scaled(STEADY, 1.1), sm_clock_mhz_lowest=[1200.0] * 5)
    assert _judge((base, slower), paired=True).verdict == Verdict.REGRESSED


def test_where_neither_view_decides_it_is_for_want_of_processes_and_more_would_help() -> None:
    found = _judge((_side(NOISY), _side(NOISY, cautions=THROTTLED)))
    assert (found.verdict, found.reasons) == (Verdict.INCONCLUSIVE, ())
    assert found.runs_to_decide is not None


def test_a_caution_that_is_the_codes_own_doing_hides_no_regression() -> None:
    found = _judge((_side(STEADY), _side(_scaled(STEADY, 1.5), cautions=[_cautions("compiled_in_window")] * 5)))
    assert (found.verdict, found.reasons, found.notes) == (Verdict.REGRESSED, (), ())


def test_a_pair_of_blocks_is_left_out_where_either_side_was_disturbed() -> None:
    sides = _side(STEADY, cautions=THROTTLED), _side(_scaled(STEADY, 1.1), cautions=THROTTLED[::-1])
    assert _judge(sides, paired=True).verdict == Verdict.REGRESSED  # three blocks are left


def test_cautions_of_both_sides_are_counted_by_their_code() -> None:
    base = _side(STEADY, cautions=[_cautions("clock_throttled", "cpu_steal")] * 5)
    candidate = _side(STEADY, cautions=[_cautions("clock_throttled")] * 5)
    assert _judge((base, candidate)).reasons == (
        "clock_throttled in 10 of 10 trials",
        "cpu_steal in 5 of 10 trials",
        "only 0 against 0 processes are undisturbed, and 3 on each side are needed",
    )


def test_too_few_processes_are_the_reason_that_is_given_first() -> None:
    found = _judge((_side([0.1]), _side([0.1], cautions=[_cautions("cpu_steal")])))
    assert found.reasons == ("1 processes on the smaller side; at least 3 on each are needed (5 are usual)",)


def test_a_changed_workload_source_is_noted_and_judged_all_the_same() -> None:
    found = _judge((_side(STEADY), _side(_scaled(STEADY, 1.1), workload_sha256=["other"] * 5)))
    assert found.verdict == Verdict.REGRESSED
    assert found.notes == ("the workload's source file is not the one that the base was measured with",)
    assert _times(STEADY, STEADY).notes == ()


def _operators(**seconds: float) -> str:
    return json.dumps(
        {"operators": [{"name": f"aten::{n}", "calls": 4, "self_seconds": s} for n, s in seconds.items()]}
    )


@pytest.mark.parametrize(("factor", "named"), [(1.1, ("aten::mm",)), (1.0, ()), (0.9, ())])
def test_the_operators_that_grew_are_named_where_the_step_is_slower_and_only_there(
    factor: float, named: tuple[str, ...]
) -> None:
    base = _side(STEADY, operators=[_operators(mm=0.060, add=0.040)] * 5)
    candidate = _side(_scaled(STEADY, factor), operators=[_operators(mm=0.070, add=0.040)] * 5)
    found = _judge((base, candidate)).operators
    assert tuple(item.name for item in found) == named
    if named:
        assert found == (OperatorGrowth("aten::mm", 0.060, 0.070, 4, 4),)


# --- the estimator --------------------------------------------------------------------------------------------------


def test_a_frozen_estimator_takes_the_place_of_the_median() -> None:
    base = _side(STEADY, step_seconds_min=_scaled(STEADY, 0.9))
    candidate = _side(STEADY, step_seconds_min=STEADY)
    cells = {CELL: (base, candidate), ("gpt", "fp32"): (base, candidate)}
    found = judge_family(STEP_TIME, cells, Levels(), {CELL: "min"}.get)
    assert [(f.precision, f.estimator, f.verdict) for f in found] == [
        ("bf16", "min", Verdict.REGRESSED),
        ("fp32", "median", Verdict.UNCHANGED),
    ]
    assert found[0].change == pytest.approx(1 / 0.9 - 1)


# --- host memory ----------------------------------------------------------------------------------------------------


def _memory(base: Sequence[int], candidate: Sequence[int], **columns: Sequence[object]) -> Finding:
    sides = _side(base, "peak_rss_bytes"), _side(candidate, "peak_rss_bytes", **columns)
    (found,) = judge_family(HOST_MEMORY, {CELL: sides}, Levels())
    return found


RESIDENT = tuple(1000 * 2**20 + kilobytes * 2**10 for kilobytes in (0, 300, -200, 100, -100))


@pytest.mark.parametrize(
    ("factor", "verdict"),
    [
        (1.0, Verdict.UNCHANGED),
        (1.04, Verdict.UNCHANGED),
        (1.06, Verdict.REGRESSED),
        (0.96, Verdict.UNCHANGED),
        (0.9, Verdict.IMPROVED),
    ],
)
def test_resident_memory_may_move_by_five_percent(factor: float, verdict: Verdict) -> None:
    found = _memory(RESIDENT, [round(value * factor) for value in RESIDENT])
    assert (found.metric, found.verdict, found.limit) == ("peak_rss_bytes", verdict, 0.05)
    assert (found.estimator, found.test) == ("peak", "Welch")


def test_a_disturbed_machine_says_nothing_against_memory() -> None:
    found = _memory(RESIDENT, RESIDENT, cautions=[_cautions("clock_throttled")] * 5)
    assert (found.verdict, found.reasons) == (Verdict.UNCHANGED, ())


# --- several looks --------------------------------------------------------------------------------------------------


def test_evidence_that_one_look_takes_for_enough_is_not_enough_for_one_of_three() -> None:
    # p = 0.0018 one-sided (tests/judge/test_stats.py) is below 0.01 / 3, and 0.0036 adjusted below 0.05 / 3;
    # of seven looks each has 0.01 / 7 = 0.0014.
    base, candidate = np.exp([-0.01, 0.0, 0.01]), np.exp([0.04, 0.05, 0.06])
    assert _times(base, candidate, Levels().split(3)).verdict == Verdict.REGRESSED
    assert _times(base, candidate, Levels().split(7)).verdict == Verdict.INCONCLUSIVE


def test_one_look_of_three_asks_more_of_equivalence_too() -> None:
    # The logarithms have the standard deviation 1.233 % and their difference the error 0.780 %: at 0.05 a side the
    # interval is ±1.860 · 0.780 % = 1.45 %, inside ±1.98 %, and at 0.05 / 3 it is ±2.566 · 0.780 % = 2.00 %.
    values = [0.1 * math.exp(0.013 * z) for z in (-1.2, -0.6, 0.0, 0.6, 1.2)]
    assert _times(values, values).verdict == Verdict.UNCHANGED
    split = _times(values, values, Levels().split(3))
    assert split.verdict == Verdict.INCONCLUSIVE
    assert split.runs_to_decide == 6


# --- the family -----------------------------------------------------------------------------------------------------

#: Logarithms 0 ± 0.01 and 0.05 ± 0.01, three processes each: p = 0.0018 (tests/judge/test_stats.py).
BASE_P18 = np.exp([-0.01, 0.0, 0.01])
CANDIDATE_P18 = np.exp([0.04, 0.05, 0.06])


@pytest.mark.parametrize(
    ("size", "verdict"), [(1, Verdict.REGRESSED), (13, Verdict.REGRESSED), (14, Verdict.INCONCLUSIVE)]
)
def test_evidence_must_survive_the_size_of_the_family(size: int, verdict: Verdict) -> None:
    """One slow cell among `size`, of which all others took exactly the same time."""
    quiet = _side([0.1] * 3), _side([0.1] * 3)
    cells: dict[Cell, Sides] = {(f"quiet{number}", "fp32"): quiet for number in range(size - 1)}
    *others, slow = judge_family(
        STEP_TIME, cells | {("slow", "fp32"): (_side(BASE_P18), _side(CANDIDATE_P18))}, Levels()
    )
    assert slow.p_adjusted == pytest.approx(2 * 0.0018 * size, rel=0.01)
    assert (slow.verdict, slow.family) == (verdict, size)
    assert {finding.verdict for finding in others} <= {Verdict.UNCHANGED}


def test_a_cell_with_too_few_processes_does_not_enlarge_the_family() -> None:
    lonely = _side([0.1]), _side([0.1])
    cells: dict[Cell, Sides] = {(f"lonely{number}", "fp32"): lonely for number in range(30)}
    cells["slow", "fp32"] = _side(BASE_P18), _side(CANDIDATE_P18)
    slow = judge_family(STEP_TIME, cells, Levels())[-1]
    assert (slow.verdict, slow.family) == (Verdict.REGRESSED, 1)
    assert slow.p_adjusted == pytest.approx(0.0036, rel=0.01)


def _cells(base: np.ndarray, candidate: np.ndarray) -> Mapping[Cell, Sides]:
    """One cell per row of logarithms."""
    return {
        (f"cell{number}", "fp32"): (_side(0.1 * np.exp(ours)), _side(0.1 * np.exp(theirs)))
        for number, (ours, theirs) in enumerate(zip(base, candidate, strict=True))
    }


def _verdicts(base: np.ndarray, candidate: np.ndarray) -> list[Verdict]:
    return [finding.verdict for finding in judge_family(STEP_TIME, _cells(base, candidate), Levels())]


def test_nothing_is_alarmed_in_many_cells_where_nothing_changed() -> None:
    """100 cells, five processes a side, 0.6 % between processes: no alarm, and nearly all are shown unchanged."""
    noise = np.random.default_rng(1).normal(0.0, 0.006, size=(2, 100, 5))
    found = _verdicts(noise[0], noise[1])
    assert found.count(Verdict.REGRESSED) + found.count(Verdict.IMPROVED) == 0
    assert found.count(Verdict.UNCHANGED) >= 90


def test_three_percent_are_found_nine_times_in_ten() -> None:
    noise = np.random.default_rng(2).normal(0.0, 0.006, size=(2, 60, 5))
    found = _verdicts(noise[0], noise[1] + math.log(1.03))
    assert found.count(Verdict.REGRESSED) >= 54
    assert found.count(Verdict.IMPROVED) == 0


def test_very_noisy_cells_where_nothing_changed_are_hardly_ever_alarmed() -> None:
    """Six nights of 20 cells with 10 % between processes: the floor is no help here, the tests must hold."""
    alarms = undecided = 0
    for noise in np.random.default_rng(3).normal(0.0, 0.10, size=(6, 2, 20, 5)):
        found = _verdicts(noise[0], noise[1])
        alarms += found.count(Verdict.REGRESSED) + found.count(Verdict.IMPROVED)
        undecided += found.count(Verdict.INCONCLUSIVE)
    assert alarms <= 2
    assert undecided >= 116


def test_a_machine_that_slows_down_is_no_alarm_where_the_sides_ran_in_turn() -> None:
    """30 cells whose blocks scatter by 5 % and share it with the anchor, 0.5 % of their own: 3 % are still found."""
    random = np.random.default_rng(4)
    shared = random.normal(0.0, 0.05, size=(30, 5))
    own = random.normal(0.0, 0.005, size=(2, 30, 5))
    still, slower = (_cells(shared + own[0], shared + own[1] + shift) for shift in (0.0, math.log(1.03)))
    quiet = judge_family(STEP_TIME, still, Levels(), paired=still)
    slow = judge_family(STEP_TIME, slower, Levels(), paired=slower)
    assert [f.verdict for f in quiet if f.verdict in (Verdict.REGRESSED, Verdict.IMPROVED)] == []
    assert sum(f.verdict is Verdict.REGRESSED for f in slow) >= 25
