"""Overflow counts: the exact binomial test, and permutation where they scatter."""

from __future__ import annotations

from math import comb

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suite.judge.counts import judge_counts
from suite.judge.findings import Finding, MetricClass, Verdict

CELL = ("gpt", "fp16-dynamic")


def _side(*counts: int) -> pd.DataFrame:
    """One process per count, all of seed 0."""
    return pd.DataFrame({"seed": [0] * len(counts), "overflow_count": pd.Series(counts, dtype="Int64")})


def _judge(before: tuple[int, ...], after: tuple[int, ...]) -> Finding:
    return judge_counts(CELL, (_side(*before), _side(*after)))


# --- the binomial test, of three or four processes ------------------------------------------------------------------


def test_known_answer_of_the_exact_binomial_test() -> None:
    # Given 20 events in all and as many processes on both sides, the candidate's 18 are a binomial number with the
    # share ½; the probability of 18 or more is (190 + 20 + 1) / 2^20, and of 2 or fewer the same.
    found = _judge((1, 0, 1, 0), (5, 4, 5, 4))
    assert found.p == pytest.approx(2 * (comb(20, 18) + comb(20, 19) + 1) / 2**20)
    assert (found.verdict, found.test) == (Verdict.REGRESSED, "exact binomial, no overlap")
    assert found.metric_class == MetricClass.COUNT
    assert (found.base, found.candidate) == (0.5, 4.5)
    assert (found.values_base, found.values_candidate) == ((1, 0, 1, 0), (5, 4, 5, 4))
    assert (found.processes_base, found.processes_candidate) == (4, 4)


def test_few_processes_that_overlap_are_not_told_apart_by_their_sum() -> None:
    # 16 against 38 events: p = 0.004, but four in the base are as many as four in the candidate.
    found = _judge((4, 3, 5, 4), (9, 12, 4, 13))
    assert found.p == pytest.approx(2 * sum(comb(54, k) for k in range(17)) / 2**54)
    assert (found.verdict, found.test) == (Verdict.INCONCLUSIVE, "exact binomial, no overlap")


def test_fewer_overflows_are_an_improvement() -> None:
    assert _judge((4, 3, 4, 4, 3), (1, 0, 1, 0, 0)).verdict == Verdict.IMPROVED


def test_unequal_numbers_of_processes_share_the_events_accordingly() -> None:
    # 4 of 7 processes are the candidate's. All of 12 events in the base: (3 / 7)^12; the other tail, (4 / 7)^12, is
    # more than that.
    assert _judge((1, 1, 1), (1, 1, 1, 1)).p == pytest.approx(1.0)
    assert _judge((4, 4, 4), (0, 0, 0, 0)).p == pytest.approx((3 / 7) ** 12)


@pytest.mark.parametrize("after", [(1, 2, 2, 1, 1), (3, 3, 1, 3, 3), (0, 4, 4, 4, 4)])
def test_few_events_leave_even_a_threefold_count_undecided(after: tuple[int, ...]) -> None:
    assert _judge((1, 1, 1, 0, 1), after).verdict == Verdict.INCONCLUSIVE


@given(
    before=st.lists(st.integers(0, 40), min_size=1, max_size=8),
    after=st.lists(st.integers(0, 40), min_size=1, max_size=8),
)
@settings(max_examples=25, deadline=None)
def test_so_weak_a_test_never_says_unchanged_and_mirrors_when_the_sides_are_swapped(
    before: list[int], after: list[int]
) -> None:
    mirror = {
        Verdict.REGRESSED: Verdict.IMPROVED,
        Verdict.IMPROVED: Verdict.REGRESSED,
        Verdict.INCONCLUSIVE: Verdict.INCONCLUSIVE,
    }
    found = _judge(tuple(before), tuple(after))
    assert _judge(tuple(after), tuple(before)).verdict == mirror[found.verdict]


@pytest.mark.parametrize(("before", "after"), [((3, 4), (40, 41, 39)), ((3, 4, 3), (40, 41))])
def test_fewer_than_three_processes_on_a_side_are_inconclusive(before: tuple[int, ...], after: tuple[int, ...]) -> None:
    found = _judge(before, after)
    few = f"{len(before)} against {len(after)} processes; counts that vary need 3 on each side"
    assert (found.verdict, found.reasons, found.p) == (Verdict.INCONCLUSIVE, (few,), None)


