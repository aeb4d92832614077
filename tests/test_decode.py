"""Plain data to frozen values and back: what is refused, in which words, and that nothing is lost on the way."""

from __future__ import annotations

import enum
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import records
from hypothesis import given, settings
from hypothesis import strategies as st

from suite.decode import DecodeError, decode, encode, nearest
from suite.readings import Energy, Memory
from suite.record import Attestation, Caution, Outcome, Quality, StepTrace, TrialRecord


class Colour(enum.StrEnum):
    RED = "red"
    GREEN = "green"


@dataclass(frozen=True)
class Inner:
    size: int
    ratio: float = 0.5


@dataclass(frozen=True)
class Outer:
    name: str
    colour: Colour = Colour.RED
    inner: Inner | None = None
    many: tuple[Inner, ...] = ()
    by_name: Mapping[str, Inner] = field(default_factory=dict)
    settings: Mapping[str, int | float | bool | str] = field(default_factory=dict)
    flag: bool = False
    limit: float | None = None
    anything: Any = None


def _refusal(data: Any, kind: type[Any] = Outer) -> str:
    with pytest.raises(DecodeError) as caught:
        decode(kind, data, "file")
    return str(caught.value)


def test_nested_data_become_nested_values() -> None:
    data = {
        "name": "a",
        "colour": "green",
        "inner": {"size": 1},
        "many": [{"size": 2, "ratio": 2}, {"size": 3}],
        "by_name": {"x": {"size": 4}},
        "anything": [1, {"y": None}],
    }
    expected = Outer(
        "a",
        Colour.GREEN,
        Inner(1),
        (Inner(2, 2.0), Inner(3)),
        {"x": Inner(4)},
        anything=[1, {"y": None}],
    )
    assert decode(Outer, data, "file") == expected


def test_an_unknown_key_is_refused_with_the_nearest_known_one() -> None:
    assert _refusal({"name": "a", "collour": "red"}) == "file: unknown key 'collour'; did you mean 'colour'?"


def test_an_unknown_key_like_no_other_is_refused_with_all_known_ones() -> None:
    assert _refusal({"size": 1, "zzzzzz": 1}, Inner) == "file: unknown key 'zzzzzz'; known are: ratio, size."


def test_an_unknown_key_deep_inside_is_refused_with_its_place() -> None:
    message = _refusal({"name": "a", "many": [{"size": 1}, {"size": 1, "rato": 2.0}]})
    assert message == "file.many[1]: unknown key 'rato'; did you mean 'ratio'?"


def test_a_missing_key_is_named() -> None:
    assert _refusal({}) == "file: the key 'name' is missing; add it."
    assert _refusal({"name": "a", "by_name": {"x": {}}}) == "file.by_name.x: the key 'size' is missing; add it."


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("name", 3, "file.name: 3 is not allowed; give a value of type str."),
        ("flag", 1, "file.flag: 1 is not allowed; give a value of type bool."),
        ("flag", "true", "file.flag: 'true' is not allowed; give a value of type bool."),
        ("limit", "big", "file.limit: 'big' is not allowed; give a value of type float."),
        ("limit", True, "file.limit: True is not allowed; give a value of type float."),
        ("inner", 3, "file.inner: 3 is not allowed; give a table."),
        ("inner", {"size": True}, "file.inner.size: True is not allowed; give a value of type int."),
        ("inner", {"size": 1.0}, "file.inner.size: 1.0 is not allowed; give a value of type int."),
        ("inner", {"size": None}, "file.inner.size: None is not allowed; give a value of type int."),
        ("many", {"size": 1}, "file.many: {'size': 1} is not allowed; give a list."),
        ("by_name", [], "file.by_name: [] is not allowed; give a table."),
        ("settings", {"a": None}, "file.settings.a: None is not allowed; give int or float or bool or str."),
        ("settings", {"a": [1]}, "file.settings.a: [1] is not allowed; give int or float or bool or str."),
        ("colour", "gren", "file.colour: 'gren' is not known; did you mean 'green'?"),
        ("colour", 3, "file.colour: 3 is not known; known are: green, red."),
        ("colour", ["red"], "file.colour: ['red'] is not known; did you mean 'red'?"),
        ("colour", {"size": 1}, "file.colour: {'size': 1} is not known; known are: green, red."),
    ],
)
def test_a_wrong_value_is_refused_with_its_place_and_what_is_allowed(key: str, value: Any, message: str) -> None:
    assert _refusal({"name": "a", key: value}) == message


