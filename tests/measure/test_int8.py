"""int8-qat: what is rounded, what is refused, and that the rounding is that of torchao's int8 inference."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from ampmark_tiny import Tiny, TinySettings
from torch import Tensor, nn
from torch.optim import SGD
from trials import CPU, SPEC, bench

from suite.errors import PrecisionUnsupported
from suite.measure.digests import digest_of_state
from suite.measure.int8 import INT8_QAT, QuantisedConv2d
from suite.measure.trial import run_trial
from suite.record import Outcome
from suite.spec import OptimizerSpec

SGD_SPEC = OptimizerSpec("sgd", 0.1)


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def _prepared(model: nn.Module) -> nn.Module:
    return INT8_QAT.prepare(model, SGD_SPEC)


def _distinct(values: Tensor) -> int:
    return len(values.unique())


def test_the_weight_of_a_convolution_has_at_most_256_values_per_channel_and_its_input_256() -> None:
    model = _prepared(nn.Sequential(nn.Conv2d(16, 2, 5)))
    conv = model[0]
    assert isinstance(conv, QuantisedConv2d)
    image = torch.randn(2, 16, 32, 32)
    assert _distinct(conv.weight[0]) == 16 * 25
    assert all(_distinct(channel) <= 256 for channel in conv.weight_quantiser(conv.weight))
    model(image)
    assert _distinct(conv.input_quantiser(image)) <= 256


def test_a_convolution_multiplies_the_rounded_numbers() -> None:
    plain = nn.Conv2d(1, 1, (1, 3), bias=False)
    with torch.no_grad():
        plain.weight.copy_(torch.tensor([127.0, 2.2, -0.7]).view(1, 1, 1, 3))  # scale 127 ÷ 127: 127, 2, -1
        conv = _prepared(plain)
        # Inputs from 0 to 255, scale 1: 255, 7, 0.
        product = conv(torch.tensor([255.0, 7.4, 0.3]).view(1, 1, 1, 3))
    assert float(product) == pytest.approx(127 * 255 + 2 * 7, rel=1e-6)


def test_the_rounding_lets_the_gradient_through_and_training_lowers_the_loss() -> None:
    model = _prepared(nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 1)))
    image, target = torch.randn(16, 1, 8, 8), torch.randn(16, 1)
    optimizer = SGD(model.parameters(), lr=0.02)
    losses = []
    for _ in range(30):
        loss = nn.functional.mse_loss(model(image), target)
        loss.backward()
        assert all(parameter.grad is not None for parameter in model.parameters())
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]


def test_ranges_are_learnt_from_training_data_and_not_from_held_out_data() -> None:
    conv = _prepared(nn.Conv2d(1, 1, 1))
    conv(torch.full((1, 1, 2, 2), 3.0))
    before = digest_of_state(conv)
    conv.eval()
    conv(torch.full((1, 1, 2, 2), 1000.0))
    conv.train()
    assert digest_of_state(conv) == before
    assert float(conv.input_quantiser.activation_post_process.max_val) == 3.0


def test_a_linear_layer_rounds_like_the_int8_inference_of_torchao() -> None:
    from torchao.quantization import Int8DynamicActivationInt8WeightConfig, MappingType, quantize_

    plain = nn.Sequential(nn.Linear(64, 32))
    inputs = torch.randn(8, 64)
    with torch.no_grad():
        exact = plain(inputs)
        simulated = _prepared(nn.Sequential(plain[0]))(inputs)
        quantize_(plain, Int8DynamicActivationInt8WeightConfig(act_mapping_type=MappingType.ASYMMETRIC))
        integers = plain(inputs)
    rounding = torch.linalg.vector_norm(simulated - exact)
    assert 1e-3 < rounding / torch.linalg.vector_norm(exact) < 2e-2
    assert torch.linalg.vector_norm(simulated - integers) < 0.2 * rounding


def test_tied_weights_stay_tied_and_parameters_are_kept() -> None:
    model = nn.Sequential(nn.Embedding(16, 8), nn.Linear(8, 16, bias=False))
    model[1].weight = model[0].weight
    tied = model[0].weight
    prepared = _prepared(model)
    assert prepared[1].weight is tied
    assert [parameter is tied for parameter in prepared.parameters()] == [True]


def test_preparing_draws_no_random_numbers() -> None:
    before = torch.get_rng_state()
    made = nn.Sequential(nn.Conv2d(1, 1, 1), nn.Flatten(), nn.Linear(4, 4))
    drawn = torch.get_rng_state()
    _prepared(made)
    assert not torch.equal(before, drawn)
    assert torch.equal(torch.get_rng_state(), drawn)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (nn.Sequential(nn.LSTM(2, 2), nn.Linear(2, 1)), "torchao has nothing for the LSTM of this model."),
        (nn.Sequential(nn.Conv1d(2, 2, 1)), "torchao has nothing for the Conv1d of this model."),
        (nn.Sequential(nn.LayerNorm(2)), "and this model has none."),
    ],
)
def test_a_model_that_cannot_be_simulated_is_refused_with_the_reason(model: nn.Module, reason: str) -> None:
    with pytest.raises(PrecisionUnsupported) as caught:
        _prepared(model)
    assert str(caught.value).endswith(reason)


def test_a_trial_is_float32_arithmetic_and_never_ranked() -> None:
    record = run_trial(
        replace(SPEC, precision="int8-qat"),
        lambda: Tiny(TinySettings(), batch_size=8, seed=0, device=CPU),
        INT8_QAT,
        bench(),
    )
    assert record.outcome is Outcome.EMULATED
    assert record.reason == "int8 is simulated in float32 during training; read the quality, not the speed."
    assert record.attestation is not None
    assert record.attestation.effective == "fp32"
    assert record.attestation.settings["int8.layers"] == "FakeQuantizedLinear ×1"
    assert record.attestation.settings["int8.quality"] == "of the simulated int8 network"
    assert record.quality is not None


def test_a_linear_layer_computes_what_torchaos_int8_computes() -> None:
    from torchao.quantization import Int8DynamicActivationInt8WeightConfig, quantize_
    from torchao.quantization.quant_primitives import MappingType

    plain, x = nn.Sequential(nn.Linear(64, 32)), torch.randn(128, 64)
    simulated = _prepared(copy.deepcopy(plain))
    quantised = copy.deepcopy(plain)
    quantize_(quantised, Int8DynamicActivationInt8WeightConfig(act_mapping_type=MappingType.ASYMMETRIC))
    with torch.no_grad():
        exact, ours, theirs = plain(x), simulated(x), quantised(x)
    assert (ours - exact).norm() > 5e-3 * exact.norm()
    assert (ours - theirs).norm() < 1e-6 * exact.norm()
