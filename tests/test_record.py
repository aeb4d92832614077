"""Outcomes and the machine's fingerprint."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
import records

from suite.record import Environment, Outcome


def test_outcomes_with_numbers_and_outcomes_that_somebody_must_look_at() -> None:
    assert {outcome for outcome in Outcome if outcome.measured} == {Outcome.OK, Outcome.EMULATED}
    assert {outcome for outcome in Outcome if outcome.broken} == {
        Outcome.UNAVAILABLE,
        Outcome.PRECISION_MISMATCH,
        Outcome.OUT_OF_MEMORY,
        Outcome.TIMED_OUT,
        Outcome.CRASHED,
        Outcome.FAILED,
    }


#: Field -> another value: everything that makes two machines or stacks different.
OTHER_MACHINE: dict[str, Any] = {
    "device_name": "NVIDIA H200",
    "device_memory_bytes": 1,
    "compute_capability": "9.0",
    "device_count": 8,
    "driver": "580.1",
    "cuda": "13.0",
    "cudnn": "9.1",
    "nccl": "2.2",
    "mig": "enabled",
    "ecc": "enabled",
    "power_limit_watts": 350.0,
    "torch": "2.13.0",
    "torchvision": None,
    "transformers": "5.1.0",
    "python": "3.13.0",
    "os": "Linux 7",
    "cpu": "Other CPU",
    "cpu_count": 4,
    "threads": 1,
    "cpu_instructions": "AVX512",
    "variables": {"OMP_NUM_THREADS": "1"},
}
SAME_MACHINE: dict[str, Any] = {
    "device": "cuda:1",
    "persistence": "enabled",
    "container": "docker",
    "ampmark": "9.9",
    "git_commit": "def",
    "git_dirty": True,
}


def test_every_field_is_decided_to_be_in_the_fingerprint_or_not() -> None:
    assert OTHER_MACHINE.keys() | SAME_MACHINE.keys() == {field.name for field in fields(Environment)}


@pytest.mark.parametrize("name", OTHER_MACHINE)
def test_another_machine_or_stack_has_another_fingerprint_and_the_difference_is_named(name: str) -> None:
    ours, theirs = records.environment(), records.environment(**{name: OTHER_MACHINE[name]})
    assert ours.fingerprint != theirs.fingerprint
    assert ours.differences(theirs) == [f"{name}: {getattr(ours, name)} → {OTHER_MACHINE[name]}"]


@pytest.mark.parametrize("name", SAME_MACHINE)
def test_the_suites_own_version_and_the_container_do_not_split_a_history(name: str) -> None:
    ours, theirs = records.environment(), records.environment(**{name: SAME_MACHINE[name]})
    assert ours.fingerprint == theirs.fingerprint
    assert ours.differences(theirs) == []


def test_the_fingerprint_is_the_same_in_every_process() -> None:
    """A literal value: if it changes, every stored history ends here, and that must be meant."""
    expected = "a7c338dcb95c0713a131c1b571a2219242c25d2f6587cb127baebc18b4799f38"
    assert records.environment().fingerprint == expected
