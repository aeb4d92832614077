from __future__ import annotations

from suite.window import first_observed, warmup_cut


def test_the_instruments_see_the_last_step_of_the_warm_up_if_there_is_one() -> None:
    assert [first_observed(warmup_steps) for warmup_steps in (0, 1, 2, 8)] == [0, 0, 1, 7]


def test_steady_steps_are_cut_at_the_minimum() -> None:
    assert warmup_cut([1.0] * 20, 3) == 3


def test_the_cut_waits_until_the_five_step_median_is_within_two_percent_of_the_last_half() -> None:
    # Windows of five that begin at 2 and 3 still have a median of 1.05; the one at 4 has 1.0.
    seconds = [9.0, 1.05, 1.05, 1.05, 1.05, 1.05, *[1.0] * 24]
    assert warmup_cut(seconds, 2) == 4


def test_the_warm_up_never_takes_more_than_thirty_percent() -> None:
    drifting = [1.0 / (step + 1) for step in range(100)]
    assert warmup_cut(drifting, 5) == 30


def test_a_larger_minimum_is_kept() -> None:
    assert warmup_cut([1.0] * 10, 6) == 6
