"""A series without what its anchor explains: the machine goes, the code stays, and spikes of one side teach nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest

from suite.judge.anchored import adjusted
from suite.judge.changes import change_points

DELTA = 0.02
SD = 0.003
seeds = pytest.mark.parametrize("seed", range(5))


def _noise(nights: int, seed: int = 0, sd: float = SD) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, sd, nights)


def _states(seed: int, nights: int = 60, size: float = 0.05) -> np.ndarray:
    """A machine that is slower for some nights, then fast again: it keeps its mood for about ten."""
    random, slow, states = np.random.default_rng(1000 + seed), False, []
    for _ in range(nights):
        slow = slow != (random.random() < 0.1)
        states.append(size * slow)
    return np.array(states)


@seeds
def test_a_state_of_the_machine_that_both_share_is_removed(seed: int) -> None:
    state = _states(seed)
    values, anchor = state + _noise(60, seed), state + _noise(60, seed + 50)
    assert np.std(adjusted(values, anchor)) < np.std(values) / 3
    assert change_points(list(values), DELTA) != []
    assert change_points(adjusted(values, anchor), DELTA) == []


@seeds
def test_a_regression_of_the_code_cannot_hide_behind_the_anchor(seed: int) -> None:
    state = _states(seed)
    values, anchor = state + _noise(60, seed), state + _noise(60, seed + 50)
    values[35:] += 0.05
    (point,) = change_points(adjusted(values, anchor), DELTA)
    assert point.first <= 35 <= point.last
    assert point.change == pytest.approx(math.expm1(0.05), abs=0.012)


@seeds
def test_an_anchor_that_explains_nothing_costs_next_to_nothing(seed: int) -> None:
    values = _noise(60, seed)
    assert np.std(adjusted(values, _noise(60, seed + 50))) < 1.25 * np.std(values)


def test_an_anchor_that_never_moves_or_moves_the_other_way_changes_nothing() -> None:
    values = [float(value) for value in _noise(30)]
    assert adjusted(values, [0.7] * 30) == values
    assert adjusted(values, [-value for value in values]) == values


def test_no_more_is_taken_away_than_the_anchor_moved() -> None:
    anchor = [float(value) for value in _noise(30)]
    taken = [
        y - x for x, y in zip(adjusted([3 * value for value in anchor], anchor), [3 * v for v in anchor], strict=True)
    ]
    mean = sum(anchor) / 30
    assert taken == pytest.approx([value - mean for value in anchor])


@seeds
def test_adjusting_keeps_the_mean(seed: int) -> None:
    values, anchor = _noise(40, seed), 3.0 + _noise(40, seed + 50)
    assert np.mean(adjusted(values, anchor)) == pytest.approx(np.mean(values))


@seeds
@pytest.mark.parametrize("height", [0.1, 0.2, 1.0])
def test_one_slow_night_of_the_anchor_alone_does_not_end_its_protection(seed: int, height: float) -> None:
    state = _states(seed)
    values, anchor = state + _noise(60, seed), state + _noise(60, seed + 50)
    anchor[15] += height
    assert change_points(adjusted(values, anchor), DELTA) == []
    # Nor does it make a fast night of an ordinary one.
    assert abs(adjusted(values, anchor)[15] - np.median(adjusted(values, anchor))) < 0.5 * height


def test_a_spike_that_both_have_is_the_machines() -> None:
    shared = np.where(np.arange(40) == 20, 0.1, 0.0) + np.where(np.arange(40) > 30, 0.05, 0.0)
    values, anchor = shared + _noise(40, 1), shared + _noise(40, 2)
    left = adjusted(values, anchor)
    assert abs(left[20] - np.median(left)) < 0.03


def test_two_nights_teach_nothing() -> None:
    assert adjusted([0.1, 0.2], [0.3, 0.9]) == [0.1, 0.2]
