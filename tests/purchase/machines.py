"""Runs of made-up machines for these tests: four samples a step, a rate in samples per second for each mode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import records

from suite.record import Quality, TrialRecord
from suite.store import Run

__all__ = ["UNPROVEN", "machine", "rated"]

UNPROVEN = Quality({"accuracy": 0.74}, "accuracy", True, 0.5, "majority class")
"""Of one seed, and not that of float32: neither shown to be equivalent nor to be worse."""


def rated(rates: Sequence[float], precision: str = "fp32", workload: str = "gpt", **fields: Any) -> list[TrialRecord]:
    """One process per rate, in samples per second."""
    return records.cell([4 / rate for rate in rates], workload, precision, **fields)


def machine(device: str, trials: Sequence[TrialRecord], **setup: Any) -> Run:
    """A run on that machine, of this setup."""
    made = records.setup(**setup)
    return records.run(
        [replace(trial, spec=replace(trial.spec, setup=made)) for trial in trials],
        f"run-{device}",
        records.environment(device_name=device),
    )
