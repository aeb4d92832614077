"""Proof of the precision that ran: gathered after the training, from one untimed step, and judged here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager

import torch
from torch import nn

from suite.evidence import effective_precision, fulfils
from suite.measure.census import Census
from suite.measure.kernels import reported_kernels
from suite.measure.precision import Policy, Precision
from suite.measure.probe import probe, probe_heaviest
from suite.measure.switches import pinned
from suite.record import Attestation
from workloads.base import Workload

__all__ = ["attest", "objection"]


def attest(
    workload: Workload,
    model: nn.Module,
    policy: Policy,
    device: torch.device,
    precision: Precision,
    called: nn.Module | None = None,
    reported: Callable[[torch.device], AbstractContextManager[Counter[str]]] = reported_kernels,
) -> Attestation:
    """One untimed step under the census, then the probe; the model is not used afterwards.

    `called` is what the training loop called in the model's place: torch.compile's module, whose operators are then
    those that the compiled code calls.
    """
    model.train()
    model.zero_grad(set_to_none=True)
    with reported(device) as kernels, Census() as census:
        with policy.context():
            loss = workload.loss(model if called is None else called, next(workload.batches()))
        loss.backward()
    errors = probe(census.operations, policy.context, device, precision.probed)
    errors |= probe_heaviest(census.heaviest)
    return Attestation(
        effective=effective_precision(census.operations, errors, census.flops),
        operations=dict(census.operations),
        flops=dict(census.flops),
        probe_errors=errors,
        settings=census.settings | dict(precision.details(model)),
        parameter_types=parameter_types(model),
        kernels=dict(kernels),
    )


def parameter_types(model: nn.Module) -> dict[str, int]:
    """Number of parameters (elements, trained or not) by the name of their type."""
    counted = Counter[str]()
    for parameter in model.parameters():
        counted[str(parameter.dtype).removeprefix("torch.")] += parameter.numel()
    return dict(counted)


def objection(attestation: Attestation, precision: Precision, seen: Iterable[Mapping[str, str]] = ()) -> str | None:
    """Why the trial's numbers may not stand under the name of this precision; None where they may.

    `seen` are the switches at other moments of the trial than the attested step.
    """
    wanted = precision.arithmetic
    expected = pinned(wanted)
    moved = dict.fromkeys(
        f"{name} was {found} and not {expected[name]}"
        for settings in (*seen, attestation.settings)
        for name, found in settings.items()
        if found != expected.get(name, found)
    )
    if moved:
        return f"something changed torch's precision switches during the trial: {', '.join(moved)}."
    if not fulfils(attestation.effective, wanted):
        return f"{wanted} was asked for, but {attestation.effective} ran; its numbers are not {wanted}'s."
    kept = str(precision.parameters).removeprefix("torch.")
    if set(attestation.parameter_types) != {kept}:
        found = ", ".join(f"{name} ×{count}" for name, count in attestation.parameter_types.items())
        return f"{precision.name} keeps its parameters in {kept}, but they are {found}."
    return None
