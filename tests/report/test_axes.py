from __future__ import annotations

from itertools import pairwise

import pytest

from suite.report.axes import spread, value_axis


def test_close_positive_values_stay_linear() -> None:
    axis = value_axis([2.0, 3.0])
    assert axis.base is None
    assert axis.ticks == (2.0, 2.2, 2.4, 2.6, 2.8, 3.0)


def test_values_far_apart_are_logarithmic_only_when_positive() -> None:
    assert value_axis([1.0, 1000.0]).base == 10.0
    assert value_axis([0.0, 1000.0]).base is None
    assert value_axis([-1.0, 1000.0]).base is None


def test_a_loss_scale_is_in_powers_of_two() -> None:
    axis = value_axis([1024.0, 65536.0], base=2.0)
    assert set(axis.ticks) <= {2.0**power for power in range(9, 18)}
    assert axis.ticks


@pytest.mark.parametrize("values", [[5.0], [0.0], [-3.0, -3.0], [1e-9, 1e9]])
def test_any_values_give_an_axis_that_holds_them(values: list[float]) -> None:
    axis = value_axis(values)
    assert axis.low < min(values)
    assert axis.high > max(values)
    assert all(axis.low <= tick <= axis.high for tick in axis.ticks)


@pytest.mark.parametrize("axis", [value_axis([1.0, 2.0]), value_axis([1.0, 100.0]), value_axis([8.0, 64.0], base=2.0)])
def test_positions_and_values_are_inverses(axis) -> None:
    assert axis.value(axis.position(2.0)) == pytest.approx(2.0)
    assert axis.position(axis.low) == pytest.approx(0.0)
    assert axis.position(axis.high) == pytest.approx(1.0)


def test_labels_keep_their_order_and_their_distance() -> None:
    placed = spread([0.5, 0.5, 0.51, 0.98, 0.99], 0.1)
    ordered = sorted(placed)
    assert all(after - before >= 0.1 - 1e-9 for before, after in pairwise(ordered))
    assert ordered[-1] <= 1.0
    assert placed[3] < placed[4]
    assert spread([0.2, 0.8], 0.1) == [0.2, 0.8]
