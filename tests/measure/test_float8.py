"""fp8: what is converted, what ran, and what is refused; torch's CPU kernel stands for the GPU's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from statistics import fmean

import pytest
import torch
from torch import nn
from torch.optim import SGD
from transformers.pytorch_utils import Conv1D
from trials import CPU, SPEC, bench

from suite.errors import PrecisionUnsupported
from suite.measure.attestation import attest, objection
from suite.measure.census import Census
from suite.measure.device import Arithmetic, Hardware
from suite.measure.digests import digest_of_state
from suite.measure.float8 import FP8, Float8
from suite.measure.switches import pin_arithmetic
from suite.measure.trial import run_trial
from suite.record import Outcome
from suite.spec import OptimizerSpec, ScalerSpec
from workloads.base import Workload
from workloads.gpt import Gpt

SGD_SPEC = OptimizerSpec("sgd", 0.05)
EMULATED = Float8("fp8", Arithmetic.FP8, "none", "", emulate=True)


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def _gpt() -> Workload:
    settings = Gpt.Settings(layers=1, heads=2, hidden_size=32, sequence_length=32, evaluation_sequences=4)
    return Gpt(settings, batch_size=4, seed=0, device=CPU)


def test_linear_layers_of_fitting_sizes_are_converted_and_the_rest_is_named() -> None:
    model = nn.Sequential(nn.Linear(16, 32), Conv1D(48, 32), nn.Linear(48, 10), nn.Linear(8, 16))
    prepared = FP8.prepare(model, SGD_SPEC)
    assert [type(layer).__name__ for layer in prepared] == ["Float8Linear", "Float8Linear", "Linear", "Linear"]
    assert FP8.details(prepared)["fp8.layers"] == "2 of 4 linear layers"


@pytest.mark.parametrize("model", [nn.Sequential(nn.Conv2d(16, 16, 3), nn.Linear(16, 10)), nn.LSTM(16, 16)])
def test_a_model_without_such_a_layer_is_refused(model: nn.Module) -> None:
    with pytest.raises(PrecisionUnsupported) as caught:
        FP8.prepare(model, SGD_SPEC)
    assert str(caught.value) == ("fp8 converts linear layers whose sizes are multiples of 16, and this model has none.")


@pytest.mark.parametrize("precision", [EMULATED, FP8])
def test_gpt_trains_in_float8_almost_as_in_float32(precision: Float8) -> None:
    def losses(model: nn.Module) -> list[float]:
        optimizer = SGD(model.parameters(), lr=0.3)
        seen = []
        for _, batch in zip(range(20), workload.batches(), strict=False):
            loss = workload.loss(model, batch)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            seen.append(loss.item())
        return seen

    workload = _gpt()
    reference, float8 = losses(workload.model()), losses(precision.prepare(workload.model(), SGD_SPEC))
    assert float8[-1] < reference[0] - 0.5
    assert fmean(float8[-5:]) == pytest.approx(fmean(reference[-5:]), rel=0.05)
    assert float8 != reference


def test_the_census_sees_the_float8_product_and_not_the_type_the_tensor_claims() -> None:
    model = FP8.prepare(nn.Sequential(nn.Linear(32, 64), nn.Linear(64, 16)), SGD_SPEC)
    with Census() as census:
        model(torch.randn(48, 32, requires_grad=True)).square().sum().backward()
    assert census.operations == {"aten._scaled_mm/float8_e4m3fn": 2, "aten._scaled_mm/float8_e5m2": 4}


def test_emulated_float8_is_seen_to_be_float32() -> None:
    model = EMULATED.prepare(nn.Sequential(nn.Linear(32, 64)), SGD_SPEC)
    with Census() as census:
        model(torch.randn(48, 32, requires_grad=True)).square().sum().backward()
    assert set(census.operations) == {"aten.mm/float32"}


def test_the_attestation_of_gpt_names_fp8_and_its_minority() -> None:
    workload = _gpt()
    model = FP8.prepare(workload.model(), SGD_SPEC)
    pin_arithmetic(Arithmetic.FP8)
    attestation = attest(workload, model, FP8.policy(CPU, 1, ScalerSpec(), None), CPU, FP8)
    # torchao asks CUDA's autocast for its type, so that on a CPU attention stays in float32 here.
    name, *minority = attestation.effective.split(" + ")
    assert name == "fp8"
    assert minority
    assert 0.02 < attestation.probe_errors["matmul"] < 0.06
    assert attestation.settings["fp8.layers"] == "5 of 5 linear layers"
    assert objection(attestation, FP8) is None


def test_evaluation_is_in_float32_and_leaves_the_trained_model_alone() -> None:
    workload = _gpt()
    plain = workload.model()
    model = FP8.prepare(workload.model(), SGD_SPEC)
    before = digest_of_state(model)
    evaluated = FP8.for_evaluation(model)
    inputs = torch.randint(256, (2, 32))
    torch.testing.assert_close(evaluated(inputs).logits, plain(inputs).logits)
    assert {type(module).__name__ for module in evaluated.modules()} & {"Float8Linear", "Conv1D"} == set()
    assert FP8.details(model)["fp8.layers"] == "5 of 5 linear layers"
    assert digest_of_state(model) == before
    assert all(a is b for a, b in zip(model.parameters(), evaluated.parameters(), strict=True))


def test_a_trial_under_the_name_of_fp8_that_ran_emulated_is_a_mismatch() -> None:
    record = run_trial(
        replace(SPEC, precision="fp8", setup=replace(SPEC.setup, settings={})),
        _gpt,
        EMULATED,
        bench(Hardware("cuda", "pretended", (9, 0))),
    )
    assert record.outcome is Outcome.PRECISION_MISMATCH
    assert record.quality is not None
