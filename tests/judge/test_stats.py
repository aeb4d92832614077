"""Two samples of one number per process: known answers, an independent second calculation, and measured error rates."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from suite.judge.stats import (
    ALPHA,
    EQUIVALENCE,
    Comparison,
    Levels,
    Q,
    adjust,
    compare,
    compare_blocks,
    minimum_detectable,
    more_helps,
    runs_to_decide,
)

LIMIT = math.log(1.02)

Sample = Sequence[float]


def _spread(runs: int, sd: float, centre: float = 0.0) -> list[float]:
    """Values with exactly this mean and standard deviation."""
    grid = stats.norm.ppf((np.arange(runs) + 0.5) / runs)
    return [float(value) for value in centre + sd * grid / grid.std(ddof=1)]


def _p(result: Comparison) -> tuple[float, float, float]:
    """Above, below, within; they must be known."""
    assert result.p_above is not None
    assert result.p_below is not None
    assert result.p_within is not None
    return result.p_above, result.p_below, result.p_within


# --- known answers --------------------------------------------------------------------------------------------------


def test_known_answer_for_three_against_three() -> None:
    # Means 0 and 0.05, variances 1e-4 each, error √(2e-4 / 3) = 0.0081650, 4 degrees of freedom.
    result = compare([-0.01, 0.0, 0.01], [0.04, 0.05, 0.06], LIMIT)
    # The distribution function of t with 4 degrees of freedom has a closed form; t² = 37.5 here.
    share = 37.5 / (1 + 37.5 / 4)
    p_above = 0.5 - 3 / 8 * math.sqrt(share) * (1 - share / 12)
    assert p_above == pytest.approx(0.0018, abs=1e-5)
    assert result.p_above == pytest.approx(p_above)
    assert result.p_below == pytest.approx(1 - p_above)
    assert result.p == pytest.approx(2 * p_above)
    assert (result.difference, result.error, result.freedom) == pytest.approx((0.05, 0.0081650, 4.0), rel=1e-5)
    assert (result.variance, result.fewest, result.paired) == (pytest.approx(2e-4), 3, False)
    # t(0.99, 4) = 3.74695, t(0.95, 4) = 2.13185 and t(0.9, 4) = 1.53321 (any table of Student's t).
    assert (result.low, result.high) == pytest.approx((0.05 - 3.74695 * 0.0081650, 0.05 + 3.74695 * 0.0081650), 1e-4)
    assert (result.low90, result.high90) == pytest.approx(
        (0.05 - 2.13185 * 0.0081650, 0.05 + 2.13185 * 0.0081650), 1e-4
    )
    # t(0.99, 4) · 0.0081650 = 0.0306 is more than ln 1.02 = 0.0198, so the test is the harder demand.
    effect = minimum_detectable(result, ALPHA, LIMIT) / 0.0081650
    assert stats.nct.sf(3.74695, 4, effect) == pytest.approx(0.9, abs=1e-4)
    # It is decided already; the next K is the smallest that is looked at: t(0.99, 6) · √(2e-4 / 4) = 0.022 < 0.05.
    assert runs_to_decide(result, ALPHA, LIMIT) == 4


def test_known_answer_for_three_pairs() -> None:
    # The differences 0.04, 0.05, 0.06 have the mean 0.05 and the error 0.01 / √3 = 0.0057735: t = 8.6603, 2 degrees of
    # freedom, for which P(T > t) = ½ − t / (2 √(2 + t²)).
    result = compare([1.0, 5.0, -3.0], [1.04, 5.05, -2.94], LIMIT, paired=True)
    p_above = 0.5 - 8.660254 / (2 * math.sqrt(2 + 75.0))
    assert result.p_above == pytest.approx(p_above, rel=1e-6)
    assert (result.difference, result.error, result.freedom) == pytest.approx((0.05, 0.0057735, 2.0))
    assert (result.variance, result.fewest, result.paired) == (pytest.approx(1e-4), 3, True)
    # t(0.99, 2) = 6.96456 and t(0.95, 2) = 2.91999.
    assert (result.low, result.high) == pytest.approx((0.05 - 6.96456 * 0.0057735, 0.05 + 6.96456 * 0.0057735), 1e-5)
    assert (result.low90, result.high90) == pytest.approx(
        (0.05 - 2.91999 * 0.0057735, 0.05 + 2.91999 * 0.0057735), 1e-5
    )


# --- a second calculation -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "candidate"),
    [
        ((0.100, 0.101, 0.099, 0.1005, 0.0995), (0.103, 0.104, 0.1035, 0.102, 0.1031)),
        ((0.100, 0.130, 0.099), (0.110, 0.1101, 0.1102, 0.1103, 0.1104, 0.1105, 0.111)),
        ((2.0, 2.1, 2.2, 2.05), (1.0, 1.01, 1.1)),
    ],
    ids=["equal K", "unequal K and spread", "lower"],
)
def test_unpaired_answers_are_scipys_welch_test_and_two_one_sided_tests(base: Sample, candidate: Sample) -> None:
    x, y = np.log(base), np.log(candidate)
    result = compare(list(x), list(y), LIMIT)
    above = stats.ttest_ind(y, x, equal_var=False, alternative="greater")
    wide, narrow = (stats.ttest_ind(y, x, equal_var=False).confidence_interval(level) for level in (0.98, 0.90))
    over = stats.ttest_ind(y + LIMIT, x, equal_var=False, alternative="greater").pvalue
    under = stats.ttest_ind(y - LIMIT, x, equal_var=False, alternative="less").pvalue
    assert result.difference == pytest.approx(math.log(stats.gmean(candidate) / stats.gmean(base)))
    assert _p(result) == pytest.approx((above.pvalue, 1 - above.pvalue, max(over, under)))
    assert result.p == pytest.approx(stats.ttest_ind(y, x, equal_var=False).pvalue)
    assert (result.low, result.high) == pytest.approx((wide.low, wide.high))
    assert (result.low90, result.high90) == pytest.approx((narrow.low, narrow.high))


@pytest.mark.parametrize(
    ("base", "candidate"),
    [
        ((0.1, 0.9, 0.5, 0.3), (0.11, 0.95, 0.5, 0.31)),
        ((5.0, 6.0, 4.0), (4.9, 5.95, 3.98)),
    ],
    ids=["higher", "lower"],
)
def test_paired_answers_are_scipys_paired_test_and_two_one_sided_tests(base: Sample, candidate: Sample) -> None:
    x, y = np.asarray(base), np.asarray(candidate)
    result = compare(base, candidate, 0.05, paired=True)
    above = stats.ttest_rel(y, x, alternative="greater")
    wide, narrow = (stats.ttest_rel(y, x).confidence_interval(level) for level in (0.98, 0.90))
    over = stats.ttest_rel(y + 0.05, x, alternative="greater").pvalue
    under = stats.ttest_rel(y - 0.05, x, alternative="less").pvalue
    assert _p(result) == pytest.approx((above.pvalue, 1 - above.pvalue, max(over, under)))
    assert result.p == pytest.approx(stats.ttest_rel(y, x).pvalue)
    assert (result.low, result.high) == pytest.approx((wide.low, wide.high))
    assert (result.low90, result.high90) == pytest.approx((narrow.low, narrow.high))


@pytest.mark.parametrize(("limit", "within"), [(0.03, True), (0.01, False)])
@pytest.mark.parametrize("paired", [False, True])
def test_two_one_sided_tests_are_the_90_percent_interval_inside_the_limit(
    limit: float, within: bool, paired: bool
) -> None:
    # In opposite order, so that the pairs scatter as well.
    result = compare(_spread(6, 0.01)[::-1], _spread(6, 0.012, centre=0.004), limit, paired=paired)
    assert result.low90 is not None
    assert result.high90 is not None
    assert (-limit < result.low90 and result.high90 < limit) == within
    assert (_p(result)[2] <= EQUIVALENCE) == within


# --- pairing --------------------------------------------------------------------------------------------------------


def test_pairing_takes_away_what_both_sides_share() -> None:
    shared = [0.0, 0.5, -0.5, 0.3, -0.2]
    candidate = [value + 0.03 + extra for value, extra in zip(shared, _spread(5, 0.002), strict=True)]
    together, apart = (compare(shared, candidate, LIMIT, paired=paired) for paired in (True, False))
    assert together.difference == pytest.approx(apart.difference)
    assert _p(together)[0] < 1e-4
    assert _p(apart)[0] > 0.4


def test_pairs_that_differ_by_the_same_are_exact_however_much_the_sides_scatter() -> None:
    result = compare([1.0, 2.0, 4.0], [1.5, 2.5, 4.5], LIMIT, paired=True)
    assert (result.low, result.difference, result.high) == (0.5, 0.5, 0.5)
    assert _p(result) == (0.0, 1.0, 1.0)


# --- what could have been seen, and what would decide ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("sd", "cells", "least"), [(0.003, 1, 0.88), (0.006, 1, 0.88), (0.01, 20, 0.81), (0.02, 20, 0.81)]
)
def test_the_minimum_detectable_effect_is_found_about_nine_times_in_ten_by_the_rules(
    sd: float, cells: int, least: float
) -> None:
    """Injected into one cell among `cells` at rest, 4,000 times, and judged as the gate judges.

    At the strict level of a large family it is five times in six: Welch's test estimates its degrees of freedom, and
    with five processes a side they come out below the eight that the calculation has of equal variances.
    """
    random = np.random.default_rng(3)
    level = Levels().required(cells)
    assert level == min(ALPHA, Q / (2 * cells))
    effect = minimum_detectable(compare(_spread(5, sd), _spread(5, sd), LIMIT), level, LIMIT)
    base, candidate = random.normal(0.0, sd, (4000, 5)), random.normal(effect, sd, (4000, 5))
    p = stats.ttest_ind(candidate, base, axis=1, equal_var=False, alternative="greater").pvalue
    found = (p <= level) & (candidate.mean(axis=1) - base.mean(axis=1) >= LIMIT)
    assert least <= found.mean() <= 0.92
    # The same rows through `compare` give the same answers.
    assert [_p(compare(base[row], candidate[row], LIMIT))[0] for row in range(5)] == pytest.approx(p[:5])


@pytest.mark.parametrize("sd", [0.004, 0.02])
def test_the_minimum_detectable_effect_of_pairs_is_found_nine_times_in_ten(sd: float) -> None:
    typical = compare([0.0] * 6, _spread(6, sd), LIMIT, paired=True)
    effect = minimum_detectable(typical, ALPHA, LIMIT)
    differences = np.random.default_rng(4).normal(effect, sd, (4000, 6))
    p = stats.ttest_1samp(differences, 0.0, axis=1, alternative="greater").pvalue
    assert 0.88 <= ((p <= ALPHA) & (differences.mean(axis=1) >= LIMIT)).mean() <= 0.92


def test_the_floor_is_the_harder_demand_on_a_quiet_machine() -> None:
    quiet = compare(_spread(5, 0.001), _spread(5, 0.001), LIMIT)
    # ln 1.02 + z(0.9) · 0.1 % · √(2 / 5) = 0.01980 + 1.2816 · 0.000632 = 0.02061.
    assert minimum_detectable(quiet, ALPHA, LIMIT) == pytest.approx(0.02061, abs=2e-5)


def test_one_quiet_side_of_three_and_a_large_family_still_have_a_minimum_detectable_effect() -> None:
    """Two degrees of freedom at a third of 0.05 / 96 ask for a t of 54: the library's tail must carry that."""
    level = Levels().split(3).required(48)
    effect = minimum_detectable(compare([0.0] * 3, [-0.01, 0.0, 0.01], LIMIT), level, LIMIT)
    assert stats.nct.sf(stats.t.ppf(1 - level, 2), 2, effect / (0.01 / math.sqrt(3))) == pytest.approx(0.9, abs=1e-6)


