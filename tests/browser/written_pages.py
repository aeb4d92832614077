"""The pages that the tests open: one of every kind, in every shape, as the commands write them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import records
from every_state import base_and_candidate
from hostile_runs import ATTACKS, LONG, hostile_index, hostile_prices, hostile_run, hostile_verdicts
from literal_runs import ENVIRONMENT, SETUP, instrumented, measured, plan_of, run_of, stopped
from loss_scales import point, scan

from suite.hardware import Choice, report_hardware
from suite.home import Home
from suite.judge.comparison import Terms, compare_runs
from suite.overview import write_index
from suite.purchase.comparison import offers
from suite.record import Outcome
from suite.report import render
from suite.report.hardware_sheet import hardware_sheet
from suite.report.index_page import write_index_page
from suite.report.page import page_html
from suite.report.scan_sheet import scan_sheet
from suite.report.script import inlined, placed
from suite.report.sheet import write_sheet
from suite.store import Run

__all__ = ["HOSTILE", "INLINED", "PAGES", "TAME", "write_pages"]

TAME = ("run", "run alone", "one cell", "no success", "machines", "machines with prices", "scan", "index")
HOSTILE = ("hostile run", "hostile machines", "hostile scan", "hostile index")
#: Of every kind of page that has a script.
INLINED = tuple(f"{name}, inlined" for name in ("run", "one cell", "machines with prices", "scan", *HOSTILE[:2]))
PAGES = (*TAME, *HOSTILE, *INLINED)

PRICES = """
currency = "EUR"
power_price_per_kwh = 0.3
power_overhead = 1.2

[[machine]]
device = "Example GPU"
purchase_price = 30000.0
life_years = 4.0
utilisation = 0.7

[[machine]]
device = "Another GPU with a rather long name, 80 GB"
hourly_price = 2.5

