"""What could have been seen and how many processes would decide, where numbers vary under one seed."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean

import pytest

from suite.judge.permutation import Pair, permute
from suite.judge.sensitivity import processes_to_decide, smallest_seen, with_p

ALPHA = 0.01


def _more_by(least: float, seeds: Mapping[int, Pair]) -> bool:
    """A rule for the search: the means differ by at least so much."""
    return fmean(fmean(after) - fmean(before) for before, after in seeds.values()) >= least


# --- the smallest change that would have been seen ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pair", "least", "seen"),
    [
        # The candidate is moved by whole numbers: from 12 against 10 to 13, and to 17.
        (([10, 10, 10], [12, 12, 12]), 3, 0.3),
        (([10, 10, 10], [12, 12, 12]), 6.5, 0.7),
        # It may be less than the present difference, and more than what separates the sides.
        (([10, 10, 10], [50, 50, 50]), 5, 0.5),
        (([10, 10, 10], [10, 10, 10]), 500, 50),
        (([10, 11, 12], [9, 10, 14]), 0.5, 1 / 11),
    ],
)
def test_the_smallest_change_is_that_from_which_the_rule_says_worse(pair: Pair, least: float, seen: float) -> None:
    assert smallest_seen({0: pair}, lambda seeds: _more_by(least, seeds)) == pytest.approx(seen)


def test_large_numbers_are_searched_to_a_thousandth_of_the_base() -> None:
    base = 2.0**30
    found = smallest_seen({0: ([base] * 3, [base + 7] * 3)}, lambda seeds: _more_by(0.05 * base, seeds))
    assert found == pytest.approx(0.05, abs=0.001)
    assert found is not None
    assert found >= 0.05


def test_all_seeds_are_moved_alike_and_the_change_is_that_of_their_mean() -> None:
    seeds: dict[int, Pair] = {0: ([1, 1], [1, 1]), 1: ([101, 101], [103, 103])}
    # 51 in the mean, and the candidate 52: five more are 6 of 51.
    assert smallest_seen(seeds, lambda moved: _more_by(6, moved)) == pytest.approx(6 / 51)


def test_of_nothing_there_is_no_share_and_what_is_never_seen_has_no_size() -> None:
    assert smallest_seen({0: ([0, 0, 0], [1, 0, 0])}, lambda seeds: _more_by(1, seeds)) is None
    assert smallest_seen({0: ([1, 2, 1], [1, 1, 1])}, lambda _: False) is None


# --- how many would decide ------------------------------------------------------------------------------------------


def _runs(seeds: Mapping[int, Pair], alpha: float = ALPHA) -> int | None:
    return processes_to_decide(seeds, permute(seeds), alpha)


@pytest.mark.parametrize(
    ("before", "after", "alpha", "runs"),
    [
        # 1 / C(10, 5) = 0.004; of a third of the level complete separation of five is enough too.
        ([1, 2, 1], [5, 6, 7], ALPHA, 5),
        ([1, 2, 1], [5, 6, 7], ALPHA / 3, 5),
        # The variance of all is 0.56: 5.27 and 5.84 with 12 and 13, of 2.326² = 5.41; 6.96 and 7.53 with 15 and 16, of
        # 2.713² = 7.36.
        ([1, 2, 1, 2, 1], [1, 3, 2, 3, 2], ALPHA, 13),
        ([1, 2, 1, 2, 1], [1, 3, 2, 3, 2], ALPHA / 3, 16),
        ([1, 3, 2, 3, 2], [1, 2, 1, 2, 1], ALPHA, 13),
        # Two sizes of bytes: (307.2 - 512 / K)² (2 K - 1) / (4 · 55050) is 4.84 with 9 and 5.65 with 10.
        ([1000, 1512, 1512, 1000, 1000], [1512, 1512, 1512, 1512, 1512], ALPHA, 10),
        # Means 10 and 10.2 with a variance of 66: more than 200.
        ([0, 10, 20, 10, 10], [1, 10, 20, 10, 10], ALPHA, None),
        ([1, 2, 1, 2, 1], [2, 1, 1, 1, 2], ALPHA, None),
        ([1, 2], [5, 6], ALPHA, None),
    ],
)
def test_the_number_that_would_decide_is_known_beforehand(
    before: list[float], after: list[float], alpha: float, runs: int | None
) -> None:
    assert _runs({0: (before, after)}, alpha) == runs


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([1, 2, 1, 2, 1], [1, 3, 2, 3, 2]),
        ([1000, 1512, 1512, 1000, 1000], [1512, 1512, 1512, 1512, 1512]),
        ([4, 3, 5, 4], [9, 12, 4, 13]),
        ([0, 2, 0, 1, 0], [3, 0, 2, 1, 4]),
    ],
)
def test_the_very_processes_repeated_decide_about_there_and_not_much_earlier(
    before: list[float], after: list[float]
) -> None:
    runs = _runs({0: (before, after)})
    assert runs is not None
    times = -(-runs // len(before))
    assert permute({0: (before * times, after * times)}).decides(ALPHA)
    assert not permute({0: (before * (times // 2), after * (times // 2))}).decides(ALPHA)


def test_the_number_is_of_all_seeds_together_and_each_has_as_many() -> None:
    # Two and two under two seeds, 6 · 6 ways; three and three, 20 · 20 ways, are enough.
    assert _runs({0: ([1, 2], [3, 4]), 1: ([101, 102], [103, 104])}) == 6
    # Under each seed as above; (1.6 - 1 / K)² (2 K - 1) / (8 · 0.56) is 5.04 with 6 under each and 6.16 with 7.
    one: Pair = ([1, 2, 1, 2, 1], [1, 3, 2, 3, 2])
    assert _runs({0: one, 1: one}) == 14


def test_a_reason_ends_with_the_one_sided_p_and_its_level() -> None:
    assert with_p("why", 0.0317, 0.01 / 3) == "why (one-sided p = 0.016, level 0.0033)"
