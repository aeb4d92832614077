"""Runs and baselines as tables."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rich.table import Table

from suite.record import Outcome
from suite.store import Run, RunInfo
from suite.terminal.console import milliseconds, number, plain_console

if TYPE_CHECKING:
    from suite.judge.baseline import Approval

__all__ = [
    "print_baselines",
    "print_list",
    "print_run",
]

_NOT_TIMED = "only deterministic kernels were allowed, so the steps were not timed."
_COLUMNS = (
    "workload",
    "precision",
    "outcome",
    "step",
    "samples/s",
    "× fp32",
    "MFU",
    "memory",
    "J/sample",
    "overflows",
    "loss",
    "quality",
)
_IF_KNOWN = ("MFU", "J/sample")
"""Columns that are left out where no cell has a number for them; the report says why there is none."""


def print_run(run: Run) -> None:
    """One row per cell, repeats and seeds taken together; a narrow terminal sees fewer columns, whole ones."""
    console = plain_console()
    console.print(f"run {run.info.run} on {run.info.environment.device_name}")
    layer, memory = _memory_layer(run.trials)
    rows, reasons = _cell_rows(run, layer)
    columns = [name for name in _COLUMNS if name not in _IF_KNOWN or any(row.get(name) for row in rows)]
    unlimited = console.options.update(width=10_000)
    for dropped in ("loss", "J/sample", "memory", "MFU", "samples/s", "× fp32", "overflows"):
        if console.measure(_table(columns, rows, memory), options=unlimited).maximum <= console.width:
            break
        columns = [name for name in columns if name != dropped]
    console.print(_table(columns, rows, memory))
    if compiled := list(dict.fromkeys(run.trials.loc[run.trials["compiled"].eq(True), "workload"])):
        console.print(f"{', '.join(compiled)}: through torch.compile")
    for meaning in _quality_meanings(run.trials):
        console.print(meaning)
    for reason, cells in reasons.items():
        console.print(f"{', '.join(cells)}: {reason}")
    for line in _caution_lines(run.trials):
        console.print(line)
    if run.info.sealed_at is None:
        console.print(f"incomplete: {len(run.trials)} of {len(run.info.plan.trials)} trials; --resume completes it.")


def _table(columns: list[str], rows: list[dict[str, str]], memory: str) -> Table:
    table = Table()
    for name in columns:
        title = memory if name == "memory" else name
        table.add_column(
            title, no_wrap=True, justify="left" if name in ("workload", "precision", "outcome") else "right"
        )
    for row in rows:
        table.add_row(*(row.get(name, "") for name in columns))
    return table


def _cell_rows(run: Run, layer: str) -> tuple[list[dict[str, str]], dict[str, list[str]]]:
    """Texts of every cell, and for each reason the cells it stands for."""
    cells = run.trials.groupby(["workload", "precision"], sort=False)
    reference = {
        workload: rows["step_seconds_median"].median()
        for (workload, precision), rows in cells
        if precision == "fp32" and set(rows["outcome"]) == {Outcome.OK.value}
    }
    texts, reasons = [], dict[str, list[str]]()
    for (workload, precision), rows in cells:
        texts.append(_cell_texts(str(workload), str(precision), rows, reference.get(workload, math.nan), layer))
        for reason in dict.fromkeys(rows["reason"].dropna()):
            reasons.setdefault(reason, []).append(f"{workload} × {precision}")
        if (rows["deterministic"] & rows["steps"].notna()).any():
            reasons.setdefault(_NOT_TIMED, []).append(f"{workload} × {precision}")
    return texts, reasons


def _quality_meanings(trials: Any) -> list[str]:
    """What the numbers under `quality` are, once per workload."""
    measured = trials.dropna(subset=["quality_metric"]).drop_duplicates("workload")
    return [
        f"{row['workload']}: quality is held-out {row['quality_metric']}, "
        f"{'higher' if row['quality_higher_is_better'] else 'lower'} is better; "
        f"{row['quality_baseline_name']} has {number(row['quality_baseline'])}"
        for _, row in measured.iterrows()
    ]


def print_list(
    runs: Iterable[RunInfo], workloads: Mapping[str, str], precisions: Mapping[str, str], profiles: Iterable[str]
) -> None:
    """Stored runs and what can be run."""
    console = plain_console()
    table = Table()
    table.add_column("run", no_wrap=True)
    for name in ("created (UTC)", "trials", "profile", "device", "state"):
        table.add_column(name)
    for info in runs:
        state = "complete" if info.sealed_at else "cut short"
        plan = info.plan
        table.add_row(
            info.run, info.created_at[:19], str(len(plan.trials)), plan.profile, info.environment.device_name, state
        )
    console.print(table)
    console.print(f"workloads: {', '.join(workloads)}")
    console.print(f"precisions: {', '.join(precisions)}")
    console.print(f"profiles: {', '.join(profiles)}")


def print_baselines(approvals: Iterable[Approval]) -> None:
    """Approved baselines."""
    table = Table()
    for name in ("name", "run", "device", "approved (UTC)", "reason"):
        table.add_column(name, no_wrap=name == "run")
    for approval in approvals:
        table.add_row(approval.name, approval.run, approval.device, approval.approved_at[:19], approval.reason)
    plain_console().print(table)


def _memory_layer(trials: Any) -> tuple[str, str]:
    """The column that every cell of the table shows, and its title: the nearest to the model that there is."""
    layers = {"peak_allocated_bytes": "peak allocated", "peak_device_bytes": "peak on device"}
    known = [(column, title) for column, title in layers.items() if trials[column].notna().any()]
    return known[0] if known else ("peak_rss_bytes", "peak resident")


def _cell_texts(workload: str, precision: str, rows: Any, reference_seconds: float, layer: str) -> dict[str, str]:
    """Column -> text; what the cell has no number for is left out."""
    outcomes = " / ".join(dict.fromkeys(rows["outcome"]))
    disturbed = any(json.loads(text) for text in rows["cautions"].dropna())
    texts = {"workload": workload, "precision": precision, "outcome": outcomes + " !" * disturbed}
    measured = rows[[Outcome(outcome).measured for outcome in rows["outcome"]]]
    if measured.empty:
        return texts
    seconds = measured["step_seconds_median"].median()
    memory, mfu, joules = measured[layer].max(), measured["mfu"].median(), measured["energy_joules_per_sample"].median()
    overflows = measured["overflow_count"]
    # An emulated step says nothing about hardware speed, and a deterministic one is not timed.
    ranked = set(measured["outcome"]) == {Outcome.OK.value} and not _missing(seconds)
    return texts | {
        "step": milliseconds(seconds),
        "samples/s": number(measured["samples_per_second"].median()),
        "× fp32": "" if math.isnan(reference_seconds) or not ranked else f"{reference_seconds / seconds:.2f}",
        "MFU": "" if _missing(mfu) else f"{mfu:.1%}",
        "memory": "" if _missing(memory) else f"{memory / 2**20:.0f} MiB",
        "J/sample": "" if _missing(joules) else number(joules),
        "overflows": " … ".join(str(count) for count in sorted({overflows.min(), overflows.max()})),
        "loss": f"{number(measured['first_loss'].mean())} → {number(measured['final_loss'].mean())}",
        "quality": number(measured["quality"].mean()),
    }


def _caution_lines(trials: Any) -> Iterator[str]:
    """One line per code: the cells that carry it, and the message of the first of their trials."""
    found: dict[str, tuple[list[str], str]] = {}
    for (workload, precision), rows in trials.groupby(["workload", "precision"], sort=False):
        cautions = [caution for text in rows["cautions"].dropna() for caution in json.loads(text)]
        for code, n in Counter(caution["code"] for caution in cautions).items():
            first = next(caution["message"] for caution in cautions if caution["code"] == code)
            places, _ = found.setdefault(code, ([], first))
            places.append(f"{workload} × {precision} ({n} of {len(rows)})")
    for code, (places, message) in found.items():
        example = ", for example" if len(places) > 1 else ""
        yield f"! {code} in {', '.join(places)}{example}: {message}"


def _missing(value: Any) -> bool:
    import pandas as pd

    return bool(pd.isna(value))