def test_no_event_on_either_side_has_the_p_of_one() -> None:
    found = _judge((0, 0, 0), (0, 0, 0))
    assert (found.verdict, found.p) == (Verdict.INCONCLUSIVE, 1.0)


def test_one_look_of_three_asks_for_a_third_of_the_level() -> None:
    # 4 against 15: P(15 or more of 19) = 5036 / 2^19 = 0.0096, below 0.01 and above 0.01 / 3.
    sides = _side(1, 1, 1, 1), _side(4, 4, 4, 3)
    assert judge_counts(CELL, sides).verdict == Verdict.REGRESSED
    assert judge_counts(CELL, sides, 0.01 / 3).verdict == Verdict.INCONCLUSIVE


@pytest.mark.parametrize("candidate", [(1000, 1100, 1200, 1050, 1150), (30, 50, 40, 60, 35)])
def test_five_a_side_that_do_not_overlap_alarm_at_a_third_of_the_level_too(candidate: tuple[int, ...]) -> None:
    # 1 / 252 is the smallest p of five against five, and above 0.01 / 3.
    assert judge_counts(CELL, (_side(18, 2, 25, 9, 14), _side(*candidate)), 0.01 / 3).verdict == Verdict.REGRESSED
    assert judge_counts(CELL, (_side(*candidate), _side(18, 2, 25, 9, 14)), 0.01 / 3).verdict == Verdict.IMPROVED


# --- false alarms ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("processes", [3, 4, 5])
@pytest.mark.parametrize("scatter", [1, 2, 3])
def test_equal_sides_are_rarely_called_different_however_their_counts_scatter(processes: int, scatter: int) -> None:
    """Variance over mean 1 (Poisson) to 3; the level is 1 % on each side. Of 500 draws 2 % are 10, and 20 are 3 sd."""
    generator = np.random.default_rng(7)

    def draw() -> pd.DataFrame:
        if scatter == 1:
            return _side(*generator.poisson(10, processes))
        return _side(*generator.negative_binomial(10 / (scatter - 1), 1 / scatter, processes))

    verdicts = [judge_counts(CELL, (draw(), draw())).verdict for _ in range(500)]
    assert sum(verdict is not Verdict.INCONCLUSIVE for verdict in verdicts) <= 20


# --- dispersed counts -----------------------------------------------------------------------------------------------


def test_counts_that_scatter_more_than_rare_events_are_compared_by_permuting_processes() -> None:
    # The base's index of dispersion is 2 · 450 / 15 = 60 where 3 are expected, far beyond chance. Its sum 60 against
    # 100 is p = 0.002 by the binomial test; of the 70 ways to divide the eight processes many are as far apart.
    found = _judge((0, 30, 0, 30), (25, 25, 25, 25))
    assert found.test == "permutation of processes"
    assert found.verdict == Verdict.INCONCLUSIVE
    assert found.p is not None
    assert found.p > 0.1


def test_known_answer_of_the_permutation() -> None:
    # The sides do not overlap: one of the C(10, 5) = 252 ways is as extreme, and its mirror.
    found = _judge((0, 8, 1, 9, 2), (30, 50, 40, 60, 35))
    assert (found.test, found.verdict) == ("permutation of processes", Verdict.REGRESSED)
    assert found.p == pytest.approx(2 / 252)
    mirrored = _judge((30, 50, 40, 60, 35), (0, 8, 1, 9, 2))
    assert (mirrored.verdict, mirrored.p) == (Verdict.IMPROVED, pytest.approx(2 / 252))


def test_three_scattered_processes_a_side_can_never_reach_the_level() -> None:
    # 2 / C(6, 3) = 0.1.
    found = _judge((0, 20, 2), (900, 2000, 1500))
    assert (found.verdict, found.p) == (Verdict.INCONCLUSIVE, pytest.approx(0.1))


def test_a_permutation_of_many_processes_is_drawn_alike_every_time() -> None:
    before, after = tuple(range(0, 60, 5)), tuple(range(5, 65, 5))
    assert _judge(before, after).p == _judge(before, after).p