@pytest.mark.parametrize("sd", [0.01, 0.02, 0.05])
@pytest.mark.parametrize("centre", [0.0, 0.005, 0.03])
def test_the_runs_that_would_decide_do_and_one_fewer_would_not(sd: float, centre: float) -> None:
    runs = runs_to_decide(compare(_spread(5, sd), _spread(5, sd, centre=centre), LIMIT), ALPHA, LIMIT)
    assert runs is not None

    def decided(count: int) -> bool:
        above, _, within = _p(compare(_spread(count, sd), _spread(count, sd, centre=centre), LIMIT))
        return within <= EQUIVALENCE or (centre >= LIMIT and above <= ALPHA)

    assert decided(runs)
    assert runs == 6 or not decided(runs - 1)


@pytest.mark.parametrize("centre", [0.0, 0.005, 0.03])
def test_the_pairs_that_would_decide_do_and_one_fewer_would_not(centre: float) -> None:
    def look(count: int) -> Comparison:
        return compare([0.0] * count, _spread(count, 0.03, centre=centre), LIMIT, paired=True)

    def decided(count: int) -> bool:
        above, _, within = _p(look(count))
        return within <= EQUIVALENCE or (centre >= LIMIT and above <= ALPHA)

    runs = runs_to_decide(look(4), ALPHA, LIMIT)
    assert runs is not None
    assert (decided(runs), decided(runs - 1)) == (True, False)


