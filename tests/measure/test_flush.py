"""The flush meter against what float16 really does, and that it sees every operator that autocast makes float16."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator

import pytest
import torch
from ampmark_tiny import Tiny, TinySettings
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional
from transformers.pytorch_utils import Conv1D

from suite import catalog, profiles
from suite.decode import decode
from suite.errors import Unsupported
from suite.loss_scale.scan import SCALES
from suite.measure.device import Arithmetic
from suite.measure.flush import _products, _Tally, count_gradients, flush_after_training
from suite.measure.switches import switches
from suite.readings import FlushShare
from suite.spec import OptimizerSpec, Setup
from workloads.base import Cost, Evaluation

SETUP = Setup(steps=3, warmup_steps=1, batch_size=4, optimizer=OptimizerSpec("sgd", 0.1), accumulation=2)


def tally(values: Tensor, scales: tuple[float, ...] = SCALES) -> _Tally:
    found = _Tally(scales)
    found.add((), (values,))
    return found


def near(exponent: int, factor: float, ulps: int) -> float:
    """A float32 some units in the last place away from a threshold of float16."""
    value = torch.tensor(factor * 2.0**exponent, dtype=torch.float32)
    moved = (value.view(torch.int32) + ulps).view(torch.float32)
    return float(moved)


thresholds = st.builds(
    near, st.integers(-60, 20), st.sampled_from([1.0, 1.5, 65504 / 65536, 65520 / 65536]), st.integers(-2, 2)
)
#: Everything that float32 holds: subnormals, the largest, infinities and NaN.
anything = st.floats(width=32)


@given(st.lists(st.one_of(thresholds, anything), min_size=1, max_size=40), st.booleans())
def test_the_counts_are_what_float16_does_at_every_scale(values: list[float], negative: bool) -> None:
    gradient = torch.tensor(values, dtype=torch.float32) * (-1.0 if negative else 1.0)
    counts = tally(gradient).counts()
    kept = gradient[torch.isfinite(gradient) & (gradient != 0)]
    assert counts.values == len(kept)
    assert counts.zeros == int((gradient == 0).sum())
    assert counts.nonfinite == int((~torch.isfinite(gradient)).sum())
    assert counts.largest == (float(kept.abs().max()) if len(kept) else None)
    halves = [(kept * scale).half() for scale in SCALES]
    assert counts.flushed == tuple(int((half == 0).sum()) for half in halves)
    assert counts.overflowed == tuple(int(half.isinf().sum()) for half in halves)


def test_the_thresholds_of_float16_stand_on_their_right_sides() -> None:
    half_smallest, largest = 2.0**-25, 65504.0
    values = torch.tensor([half_smallest, math.nextafter(half_smallest, 1), largest, 65519.996, 65520.0])
    counts = tally(values.float(), (1.0,)).counts()
    # The second value is the first one in float32; so are two ties, which go to zero.
    assert (counts.values, counts.flushed, counts.overflowed) == (5, (2,), (1,))


def test_a_scale_that_is_no_power_of_two_is_counted_at_its_own_thresholds() -> None:
    values = torch.tensor([1e-10, 2.9e-11, 60.0, 66.0], dtype=torch.float32)
    counts = tally(values, (1000.0,)).counts()
    assert (values * 1000.0).half().tolist()[:2] == [pytest.approx(1.2e-7, rel=0.1), 0.0]
    assert (counts.flushed, counts.overflowed) == ((1,), (1,))


def test_tensors_larger_than_what_is_counted_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("suite.measure.flush.VALUES_AT_A_TIME", 3)
    counts = tally(torch.tensor([[1.0, 0.0, 1e-9, 2.0], [1e6, -1e-9, math.inf, 3.0]]), (1.0,)).counts()
    assert (counts.values, counts.zeros, counts.nonfinite, counts.largest) == (6, 1, 1, 1e6)
    assert (counts.flushed, counts.overflowed) == ((2,), (1,))


def nodes(output: Tensor) -> list[str]:
    return [node.name() for node in _products(output.sum())]


W = torch.randn(4, 4, requires_grad=True)
X = torch.randn(2, 3, 4)
HEADS = torch.randn(1, 2, 3, 4, requires_grad=True)

#: What torch documents as autocast to float16, on CUDA or on a CPU -> how many products are found in it.
OPERATORS: dict[str, tuple[Callable[[], Tensor], int]] = {
    "linear": (lambda: nn.Linear(4, 5)(X), 1),
    "linear without bias": (lambda: nn.Linear(4, 5, bias=False)(X), 1),
    "matmul": (lambda: X @ W, 1),
    "mm": (lambda: torch.mm(W, W), 1),
    "bmm": (lambda: torch.bmm(W[None], W[None]), 1),
    "mv": (lambda: torch.mv(W, W[0]), 1),
    "addmm": (lambda: torch.addmm(W, W, W), 1),
    "addmv": (lambda: torch.addmv(W[0], W, W[1]), 1),
    "addr": (lambda: torch.addr(W, W[0], W[1]), 1),
    "baddbmm": (lambda: torch.baddbmm(W[None], W[None], W[None]), 1),
    "addbmm": (lambda: torch.addbmm(W, W[None], W[None]), 1),
    "multi_dot": (lambda: torch.linalg.multi_dot([W, W, W]), 2),
    "einsum": (lambda: torch.einsum("abc,cd->abd", X, W), 1),
    "conv1d": (lambda: nn.Conv1d(3, 5, 2)(X), 1),
    "conv2d": (lambda: nn.Conv2d(1, 2, 2)(X[:, None]), 1),
    "conv3d": (lambda: nn.Conv3d(1, 2, 1)(X[None, None]), 1),
    "conv_transpose2d": (lambda: nn.ConvTranspose2d(1, 2, 2)(X[:, None]), 1),
    "prelu": (lambda: functional.prelu(X @ W, W[0, :1]), 2),
    "attention": (lambda: functional.scaled_dot_product_attention(HEADS, HEADS, HEADS), 1),
    "transformers' Conv1D": (lambda: Conv1D(5, 4)(X), 1),
    "MultiheadAttention": (lambda: nn.MultiheadAttention(4, 2)(X, X, X, need_weights=False)[0], 3),
    "LSTM": (lambda: nn.LSTM(4, 4)(X)[0], 1),
    "LSTMCell": (lambda: nn.LSTMCell(4, 4)(X[0])[0], 2),
    "GRU": (lambda: nn.GRU(4, 4)(X)[0], 3),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_every_operator_that_autocast_can_make_float16_is_seen(name: str) -> None:
    compute, expected = OPERATORS[name]
    found = nodes(compute())
    assert len(found) == expected, found


def test_a_recurrence_without_onednn_is_seen_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)
    # Two hours: one product of the inputs of both, and one of the state per hour.
    assert nodes(nn.LSTM(4, 4)(X)[0]) == ["AddmmBackward0"] * 3


def test_what_autocast_leaves_in_float32_is_not_looked_at() -> None:
    model = nn.Sequential(nn.Embedding(5, 4), nn.LayerNorm(4), nn.Softmax(-1))
    assert nodes(model(torch.tensor([1, 2]))) == []


class Written:
    """A workload whose gradients can be written down: loss = mean of x · w, times a factor."""

    Settings = None

    def __init__(self, factor: float = 1.0) -> None:
        self.factor = factor
        self.drawn = 0

    def model(self) -> nn.Module:
        made = nn.Linear(2, 1, bias=False)
        with torch.no_grad():
            made.weight.copy_(torch.tensor([[1.0, 2.0]]))
        return made

    def batches(self) -> Iterator[Tensor]:
        for n in itertools.count():
            self.drawn = n
            yield torch.tensor([[1.0 + n, 0.0]])

    def loss(self, model: nn.Module, batch: Tensor) -> Tensor:
        return self.factor * model(batch).sum()

    def evaluate(self, model: nn.Module) -> Evaluation:
        raise NotImplementedError

    def cost(self) -> Cost:
        raise NotImplementedError


def test_gradients_of_the_output_and_of_the_weight_are_counted() -> None:
    workload = Written(factor=8.0)
    counts = count_gradients(workload, workload.model(), torch.tensor([[0.5, 0.0]]), 2, (1.0,))
    # Output: 8 / 2 = 4. Weight: 4 · 0.5 = 2, and 4 · 0 = 0. The input needs no gradient.
    assert (counts.values, counts.zeros, counts.largest) == (2, 1, 4.0)


def test_the_batch_is_the_one_after_the_last_and_the_scale_the_last_one() -> None:
    workload = Written(factor=2.0**-30)
    model = workload.model()
    share, reason = flush_after_training(workload, model, SETUP, Arithmetic.FP16, 64.0)
    # Three steps of two micro-batches were batches 0 … 5. Batch 6 is [7, 0], and the loss is halved:
    # output 2^-31, weight 7 · 2^-31; times 64, 2^-25 is lost and 7 · 2^-25 is not.
    assert workload.drawn == 6
    assert share == FlushShare(scale=64.0, values=2, flushed=1, overflowed=0)
    assert reason is None


@pytest.mark.parametrize(
    ("factor", "weight", "arithmetic", "reason"),
    [
        (1.0, 1.0, Arithmetic.BF16, "bf16 does not hold gradients in float16"),
        (1.0, 1.0, Arithmetic.FP32, "fp32 does not hold gradients in float16"),
        (1.0, math.nan, Arithmetic.FP16, "weight is not finite after training"),
        (0.0, 1.0, Arithmetic.FP16, "the step after the last one has no finite gradient but zero"),
        (math.inf, 1.0, Arithmetic.FP16, "the step after the last one has no finite gradient but zero"),
    ],
)
def test_where_there_is_no_share_the_reason_is_said(
    factor: float, weight: float, arithmetic: Arithmetic, reason: str
) -> None:
    workload = Written(factor)
    model = workload.model()
    with torch.no_grad():
        model.weight.fill_(weight)
    assert flush_after_training(workload, model, SETUP, arithmetic, None) == (None, reason)


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory.\nTried"), RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED")],
)
def test_a_step_in_float32_that_fails_is_a_reason_and_not_the_trials_failure(error: RuntimeError) -> None:
    class Large(Written):
        def loss(self, model: nn.Module, batch: Tensor) -> Tensor:
            raise error

    found = flush_after_training(Large(), Large().model(), SETUP, Arithmetic.FP16, None)
    assert found == (None, "the step in float32 failed: " + " ".join(str(error).split()))


def test_half_precision_parameters_are_looked_at_in_float32() -> None:
    workload = Written(factor=2.0**-30)
    share, _ = flush_after_training(workload, workload.model().half(), SETUP, Arithmetic.FP16, None)
    assert share == FlushShare(scale=1.0, values=2, flushed=2, overflowed=0)


class Computing(Written):
    """The sum of what any function makes of a linear layer 2 → 3 and a batch [1, 2]."""

    def __init__(self, compute: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.compute = compute

    def model(self) -> nn.Module:
        return nn.Linear(2, 3)

    def loss(self, model: nn.Module, batch: Tensor) -> Tensor:
        return self.compute(model, batch).sum()

    def looked_at(self) -> int:
        counts = count_gradients(self, self.model(), torch.tensor([[1.0, 2.0]]), 1, (1.0,))
        return counts.values + counts.zeros


LINEAR = 3 + 6 + 3  # output, weight, bias


def in_float32(module: nn.Module, x: Tensor) -> Tensor:
    """As models keep a delicate part out of autocast."""
    with torch.autocast("cpu", enabled=False):
        return module(x.float())


@pytest.mark.parametrize(
    ("compute", "looked_at"),
    [
        (lambda linear, x: linear(x), LINEAR),
        # Of the head, which the loss gives to the layer before it: no value of its own.
        (lambda linear, x: in_float32(nn.Linear(3, 100), linear(x)), LINEAR),
        (lambda linear, x: functional.gelu(linear(x)) + in_float32(linear, x), LINEAR),
        (in_float32, 0),
    ],
    ids=["plain", "head in float32", "branch in float32", "all in float32"],
)
def test_what_a_model_keeps_out_of_autocast_is_not_looked_at(
    compute: Callable[[nn.Module, Tensor], Tensor], looked_at: int
) -> None:
    assert Computing(compute).looked_at() == looked_at


def test_layouts_that_casting_changes_are_matched() -> None:
    def compute(linear: nn.Module, x: Tensor) -> Tensor:
        output = linear(torch.cat([x, x], 1).expand(2, 1, 4)[..., 1:3])
        names.extend(nodes(output))
        return output

    names: list[str] = []
    # Output and weight; in float32, the bias is no part of the product.
    assert Computing(compute).looked_at() == 6 + 6
    assert names == ["AddmmBackward0", "MmBackward0"]


@pytest.mark.parametrize("name", ["mv", "addmv", "addr"])
def test_what_autocast_casts_on_cuda_only_is_not_looked_at_on_a_cpu(name: str) -> None:
    with torch.autocast("cpu", torch.float16):
        (product,) = _products(OPERATORS[name][0]().sum())
    assert product._input_metadata[0].dtype == torch.float32
    assert Computing(lambda linear, x: linear(x) + torch.mv(linear.weight, x[0])).looked_at() == LINEAR


def otherwise_under_autocast(linear: nn.Module, x: Tensor) -> Tensor:
    return linear(linear(x)[:, :2]) if torch.is_autocast_enabled("cpu") else linear(x)


def wider_under_autocast(linear: nn.Module, x: Tensor) -> Tensor:
    return linear(torch.cat([x, x]) if torch.is_autocast_enabled("cpu") else x)


@pytest.mark.parametrize(("compute", "number"), [(otherwise_under_autocast, 2), (wider_under_autocast, 1)])
def test_a_model_that_computes_otherwise_under_autocast_is_refused(
    compute: Callable[[nn.Module, Tensor], Tensor], number: int
) -> None:
    workload = Computing(compute)
    words = f"the {number} products of the forward pass under float16 autocast are not the 1 of the one in float32"
    with pytest.raises(Unsupported, match=words):
        workload.looked_at()
    share, reason = flush_after_training(workload, workload.model(), SETUP, Arithmetic.FP16, None)
    assert share is None
    assert reason is not None
    assert reason.startswith(words)


def test_a_model_without_a_float16_product_has_no_share() -> None:
    workload = Computing(in_float32)
    assert flush_after_training(workload, workload.model(), SETUP, Arithmetic.FP16, None) == (
        None,
        "no matrix product, convolution, attention or recurrent layer was seen to run in float16",
    )


#: Gradients of every product in the smoke profile's step: no built-in model keeps one out of autocast.
SMOKE = {"gpt": 139_552, "bert": 57_834, "resnet": 143_134, "lstm": 3_725}


@pytest.mark.parametrize("name", SMOKE)
def test_all_products_of_the_built_in_models_are_looked_at(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = profiles.load("smoke").workloads[name]
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", setup.onednn)
    made = catalog.load(catalog.workloads()[name])
    settings = decode(made.Settings, dict(setup.settings), name)
    workload = made(settings, batch_size=setup.batch_size, seed=0, device=torch.device("cpu"))
    counts = count_gradients(workload, workload.model(), next(workload.batches()), 1, (1.0,))
    assert counts.values + counts.zeros == SMOKE[name]


class Stirred(Tiny):
    """A model that a forward pass changes: running statistics, and random numbers for its dropout."""

    def model(self) -> nn.Module:
        return nn.Sequential(nn.BatchNorm1d(16), nn.Dropout(0.5), super().model())


def test_nothing_is_disturbed() -> None:
    workload = Stirred(TinySettings(), batch_size=8, seed=0, device=torch.device("cpu"))
    model, batch = workload.model(), next(workload.batches())
    workload.loss(model, batch).backward()
    gradients = [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]
    state = {name: value.clone() for name, value in model.state_dict().items()}
    random, before = torch.get_rng_state(), switches()
    assert count_gradients(workload, model, batch, 1, SCALES).values > 0
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())
    assert all(torch.equal(a, p.grad) for a, p in zip(gradients, model.parameters(), strict=True) if p.grad is not None)
    assert torch.equal(torch.get_rng_state(), random)
    assert switches() == before


def test_buffers_are_put_back_also_when_the_workload_raises() -> None:
    class Broken(Stirred):
        def loss(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
            super().loss(model, batch)
            raise RuntimeError("the workload broke")

    workload = Broken(TinySettings(), batch_size=8, seed=0, device=torch.device("cpu"))
    model = workload.model()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(RuntimeError, match="the workload broke"):
        count_gradients(workload, model, next(workload.batches()), 1, SCALES)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
