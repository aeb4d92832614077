"""The same trial again: bit for bit in deterministic mode, and how far apart the times of equal processes are."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from dataclasses import replace

from suite import profiles
from suite.record import Outcome
from suite.replay import Conclusion, Verification
from suite.spec import Plan
from suite.verification import verify
from tools.checks import Conditions, Measurement
from tools.checks.trials import machine_of, plan_of, profile_of, run_trials, shown, usable

__all__ = ["determinism", "same_against_same"]

SHORT_MODES = ("fp32", "fp16-dynamic", "bf16")
PROCESSES = 10
SLOWDOWN = 0.03
"""What the gate must be able to see with five processes a side (the design's list, 11)."""


def determinism(conditions: Conditions) -> Iterator[Measurement]:
    """Every workload in every mode (profile `smoke`) in deterministic mode, and `ampmark verify` of each record.

    Target: verified bit for bit, LSTM included (the design's list, 9). The short form on a GPU looks at three modes.
    """
    machine = machine_of(conditions)
    profile = profiles.load("smoke")
    if conditions.device != "cpu" and not conditions.full:
        profile = replace(profile, precisions=SHORT_MODES)
    profile = replace(profile, workloads={name: profile.workloads[name] for name in usable()[0]}, repeats=1)
    plan = plan_of(profile, machine)
    plan = replace(plan, trials=tuple(replace(spec, deterministic=True) for spec in plan.trials))
    records = run_trials(plan, machine, conditions)
    verified = 0
    for record in records:
        if conditions.seconds_left < 2 * (record.total_seconds or 0.0):  # two replays where the first one differs
            break
        yield from (_verified(event) for event in verify([record], machine) if isinstance(event, Verification))
        verified += 1
    if verified < len(plan.trials):
        yield Measurement("trials", f"{verified} of {len(plan.trials)}: no time was left", "all", met=None)


def _verified(found: Verification) -> Measurement:
    cell = f"{found.workload} × {found.precision}"
    value = found.conclusion.value + (f": {found.reason}" if found.reason else "")
    if found.conclusion is Conclusion.SKIPPED and (found.reason or "").startswith(Outcome.UNSUPPORTED.value):
        return Measurement(cell, value)
    return Measurement(cell, value, "verified", found.conclusion is Conclusion.VERIFIED)


def same_against_same(conditions: Conditions) -> Iterator[Measurement]:
    """Ten fresh processes of one cell (`gpt` in bf16; a CPU: fp32), A B B A …: the spread, and what could be seen.

    Target: a slow-down of 3 % would be seen with five processes a side (the design's list, 10 and 11).
    """
    from suite.judge.samples import STEP_TIME
    from suite.judge.stats import ALPHA, compare, minimum_detectable

    machine = machine_of(conditions)
    name = "gpt" if "gpt" in usable()[0] else "lstm"
    mode = "fp32" if conditions.device == "cpu" else "bf16"
    profile = profiles.load("quick") if conditions.device == "cpu" else profile_of(conditions)
    profile = replace(profile, workloads={name: profile.workloads[name]}, precisions=(mode,), repeats=PROCESSES)
    records = run_trials(Plan("A/A", machine.environment.device, plan_of(profile, machine).trials), machine, conditions)
    seconds = [
        statistics.median(record.steps.seconds[record.steps.warmup_steps :])
        for record in records
        if record.outcome.measured and record.steps is not None
    ]
    value = f"{len(seconds)} of {PROCESSES} {shown(records)}".rstrip()
    met = None if len(records) < PROCESSES else len(seconds) == PROCESSES
    yield Measurement(f"processes of {name} × {mode}", value, "all", met)
    if len(seconds) < PROCESSES:
        return
    spread = statistics.stdev(seconds) / statistics.fmean(seconds)
    yield Measurement("run-to-run spread", f"{spread:.2%} (standard deviation over mean), {seconds[0] * 1e3:.3f} ms")
    one, other = seconds[0::4] + seconds[3::4], seconds[1::4] + seconds[2::4]
    result = compare([math.log(value) for value in one], [math.log(value) for value in other], STEP_TIME.limit)
    seen = math.expm1(minimum_detectable(result, ALPHA, STEP_TIME.limit)) if result.error else STEP_TIME.delta
    yield Measurement("difference of the halves", f"{math.expm1(result.difference):+.2%}")
    yield Measurement("smallest slow-down to be seen", f"{seen:.1%}", f"≤ {SLOWDOWN:.0%}", seen <= SLOWDOWN)