def test_the_runs_that_would_decide_count_the_noise_of_both_sides_once() -> None:
    # 3 against 100 processes of equal noise: with K a side the error is sd · √(2 / K), whatever was run so far.
    unequal = runs_to_decide(compare(_spread(3, 0.02), _spread(100, 0.02), LIMIT), ALPHA, LIMIT)
    equal = runs_to_decide(compare(_spread(3, 0.02), _spread(3, 0.02), LIMIT), ALPHA, LIMIT)
    assert unequal == equal


def test_stricter_levels_ask_for_more_runs() -> None:
    equal = compare(_spread(5, 0.02), _spread(5, 0.02), LIMIT)
    slower = compare(_spread(5, 0.02), _spread(5, 0.02, centre=0.03), LIMIT)
    third = Levels().split(3)
    # Equal sides: t(0.95, 2K − 2) · 2 % · √(2 / K) < 0.0198 from K = 7 on, t(1 − 0.05 / 3, 2K − 2) … from K = 11 on.
    assert runs_to_decide(equal, ALPHA, LIMIT) == 7
    assert runs_to_decide(equal, third.alpha, LIMIT, third.equivalence) == 11
    # 3 % slower: t(0.99, 2K − 2) · 2 % · √(2 / K) < 0.03 from K = 7 on, t(1 − 0.01 / 3, 2K − 2) … from K = 9 on.
    assert runs_to_decide(slower, ALPHA, LIMIT) == 7
    assert runs_to_decide(slower, third.alpha, LIMIT) == 9


