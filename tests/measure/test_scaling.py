"""The overflow recorder against injected overflows, and the contract with GradScaler's private state."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from suite.measure.device import Arithmetic
from suite.measure.optimizer import make_optimizer
from suite.measure.precision import Policy, Precision
from suite.measure.scaling import RecordingScaler
from suite.spec import OptimizerSpec, ScalerSpec

CPU = torch.device("cpu")
SPEC = ScalerSpec(initial_scale=1024.0, growth_factor=2.0, backoff_factor=0.5, growth_interval=3, static_scale=256.0)

OPTIMIZERS = {
    "adamw": OptimizerSpec("adamw", 0.1, fused=False),
    "adamw-fused": OptimizerSpec("adamw", 0.1),
    "sgd": OptimizerSpec("sgd", 0.1, fused=False),
    "sgd-fused": OptimizerSpec("sgd", 0.1),
    "sgd-momentum": OptimizerSpec("sgd", 0.1, momentum=0.9, fused=False),
    "sgd-momentum-fused": OptimizerSpec("sgd", 0.1, momentum=0.9),
}


def _policy(scaling: str, steps: int, clip_norm: float | None = None) -> Policy:
    # float32 arithmetic: what is tested is the scaling, and overflow is injected, not provoked.
    return Precision("test", Arithmetic.FP32, scaling, "").policy(CPU, steps, SPEC, clip_norm)


def _train(
    policy: Policy, optimizer: Optimizer, model: nn.Module, injected: list[bool], accumulation: int = 1, place: int = 0
) -> list[bool]:
    """Run the steps, overflowing in micro-batch `place`; True where the parameters stayed as they were.

    That is the oracle: it knows nothing of scalers.
    """
    stayed = []
    for overflow in injected:
        before = [p.detach().clone() for p in model.parameters()]
        for micro in range(accumulation):
            loss = model(torch.ones(4, 3)).square().mean() / accumulation
            policy.backward(loss * math.inf if overflow and micro == place else loss)
        policy.step(optimizer)
        optimizer.zero_grad(set_to_none=True)
        stayed.append(all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True)))
    return stayed


def _model() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Linear(3, 2)


@pytest.mark.parametrize("scaling", ["static", "dynamic"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_overflows_injected_at_steps_2_and_5_are_recorded_at_2_and_5(name: str, scaling: str) -> None:
    model = _model()
    policy = _policy(scaling, 8)
    injected = [step in (2, 5) for step in range(8)]
    stayed = _train(policy, make_optimizer(model, OPTIMIZERS[name]), model, injected)
    assert list(policy.trace().overflowed) == injected
    assert stayed == injected


@settings(max_examples=200, deadline=None)
@given(
    injected=st.lists(st.booleans(), min_size=1, max_size=12),
    name=st.sampled_from(sorted(OPTIMIZERS)),
    scaling=st.sampled_from(["static", "dynamic"]),
    place=st.integers(0, 2),
    accumulation=st.integers(1, 3),
    clip_norm=st.sampled_from([None, 1.0]),
    groups=st.sampled_from([1, 2]),
)
def test_the_record_agrees_with_whether_the_parameters_moved(
    injected: list[bool], name: str, scaling: str, place: int, accumulation: int, clip_norm: float | None, groups: int
) -> None:
    model = _model()
    policy = _policy(scaling, len(injected), clip_norm)
    optimizer = make_optimizer(model, replace(OPTIMIZERS[name], decay_vectors=groups == 1))
    assert len(optimizer.param_groups) == groups
    stayed = _train(policy, optimizer, model, injected, accumulation, min(place, accumulation - 1))
    assert list(policy.trace().overflowed) == injected == stayed


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "sgd-momentum"])
@pytest.mark.parametrize(
    "injected", [[True, False, False], [False, True, False, False], [True, True, False, True, False]]
)
def test_fused_kernels_train_like_unfused_ones_around_overflows(optimizer: str, injected: list[bool]) -> None:
    def trained(spec: OptimizerSpec) -> list[Tensor]:
        model = _model()
        _train(_policy("dynamic", len(injected)), make_optimizer(model, spec), model, injected)
        return [parameter.detach() for parameter in model.parameters()]

    plain, fused = trained(OPTIMIZERS[optimizer]), trained(OPTIMIZERS[f"{optimizer}-fused"])
    assert all(torch.allclose(a, b, rtol=1e-6, atol=1e-7) for a, b in zip(plain, fused, strict=True))


def test_momentum_exists_before_the_first_step_and_is_zero() -> None:
    """Fused SGD would otherwise keep uninitialised memory if its first step overflows (docs/decisions/0006)."""
    model = _model()
    optimizer = make_optimizer(model, OPTIMIZERS["sgd-momentum-fused"])
    buffers = [optimizer.state[parameter]["momentum_buffer"] for parameter in model.parameters()]
    assert all(torch.equal(buffer, torch.zeros_like(buffer)) for buffer in buffers)


def test_a_dynamic_scale_backs_off_on_overflow_and_grows_after_the_interval() -> None:
    model = _model()
    policy = _policy("dynamic", 7)
    _train(policy, SGD(model.parameters(), lr=0.01), model, [True, False, False, False, False, True, False])
    trace = policy.trace()
    assert trace.scales == (1024.0, 512.0, 512.0, 512.0, 1024.0, 1024.0, 512.0)
    assert trace.last_scale == 512.0
    assert trace.skips_overflow


def test_a_static_scale_never_moves() -> None:
    model = _model()
    policy = _policy("static", 6)
    _train(policy, SGD(model.parameters(), lr=0.01), model, [False, True, True, False, False, False])
    trace = policy.trace()
    assert trace.scales == (256.0,) * 6
    assert trace.last_scale == 256.0


def test_without_scaling_overflow_is_measured_and_applied() -> None:
    model = _model()
    policy = _policy("none", 4)
    stayed = _train(policy, SGD(model.parameters(), lr=0.01), model, [False, False, True, False])
    trace = policy.trace()
    # The third update makes the weights NaN, so the fourth step's gradients are NaN as well.
    assert trace.overflowed == (False, False, True, True)
    assert trace.scales is None
    assert trace.last_scale is None
    assert not trace.skips_overflow
    assert stayed[2] is False


def test_gradient_norms_are_unscaled_and_unclipped() -> None:
    weight = nn.Parameter(torch.tensor([3.0, 4.0]))
    optimizer = SGD([weight], lr=1.0)
    policy = _policy("static", 1, clip_norm=1.0)
    policy.backward((weight * torch.tensor([3.0, 4.0])).sum())  # gradient (3, 4): norm 5
    policy.step(optimizer)
    assert policy.gradient_norms() == (5.0,)
    # Clipped to norm 1 the step is (0.6, 0.8); torch adds 1e-6 to the norm it divides by.
    assert weight.tolist() == pytest.approx([2.4, 3.2], abs=1e-5)


def test_two_optimizers_count_as_one_step_if_either_overflows() -> None:
    first, second = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))
    optimizers = [SGD([first], lr=0.1), SGD([second], lr=0.1)]
    scaler = RecordingScaler(CPU, 2, SPEC, dynamic=True)
    for factor in (math.inf, 1.0):
        scaler.scale((first + second * factor).sum()).backward()
        for optimizer in optimizers:
            scaler.unscale_(optimizer)
            scaler.step(optimizer)
            optimizer.zero_grad()
        scaler.update()
    assert scaler.trace().overflowed == (True, False)


def test_contract_with_torch_private_state() -> None:
    """If this fails, torch has moved what RecordingScaler reads (checked with 2.14.1): mend the adapter."""
    scaler = torch.amp.GradScaler("cpu")
    weight = nn.Parameter(torch.ones(1))
    optimizer = SGD([weight], lr=0.1)
    loss: Tensor = scaler.scale((weight * math.inf).sum())
    loss.backward()
    scaler.unscale_(optimizer)
    (state,) = scaler._per_optimizer_states.values()
    (found,) = state["found_inf_per_device"].values()
    assert float(found) == 1.0
    assert scaler._scale is not None
    scaler.step(optimizer)
    scaler.update()
    assert len(scaler._per_optimizer_states) == 0
