"""Trials that break in every way there is: each becomes a record, and the next trial is unharmed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from suite import catalog, profiles
from suite.record import Outcome, TrialRecord
from suite.runner import Machine
from suite.spec import OptimizerSpec, Plan, Profile, Setup, TrialSpec
from tools.checks import Conditions, Measurement, NotRun
from tools.checks.trials import machine_of, plan_of, run_trials, usable

__all__ = ["broken_trials"]

PLUGIN = Path(__file__).resolve().parents[2] / "tests" / "plugin"
HANG_SECONDS = 5.0
TOO_LARGE = 65536
"""Sequences of 1024 tokens in one batch: their logits alone are 13 TB."""


def broken_trials(conditions: Conditions) -> Iterator[Measurement]:
    """A trial that asks for too much memory, diverges, hangs, is killed, raises; a healthy one after each.

    Target: each has its own outcome and a reason, and the healthy trial after it is bit for bit the one before the
    first (the design's list, 12). The faults are those of the tests' plug-in workload.
    """
    if not PLUGIN.is_dir():
        raise NotRun(f"{PLUGIN.relative_to(PLUGIN.parents[1])} is not there")
    sys.path.insert(0, str(PLUGIN))  # for the names here, and for the trials' processes:
    os.environ["PYTHONPATH"] = os.pathsep.join([str(PLUGIN), os.environ.get("PYTHONPATH", "")])
    if "tiny" not in catalog.workloads():
        raise NotRun("the tests' plug-in workload is not found")
    machine = machine_of(conditions)
    reference = _trial(_tiny(machine, "none", 0), machine, conditions, "healthy")
    yield _ended("healthy", reference, Outcome.OK)
    for number, (fault, expected) in enumerate(_faults(conditions, machine), start=1):
        broken = _trial(fault, machine, conditions, f"broken-{number}")
        name = str(fault.setup.settings.get("fault", "too large a batch"))
        yield _ended(name, broken, expected)
        healthy = _trial(_tiny(machine, "none", 0), machine, conditions, f"healthy-{number}")
        if reference is None or healthy is None:
            yield Measurement(f"the trial after {name}", "no time was left", "unharmed", met=None)
            return
        equal = healthy.losses_sha256 is not None and healthy.losses_sha256 == reference.losses_sha256
        yield Measurement(f"the trial after {name}", "unharmed" if equal else "another loss", "unharmed", equal)


def _faults(conditions: Conditions, machine: Machine) -> Iterator[tuple[TrialSpec, Outcome]]:
    yield _tiny(machine, "overflow", 1), Outcome.DIVERGED
    yield replace(_tiny(machine, "hang", 2), timeout_seconds=HANG_SECONDS), Outcome.TIMED_OUT
    yield _tiny(machine, "kill", 3), Outcome.CRASHED
    yield _tiny(machine, "raise", 4), Outcome.FAILED
    if conditions.device == "cpu":
        yield _tiny(machine, "memory", 5), Outcome.OUT_OF_MEMORY
    elif "gpt" in usable()[0]:
        profile = profiles.load("standard")
        setup = replace(profile.workloads["gpt"], batch_size=TOO_LARGE)
        large = replace(profile, workloads={"gpt": setup}, precisions=("bf16",), repeats=1)
        yield plan_of(large, machine).trials[0], Outcome.OUT_OF_MEMORY


def _tiny(machine: Machine, fault: str, repeat: int) -> TrialSpec:
    setup = Setup(
        steps=6,
        warmup_steps=2,
        batch_size=8,
        optimizer=OptimizerSpec("sgd", 0.05),
        settings={"fault": fault},
    )
    profile = Profile("faults", "broken on purpose", ("fp32",), {"tiny": setup}, timeout_seconds=60.0)
    return replace(plan_of(profile, machine).trials[0], repeat=repeat)


def _trial(spec: TrialSpec, machine: Machine, conditions: Conditions, label: str) -> TrialRecord | None:
    records = run_trials(Plan("faults", machine.environment.device, (spec,)), machine, conditions, label)
    return records[0] if records else None


def _ended(name: str, record: TrialRecord | None, expected: Outcome) -> Measurement:
    if record is None:
        return Measurement(name, "no time was left", expected.value, met=None)
    return Measurement(name, f"{record.outcome.value}: {record.reason}", expected.value, record.outcome is expected)
