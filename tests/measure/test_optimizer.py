from __future__ import annotations

import math

import pytest
from torch import nn
from torch.optim import SGD, AdamW

from suite.measure.optimizer import make_optimizer, schedule_factor
from suite.spec import OptimizerSpec, ScheduleSpec


def test_optimizers_are_what_the_spec_says() -> None:
    model = nn.Linear(2, 2)
    adamw = make_optimizer(model, OptimizerSpec("adamw", 0.1, beta1=0.8, beta2=0.7, epsilon=1e-3, weight_decay=0.5))
    assert isinstance(adamw, AdamW)
    assert adamw.defaults["betas"] == (0.8, 0.7)
    assert (adamw.defaults["eps"], adamw.defaults["weight_decay"], adamw.defaults["fused"]) == (1e-3, 0.5, True)
    sgd = make_optimizer(model, OptimizerSpec("sgd", 0.1, momentum=0.9, fused=False))
    assert isinstance(sgd, SGD)
    assert (sgd.defaults["momentum"], sgd.defaults["fused"]) == (0.9, False)


def test_the_schedule_ramps_up_then_stays_or_falls() -> None:
    constant = ScheduleSpec("constant", warmup_steps=4)
    assert [schedule_factor(constant, step, 10) for step in (0, 1, 3, 4, 9)] == [0.25, 0.5, 1.0, 1.0, 1.0]
    cosine = ScheduleSpec("cosine", warmup_steps=2)
    assert schedule_factor(cosine, 2, 10) == 1.0
    assert schedule_factor(cosine, 6, 10) == pytest.approx(0.5)
    assert schedule_factor(cosine, 9, 10) == pytest.approx(0.5 * (1 + math.cos(math.pi * 7 / 8)))


def test_biases_and_normalisation_weights_decay_only_where_the_spec_says_so() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3))
    (together,) = make_optimizer(model, OptimizerSpec("sgd", 0.1, weight_decay=0.5)).param_groups
    assert (len(together["params"]), together["weight_decay"]) == (4, 0.5)
    apart = make_optimizer(model, OptimizerSpec("adamw", 0.1, weight_decay=0.5, decay_vectors=False)).param_groups
    assert [([tuple(p.shape) for p in group["params"]], group["weight_decay"]) for group in apart] == [
        ([(3, 2)], 0.5),
        ([(3,), (3,), (3,)], 0.0),
    ]
    assert len(make_optimizer(nn.LayerNorm(2), OptimizerSpec("sgd", 0.1, decay_vectors=False)).param_groups) == 1
