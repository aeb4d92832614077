from __future__ import annotations

import pytest

from suite.measure.processes import distrust, foreign_count, own_bytes
from suite.measure.reading import Reading

ME = 100
TOTAL = Reading(1_000.0)


def test_this_process_is_found_among_the_others() -> None:
    assert own_bytes(ME, {1: 10}, {1: 10, ME: 20}, TOTAL).value == 20.0


def test_the_others_are_counted() -> None:
    assert foreign_count(ME, {1: 10, 2: None, ME: 20}, None).value == 2.0


def test_an_empty_list_before_counts_nobody_once_the_list_is_trusted() -> None:
    assert foreign_count(ME, {}, None).value == 0.0


def test_host_pids_in_a_container_say_nothing_of_this_process_or_of_others() -> None:
    reason = distrust(ME, {}, {7: 10})
    assert reason is not None
    assert "container" in reason
    assert own_bytes(ME, {}, {7: 10}, TOTAL) == foreign_count(ME, {7: 10}, reason) == (None, reason)


def test_an_empty_list_says_nothing_either() -> None:
    assert own_bytes(ME, {}, {}, TOTAL).value is None


def test_a_stranger_with_this_process_id_is_not_taken_for_it() -> None:
    reading = own_bytes(ME, {ME: 500}, {ME: 500}, TOTAL)
    assert reading.value is None
    assert "before it used the device" in str(reading.reason)


@pytest.mark.parametrize(("before", "after"), [("refused", {ME: 20}), ({}, "refused")])
def test_a_refused_list_gives_its_reason(before: object, after: object) -> None:
    assert own_bytes(ME, before, after, TOTAL) == (None, "refused")  # type: ignore[arg-type]


def test_hidden_memory_is_none_with_a_reason() -> None:
    reading = own_bytes(ME, {}, {ME: None}, TOTAL)
    assert reading.value is None
    assert "WSL" in str(reading.reason)


@pytest.mark.parametrize("used", [0, 1_001])
def test_impossible_memory_is_not_believed(used: int) -> None:
    assert own_bytes(ME, {}, {ME: used}, TOTAL).value is None


def test_without_a_known_total_the_drivers_word_is_taken() -> None:
    assert own_bytes(ME, {}, {ME: 5}, Reading(None, "unified memory")).value == 5.0
