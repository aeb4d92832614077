"""Published rates that this suite should reach on the same work."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass, replace

from suite import profiles
from suite.record import TrialRecord
from suite.rows import trial_row
from suite.spec import Plan, Setup, expand
from tools.checks import Conditions, Measurement
from tools.checks.trials import machine_of, run_trials, usable, with_settings

__all__ = ["throughput"]

STEPS, WARMUP = 30, 10
BERT_BASE: dict[str, int | str] = {"weights": "random", "layers": 12, "heads": 12, "hidden_size": 768}


@dataclass(frozen=True)
class Cell:
    """One trial and the rate it should reach; `least` in units of `column`, None for half of a ratio."""

    workload: str
    precision: str
    compiled: bool = False
    column: str = "samples_per_second"
    least: float | None = None
    most: float | None = None

    @property
    def name(self) -> str:
        """`gpt × bf16 compiled`."""
        return f"{self.workload} × {self.precision}{' compiled' if self.compiled else ''}"


CELLS = (
    Cell("gpt", "bf16", compiled=True, column="tokens_per_second", least=400_000),
    Cell("gpt", "bf16", column="tokens_per_second"),
    Cell("gpt", "fp16-dynamic", column="tokens_per_second"),
    Cell("gpt", "fp32", column="tokens_per_second", most=80_000),
    Cell("resnet", "bf16", least=4_000),
    Cell("resnet", "bf16", compiled=True, least=4_500),
    Cell("lstm", "tf32"),
    Cell("lstm", "fp16-dynamic"),
    Cell("bert", "bf16", least=1_000),
    Cell("bert", "bf16", compiled=True, least=1_400),
)


def throughput(conditions: Conditions) -> Iterator[Measurement]:
    """Rates of the `standard` sizes, one process each, with MFU where it is known.

    Targets (published for an H200; the design's anchors): GPT-2 124M bf16 compiled ≥ 400k tokens/s and ≥ 35 % MFU;
    ResNet-50 AMP ≥ 4,000 images/s, compiled ≥ 4,500; BERT-base S=384 AMP ≥ 1,000 sequences/s, compiled ≥ 1,400; LSTM
    fp16 at least 1.6 times as fast as TF32; fp16-dynamic within 3 % of bf16; strict fp32 GPT at most 80k tokens/s,
    because more means that TF32 leaked in.
    """
    machine = machine_of(conditions)
    found: dict[Cell, TrialRecord] = {}
    for number, cell in enumerate(cell for cell in CELLS if cell.workload in usable()[0]):
        plan = _plan(cell, machine.environment.device, machine.environment.threads)
        records = run_trials(plan, machine, conditions, label=f"trial-{number}")
        if not records:
            yield Measurement(cell.name, "no time was left", _target(cell) or "measured", met=None)
            continue
        found[cell] = records[0]
        yield _rate(cell, records[0])
    yield from _ratio(found, "lstm", "fp16-dynamic", "tf32", "LSTM fp16 against TF32", least=1.6)
    yield from _ratio(found, "gpt", "fp16-dynamic", "bf16", "GPT fp16-dynamic against bf16", least=0.97)


def _plan(cell: Cell, device: str, threads: int) -> Plan:
    profile = profiles.load("standard")
    setup: Setup = profile.workloads[cell.workload]
    if cell.workload == "bert":
        setup = with_settings(setup, **BERT_BASE)
    setup = replace(setup, steps=STEPS, warmup_steps=WARMUP, compile=cell.compiled)
    chosen = replace(profile, workloads={cell.workload: setup}, precisions=(cell.precision,), repeats=1)
    return expand(chosen, device=device, threads=threads)


def _rate(cell: Cell, record: TrialRecord) -> Measurement:
    target = _target(cell)
    if not record.outcome.measured:
        return Measurement(cell.name, f"{record.outcome.value}: {record.reason}", target or "measured", met=False)
    if cell.compiled and record.compilation is None:
        return Measurement(cell.name, "nothing says that it was compiled", target, met=False)
    row = trial_row(record, "")
    rate, mfu = row[cell.column], row["mfu"]
    value = f"{rate:,.0f} {cell.column.partition('_')[0]}/s, MFU {'not known' if mfu is None else f'{mfu:.1%}'}"
    if record.compilation is not None:
        value += f", compiled in {record.compilation.seconds:.0f} s, {record.compilation.graph_breaks} graph breaks"
    met = (cell.least is None or rate >= cell.least) and (cell.most is None or rate <= cell.most)
    if cell.workload == "gpt" and cell.compiled and mfu is not None:
        met, target = met and mfu >= 0.35, f"{target}, ≥ 35 % MFU"
    return Measurement(cell.name, value, target, met)


def _target(cell: Cell) -> str:
    unit = f"{cell.column.partition('_')[0]}/s"
    return f"≥ {cell.least:,.0f} {unit}" if cell.least else f"≤ {cell.most:,.0f} {unit}" if cell.most else ""


def _ratio(
    found: dict[Cell, TrialRecord], workload: str, fast: str, slow: str, name: str, least: float
) -> Iterator[Measurement]:
    """How many times as fast one mode's median step is as the other's."""
    medians = {
        cell.precision: statistics.median(record.steps.seconds[record.steps.warmup_steps :])
        for cell, record in found.items()
        if cell.workload == workload and not cell.compiled and record.outcome.measured and record.steps is not None
    }
    if fast in medians and slow in medians:
        ratio = medians[slow] / medians[fast]
        yield Measurement(name, f"{ratio:.2f}×", f"≥ {least}×", ratio >= least)
    else:
        yield Measurement(name, "one of them was not measured", f"≥ {least}×", met=None)
