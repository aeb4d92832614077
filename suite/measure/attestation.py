"""Proof of the precision that ran: gathered after the training, from one untimed step, and judged here."""

from __future__ import annotations

import torch
from torch import nn

from suite.evidence import effective_precision, fulfils
from suite.measure import numerics
from suite.measure.device import Arithmetic
from suite.measure.precision import Policy
from suite.record import Attestation
from workloads.base import Workload

__all__ = ["attest", "objection"]


def attest(workload: Workload, model: nn.Module, policy: Policy, device: torch.device) -> Attestation:
    """One untimed step under the census, then the probe; the model is not used afterwards."""
    model.train()
    model.zero_grad(set_to_none=True)
    with numerics.Census() as census:
        with policy.context():
            loss = workload.loss(model, next(workload.batches()))
        loss.backward()
    errors = numerics.probe(census.operations, policy.context, device)
    return Attestation(
        effective=effective_precision(census.operations, errors),
        operations=dict(census.operations),
        probe_errors=errors,
        settings=census.settings,
    )


def objection(attestation: Attestation, wanted: Arithmetic) -> str | None:
    """Why the trial's numbers may not stand under the name of this arithmetic; None where they may."""
    pinned = numerics.pinned(wanted)
    moved = [
        f"{name} was {found} and not {pinned[name]}"
        for name, found in attestation.settings.items()
        if found != pinned.get(name, found)
    ]
    if moved:
        return f"something changed torch's precision switches during the trial: {', '.join(moved)}."
    if not fulfils(attestation.effective, wanted):
        return f"{wanted} was asked for, but {attestation.effective} ran; its numbers are not {wanted}'s."
    return None