def test_noise_that_no_reasonable_number_of_runs_overcomes_has_no_number() -> None:
    assert runs_to_decide(compare(_spread(5, 0.2), _spread(5, 0.2), LIMIT), ALPHA, LIMIT) is None


# --- few processes, no noise ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize(("base", "candidate"), [(1, 1), (2, 2)])
def test_one_or_two_on_each_side_give_the_difference_and_nothing_else(base: int, candidate: int, paired: bool) -> None:
    result = compare([1.0] * base, [1.5] * candidate, LIMIT, paired=paired)
    assert result == Comparison(0.5, paired=paired, fewest=base)
    assert result.p is None


@pytest.mark.parametrize(("base", "candidate"), [(5, 2), (2, 5), (1, 9), (9, 1)])
def test_fewer_than_three_on_one_side_are_too_few_however_many_the_other_has(base: int, candidate: int) -> None:
    assert compare([1.0] * base, [1.5] * candidate, LIMIT) == Comparison(0.5, fewest=min(base, candidate))


@pytest.mark.parametrize("value", [0.1, 1.1, 0.0123])
@pytest.mark.parametrize("processes", [3, 5, 7])
@pytest.mark.parametrize("paired", [False, True])
def test_equal_values_on_both_sides_are_within_the_limit_for_certain(
    value: float, processes: int, paired: bool
) -> None:
    result = compare([value] * processes, [value] * processes, LIMIT, paired=paired)
    # Rounding may leave a spread of 1e-17 behind.
    assert (result.difference, result.low, result.high) == pytest.approx((0.0, 0.0, 0.0), abs=1e-12)
    assert _p(result)[2] == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("paired", [False, True])
