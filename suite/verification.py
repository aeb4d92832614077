"""Trains recorded trials again, in deterministic mode and fresh processes, and concludes what each replay says."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace

from suite.errors import Incomparable
from suite.record import TrialRecord
from suite.replay import Verification, conclude, first_difference, obstacle
from suite.runner import Finished, Machine, Phase, Started, run_plan
from suite.spec import Plan, TrialSpec
from suite.store import RunInfo

__all__ = ["check_machine", "other_code", "verify"]


def check_machine(info: RunInfo, machine: Machine) -> None:
    """Refuse to replay a run elsewhere: equal bits are promised on one machine and one stack only.

    Raises:
        Incomparable: the fingerprints differ; the message lists every difference.
    """
    differences = info.environment.differences(machine.environment)
    if differences:
        raise Incomparable(
            f"run {info.run} cannot be verified here: {'; '.join(differences)}. "
            "Bits repeat on an equal machine and software stack only; verify it where it was made."
        )


def other_code(info: RunInfo, machine: Machine) -> list[str]:
    """What of ampmark itself is not what made the run: `name: recorded → now`."""
    return info.environment.differences(machine.environment, code=True)


def verify(
    records: Sequence[TrialRecord], machine: Machine, timeout_seconds: float | None = None
) -> Iterator[Started | Phase | Verification]:
    """Replay each record that has numbers, once more where the first replay differs; one `Verification` for each.

    `machine` must have passed :func:`check_machine`. Closing the iterator kills the running replay.
    """
    for index, record in enumerate(records):
        said = obstacle(record)
        if said is None:
            spec = replace(
                record.spec, deterministic=True, timeout_seconds=timeout_seconds or record.spec.timeout_seconds
            )
            yield Started(index, len(records), spec)
            first = yield from _replay(spec, machine)
            again = first.steps is not None and first_difference(record, first) is not None
            second = (yield from _replay(spec, machine)) if again else None
            said = conclude(record, first, second)
        yield said


def _replay(spec: TrialSpec, machine: Machine) -> Generator[Phase, None, TrialRecord]:
    finished: list[TrialRecord] = []
    for event in run_plan(Plan(spec.profile, spec.device, (spec,)), machine):
        if isinstance(event, Phase):
            yield event
        elif isinstance(event, Finished):
            finished.append(event.record)
    return finished[0]
