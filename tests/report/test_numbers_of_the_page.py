"""Numbers on the pages against the Parquet that they came from, computed again by pandas alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from every_state import base_and_candidate
from literal_runs import ENVIRONMENT, instrumented, plan_of, run_of
from read_back import Page

from suite.hardware import Choice, report_hardware
from suite.home import Home
from suite.judge.comparison import compare_runs
from suite.report import render
from suite.store import Run

UNITS = {"s": 1.0, "ms": 1e-3, "GiB": 2.0**30, "%": 1e-2}
PRICES = """
currency = "EUR"

[[machine]]
device = "fast"
hourly_price = 3.0

[[machine]]
device = "slow"
hourly_price = 1.0

[[amount]]
workload = "gpt"
samples = 2_000_000
"""


def agrees(text: str, value: float) -> bool:
    """Whether `41.0 ms [40.8, 41.2]` is this number to the last digit shown."""
    found = re.match(r"([\d,]+)(?:\.(\d+))?×?\s*([^\s\[(/]*)", text)
    assert found is not None, text
    whole, digits, unit = found.group(1).replace(",", ""), found.group(2) or "", found.group(3)
    size = UNITS.get(unit, 1.0)
    shown = float(f"{whole}.{digits or 0}") * size
    # To half of the last digit, of which the page of machines has five, and a hair for what lies right between two.
    last = 10.0 ** (-len(digits) if digits else max(0, len(whole) - 5))
    return abs(shown - value) <= 0.5000001 * last * size


def trials_of(run: Run) -> pd.DataFrame:
    """What is stored, of the trials that finished."""
    frame = pd.read_parquet(run.folder / "trials.parquet")
    return frame[frame["outcome"].isin(["ok", "emulated"])]


def geometric(values: pd.Series[Any]) -> float:
    return float(np.exp(np.log(values.astype(float)).mean()))


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, Page]:
    folder = tmp_path_factory.mktemp("stored")
    base, candidate = base_and_candidate(folder / "results")
    page = render(candidate, compare_runs(base, candidate), Home.at(folder))
    return trials_of(candidate), Page(page.read_text(encoding="utf-8"))


def _facts(page: Page) -> dict[tuple[str, str], dict[str, str]]:
    """Of every cell of the matrix that has numbers: label -> text."""
    (head, *rows) = page.tables["Speed, memory, overflow and quality against fp32; every cell links to its details."]
    labels = "vs fp32|vs tf32|step|rate|MFU|energy|memory|overflow|quality"
    found = {}
    for name, *cells in rows:
        for precision, text in zip(head[1:], cells, strict=True):
            if "step" in text and " rate " in text:
                parts = re.split(rf" ({labels}) ", text[text.index(" vs ") :])
                found[name.split()[0], precision] = dict(zip(parts[1::2], parts[2::2], strict=True))
    return found


def test_every_cell_with_numbers_is_in_the_matrix(stored: tuple[pd.DataFrame, Page]) -> None:
    trials, page = stored
    assert set(_facts(page)) == set(trials.groupby(["workload", "precision"]).groups)
    assert len(_facts(page)) == 8


@pytest.mark.parametrize(
    ("label", "column", "sum_up"),
    [
        ("step", "step_seconds_median", pd.Series.median),
        ("rate", "samples_per_second", pd.Series.median),
        ("MFU", "mfu", pd.Series.median),
        ("energy", "energy_joules_per_sample", pd.Series.median),
    ],
)
def test_medians_over_processes(
    stored: tuple[pd.DataFrame, Page], label: str, column: str, sum_up: Callable[[Any], float]
) -> None:
    trials, page = stored
    compared = 0
    for cell, rows in trials.groupby(["workload", "precision"]):
        text = _facts(page)[cell].get(label)
        if text is None:
            assert rows[column].isna().all()
        else:
            assert agrees(text, sum_up(rows[column])), (cell, label, text)
            compared += 1
    assert compared >= 4


def test_speeds_are_ratios_of_geometric_means(stored: tuple[pd.DataFrame, Page]) -> None:
    trials, page = stored
    rates = trials.groupby(["workload", "precision"])["effective_samples_per_second"].apply(geometric)
    compared = 0
    for cell, facts in _facts(page).items():
        for other in ("fp32", "tf32"):
            text = facts.get(f"vs {other}", "the reference")
            if text in ("the reference", "–"):
                continue
            ratio = rates[cell] / rates[cell[0], other]
            assert ("faster" in text) == (ratio > 1), text
            assert agrees(text, max(ratio, 1 / ratio)), (cell, text, ratio)
            compared += 1
    assert compared == 6


def test_memory_is_a_ratio_of_medians_with_the_bytes_behind_it(stored: tuple[pd.DataFrame, Page]) -> None:
    trials, page = stored
    peaks = trials.groupby(["workload", "precision"])["peak_allocated_bytes"].median()
    for cell, facts in _facts(page).items():
        if cell[1] == "fp32":
            assert agrees(facts["memory"], peaks[cell])
        else:
            assert agrees(facts["memory"], peaks[cell] / peaks[cell[0], "fp32"]), facts["memory"]
            assert agrees(facts["memory"].partition("(")[2], peaks[cell])


def test_overflowing_steps_are_counted_before_and_after_the_first_applied_one(
    stored: tuple[pd.DataFrame, Page],
) -> None:
    trials, page = stored
    for cell, rows in trials.groupby(["workload", "precision"]):
        counts = rows[["overflow_calibration_count", "overflow_steady_count"]].drop_duplicates()
        assert len(counts) == 1
        calibration, steady = (int(count) for count in counts.iloc[0])
        told = f"{calibration} calibration, {steady} steady" if calibration + steady else "0"
        assert _facts(page)[cell]["overflow"] == told


def test_quality_is_the_mean_over_seeds(stored: tuple[pd.DataFrame, Page]) -> None:
    trials, page = stored
    for cell, rows in trials.groupby(["workload", "precision"]):
        name, _, value = _facts(page)[cell]["quality"].partition(" ")
        assert name == "accuracy"
        assert agrees(value, rows.groupby("seed")["quality"].mean().mean())


def test_the_recommended_mode_saves_what_the_trials_say(stored: tuple[pd.DataFrame, Page]) -> None:
    trials, page = stored
    rows = [row for row in page.tables["Recommended precision of each workload"][1:] if len(row) == 7]
    chosen = {row[0]: row for row in rows}
    assert [row[1].split()[2] for row in rows] == ["bf16", "fp32", "tf32"]
    of = dict(iter(trials.groupby(["workload", "precision"])))
    for workload, precision in (("gpt", "bf16"), ("resnet", "tf32")):
        ours, theirs = of[workload, precision], of[workload, "fp32"]
        speed = geometric(ours["effective_samples_per_second"]) / geometric(theirs["effective_samples_per_second"])
        assert agrees(chosen[workload][3], speed), chosen[workload]
        memory = geometric(ours["peak_allocated_bytes"]) / geometric(theirs["peak_allocated_bytes"])
        assert agrees(chosen[workload][4], memory)
    assert agrees(chosen["gpt"][1].partition(" bf16 ")[2], geometric(of["gpt", "bf16"]["step_seconds_median"]))


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, pd.DataFrame], Page]:
    """Five seeds of two modes on two machines, priced by the hour."""
    home = Home.at(tmp_path_factory.mktemp("machines"))
    plan = plan_of(("gpt",), ("fp32", "bf16"), seeds=(0, 1, 2, 3, 4))
    runs = {}
    for device, pace in (("fast", 1.0), ("slow", 2.6)):
        trials = [
            instrumented(spec, 0.01 * pace * (1.0 if spec.precision == "fp32" else 0.6) * (1 + 0.01 * spec.seed))
            for spec in plan.trials
        ]
        environment = replace(ENVIRONMENT, device_name=device)
        runs[device] = run_of(home.results, plan, trials, environment=environment)
    prices = home.results / "prices.toml"
    prices.write_text(PRICES, encoding="utf-8")
    page = report_hardware(Choice(tuple(runs.values())), home, prices)
    return {device: trials_of(run) for device, run in runs.items()}, Page(page.read_text(encoding="utf-8"))


def test_rates_and_costs_of_machines(machines: tuple[dict[str, pd.DataFrame], Page]) -> None:
    trials, page = machines
    head, *rows = page.tables["gpt on each machine"]
    assert len(rows) == 4
    for row in rows:
        told = dict(zip(head, row, strict=True))
        device, precision = told["Machine, precision"].split(" · ")
        found = trials[device][trials[device]["precision"] == precision]
        rate = geometric(found["effective_samples_per_second"])
        hourly = {"fast": 3.0, "slow": 1.0}[device]
        assert agrees(told["samples/s"], rate), told
        assert agrees(told["samples per EUR"], 3600 * rate / hourly), told
        assert agrees(_of(told, "per million samples"), 1e6 * hourly / 3600 / rate), told
        assert agrees(_of(told, "Time for 2,000,000"), 2e6 / rate / 3600), told
        assert agrees(_of(told, "Cost of 2,000,000"), 2e6 * hourly / 3600 / rate), told
        # A skipped step takes energy and teaches nothing.
        energy = found["energy_joules_per_sample"] * found["samples_per_second"] / found["effective_samples_per_second"]
        assert agrees(told["samples/J"], 1 / geometric(energy)), told


def _of(told: dict[str, str], words: str) -> str:
    (found,) = (text for head, text in told.items() if words in head)
    return found
