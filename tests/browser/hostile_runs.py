"""Runs, verdicts and histories whose every text is an attack on the page, or far too long for it."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
from literal_runs import ENVIRONMENT, caution, diverged, emulated, instrumented, measured, plan_of, stopped

from suite.columns import STEP_COLUMNS, TRIAL_COLUMNS
from suite.judge.comparison import compare_runs
from suite.judge.findings import OperatorGrowth, Verdicts
from suite.judge.followed import MachineHistory
from suite.judge.nights import Night, Series
from suite.judge.trends import State, Trend
from suite.purchase.prices import Amount, MachinePrice, Prices
from suite.record import Outcome, TrialRecord
from suite.report.index_page import Index, StoredRun
from suite.rows import step_rows, trial_row
from suite.spec import Plan, TrialSpec
from suite.store import Run, RunInfo

__all__ = ["ATTACKS", "LONG", "hostile_index", "hostile_prices", "hostile_run", "hostile_verdicts"]

ATTACKS = (
    "<script>window.hacked=1</script>",
    "</script><script>window.hacked=2</script>",
    "<!--<script>",
    "<img src=x onerror=window.hacked=3>",
    "\"'><svg onload=window.hacked=4>",
    "javascript:window.hacked=5",
    "{{7*7}}{%print(7*7)%}${7*7}",
    "&lt;b&gt;&amp;</style></title>",
)
TURNING = "\u202egnp.\u2066exe\u2028\u2029\x00\x1b[31m"
LONG = "n" * 10_000
WORKLOADS = (ATTACKS[0], ATTACKS[4], LONG)
MODES = ("fp32", *ATTACKS[1:4], ATTACKS[6], TURNING)


def hostile_run(device: str = ATTACKS[3] + TURNING) -> Run:
    """Every name, reason and fact of the machine; the records take turns in what they are spoilt with."""
    plan = _plan()
    records = [_spoilt_record(spec, (*ATTACKS, TURNING, LONG)[place % 10]) for place, spec in enumerate(plan.trials)]
    info = RunInfo(
        run="hostile",
        plan=plan,
        environment=replace(_spoilt(ENVIRONMENT, ATTACKS[0]), device_name=device, git_commit=LONG),
        command=" ".join(ATTACKS),
        created_at="2026-01-01T00:00:00+00:00",
        sealed_at="2026-01-01T01:00:00+00:00",
    )
    trials = pd.DataFrame([trial_row(record, info.run) for record in records], columns=list(TRIAL_COLUMNS))
    steps = [row for record in records for row in step_rows(record, info.run)]
    return Run(
        Path("nowhere"),
        info,
        trials.astype(TRIAL_COLUMNS),
        pd.DataFrame(steps, columns=list(STEP_COLUMNS)).astype(STEP_COLUMNS),
    )


def hostile_verdicts(run: Run) -> Verdicts:
    """Of the run against itself, with reasons and operators that nobody would give."""
    found = compare_runs(run, run)
    grown = OperatorGrowth(ATTACKS[0], 0.1, 0.2, 1.0, 2.0)
    return replace(
        found,
        baseline=ATTACKS[4],
        device=ATTACKS[5],
        warnings=ATTACKS,
        differences=tuple(f"{attack}: {attack} → {attack}" for attack in (*ATTACKS, LONG)),
        findings=tuple(
            replace(finding, reasons=(ATTACKS[place % 8], LONG), notes=ATTACKS, operators=(grown,))
            for place, finding in enumerate(found.findings)
        ),
        against_fp32=tuple(replace(said, metric=ATTACKS[6], reason=LONG) for said in found.against_fp32),
    )


def hostile_prices(devices: Sequence[str]) -> Prices:
    """In a currency of markup."""
    machines = tuple(MachinePrice(device, hourly_price=1.0 + place) for place, device in enumerate(devices))
    return Prices("<b>\"'&`", machines, amount=tuple(Amount(name, 1e6) for name in WORKLOADS))


def hostile_index() -> Index:
    """Of a run and a series that both have such names, and of one that is damaged."""
    nights = tuple(
        Night(name, "2026-01-01T00:00:00+00:00", None, "f", value, 5)
        for name, value in zip(ATTACKS, (0.0, 0.01, 0.0, 0.2) * 2, strict=True)
    )
    judged = tuple(
        (
            Series(name, ATTACKS[1], "a" * 64, "median", nights),
            Trend(
                name,
                ATTACKS[1],
                State.REGRESSED,
                nights=8,
                anchored=False,
                change=0.2,
                first_run=ATTACKS[2],
                last_run=ATTACKS[3],
                reasons=(*ATTACKS, LONG),
            ),
        )
        for name in (*WORKLOADS, TURNING)
    )
    runs = tuple(
        StoredRun(
            name,
            "2026-01-01T00:00:00+00:00",
            machine=name,
            profile=name,
            headline=name,
            links={"index.html": "run/index.html", name[:40]: "run/x"},
        )
        for name in (*ATTACKS, TURNING, LONG)
    )
    damaged = StoredRun(ATTACKS[0], damage=f"{ATTACKS[3]} {LONG}")
    history = MachineHistory(hostile_run().info, ATTACKS[4] + TURNING, judged)
    return Index(runs=(*runs, damaged), machines=1, histories=(history,), no_history=ATTACKS[7])


def _plan() -> Plan:
    plan = plan_of(WORKLOADS, MODES, seeds=(0, 1, 2, 3, 4))
    setup = replace(plan.trials[0].setup, settings={attack: attack for attack in (*ATTACKS, LONG)})
    trials = tuple(replace(spec, profile=ATTACKS[5], device=ATTACKS[0], setup=setup) for spec in plan.trials)
    return Plan(profile=f"{ATTACKS[6]}.toml", device=ATTACKS[3], trials=trials)


def _spoilt_record(spec: TrialSpec, text: str) -> TrialRecord:
    place = MODES.index(spec.precision) + WORKLOADS.index(spec.workload)
    seconds = 0.01 * (1 + 0.01 * spec.seed + place)
    makers: dict[int, TrialRecord] = {
        3: emulated(spec, seconds),
        4: diverged(spec),
        5: stopped(spec, Outcome.FAILED, text, log_tail=text),
    }
    record = makers.get(place, instrumented(spec, seconds) if place % 2 else measured(spec, seconds))
    return replace(_spoilt(record, text), spec=spec, cautions=(caution(text, text),) if spec.seed == 1 else ())


def _spoilt(value: Any, text: str) -> Any:
    """The value with this text in the place of every other; a mapping has it as a key as well."""
    if isinstance(value, enum.Enum):
        return value
    if isinstance(value, str):
        return text
    if isinstance(value, Mapping):
        kept = {key: _spoilt(item, text) for key, item in value.items()}
        return kept | dict.fromkeys([text] * bool(kept), next(iter(kept.values()), None))
    if isinstance(value, tuple):
        return tuple(_spoilt(item, text) for item in value)
    if is_dataclass(value) and not isinstance(value, (type, TrialSpec)):
        return replace(value, **{each.name: _spoilt(getattr(value, each.name), text) for each in fields(value)})
    return value
