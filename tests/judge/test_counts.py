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


# --- what is said of it ---------------------------------------------------------------------------------------------


def test_an_undecided_count_says_its_p_the_level_what_could_have_been_seen_and_what_would_decide() -> None:
    # The candidate's sum is 11. Of the 252 ways 28 with both threes have 11 or more (two twos and a one, 6 · 4; three
    # twos, 4), and 2 with one three and all four twos: 30.
    found = _judge((1, 2, 1, 2, 1), (1, 3, 2, 3, 2))
    assert (found.verdict, found.p) == (Verdict.INCONCLUSIVE, pytest.approx(2 * 30 / 252))
    assert found.reasons == ("the sides are no further apart than chance explains (one-sided p = 0.12, level 0.01)",)
    # 2.2 against 1.4. With one overflow more in each process 3 of the 252 ways are as extreme, 0.012; with two the
    # sides do not overlap, and 4.2 are 200 % more.
    assert (found.change, found.minimum_detectable) == (pytest.approx(0.8 / 1.4), pytest.approx(2.8 / 1.4))
    # The variance of all ten is 0.56; (0.8 - 1 / K)² (2 K - 1) / (4 · 0.56) is 5.27 with 12 processes a side and 5.84
    # with 13, and 2.326² = 5.41.
    assert found.runs_to_decide == 13


@pytest.mark.parametrize(
    ("before", "after", "alpha", "verdict", "reason"),
    [
        (
            (1, 2, 1, 2, 1),
            (4, 3, 4, 3, 4),
            0.01,
            Verdict.REGRESSED,
            "the sides do not overlap (one-sided p = 0.004, level 0.01)",
        ),
        # No exchange of five a side reaches a third of the level; the sides could not be further apart.
        (
            (1, 2, 1, 2, 1),
            (4, 3, 4, 3, 4),
            0.01 / 3,
            Verdict.REGRESSED,
            "the sides do not overlap (one-sided p = 0.004, level 0.0033)",
        ),
        # The sums 16 and 39 are one exchange, of 6 for 5, from no overlap: 2 of 252 ways.
        (
            (1, 2, 3, 4, 6),
            (5, 7, 8, 9, 10),
            0.01,
            Verdict.REGRESSED,
            "the sides are further apart than chance explains (one-sided p = 0.0079, level 0.01)",
        ),
        (
            (4, 3, 5, 4),
            (9, 12, 4, 13),
            0.01,
            Verdict.INCONCLUSIVE,
            "so few processes a side must not overlap, and these do (one-sided p = 0.0019, level 0.01)",
        ),
        (
            (1, 1, 1),
            (2, 2, 3),
            0.01,
            Verdict.INCONCLUSIVE,
            "the sides are no further apart than chance explains (one-sided p = 0.17, level 0.01)",
        ),
        (
            (0, 20, 2),
            (900, 2000, 1500),
            0.01,
            Verdict.INCONCLUSIVE,
            "3 against 3 processes are too few, for their counts scatter more than rare events do "
            "(one-sided p = 0.05, level 0.01)",
        ),
    ],
)
def test_every_verdict_says_why_with_its_p_and_the_level(
    before: tuple[int, ...], after: tuple[int, ...], alpha: float, verdict: Verdict, reason: str
) -> None:
    found = judge_counts(CELL, (_side(*before), _side(*after)), alpha)
    assert (found.verdict, found.reasons) == (verdict, (reason,))
    assert (found.runs_to_decide is not None) == (verdict is Verdict.INCONCLUSIVE)


def test_of_few_processes_the_binomial_test_says_what_it_could_have_seen() -> None:
    # 6 events against 3 + 3 n: of 21 the probability of 15 or more is 0.039, of 24 (18 or more) 0.011, and of 27 (21
    # or more) 0.003. Three overflows more in each process, and 7 are 250 % more than 2.
    found = _judge((2, 1, 3), (4, 3, 5))
    assert found.verdict == Verdict.INCONCLUSIVE
    assert found.minimum_detectable == pytest.approx(5 / 2)


@pytest.mark.parametrize(
    ("before", "after", "seen", "runs"),
    [
        # No share of nothing. (0.4 - 1 / K)² (2 K - 1) / (4 · 0.16) is 5.04 with 15 and 5.52 with 16.
        ((0, 0, 0, 0, 0), (0, 1, 0, 0, 1), None, 16),
        # Equal means never differ, however many there are; two overflows more in each process do not overlap.
        ((1, 2, 1, 2, 1), (1, 2, 1, 2, 1), 2 / 1.4, None),
        # Scattered so much that three processes a side can never tell.
        ((0, 20, 2), (900, 2000, 1500), None, 5),
    ],
)
def test_what_cannot_be_known_is_not_given(
    before: tuple[int, ...], after: tuple[int, ...], seen: float | None, runs: int | None
) -> None:
    found = _judge(before, after)
    assert found.verdict == Verdict.INCONCLUSIVE
    assert found.minimum_detectable == (None if seen is None else pytest.approx(seen))
    assert found.runs_to_decide == runs


def test_both_means_are_those_over_the_seeds_that_are_compared() -> None:
    # Under either seed one overflow more; the candidate has most of its processes under the quiet one.
    base = pd.DataFrame({"seed": [0, 1, 1, 1], "overflow_count": pd.Series([1, 9, 9, 8], dtype="Int64")})
    candidate = pd.DataFrame({"seed": [0, 0, 0, 1], "overflow_count": pd.Series([2, 2, 2, 10], dtype="Int64")})
    found = judge_counts(CELL, (base, candidate))
    assert (found.base, found.candidate) == pytest.approx(((1 + 26 / 3) / 2, 6))


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
