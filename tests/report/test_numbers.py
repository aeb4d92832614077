from __future__ import annotations

import math

import pytest

from suite.report import numbers


def plain(text: str) -> str:
    return text.replace("\u00a0", " ")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0.0, "0"),
        (12.345, "12.3"),
        (999.6, "1,000"),
        (9.996, "10.0"),
        (1234.5, "1,234"),
        (0.00123, "0.00123"),
        (-0.5, "−0.500"),
        (1.234e-7, "1.23e−7"),
        (2.5e20, "2.50e20"),
        (math.nan, "not finite"),
        (math.inf, "not finite"),
    ],
)
def test_three_significant_digits(value: float | None, text: str) -> None:
    assert numbers.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(1.5, "1.50 s"), (0.0123, "12.3 ms"), (85e-6, "85.0 µs"), (0.0, "0 s"), (1e-8, "0.0100 µs")]
)
def test_seconds_choose_their_unit(value: float, text: str) -> None:
    assert plain(numbers.seconds(value)) == text


@pytest.mark.parametrize(
    ("value", "text"), [(512, "512 B"), (1536, "1.50 KiB"), (3 * 2**30, "3.00 GiB"), (0, "0 B"), (None, "–")]
)
def test_bytes_are_binary(value: float | None, text: str) -> None:
    assert plain(numbers.memory(value)) == text


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        ((1.524, 1.5, 1.6), "1.52× faster"),
        ((0.5, 0.4, 0.6), "2.00× slower"),
        ((1 / 36, 1 / 40, 1 / 30), "36.0× slower"),
        ((1.001, 0.9, 1.1), "1.00× as fast, not told apart"),
        ((1.2, 0.9, 1.6), "1.20× as fast, not told apart"),
        ((1.2, None, None), "1.20× as fast"),
        ((1.0012, 1.001, 1.0014), "1.0012× faster"),
        ((0.9988, 0.998, 0.999), "1.0012× slower"),
        ((float("nan"), None, None), "–"),
        ((None,), "–"),
    ],
)
def test_speed_is_said_in_words_and_no_order_that_is_not_shown(estimate: tuple[float | None, ...], text: str) -> None:
    assert numbers.speed(*estimate) == text


def test_changes_carry_their_sign_and_sizes_do_not() -> None:
    assert plain(numbers.change(0.031)) == "+3.1 %"
    assert plain(numbers.change(-0.0005)) == "−0.05 %"
    assert plain(numbers.change(0.0)) == "0 %"
    assert plain(numbers.change(3.5)) == "+350 %"
    assert plain(numbers.change(math.inf)) == "not finite"
    assert plain(numbers.percent(0.02)) == "2 %"
    assert plain(numbers.percent(0.054)) == "5.4 %"
    assert numbers.interval(0.022, 0.04) == "[+2.2, +4.0]"
    assert numbers.interval(None, 0.04) == ""


def test_ranges_share_their_unit_where_they_can() -> None:
    assert plain(numbers.between(numbers.seconds, [0.0121, 0.0125])) == "12.1–12.5 ms"
    assert plain(numbers.between(numbers.seconds, [0.5, 1.5])) == "500 ms – 1.50 s"
    assert plain(numbers.between(numbers.seconds, [0.01, 0.01])) == "10.0 ms"
    assert numbers.between(numbers.seconds, []) == "–"
    assert numbers.count_between([2, 4]) == "2–4"


def test_units_come_from_the_name_of_the_metric() -> None:
    assert plain(numbers.by_metric("step_seconds")(0.01)) == "10.0 ms"
    assert plain(numbers.by_metric("peak_allocated_bytes")(2048)) == "2.00 KiB"
    assert numbers.by_metric("overflow_steps")(3.0) == "3"
    assert numbers.by_metric("quality")(0.84216) == "0.8422"


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (None, "–"), (0.0, "0 %"), (1e-7, "1.00e−5 %"), (2.92e-5, "0.00292 %"), (0.0005, "0.05 %"), (0.123, "12.3 %"),
        (0.9999, "> 99.9 %"), (1.0, "100 %"),
    ],
)  # fmt: skip
def test_a_share_is_0_or_100_percent_only_where_it_is(share: float | None, text: str) -> None:
    assert plain(numbers.share(share)) == text


def test_the_rest() -> None:
    assert numbers.scale(65536.0) == "2^16"
    assert numbers.scale(1000.0) == "1,000"
    assert numbers.scale(None) == "–"
    assert numbers.probability(0.01234) == "0.0123"
    assert plain(numbers.probability(0.0)) == "< 0.0001"
    assert numbers.of(3, 5, "trial") == "3 of 5 trials"
    assert numbers.of(1, 1, "trial") == "1 of 1 trial"
    assert plain(numbers.operations(1.2e9)) == "1.20 GFLOP"
    assert plain(numbers.operation_rate(9.89e14)) == "989 TFLOP/s"
    assert numbers.operation_rate(None) == "–"
    assert plain(numbers.joules(0.0015)) == "1.50 mJ"
    assert plain(numbers.rate(2345.0)) == "2,345 samples/s"
    assert numbers.signed(0.0) == "±0"
    assert numbers.signed(0.003) == "+0.0030"


@pytest.mark.parametrize(
    ("value", "low", "high", "text"),
    [
        (1234.0, 1210.0, 1260.0, "1,234× [1,210, 1,260]"),
        (0.61, 0.605, 0.6149, "0.610× [0.605, 0.615]"),
        (2.0, None, None, "2.00× (1 process)"),
    ],
)
def test_an_interval_stands_beside_its_number(value: float, low: float | None, high: float | None, text: str) -> None:
    shown = numbers.bounded(value, low, high, "×")
    assert plain(shown) == text
    assert " " not in shown


def test_the_bounds_of_a_time_share_its_unit() -> None:
    assert plain(numbers.bounded_seconds(0.0009, 0.0008, 0.0011)) == "900 µs [800, 1,100]"
    assert plain(numbers.bounded_seconds(0.0123, None, None)) == "12.3 ms (1 process)"


@pytest.mark.parametrize(
    ("text", "spaced"),
    [
        ("slower, by 4.0% to 6.0%", "slower, by 4.0 % to 6.0 %"),
        ("5%, and 5 % already", "5 %, and 5 % already"),
        ("a%20b 10%z %", "a%20b 10%z %"),
    ],
)
def test_a_percent_sign_stands_apart_from_its_number(text: str, spaced: str) -> None:
    assert plain(numbers.spaced(text)) == spaced
