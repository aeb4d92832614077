"""A run's trials as CSV, Parquet or JSON; the Parquet is the very frame that the run was stored from."""

from __future__ import annotations

import io
import json
from typing import Any

import pandas as pd

from suite.decode import encode
from suite.store import Run

__all__ = ["csv_of", "json_of", "parquet_of", "rows_of_frame"]


def csv_of(run: Run) -> bytes:
    """UTF-8 with a header; floats to the last digit, what is missing is empty."""
    text: str = run.trials.to_csv(index=False, float_format="%.17g", lineterminator="\n")
    return text.encode()


def parquet_of(run: Run) -> bytes:
    """One row per trial."""
    buffer = io.BytesIO()
    run.trials.to_parquet(buffer, index=False)
    return buffer.getvalue()


def json_of(run: Run) -> bytes:
    """The run's description and its trials; gaps are null."""
    return json.dumps({"run": encode(run.info), "trials": rows_of_frame(run.trials)}, indent=1).encode()


def rows_of_frame(frame: pd.DataFrame) -> Any:
    """One table per row, as plain data."""
    # Not DataFrame.to_json, which rounds to ten decimals.
    return encode(frame.astype(object).where(frame.notna(), None).to_dict("records"))
