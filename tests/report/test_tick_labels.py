"""What stands beside the ticks of an axis: no exponent where a person would not write one."""

from __future__ import annotations

import pytest
from read_back import texts

from suite.report.axes import Axis
from suite.report.drawing import axis_of, layer, scale, still


def _labels(axis: Axis) -> list[str]:
    x = {"field": "value", "type": "quantitative", "scale": scale(axis), "axis": axis_of(axis, "")}
    spec = {"width": 900, "data": {"values": [{"value": axis.low}]}, "layer": [layer("point", {"x": x})]}
    return texts(still(spec, "ticks"))


@pytest.mark.parametrize(
    ("axis", "labels"),
    [
        (Axis(0.0, 3.0, (0.0, 0.5, 1.0)), ["0", "0.5", "1"]),
        (Axis(-1.0, 1.0, (-0.25, 0.0001)), ["−0.25", "0.0001"]),
        (Axis(0.0, 900_000.0, (0.0, 250_000.0, 500_000.0)), ["0", "250,000", "500,000"]),
        (Axis(0.0, 4e6, (0.0, 1e6, 1.5e6, 2e6)), ["0", "1M", "1.5M", "2M"]),
        (Axis(0.0, 4e9, (0.0, 5e8, 1e9)), ["0", "500M", "1G"]),
        (Axis(1.0, 1e8, (1.0, 1e3, 1e6), 10.0), ["1", "1k", "1M"]),
        (Axis(0.1, 1e8, (0.1, 1e3, 1e6), 10.0), ["0.1", "1,000", "1,000,000"]),
        (Axis(1e-7, 1.0, (1e-6, 0.1), 10.0), ["1e−6", "1e−1"]),
        (Axis(1.0, 1e20, (1.0, 1e18), 10.0), ["1e0", "1e18"]),
        (Axis(1.0, 64.0, (2.0, 32.0), 2.0), ["2^1", "2^5"]),
    ],
)
def test_ticks_of_an_axis_are_written_one_way(axis: Axis, labels: list[str]) -> None:
    assert _labels(axis) == labels