def test_without_any_noise_the_whole_answer_is_exact(paired: bool) -> None:
    expected = Comparison(
        0.0,
        low=0.0,
        high=0.0,
        low90=0.0,
        high90=0.0,
        p_above=1.0,
        p_below=1.0,
        p_within=0.0,
        paired=paired,
        fewest=3,
    )
    assert compare([1.0] * 3, [1.0] * 3, LIMIT, paired=paired) == expected
    assert expected.p == 1.0


@pytest.mark.parametrize(
    ("shift", "above", "below", "within"), [(0.05, 0.0, 1.0, 1.0), (-0.05, 1.0, 0.0, 1.0), (0.01, 0.0, 1.0, 0.0)]
)
@pytest.mark.parametrize("processes", [3, 5, 7])
@pytest.mark.parametrize("paired", [False, True])
def test_without_any_noise_every_difference_is_significant(
    shift: float, above: float, below: float, within: float, processes: int, paired: bool
) -> None:
    result = compare([1.1] * processes, [1.1 + shift] * processes, LIMIT, paired=paired)
    assert result.difference == pytest.approx(shift)
    # Rounding may leave a spread of 1e-17 behind; the answers are then 0 and 1 but for as little.
    assert _p(result) == pytest.approx((above, below, within), abs=1e-12)
    assert minimum_detectable(result, ALPHA, LIMIT) == pytest.approx(LIMIT)  # the floor alone


def test_one_side_without_noise_is_compared_by_the_noise_of_the_other() -> None:
    result = compare([1.0] * 5, _spread(5, 0.01, centre=1.05), LIMIT)
    # Welch's degrees of freedom are then those of the noisy side alone: 4.
    assert result.freedom == pytest.approx(4.0)
    assert result.p_above == pytest.approx(stats.t.sf(0.05 / (0.01 / math.sqrt(5)), 4))
    assert _p(result)[2] > 0.99


# --- symmetries -----------------------------------------------------------------------------------------------------

values = st.lists(st.floats(-1.0, 1.0).map(lambda value: round(value, 4)), min_size=3, max_size=8)


@given(base=values, candidate=values)
@settings(max_examples=60, deadline=None)
def test_swapping_the_sides_mirrors_the_answer(base: list[float], candidate: list[float]) -> None:
    one, other = compare(base, candidate, LIMIT), compare(candidate, base, LIMIT)
    above, below, within = _p(one)
    assert (below, above, within) == pytest.approx(_p(other), abs=1e-9)
    assert one.difference == pytest.approx(-other.difference)
    assert (one.p, one.error, one.fewest) == (pytest.approx(other.p), pytest.approx(other.error), other.fewest)
    assert minimum_detectable(one, ALPHA, LIMIT) == pytest.approx(minimum_detectable(other, ALPHA, LIMIT))


