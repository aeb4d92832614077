"""The window of safe static scales, from counts written down by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from loss_scales import point, scan

from suite.decode import decode, encode
from suite.loss_scale.scan import ScaleScan, power, scale_window


def test_the_worst_point_counts() -> None:
    found = scan(
        point(flushed={0: 400, 4: 10, 8: 0}),
        point(step=6, flushed={0: 100, 6: 20, 9: 10, 12: 0}, largest=3.0),
    )
    assert found.flushed_shares[:5] == (0.4, 0.4, 0.4, 0.4, 0.1)
    assert found.overflowed_shares[19:21] == (0.0, 0.5)
    assert found.largest == 3.0
    # At most 1 % of either point from 2^9 on; 3 · 8 · 2^11 = 49152 is the last below 65504.
    window = scale_window(found)
    assert (window.low, window.high, window.found) == (2.0**9, 2.0**11, True)
    assert window.sentence == (
        "Scales from 2^9 to 2^11 are safe: at most 1 % of the gradient values become zero, "
        "and a gradient 8 times the largest one seen stays finite."
    )


def test_a_window_of_one_scale() -> None:
    window = scale_window(scan(point(flushed={0: 11, 3: 10}, largest=1000.0)))
    assert (window.low, window.high, window.found) == (8.0, 8.0, True)
    assert window.sentence.startswith("Only the scale 2^3 is safe: ")


def test_gradients_too_far_apart_for_any_static_scale() -> None:
    window = scale_window(scan(point(flushed={0: 500, 10: 0}, largest=4000.0)))
    assert (window.low, window.high, window.found) == (1024.0, 2.0, False)
    assert window.sentence == (
        "No static scale is safe: at most 1 % of the gradient values become zero only from 2^10 on, and a gradient 8 "
        "times the largest one seen stays finite only up to 2^1. Use a dynamic scale or bf16."
    )


def test_no_scale_is_large_enough_or_small_enough() -> None:
    window = scale_window(scan(point(flushed={0: 500}, largest=9000.0)))
    assert (window.low, window.high, window.found) == (None, None, False)
    assert "at no scale up to 2^24" in window.sentence
    assert "at no scale, not even 1" in window.sentence


def test_nothing_is_said_where_float32_itself_broke_down_or_nothing_was_seen() -> None:
    broken = scale_window(scan(point(), point(step=3, nonfinite=1)))
    assert not broken.found
    assert broken.sentence == "After 3 steps float32 itself has gradients that are not finite; no scale helps."
    nothing = scan(point(values=0, largest=None))
    assert not scale_window(nothing).found
    assert nothing.flushed_shares == nothing.overflowed_shares == (None,) * 25
    assert scale_window(nothing).sentence == "No gradient that autocast would hold in float16 differs from zero."


@pytest.mark.parametrize(("scale", "shown"), [(1.0, "2^0"), (1024.0, "2^10"), (0.5, "2^-1"), (1000.0, "1000")])
def test_powers_of_two_are_shown_as_such(scale: float, shown: str) -> None:
    assert power(scale) == shown


def test_a_scan_survives_the_journey_between_processes() -> None:
    found = scan(replace(point(), step=7))
    assert decode(ScaleScan, encode(found), "scan") == found