[[amount]]
workload = "gpt"
samples = 1_000_000
"""
MADE_AT = "2026-01-02 03:04 UTC"


def write_pages(folder: Path) -> dict[str, Path]:
    """Write all of them; returns their paths by name."""
    home = Home.at(folder / "tame")
    found = dict(_run_pages(home)) | dict(_sheet_pages(home)) | dict(_hostile_pages(folder / "hostile"))
    _nights(home)
    return found | {"index": write_index(home)}


def _run_pages(home: Home) -> Iterator[tuple[str, Path]]:
    base, candidate = base_and_candidate(home.results)
    verdicts = compare_runs(base, candidate, Terms(baseline="main"))
    notice = "no baseline is approved for this machine; approve one."
    shapes = (
        ("run", candidate, verdicts, None),
        ("run alone", base, None, notice),
        ("one cell", _one_cell(home), None, notice),
        ("no success", _no_success(home), None, notice),
    )
    for name, run, judged, why in shapes:
        yield name, render(run, judged, home, why, beside={"junit.xml": b"<testsuites/>"})
        if f"{name}, inlined" in INLINED:
            # In reports of their own: a page has one place.
            apart = Home(home.results, home.reports / "inlined")
            yield f"{name}, inlined", render(run, judged, apart, why, inline=True)


def _one_cell(home: Home) -> Run:
    plan = plan_of(("gpt",), ("bf16",))
    return run_of(home.results, plan, [measured(plan.trials[0])])


def _no_success(home: Home) -> Run:
    plan = plan_of(("gpt",), ("fp32", "tf32", "bf16", "fp16-dynamic"))
    ends = (Outcome.FAILED, Outcome.CRASHED, Outcome.TIMED_OUT, Outcome.UNAVAILABLE)
    return run_of(home.results, plan, [stopped(s, end, "No.") for s, end in zip(plan.trials, ends, strict=True)])


def _sheet_pages(home: Home) -> Iterator[tuple[str, Path]]:
    names = "Example GPU", "Another GPU with a rather long name, 80 GB"
    runs = tuple(_machine(home, name, pace) for name, pace in zip(names, (1.0, 1.7), strict=True))
    larger = tuple(_machine(home, names[0], 0.8, scale) for scale in (2, 4))
    prices = home.results / "prices.toml"
    prices.write_text(PRICES, encoding="utf-8")
    sheet = scan_sheet(scan(point(flushed={0: 400, 4: 8, 8: 0}), point(step=6, largest=3.0)), ENVIRONMENT, MADE_AT)
    yield "machines", report_hardware(Choice(runs), Home(home.results, home.reports / "unpriced"))
    for suffix, inline in (("", False), (", inlined", True)):
        priced = Home(home.results, home.reports / f"priced{suffix}")
        yield (
            f"machines with prices{suffix}",
            report_hardware(Choice(runs, larger=larger), priced, prices, inline=inline),
        )
        yield f"scan{suffix}", write_sheet(sheet, home.reports, f"scan{suffix}.html", inline=inline)


def _machine(home: Home, device: str, pace: float, batch_scale: int = 1) -> Run:
    """Five seeds of three workloads in three modes, of which one does not fit; of four times the batch none of lstm."""
    setup = replace(SETUP, batch_size=batch_scale * SETUP.batch_size)
    plan = plan_of(("gpt", "bert", "lstm"), ("fp32", "tf32", "bf16"), seeds=(0, 1, 2, 3, 4), setup=setup)
    factors = {"fp32": 1.0, "tf32": 0.6, "bf16": 0.4}
    trials = [
        instrumented(spec, 0.01 * factors[spec.precision] * pace * (1 + 0.02 * spec.seed), attestation=None)
        for spec in plan.trials
    ]
    stopping = [
        stopped(record.spec, Outcome.OUT_OF_MEMORY, "12 GiB were asked for")
        if record.spec.workload == "lstm" and (record.spec.precision == "bf16" or batch_scale == 4)
        else record
        for record in trials
    ]
    return run_of(home.results, plan, stopping, environment=replace(ENVIRONMENT, device_name=device))


def _nights(home: Home) -> None:
    """Twelve nights of one machine, the last of which are slower, and two of another."""
    for night in range(12):
        slower = 1.12 if night > 9 else 1 + 0.002 * (night % 3)
        cells = [
            record
            for workload, precision, pace in (("gpt", "fp32", 1.0), ("gpt", "bf16", slower), ("lstm", "fp32", 1.0))
            for record in records.cell([0.1 * pace] * 3, workload, precision)
        ]
        records.stored(home.results, cells)
    for _ in range(2):
        records.stored(home.results, records.cell([0.05] * 3, "lstm"), records.environment(device_name="Xeon & <sons>"))


def _hostile_pages(folder: Path) -> Iterator[tuple[str, Path]]:
    run = hostile_run()
    runs = [run, replace(run, info=replace(run.info, run="other", environment=hostile_run(LONG).info.environment))]
    prices = hostile_prices([each.info.environment.device_name for each in runs])
    machines = hardware_sheet(runs, offers(runs, prices), prices)
    scanned = scan()
    scanned = replace(scanned, spec=replace(scanned.spec, workload=ATTACKS[0], profile=LONG))
    sheet = scan_sheet(scanned, run.info.environment, ATTACKS[1])
    verdicts = hostile_verdicts(run)
    for suffix, inline in (("", False), (", inlined", True)):
        page = folder / f"run{suffix}.html"
        script = inlined() if inline else placed(folder, page)
        page.parent.mkdir(exist_ok=True)
        page.write_text(page_html(run, verdicts, " ".join(ATTACKS), script), encoding="utf-8")
        yield f"hostile run{suffix}", page
        yield f"hostile machines{suffix}", write_sheet(machines, folder, f"machines{suffix}.html", inline=inline)
    yield "hostile scan", write_sheet(sheet, folder, "scan.html")
    yield "hostile index", write_index_page(hostile_index(), folder)