@given(data=st.data(), base=values, candidate=values)
@settings(max_examples=60, deadline=None)
def test_the_order_of_processes_changes_nothing_without_pairs(
    data: st.DataObject, base: list[float], candidate: list[float]
) -> None:
    shuffled = compare(data.draw(st.permutations(base)), data.draw(st.permutations(candidate)), LIMIT)
    result = compare(base, candidate, LIMIT)
    assert _p(shuffled) == pytest.approx(_p(result), abs=1e-9)
    assert shuffled.difference == pytest.approx(result.difference, abs=1e-12)


@given(data=st.data(), pairs=st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50)), min_size=3, max_size=8))
@settings(max_examples=60, deadline=None)
def test_the_order_of_pairs_changes_nothing(data: st.DataObject, pairs: list[tuple[int, int]]) -> None:
    def of(chosen: list[tuple[int, int]]) -> Comparison:
        return compare([x / 64 for x, _ in chosen], [y / 64 for _, y in chosen], LIMIT, paired=True)

    assert _p(of(data.draw(st.permutations(pairs)))) == pytest.approx(_p(of(pairs)), abs=1e-9)


# --- several cells, several looks -----------------------------------------------------------------------------------


def test_benjamini_hochberg_by_hand() -> None:
    # Sorted 0.005, 0.01, 0.03, 0.04, times 4 over the rank: 0.02, 0.02, 0.04, 0.04.
    assert adjust([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.02, 0.04, 0.04, 0.02])


def test_one_strong_effect_among_many_nulls_keeps_its_strength_times_the_family() -> None:
    adjusted = adjust([0.5] * 24 + [0.0001] + [0.5] * 23)
    assert adjusted[24] == pytest.approx(0.0048)
    assert set(adjusted[:24] + adjusted[25:]) == {0.5}


def test_a_family_of_one_and_of_none() -> None:
    assert adjust([0.03]) == [0.03]
    assert adjust([]) == []


@pytest.mark.parametrize(
    ("looks", "expected"), [(1, (0.01, 0.05, 0.05)), (3, (0.01 / 3, 0.05 / 3, 0.05 / 3)), (5, (0.002, 0.01, 0.01))]
)
def test_each_of_several_looks_gets_its_share_of_every_error_rate(
    looks: int, expected: tuple[float, float, float]
) -> None:
    split = Levels().split(looks)
    assert (split.alpha, split.q, split.equivalence) == pytest.approx(expected)


@pytest.mark.parametrize(("family", "level"), [(0, 0.01), (1, 0.01), (2, 0.01), (3, 0.05 / 6), (48, 0.05 / 96)])
def test_the_level_that_a_single_change_must_reach_falls_with_the_family(family: int, level: float) -> None:
    assert Levels().required(family) == pytest.approx(level)
    assert Levels().split(2).required(family) == pytest.approx(level / 2)


# --- measured -------------------------------------------------------------------------------------------------------


def test_the_level_of_the_test_is_what_it_says() -> None:
    """1,000 pairs of five runs each in which nothing changed: 10 are expected to be called slower at 1 %."""
    base, candidate = np.moveaxis(np.random.default_rng(7).normal(0.0, 0.006, (1000, 2, 5)), 1, 0)
    p = stats.ttest_ind(candidate, base, axis=1, equal_var=False, alternative="greater").pvalue
    slower = np.flatnonzero(p <= ALPHA)
    assert 2 <= len(slower) <= 20
    results = [compare(base[row], candidate[row], LIMIT) for row in slower]
    assert [_p(result)[0] for result in results] == pytest.approx(p[slower])
    # The floor takes care of these: none of them is 2 % slower.
    assert [result.difference for result in results if result.difference >= LIMIT] == []


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    """Of 300 intervals at 90 %, 270 are expected to hold the true difference; the sides are of unequal number."""
    random = np.random.default_rng(8)
    held = 0
    for _ in range(300):
        result = compare(random.normal(0.0, 0.01, 4), random.normal(0.02, 0.03, 7), LIMIT)
        assert result.low90 is not None
        assert result.high90 is not None
        held += result.low90 <= 0.02 <= result.high90
    assert 254 <= held <= 284


