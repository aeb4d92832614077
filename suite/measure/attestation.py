"""Proof of the precision that ran: gathered after the training, from one untimed step, and judged here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from types import MappingProxyType

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
    errors = probe(census.operations, _context_of(census, policy), device, precision.probed)
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


def _context_of(census: Census, policy: Policy) -> Callable[[], AbstractContextManager[object]]:
    """What the probe is computed in: the policy's own context, but none where most work was found to be float32.

    A model that leaves autocast for most of its work is then named for what it is, and not for what autocast would do.
    """
    most = max(census.flops, key=census.flops.__getitem__, default=None)
    return nullcontext if most == "float32" else policy.context


def parameter_types(model: nn.Module) -> dict[str, int]:
    """Number of floating-point parameters (elements, trained or not) by the name of their type."""
    counted = Counter[str]()
    for parameter in model.parameters():
        if parameter.is_floating_point():
            counted[str(parameter.dtype).removeprefix("torch.")] += parameter.numel()
    return dict(counted)


LEAST_SEEN = 0.5
"""Of the work that a workload states, the census must have seen this share. Of the built-in ones it sees 96 % and more,
of smoke's tiny LSTM 81 %: their formulas credit the first layer's input gradient, which nobody asks for."""


def objection(
    attestation: Attestation,
    precision: Precision,
    seen: Iterable[Mapping[str, str]] = (),
    *,
    stated_flops: int = 0,
    process: Mapping[str, str] = MappingProxyType({}),
) -> str | None:
    """Why the trial's numbers may not stand under the name of this precision; None where they may.

    `seen` are the switches at other moments of the trial than the attested step, `process` those that hold in every
    precision; `stated_flops` is the work of the attested step by the workload's own `cost()`.
    """
    wanted = precision.arithmetic
    expected = pinned(wanted) | dict(process)
    moved = dict.fromkeys(
        f"{name} was {found} and not {expected[name]}"
        for settings in (*seen, attestation.settings)
        for name, found in settings.items()
        if found != expected.get(name, found)
    )
    if moved:
        return f"something changed torch's switches during the trial: {', '.join(moved)}."
    share = sum(attestation.flops.values()) / stated_flops if stated_flops else 1.0
    if share < LEAST_SEEN:
        return (
            f"{wanted} was asked for, and what ran is not known: the census saw {share:.1%} of the work that the "
            "workload's cost() states; the rest is in operators that it does not know, or inside custom ones."
        )
    if attestation.effective.startswith("unknown"):
        return f"{wanted} was asked for, and what ran is {attestation.effective}."
    if not fulfils(attestation.effective, wanted):
        return f"{wanted} was asked for, but {attestation.effective} ran; its numbers are not {wanted}'s."
    kept = str(precision.parameters).removeprefix("torch.")
    if set(attestation.parameter_types) != {kept}:
        found = ", ".join(f"{name} ×{count}" for name, count in attestation.parameter_types.items())
        return f"{precision.name} keeps its parameters in {kept}, but they are {found}."
    return None
