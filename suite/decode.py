"""Frozen dataclasses to and from plain data (JSON, TOML), checked: one mechanism for profiles, specs and records.

A wrong type, a missing key or an unknown key raises :class:`DecodeError`, which names the place and, for an unknown
key, the nearest known one. JSON has no infinities, so a non-finite float travels as the text `"nan"`, `"inf"` or
`"-inf"`: a diverged loss is a result and must survive the journey.
"""

from __future__ import annotations

import dataclasses
import difflib
import enum
import functools
import math
import types
import typing
from collections.abc import Hashable, Mapping
from typing import Any, TypeVar, cast

T = TypeVar("T")

_NON_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


class DecodeError(ValueError):
    """The data do not have the form of the type; the message names the place, the value got and what is allowed."""


def encode(value: Any) -> Any:
    """Plain dicts, lists, numbers and text for any value built from dataclasses, enums, tuples and mappings."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def decode(kind: type[T], data: Any, where: str) -> T:
    """Build `kind` from plain data; `where` names the data's origin in messages (a file, a key).

    Raises:
        DecodeError: naming the key, the value got and what is allowed.
    """
    return cast(T, _decode(kind, data, where))


def nearest(name: str, known: typing.Iterable[str]) -> str:
    """`"; did you mean 'x'?"` for the closest known name, else the whole list: the tail of an error message."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known are: {', '.join(names)}."


def _decode(kind: Any, data: Any, where: str) -> Any:
    origin = typing.get_origin(kind)
    if dataclasses.is_dataclass(kind):
        return _decode_dataclass(cast(type[Any], kind), data, where)
    if origin is types.UnionType or origin is typing.Union:
        return _decode_union(typing.get_args(kind), data, where)
    if origin is tuple:
        _expect(data, list, "a list", where)
        return tuple(_decode(typing.get_args(kind)[0], item, f"{where}[{i}]") for i, item in enumerate(data))
    if origin is not None and issubclass(origin, Mapping):
        _expect(data, dict, "a table", where)
        return {key: _decode(typing.get_args(kind)[1], item, f"{where}.{key}") for key, item in data.items()}
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return _decode_enum(kind, data, where)
    return _decode_scalar(kind, data, where)


def _decode_dataclass(kind: type[Any], data: Any, where: str) -> Any:
    _expect(data, dict, "a table", where)
    hints = _hints(cast(Hashable, kind))
    unknown = [key for key in data if key not in hints]
    if unknown:
        raise DecodeError(f"{where}: unknown key {unknown[0]!r}; {nearest(unknown[0], hints)}")
    missing = [name for name in _required_names(cast(Hashable, kind)) if name not in data]
    if missing:
        raise DecodeError(f"{where}: the key {missing[0]!r} is missing; add it.")
    values = {key: _decode(hints[key], item, f"{where}.{key}") for key, item in data.items()}
    try:
        return kind(**values)
    except ValueError as error:
        raise DecodeError(f"{where}: {error}") from error


def _decode_union(options: tuple[Any, ...], data: Any, where: str) -> Any:
    if data is None and type(None) in options:
        return None
    candidates = [option for option in options if option is not type(None)]
    for option in candidates:
        # An exact type wins, so that `int | float` keeps 3 an int and `bool | int` keeps True a bool.
        if type(data) is option:
            return data
    if len(candidates) == 1:
        return _decode(candidates[0], data, where)
    allowed = " or ".join(getattr(option, "__name__", str(option)) for option in candidates)
    raise DecodeError(f"{where}: {data!r} is not allowed; give {allowed}.")


def _decode_enum(kind: type[enum.Enum], data: Any, where: str) -> enum.Enum:
    values = {str(member.value): member for member in kind}
    if not isinstance(data, str) or data not in values:
        raise DecodeError(f"{where}: {data!r} is not known; {nearest(str(data), values)}")
    return values[data]


def _decode_scalar(kind: Any, data: Any, where: str) -> Any:
    if kind is Any:
        return data
    if kind is float:
        if isinstance(data, str) and data in _NON_FINITE:
            return _NON_FINITE[data]
        if isinstance(data, int | float) and not isinstance(data, bool):
            return _as_float(data, where)
    elif isinstance(data, kind) and (kind is bool or not isinstance(data, bool)):
        return data
    raise DecodeError(f"{where}: {data!r} is not allowed; give a value of type {kind.__name__}.")


def _as_float(data: int | float, where: str) -> float:
    try:
        return float(data)
    except OverflowError as error:
        raise DecodeError(f"{where}: the integer has too many digits; give a number below 1e308.") from error


def _expect(data: Any, kind: type, name: str, where: str) -> None:
    if not isinstance(data, kind):
        raise DecodeError(f"{where}: {data!r} is not allowed; give {name}.")


@functools.cache
def _required_names(kind: Hashable) -> tuple[str, ...]:
    return tuple(
        field.name
        for field in dataclasses.fields(cast(type[Any], kind))
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    )


@functools.cache
def _hints(kind: Hashable) -> dict[str, Any]:
    return typing.get_type_hints(kind)
