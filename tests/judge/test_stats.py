"""Two samples of step times: known answers, an independent second calculation, and measured error rates."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from suite.judge.speed import DELTA, Q
from suite.judge.stats import ALPHA, TimeComparison, adjust, compare_seconds, minimum_detectable, runs_to_decide

LIMIT = math.log(1.02)


def _exp(*logarithms: float) -> list[float]:
    return [math.exp(value) for value in logarithms]


def _spread(runs: int, sd: float, centre: float = 0.0) -> list[float]:
    """Step times whose logarithms have exactly this mean and standard deviation."""
    grid = stats.norm.ppf((np.arange(runs) + 0.5) / runs)
    return [float(value) for value in np.exp(centre + sd * grid / grid.std(ddof=1))]


def test_known_answer_for_three_against_three() -> None:
    # Logarithms: means 0 and 0.05, variances 1e-4 each, error √(2e-4 / 3) = 0.0081650, 4 degrees of freedom.
    result = compare_seconds(_exp(-0.01, 0.0, 0.01), _exp(0.04, 0.05, 0.06), DELTA)
    # The distribution function of t with 4 degrees of freedom has a closed form; t² = 37.5 here.
    share = 37.5 / (1 + 37.5 / 4)
    p_slower = 0.5 - 3 / 8 * math.sqrt(share) * (1 - share / 12)
    assert p_slower == pytest.approx(0.0018, abs=1e-5)
    assert result.p_slower == pytest.approx(p_slower)
    assert result.p_faster == pytest.approx(1 - p_slower)
    assert result.change == pytest.approx(math.expm1(0.05))
    # t(0.99, 4) = 3.74695 and t(0.9, 4) = 1.53321 (any table of Student's t).
    assert result.low == pytest.approx(math.expm1(0.05 - 3.74695 * 0.0081650), abs=1e-6)
    assert result.high == pytest.approx(math.expm1(0.05 + 3.74695 * 0.0081650), abs=1e-6)
    # t(0.99, 4) · 0.0081650 = 0.0306 is more than ln 1.02 = 0.0198, so the test is the harder demand.
    effect = math.log1p(minimum_detectable(result, ALPHA, DELTA)) / 0.0081650
    assert stats.nct.sf(3.74695, 4, effect) == pytest.approx(0.9, abs=1e-4)
    # It is decided already; the next K is the smallest that is looked at: t(0.99, 6) · √(2e-4 / 4) = 0.022 < 0.05.
    assert runs_to_decide(result, ALPHA, DELTA) == 4


@pytest.mark.parametrize(
    ("base", "candidate"),
    [
        ((0.100, 0.101, 0.099, 0.1005, 0.0995), (0.103, 0.104, 0.1035, 0.102, 0.1031)),
        ((0.100, 0.130, 0.099), (0.110, 0.1101, 0.1102, 0.1103, 0.1104, 0.1105, 0.111)),
        ((2.0, 2.1, 2.2, 2.05), (1.0, 1.01, 1.1)),
    ],
    ids=["equal K", "unequal K and spread", "faster"],
)
def test_the_answers_are_scipys_welch_test_and_two_one_sided_tests(
    base: Sequence[float], candidate: Sequence[float]
) -> None:
    result = compare_seconds(base, candidate, DELTA)
    x, y = np.log(base), np.log(candidate)
    slower = stats.ttest_ind(y, x, equal_var=False, alternative="greater")
    interval = stats.ttest_ind(y, x, equal_var=False).confidence_interval(1 - 2 * ALPHA)
    above = stats.ttest_ind(y + LIMIT, x, equal_var=False, alternative="greater").pvalue
    below = stats.ttest_ind(y - LIMIT, x, equal_var=False, alternative="less").pvalue
    assert result.change == pytest.approx(stats.gmean(candidate) / stats.gmean(base) - 1)
    assert result.p_slower == pytest.approx(slower.pvalue)
    assert result.p_faster == pytest.approx(1 - slower.pvalue)
    assert (result.low, result.high) == pytest.approx((math.expm1(interval.low), math.expm1(interval.high)))
    assert result.p_unchanged == pytest.approx(max(above, below))


@pytest.mark.parametrize(("sd", "cells"), [(0.003, 1), (0.006, 1), (0.01, 20), (0.02, 20)])
def test_the_minimum_detectable_effect_is_found_nine_times_in_ten_by_the_rules(sd: float, cells: int) -> None:
    """Injected into one cell among `cells` at rest, 400 times, and judged as the gate judges."""
    random = np.random.default_rng(3)
    level = min(ALPHA, Q / (2 * cells))
    typical = compare_seconds(_spread(5, sd), _spread(5, sd), DELTA)
    effect = math.log1p(minimum_detectable(typical, level, DELTA))
    found = 0
    for _ in range(400):
        result = compare_seconds(*np.exp(random.normal([[0.0], [effect]], sd, size=(2, 5))), DELTA)
        assert result.p_slower is not None
        found += result.p_slower <= level and result.change >= DELTA
    assert 0.84 <= found / 400 <= 0.97


def test_the_floor_is_the_harder_demand_on_a_quiet_machine() -> None:
    quiet = compare_seconds(_spread(5, 0.001), _spread(5, 0.001), DELTA)
    # ln 1.02 + z(0.9) · 0.1 % · √(2 / 5) = 0.01980 + 1.2816 · 0.000632 = 0.02061.
    assert minimum_detectable(quiet, ALPHA, DELTA) == pytest.approx(math.expm1(0.02061), abs=2e-5)


@pytest.mark.parametrize("sd", [0.01, 0.02, 0.05])
@pytest.mark.parametrize("centre", [0.0, 0.005, 0.03])
def test_the_runs_that_would_decide_do_and_one_fewer_would_not(sd: float, centre: float) -> None:
    runs = runs_to_decide(compare_seconds(_spread(5, sd), _spread(5, sd, centre=centre), DELTA), ALPHA, DELTA)
    assert runs is not None

    def decided(count: int) -> bool:
        again = compare_seconds(_spread(count, sd), _spread(count, sd, centre=centre), DELTA)
        assert again.p_unchanged is not None
        assert again.p_slower is not None
        return again.p_unchanged <= 0.05 or (centre >= LIMIT and again.p_slower <= ALPHA)

    assert decided(runs)
    assert runs == 6 or not decided(runs - 1)


def test_the_runs_that_would_decide_count_the_noise_of_both_sides_once() -> None:
    # 3 against 100 processes of equal noise: with K a side the error is sd · √(2 / K), whatever was run so far.
    unequal = runs_to_decide(compare_seconds(_spread(3, 0.02), _spread(100, 0.02), DELTA), ALPHA, DELTA)
    equal = runs_to_decide(compare_seconds(_spread(3, 0.02), _spread(3, 0.02), DELTA), ALPHA, DELTA)
    assert unequal == equal


def test_noise_that_no_reasonable_number_of_runs_overcomes_has_no_number() -> None:
    assert runs_to_decide(compare_seconds(_spread(5, 0.2), _spread(5, 0.2), DELTA), ALPHA, DELTA) is None


@pytest.mark.parametrize(
    ("base", "candidate"),
    [((1.0,), (1.5,)), ((1.0, 1.0), (1.5, 1.5)), ((1.0,) * 5, (1.5, 1.5)), ((1.0,), (1.5,) * 9)],
)
def test_fewer_than_three_processes_on_a_side_give_the_change_and_nothing_else(
    base: Sequence[float], candidate: Sequence[float]
) -> None:
    result = compare_seconds(base, candidate, DELTA)
    assert result == TimeComparison(pytest.approx(0.5), None, None, None, None, None)


@pytest.mark.parametrize("seconds", [0.1, 1.1, 0.0123])
@pytest.mark.parametrize("processes", [3, 5, 7])
def test_equal_times_on_both_sides_are_unchanged_for_certain(seconds: float, processes: int) -> None:
    result = compare_seconds([seconds] * processes, [seconds] * processes, DELTA)
    # Rounding may leave a spread of 1e-17 behind.
    assert (result.change, result.low, result.high) == pytest.approx((0.0, 0.0, 0.0), abs=1e-12)
    assert result.p_unchanged == pytest.approx(0.0, abs=1e-12)


def test_without_any_noise_the_whole_answer_is_exact() -> None:
    assert compare_seconds([1.0] * 3, [1.0] * 3, DELTA) == TimeComparison(0.0, 0.0, 0.0, 1.0, 1.0, 0.0)


@pytest.mark.parametrize(
    ("factor", "slower", "faster", "unchanged"), [(1.05, 0.0, 1.0, 1.0), (0.95, 1.0, 0.0, 1.0), (1.01, 0.0, 1.0, 0.0)]
)
@pytest.mark.parametrize("processes", [3, 5, 7])
def test_without_any_noise_every_difference_is_significant(
    factor: float, slower: float, faster: float, unchanged: float, processes: int
) -> None:
    result = compare_seconds([1.1] * processes, [1.1 * factor] * processes, DELTA)
    assert result.change == pytest.approx(factor - 1)
    # Rounding may leave a spread of 1e-17 behind; the answers are then 0 and 1 but for as little.
    assert result.p_slower == pytest.approx(slower, abs=1e-12)
    assert result.p_faster == pytest.approx(faster, abs=1e-12)
    assert result.p_unchanged == pytest.approx(unchanged, abs=1e-12)
    assert minimum_detectable(result, ALPHA, DELTA) == pytest.approx(DELTA)  # the floor alone


def test_one_side_without_noise_is_compared_by_the_noise_of_the_other() -> None:
    result = compare_seconds([1.0] * 5, _spread(5, 0.01, centre=0.05), DELTA)
    # Welch's degrees of freedom are then those of the noisy side alone: 4.
    assert result.p_slower == pytest.approx(stats.t.sf(0.05 / (0.01 / math.sqrt(5)), 4))
    assert result.p_unchanged is not None
    assert result.p_unchanged > 0.99


def test_swapping_the_sides_mirrors_the_answer() -> None:
    base, candidate = (0.1, 0.102, 0.099, 0.101), (0.104, 0.103, 0.105, 0.1035, 0.1041)
    one, other = compare_seconds(base, candidate, DELTA), compare_seconds(candidate, base, DELTA)
    assert one.p_slower == pytest.approx(other.p_faster)
    assert one.p_unchanged == pytest.approx(other.p_unchanged)
    assert (1 + one.change) * (1 + other.change) == pytest.approx(1.0)
    assert minimum_detectable(one, ALPHA, DELTA) == pytest.approx(minimum_detectable(other, ALPHA, DELTA))


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


def test_the_level_of_the_test_is_what_it_says() -> None:
    """1,000 pairs of five runs each in which nothing changed: 10 are expected to be called slower at 1 %."""
    pairs = np.exp(np.random.default_rng(7).normal(0.0, 0.006, size=(1000, 2, 5)))
    results = [compare_seconds(base, candidate, DELTA) for base, candidate in pairs]
    slower = [result for result in results if result.p_slower is not None and result.p_slower <= ALPHA]
    assert 2 <= len(slower) <= 20
    # The floor takes care of these: none of them is 2 % slower.
    assert [result.change for result in slower if result.change >= DELTA] == []
