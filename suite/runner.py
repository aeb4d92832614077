"""Runs a plan: one fresh process per trial, whatever happens to it. Never imports torch.

What goes wrong inside a trial (a crash, a hang, an exception) is that trial's record, and the next one starts.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from suite.decode import decode, encode
from suite.errors import JobFailed, SurveyFailed, UsageError
from suite.process import Job
from suite.record import Environment, Outcome, TrialRecord
from suite.spec import Plan, TrialSpec

__all__ = ["AnchorBlock", "Event", "Finished", "Machine", "Phase", "Started", "ask", "run_plan", "survey"]

SURVEY_SECONDS = 300.0
"""A cold file cache can make the first import of torch and transformers take minutes."""
TAIL_LINES = 40
"""What a record carries of the output of a trial that did not end well; the rest is in its log."""


@dataclass(frozen=True)
class Machine:
    """What the survey found: where the plan will run."""

    environment: Environment
    device_uuid: str | None


@dataclass(frozen=True)
class Started:
    """A trial's process has been asked for."""

    index: int
    total: int
    spec: TrialSpec


@dataclass(frozen=True)
class Phase:
    """A trial says what it is doing now."""

    spec: TrialSpec
    name: str


@dataclass(frozen=True)
class Finished:
    """A trial is over; `log` is what its process printed."""

    record: TrialRecord
    log: str


@dataclass(frozen=True)
class AnchorBlock:
    """The approved baseline's code is being run in turn with the plan."""

    baseline: str
    trials: int


Event = Started | Phase | Finished | AnchorBlock


def survey(requested_device: str | None) -> Machine:
    """Describe this machine from a process of its own; `None` chooses the best device present.

    Raises:
        UsageError: the requested device is not here.
        SurveyFailed: the process died; the message carries its last words.
    """
    try:
        reply = ask("survey", {"device": requested_device, "variables": dict(os.environ)}, SURVEY_SECONDS)
    except JobFailed as error:
        raise SurveyFailed(
            f"the machine could not be described: {error} "
            "Check that `python -c 'import torch, transformers'` works here."
        ) from error
    return Machine(decode(Environment, reply["survey"], "survey"), reply["device_uuid"])


def ask(
    kind: str, request: Mapping[str, Any], timeout_seconds: float, on_phase: Callable[[str], None] = lambda name: None
) -> dict[str, Any]:
    """The result of one job in a process of its own; `measure.worker` holds the kinds.

    Raises:
        UsageError: the job was refused, for a reason the user can mend.
        JobFailed: the process ended without a result; the message carries its last words.
    """
    job = Job({kind: request}, timeout_seconds)
    result: dict[str, Any] | None = None
    for message in job:
        if "refused" in message:
            raise UsageError(message["refused"])
        if "phase" in message:
            on_phase(message["phase"])
        else:
            result = message
    if result is None:
        raise JobFailed(f"its process ended without a result ({job.ending()}): {_tail(job.log()) or 'it was silent'}.")
    return result


def run_plan(plan: Plan, machine: Machine, skip: frozenset[str] = frozenset()) -> Iterator[Event]:
    """Run every trial whose id is not in `skip`, one after another; yields exactly one `Finished` for each.

    Closing the iterator (or an interrupt) kills the running trial, which then has no record.
    """
    for index, spec in enumerate(plan.trials):
        if spec.trial_id not in skip:
            yield Started(index, len(plan.trials), spec)
            yield from _run_trial(index, spec, machine.device_uuid)


def _run_trial(index: int, spec: TrialSpec, device_uuid: str | None) -> Iterator[Event]:
    started_at = datetime.now(UTC).isoformat(timespec="seconds")
    job = Job({"trial": {"spec": encode(spec), "device_uuid": device_uuid}}, spec.timeout_seconds)
    record = None
    for message in job:
        if "record" in message:
            record = decode(TrialRecord, message["record"], "the trial's record")  # which the worker has checked
        elif "phase" in message:
            yield Phase(spec, message["phase"])
    if record is None:
        outcome, reason = _silent_end(job, spec)
        record = TrialRecord(spec=spec, outcome=outcome, reason=reason, started_at=started_at)
    log = job.log()
    yield Finished(
        replace(
            record,
            order=index,
            start_seconds=job.start_seconds,
            total_seconds=job.total_seconds,
            log_tail=_tail(log) if record.outcome.broken else None,
        ),
        log,
    )


def _silent_end(job: Job, spec: TrialSpec) -> tuple[Outcome, str]:
    if job.timed_out:
        return Outcome.TIMED_OUT, f"not finished after {spec.timeout_seconds:g} s; raise --timeout or choose less work."
    hint = " (often the kernel's out-of-memory killer)" if job.exit_code == -signal.SIGKILL else ""
    return Outcome.CRASHED, f"the process ended without a record: {job.ending()}{hint}."


def _tail(log: str) -> str | None:
    lines = log.strip().splitlines()[-TAIL_LINES:]
    return "\n".join(lines) or None
