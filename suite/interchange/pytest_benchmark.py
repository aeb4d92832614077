"""A run in the form that `pytest-benchmark compare` reads (its JSON, version 5).

A benchmark is a cell, and a round is a fresh process: its median step. pytest-benchmark's own rounds are calls within
one process; of these there are hundreds here, and they are not independent (docs/decisions/0004).
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from suite.decode import encode
from suite.record import Outcome
from suite.store import Run

__all__ = ["pytest_benchmark_of"]

VERSION = "5.2.0"
"""The form is that of this pytest-benchmark."""


def pytest_benchmark_of(run: Run) -> bytes:
    """The JSON; cells without a time are left out, for it has no place for a reason."""
    environment = run.info.environment
    document = {
        "machine_info": encode(environment),
        "commit_info": {
            "id": environment.git_commit or "unknown",
            "time": run.info.created_at,
            "dirty": bool(environment.git_dirty),
            "project": "ampmark",
            "branch": "(unknown)",
        },
        "benchmarks": list(_benchmarks(run)),
        "datetime": run.info.created_at,
        "version": VERSION,
    }
    return json.dumps(document, indent=1).encode()


def _benchmarks(run: Run) -> Iterator[dict[str, Any]]:
    timed = run.trials[
        run.trials["outcome"].isin([Outcome.OK.value, Outcome.EMULATED.value])
        & ~run.trials["deterministic"].fillna(value=False)
    ].dropna(subset=["step_seconds_median"])
    for (workload, precision), rows in timed.groupby(["workload", "precision"], sort=False):
        name = f"{workload}[{precision}]"
        yield {
            "group": str(workload),
            "name": name,
            "fullname": f"ampmark::{name}",
            "params": {"precision": str(precision)},
            "param": str(precision),
            "extra_info": {"run": run.info.run, "emulated": bool((rows["outcome"] == Outcome.EMULATED.value).any())},
            "options": {
                "disable_gc": False,
                "timer": "perf_counter",
                "min_rounds": 1,
                "max_time": 0.0,
                "min_time": 0.0,
            },
            "stats": _stats([float(value) for value in rows["step_seconds_median"]]),
        }


def _stats(seconds: Sequence[float]) -> dict[str, Any]:
    """Under pytest-benchmark's names; outliers are those beyond one standard deviation, and beyond 1.5 IQR (Tukey)."""
    mean, deviation = statistics.fmean(seconds), statistics.stdev(seconds) if len(seconds) > 1 else 0.0
    first, median, third = (float(value) for value in np.percentile(seconds, [25, 50, 75]))
    spread = third - first
    near = [value for value in seconds if first - 1.5 * spread <= value <= third + 1.5 * spread]
    beyond = sum(abs(value - mean) > deviation for value in seconds)
    return {
        "min": min(seconds),
        "max": max(seconds),
        "mean": mean,
        "stddev": deviation,
        "rounds": len(seconds),
        "median": median,
        "iqr": spread,
        "q1": first,
        "q3": third,
        "iqr_outliers": len(seconds) - len(near),
        "stddev_outliers": beyond,
        "outliers": f"{beyond};{len(seconds) - len(near)}",
        "ld15iqr": min(near),
        "hd15iqr": max(near),
        "ops": 1.0 / mean,
        "total": sum(seconds),
        "iterations": 1,
    }
