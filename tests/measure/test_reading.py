from __future__ import annotations

from suite.measure.reading import Reading, highest, lowest, mean

THREE = [Reading(2.0), Reading(9.0), Reading(4.0)]
BROKEN = [Reading(2.0), Reading(None, "gone"), Reading(None, "later")]


def test_several_readings_become_one() -> None:
    assert (highest(THREE).value, lowest(THREE).value, mean(THREE).value) == (9.0, 2.0, 5.0)


def test_one_that_failed_makes_the_answer_unknown_for_its_reason() -> None:
    assert highest(BROKEN) == lowest(BROKEN) == mean(BROKEN) == (None, "gone")


def test_nothing_read_is_not_zero() -> None:
    assert mean([]) == highest([]) == (None, "nothing was read")


def test_whole_numbers_are_whole_and_gaps_stay_gaps() -> None:
    assert (Reading(7.0).integer, Reading(None, "x").integer) == (7, None)