def test_what_is_not_a_table_at_all_is_refused() -> None:
    assert _refusal([1]) == "file: [1] is not allowed; give a table."


def test_a_whole_number_is_a_float_where_a_float_is_asked_for() -> None:
    limit = decode(Outer, {"name": "a", "limit": 3}, "file").limit
    assert (limit, type(limit)) == (3.0, float)


@pytest.mark.parametrize("value", [3, 3.0, True, "3", "nan"])
def test_a_union_of_scalars_keeps_the_type_it_got(value: int | float | bool | str) -> None:
    decoded = decode(Outer, {"name": "a", "settings": {"x": value}}, "file").settings["x"]
    assert decoded == value
    assert type(decoded) is type(value)


@pytest.mark.parametrize(("value", "text"), [(math.inf, "inf"), (-math.inf, "-inf"), (math.nan, "nan")])
def test_a_number_that_is_not_finite_travels_as_text(value: float, text: str) -> None:
    sent = json.dumps(encode(Inner(1, value)), allow_nan=False)
    assert json.loads(sent) == {"size": 1, "ratio": text}
    assert repr(decode(Inner, json.loads(sent), "file").ratio) == repr(value)


def test_encoded_values_are_plain() -> None:
    encoded = encode(Outer("a", inner=Inner(1), many=(Inner(2),), by_name={"x": Inner(3)}))
    assert encoded == {
        "name": "a",
        "colour": "red",
        "inner": {"size": 1, "ratio": 0.5},
        "many": [{"size": 2, "ratio": 0.5}],
        "by_name": {"x": {"size": 3, "ratio": 0.5}},
        "settings": {},
        "flag": False,
        "limit": None,
        "anything": None,
    }
    assert type(encoded["colour"]) is str


def test_the_nearest_name_or_all_names() -> None:
    assert nearest("fp61-static", ["fp16-static", "bf16"]) == "did you mean 'fp16-static'?"
    assert nearest("q", ["b", "a"]) == "known are: a, b."


FLOATS = st.floats(allow_nan=False)  # a NaN is equal to nothing, not even to itself
TEXTS = st.text(max_size=10)
SIZES = st.none() | st.integers(0, 2**62)


@st.composite
def _traces(draw: st.DrawFn) -> StepTrace:
    steps = draw(st.integers(1, 4))
    floats = st.tuples(*[FLOATS] * steps)
    return StepTrace(
        seconds=draw(st.tuples(*[st.floats(min_value=0, exclude_min=True)] * steps)),
        losses=draw(floats),
        gradient_norms=draw(floats),
        overflowed=draw(st.tuples(*[st.booleans()] * steps)),
        scales=draw(st.none() | floats),
        skips_overflow=draw(st.booleans()),
        last_scale=draw(st.none() | FLOATS),
        warmup_steps=draw(st.integers(0, steps - 1)),
    )


RECORDS = st.builds(
    TrialRecord,
    spec=st.builds(
        records.spec,
        seed=st.integers(0, 2**62),
        setup=st.builds(records.setup, settings=st.dictionaries(TEXTS, st.integers() | st.booleans() | FLOATS | TEXTS)),
    ),
    outcome=st.sampled_from(Outcome),
    started_at=TEXTS,
    order=st.integers(0, 1000),
    reason=st.none() | TEXTS,
    emulation=st.none() | TEXTS,
    total_seconds=st.none() | FLOATS,
    samples_per_step=st.none() | st.integers(1, 2**62),
    steps=st.none() | _traces(),
    memory=st.builds(Memory, peak_allocated_bytes=SIZES, reasons=st.dictionaries(TEXTS, TEXTS)),
    energy=st.builds(Energy, joules=st.none() | FLOATS, reason=st.none() | TEXTS),
    quality=st.none()
    | st.builds(
        lambda metrics, baseline: Quality(metrics, next(iter(metrics)), True, baseline, "nothing"),
        st.dictionaries(TEXTS, FLOATS, min_size=1),
        st.floats(allow_nan=False, allow_infinity=False),
    ),
    attestation=st.none()
    | st.builds(Attestation, TEXTS, st.dictionaries(TEXTS, st.integers()), st.dictionaries(TEXTS, FLOATS)),
    cautions=st.lists(st.builds(Caution, TEXTS, TEXTS), max_size=3).map(tuple),
    log_tail=st.none() | TEXTS,
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(RECORDS)
def test_every_record_survives_the_way_through_json(record: TrialRecord) -> None:
    sent = json.dumps(encode(record), allow_nan=False)
    assert decode(TrialRecord, json.loads(sent), "journal") == record
