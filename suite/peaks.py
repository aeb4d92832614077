"""What a device could do at best by its datasheet: the table `peaks.toml`, one row per device, one source per row.

A device or an arithmetic that is not in the table has no peak: None and the reason, never a neighbour's number.
Standard library only.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from suite.decode import decode

__all__ = ["DevicePeaks", "Peak", "dense_peak", "table"]


@dataclass(frozen=True)
class DevicePeaks:
    """One row: dense TFLOP/s per arithmetic, None where the device has no such unit or the number has no source."""

    names: tuple[str, ...]
    """The device's names as torch reports them, complete."""
    source: str
    fp32: float | None = None
    tf32: float | None = None
    fp16: float | None = None
    bf16: float | None = None
    fp8: float | None = None


@dataclass(frozen=True)
class Peak:
    """Floating-point operations per second and where the number stands; or neither, and the reason."""

    flops_per_second: float | None
    source: str | None
    reason: str | None = None


def dense_peak(kind: str, device_name: str, arithmetic: str) -> Peak:
    """The peak of a device (`kind` is `cpu` or `cuda`) in one arithmetic (`fp32`, `tf32`, `fp16`, `bf16`, `fp8`)."""
    if kind != "cuda":
        return Peak(None, None, "no table of CPU peaks: they depend on clocks that no datasheet promises")
    device = _by_name().get(device_name)
    if device is None:
        return Peak(None, None, f"{device_name!r} is not in the table of peaks (suite/peaks.toml)")
    tflops: float | None = getattr(device, arithmetic, None) if arithmetic in _ARITHMETICS else None
    if tflops is None:
        return Peak(None, None, f"the table of peaks has no {arithmetic} number for {device_name!r}")
    return Peak(tflops * 1e12, device.source)


@cache
def table() -> tuple[DevicePeaks, ...]:
    """Every row, in the order of the file."""
    rows: list[Mapping[str, Any]] = tomllib.loads(
        resources.files("suite").joinpath("peaks.toml").read_text(encoding="utf-8")
    )["device"]
    return tuple(decode(DevicePeaks, row, "peaks.toml") for row in rows)


@cache
def _by_name() -> Mapping[str, DevicePeaks]:
    return {name: device for device in table() for name in device.names}


_ARITHMETICS = ("fp32", "tf32", "fp16", "bf16", "fp8")
