"""Exchanging processes within each seed: known answers, and when so few processes decide."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from suite.judge.permutation import permute


def test_known_answer_of_five_against_five_that_do_not_overlap() -> None:
    found = permute({0: ([1, 2, 3, 4, 5], [6, 7, 8, 9, 10])})
    assert (found.difference, found.p, found.smallest) == (5, pytest.approx(2 / 252), pytest.approx(1 / 252))
    assert (found.separated, found.fewest) == (True, 5)
    assert found.decides(0.01)
    assert found.decides(0.001)


def test_one_seed_gives_the_p_of_scipy() -> None:
    before, after = [3.0, 1.0, 4.0, 1.0, 5.0], [2.0, 6.0, 5.0, 3.0, 9.0]
    theirs = stats.permutation_test(
        (np.array(after), np.array(before)),
        lambda x, y, axis: x.mean(axis=axis) - y.mean(axis=axis),
        vectorized=True,
    )
    found = permute({0: (before, after)})
    assert found.p == pytest.approx(theirs.pvalue)
    assert not found.separated


def test_seeds_multiply_the_ways_and_a_difference_between_seeds_is_none_between_sides() -> None:
    # Two against two under two seeds: 6 · 6 ways, and one of them is as extreme.
    found = permute({0: ([1, 2], [3, 4]), 1: ([101, 102], [103, 104])})
    assert (found.p, found.smallest, found.separated) == (pytest.approx(2 / 36), pytest.approx(1 / 36), True)
    assert not found.decides(0.01)
    assert not permute({0: ([1, 2], [3, 4]), 1: ([103, 104], [101, 102])}).separated


def test_a_value_that_both_sides_have_is_an_overlap() -> None:
    found = permute({0: ([1, 1, 1, 1, 2], [2, 3, 3, 3, 3])})
    assert not found.separated
    assert not found.decides(0.01 / 3)


def test_four_a_side_cannot_reach_a_hundredth() -> None:
    found = permute({0: ([1, 2, 3, 4], [50, 60, 70, 80])})
    assert found.smallest == pytest.approx(1 / 70)
    assert not found.can_decide(0.01)
    assert not found.decides(0.01)


def test_many_processes_are_drawn_alike_every_time_and_close_to_the_exact_answer() -> None:
    before, after = list(range(0, 60, 5)), list(range(10, 70, 5))
    found = permute({0: (before, after)})
    assert found == permute({0: (before, after)})
    assert found.p == pytest.approx(stats.ttest_ind(after, before).pvalue, abs=0.03)
    far = permute({0: (before, [value + 1000 for value in after])})
    assert far.p == pytest.approx(2 / 10000)


def test_swapped_sides_are_mirrored_also_where_not_every_way_is_tried() -> None:
    """Eight against eight can be divided in 12,870 ways; this pair stands at the level itself."""
    few, many = [0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 1, 3, 4, 4, 3, 4]
    there, back = permute({0: (few, many)}), permute({0: (many, few)})
    assert (there.p, there.difference) == (back.p, -back.difference)
