"""Precisions that keep parameters in 16 bits: norms, clipping, overflow and evaluation against float32 arithmetic."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from ampmark_tiny import Tiny, TinySettings
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from trials import CPU, SPEC, bench

from suite.errors import PrecisionUnsupported, UsageError
from suite.measure.attestation import objection
from suite.measure.device import Arithmetic
from suite.measure.optimizer import make_optimizer
from suite.measure.precision import BF16, BF16_PURE, FP16_PURE, FP16_STATIC, FP32, Precision, global_norm
from suite.measure.trial import run_trial
from suite.record import Attestation, Outcome, TrialRecord
from suite.spec import OptimizerSpec, ScalerSpec

SCALER = ScalerSpec(initial_scale=1024.0, static_scale=1024.0)
FUSED = {
    "adamw": OptimizerSpec("adamw", 0.01),
    "sgd": OptimizerSpec("sgd", 0.1),
    "sgd-momentum": OptimizerSpec("sgd", 0.1, momentum=0.9),
}


def _trial(precision: Precision, workload: type[Tiny] = Tiny, optimizer: OptimizerSpec | None = None) -> TrialRecord:
    setup = replace(SPEC.setup, optimizer=optimizer or SPEC.setup.optimizer)
    spec = replace(SPEC, precision=precision.name, setup=setup)
    return run_trial(spec, lambda: workload(TinySettings(), batch_size=8, seed=0, device=CPU), precision, bench())


def _step(precision: Precision, gradient: list[float], clip_norm: float | None) -> tuple[float, list[float]]:
    """Norm that is reported and update that is made by one SGD step at rate 1 with this gradient."""
    weight = nn.Parameter(torch.zeros(len(gradient), dtype=precision.parameters))
    policy = precision.policy(CPU, 1, SCALER, clip_norm)
    policy.backward((weight.float() * torch.tensor(gradient)).sum())
    policy.step(make_optimizer(nn.ParameterList([weight]), OptimizerSpec("sgd", 1.0)))
    return policy.gradient_norms()[0], (-weight.detach().float()).tolist()


@pytest.mark.parametrize(("precision", "kept"), [(BF16_PURE, torch.bfloat16), (FP16_PURE, torch.float16)])
@pytest.mark.parametrize("name", FUSED)
def test_parameters_buffers_gradients_and_optimizer_state_are_kept_in_16_bits(
    precision: Precision, kept: torch.dtype, name: str
) -> None:
    model = precision.prepare(nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)), FUSED[name])
    optimizer = make_optimizer(model, FUSED[name])
    policy = precision.policy(CPU, 1, SCALER, None)
    with policy.context():
        loss = model(torch.randn(8, 4, generator=torch.Generator().manual_seed(0))).float().square().mean()
    policy.backward(loss)
    assert {parameter.grad.dtype for parameter in model.parameters() if parameter.grad is not None} == {kept}
    policy.step(optimizer)
    state = [value for states in optimizer.state.values() for key, value in states.items() if key != "step"]
    tensors = [*model.parameters(), *model.buffers(), *state]
    assert {tensor.dtype for tensor in tensors if tensor.is_floating_point()} == {kept}


def test_a_kind_of_scaling_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        Precision("mine", Arithmetic.FP16, "dynmic", "a slip")
    assert str(caught.value) == "precision 'mine': scaling is 'dynmic'; give none, static, dynamic."


def test_modes_with_master_weights_leave_the_model_as_it_is() -> None:
    model = nn.Linear(2, 2)
    for precision in (FP32, BF16, FP16_STATIC):
        assert precision.prepare(model, FUSED["sgd"]) is model
        assert precision.for_evaluation(model) is model


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_the_norm_is_taken_in_float32_whatever_the_type(dtype: torch.dtype) -> None:
    gradients = [torch.full((400,), 60000.0, dtype=dtype), torch.full((3,), 0.1, dtype=dtype)]
    exact = math.sqrt(sum(float(gradient.double().square().sum()) for gradient in gradients))
    norm = global_norm(gradients)
    assert norm.dtype == torch.float32
    assert float(norm) == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize("precision", [BF16_PURE, FP16_PURE, FP16_STATIC, FP32])
@pytest.mark.parametrize("clip_norm", [None, 10.0, 1.0])
def test_norms_are_unscaled_and_unclipped_and_the_step_is_clipped(
    precision: Precision, clip_norm: float | None
) -> None:
    norm, update = _step(precision, [3.0, 4.0], clip_norm)
    assert norm == 5.0
    share = 0.2 if clip_norm == 1.0 else 1.0
    assert update == pytest.approx([3.0 * share, 4.0 * share], rel=2**-8)


def test_a_scaled_gradient_may_be_smaller_than_any_float16_number() -> None:
    """2^-30 is flushed in float16 and 2^-30 · 1024 is not; the fused kernel divides in float32."""
    weight = nn.Parameter(torch.zeros(1, dtype=torch.float16))
    policy = FP16_PURE.policy(CPU, 1, SCALER, None)
    policy.backward((weight.float() * 2.0**-30).sum())
    policy.step(make_optimizer(nn.ParameterList([weight]), OptimizerSpec("sgd", 2.0**20)))
    assert policy.gradient_norms() == (2.0**-30,)
    assert weight.item() == -(2.0**-10)


def test_without_a_master_an_update_below_half_a_unit_in_the_last_place_is_lost() -> None:
    """The neighbour of 1 in bfloat16 is 1 - 2^-8 = 0.996: steps of 0.001 never get there; a master in float32 does."""

    def after_100_steps(precision: Precision) -> float:
        weight = nn.Parameter(torch.ones(1, dtype=precision.parameters))
        policy = precision.policy(CPU, 100, SCALER, None)
        optimizer = make_optimizer(nn.ParameterList([weight]), OptimizerSpec("sgd", 0.001))
        for _ in range(100):
            policy.backward(weight.float().sum())
            policy.step(optimizer)
            optimizer.zero_grad()
        return weight.item()

    assert after_100_steps(BF16_PURE) == 1.0
    assert after_100_steps(BF16) == pytest.approx(0.9, abs=1e-5)


@settings(max_examples=60, deadline=None)
@given(
    injected=st.lists(st.booleans(), min_size=1, max_size=10),
    name=st.sampled_from(sorted(FUSED)),
    scaling=st.sampled_from(["static", "dynamic"]),
    accumulation=st.integers(1, 3),
    clip_norm=st.sampled_from([None, 0.1]),
)
def test_the_record_agrees_with_whether_the_float16_parameters_moved(
    injected: list[bool], name: str, scaling: str, accumulation: int, clip_norm: float | None
) -> None:
    weight = nn.Parameter(torch.tensor([2.0, -3.0], dtype=torch.float16))
    policy = replace(FP16_PURE, scaling=scaling).policy(CPU, len(injected), SCALER, clip_norm)
    optimizer = make_optimizer(nn.ParameterList([weight]), FUSED[name])
    stayed = []
    for overflow in injected:
        before = weight.detach().clone()
        for micro in range(accumulation):
            loss = weight.float().sum() / accumulation
            policy.backward(loss * math.inf if overflow and micro == 0 else loss)
        policy.step(optimizer)
        optimizer.zero_grad()
        stayed.append(torch.equal(before, weight))
    assert list(policy.trace().overflowed) == injected == stayed


def test_a_gradient_that_overflows_float16_only_when_scaled_skips_the_step() -> None:
    norm, update = _step(FP16_PURE, [100.0, 0.0], clip_norm=1.0)  # 100 · 1024 > 65504
    assert norm == math.inf
    assert update == [0.0, 0.0]


@pytest.mark.parametrize("scaling", ["static", "dynamic"])
def test_float16_gradients_under_scaling_need_a_fused_optimizer(scaling: str) -> None:
    unfused = OptimizerSpec("adamw", 0.1, fused=False)
    with pytest.raises(PrecisionUnsupported) as caught:
        replace(FP16_PURE, scaling=scaling).prepare(nn.Linear(1, 1), unfused)
    assert str(caught.value) == (
        "fp16-pure keeps gradients in float16, which torch's GradScaler unscales in fused optimizers only; "
        "set fused = true for the optimizer."
    )
    assert BF16_PURE.prepare(nn.Linear(1, 1), unfused).weight.dtype == torch.bfloat16


class EvaluatedInFloat32(Tiny):
    """Says what the evaluation was given."""

    def evaluate(self, model: nn.Module):  # type: ignore[no-untyped-def]
        assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
        return super().evaluate(model)


@pytest.mark.parametrize(
    ("precision", "effective", "kept"),
    [
        (BF16_PURE, "bf16", "bfloat16"),
        (FP16_PURE, "fp16", "float16"),
        (BF16, "bf16", "float32"),
        (FP32, "fp32", "float32"),
    ],
)
def test_a_trial_is_evaluated_in_float32_and_attested_as_it_trained(
    precision: Precision, effective: str, kept: str
) -> None:
    record = _trial(precision, EvaluatedInFloat32)
    assert record.outcome is Outcome.OK, record.reason
    assert record.quality is not None
    assert record.attestation is not None
    assert record.attestation.effective == effective
    assert record.attestation.parameter_types == {kept: 17}
    assert record.initial_sha256 != record.parameters_sha256


def test_the_conversion_for_the_evaluation_is_exact_and_leaves_the_trained_model_alone() -> None:
    model = BF16_PURE.prepare(nn.Linear(3, 3), FUSED["sgd"])
    before = model.weight.detach().clone()
    evaluated = BF16_PURE.for_evaluation(model)
    assert isinstance(evaluated, nn.Linear)
    assert torch.equal(evaluated.weight, before.float())
    evaluated.weight.data.zero_()
    assert torch.equal(model.weight, before)


class Faint(Tiny):
    """Gradients of about 1e-3, and none in the second step."""

    def loss(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        loss = super().loss(model, batch)
        return loss * (0.0 if self._calls == 2 else 3e-4)


def test_adamw_without_masters_breaks_in_float16_and_the_trial_says_so() -> None:
    """A thousandth of (1e-3)² is zero in float16: AdamW forgets how large gradients were, and divides by epsilon."""
    record = _trial(FP16_PURE, Faint, OptimizerSpec("adamw", 5.0))
    assert record.outcome is Outcome.DIVERGED
    assert record.first_bad_step == 2
    assert record.reason == "the loss was not finite from step 2 to the last, so none of these steps was applied."
    assert _trial(FP16_STATIC, Faint, OptimizerSpec("adamw", 5.0)).outcome is Outcome.OK


def test_parameters_in_another_type_than_the_precisions_are_a_mismatch() -> None:
    def kept_in(types: dict[str, int]) -> Attestation:
        return Attestation("bf16", {}, {}, {}, types)

    assert objection(kept_in({"bfloat16": 8}), BF16_PURE) is None
    assert objection(kept_in({"float32": 8}), BF16) is None
    assert objection(kept_in({"float32": 6, "bfloat16": 2}), BF16_PURE) == (
        "bf16-pure keeps its parameters in bfloat16, but they are float32 ×6, bfloat16 ×2."
    )
    assert (
        objection(kept_in({"bfloat16": 8}), BF16) == "bf16 keeps its parameters in float32, but they are bfloat16 ×8."
    )