# --- blocks that were run in turn -----------------------------------------------------------------------------------


TOGETHER = [-0.02, 0.01, 0.0, 0.02, -0.01]
OWN = [0.001, -0.001, 0.0005, -0.0005, 0.0]


def test_blocks_that_share_a_state_are_pairs_and_the_choice_is_paid_for() -> None:
    after = [0.03 + one + other for one, other in zip(TOGETHER, OWN, strict=True)]
    chosen, pairs = compare_blocks(TOGETHER, after, LIMIT), compare(TOGETHER, after, LIMIT, paired=True)
    assert chosen.paired
    assert _p(chosen)[0] == pytest.approx(1.4 * _p(pairs)[0])
    assert chosen.difference == pairs.difference
    assert (chosen.low or 0.0) < (pairs.low or 0.0)


def test_blocks_that_share_nothing_are_two_samples() -> None:
    after = [0.03 + value for value in (0.01, -0.02, 0.02, -0.01, 0.0)]  # correlation −0.5
    chosen, apart = compare_blocks(TOGETHER, after, LIMIT), compare(TOGETHER, after, LIMIT)
    assert not chosen.paired
    assert _p(chosen)[0] == pytest.approx(1.4 * _p(apart)[0])
    assert chosen.freedom == apart.freedom


def test_blocks_without_any_spread_or_too_few_of_them_are_no_pairs() -> None:
    assert not compare_blocks([0.0] * 5, OWN, LIMIT).paired
    assert compare_blocks([0.0, 0.1], [0.0, 0.1], LIMIT).p is None


def test_what_could_be_seen_and_the_runs_needed_know_of_the_price() -> None:
    after = [0.012 + value for value in (0.01, -0.02, 0.02, -0.01, 0.0)]
    chosen, apart = compare_blocks(TOGETHER, after, LIMIT), compare(TOGETHER, after, LIMIT)
    assert minimum_detectable(chosen, ALPHA, LIMIT) > minimum_detectable(apart, ALPHA, LIMIT)
    assert (runs_to_decide(chosen, ALPHA, LIMIT) or 0) > (runs_to_decide(apart, ALPHA, LIMIT) or 0)


@pytest.mark.parametrize("state", [0.0, 0.01])
def test_choosing_by_the_data_alarms_no_more_often_than_its_level(state: float) -> None:
    """Equal sides, 2 % of noise: 1 % may be called slower, and 98 % of the intervals hold 0."""
    random, alarms, held, draws = np.random.default_rng(11), 0, 0, 1500
    for _ in range(draws):
        shared = random.normal(0.0, state, 5)
        base, candidate = shared + random.normal(0.0, 0.02, 5), shared + random.normal(0.0, 0.02, 5)
        found = compare_blocks(base.tolist(), candidate.tolist(), LIMIT)
        alarms += _p(found)[0] <= ALPHA and found.difference >= LIMIT
        held += (found.low or 0.0) <= 0.0 <= (found.high or 0.0)
    assert alarms / draws <= 0.014
    assert held / draws >= 0.97


# --- more processes of the candidate --------------------------------------------------------------------------------


def test_more_processes_of_the_candidate_help_where_the_base_has_many() -> None:
    assert more_helps(_spread(20, 0.01), _spread(5, 0.01), 1)
    assert more_helps(_spread(5, 0.001), _spread(5, 0.02), 1)  # the candidate's noise is what hides it
    assert not more_helps(_spread(5, 0.01), _spread(5, 0.01), 1)
    assert not more_helps(_spread(5, 0.02), _spread(5, 0.001), 1)
    assert not more_helps([0.0] * 5, [0.0] * 5, 1)
