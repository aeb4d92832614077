"""The full-size workloads of the standard profile: one fp32 step each on the CPU, at a batch that fits anywhere."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from suite import catalog, profiles
from suite.decode import decode
from suite.measure import precision
from suite.measure.meters import WallMeter
from suite.measure.optimizer import make_optimizer
from suite.measure.trial import train

STANDARD = profiles.load("standard")
CPU = torch.device("cpu")


@pytest.mark.slow
@pytest.mark.parametrize("name", STANDARD.workloads)
def test_one_fp32_step_at_reduced_batch(name: str) -> None:
    setup = replace(STANDARD.workloads[name], steps=1, warmup_steps=0, batch_size=1)
    kind = catalog.load(catalog.workloads()[name])
    settings = decode(kind.Settings, dict(setup.settings), name)
    workload = kind(settings, batch_size=setup.batch_size, seed=0, device=CPU)
    model = workload.model()
    before = [parameter.detach().clone() for parameter in model.parameters() if parameter.requires_grad]
    policy = precision.FP32.policy(CPU, 1, STANDARD.scaler, setup.clip_norm)
    optimizer = make_optimizer(model, setup.optimizer)
    seconds, losses = train(workload, model, optimizer, policy, setup, WallMeter(), lambda: None)
    assert len(seconds) == 1
    assert math.isfinite(float(losses[0]))
    assert policy.trace().overflowed == (False,)
    after = [parameter for parameter in model.parameters() if parameter.requires_grad]
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_the_sizes_are_those_of_the_published_models() -> None:
    """124 M parameters for GPT-2 (nanoGPT counts 123.6 M without positions), 25.6 M for ResNet-50 at 1000 classes."""
    gpt = STANDARD.workloads["gpt"].settings
    assert (gpt["layers"], gpt["hidden_size"], gpt["heads"], gpt["sequence_length"]) == (12, 768, 12, 1024)
    assert STANDARD.workloads["resnet"].settings["architecture"] == "resnet50"
    assert STANDARD.workloads["resnet"].settings["image_size"] == 224
    assert STANDARD.workloads["resnet"].settings["channels_last"] is True
    assert STANDARD.workloads["lstm"].settings["hidden_size"] == 1024
    assert STANDARD.workloads["bert"].settings["sequence_length"] == 384
    assert STANDARD.repeats == 5
