"""What every workload promises, checked with the sizes of the smoke profile, or of the demo that a workload is for."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from workloads.base import Workload, derive_seed
from workloads.bert import Bert
from workloads.gpt import Gpt
from workloads.lstm import Lstm
from workloads.markov import Markov
from workloads.resnet import ResNet

PROFILED: dict[str, type[Any]] = {"gpt": Gpt, "bert": Bert, "resnet": ResNet, "lstm": Lstm}
CLASSES = {**PROFILED, "markov": Markov}
PROFILES = Path(__file__).parents[2] / "suite" / "profiles"
BATCH_SIZE = 4

Maker = Callable[..., Workload]


def profile(name: str) -> dict[str, Any]:
    return tomllib.loads((PROFILES / f"{name}.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module", params=list(CLASSES))
def make(request: pytest.FixtureRequest) -> Maker:
    """Construct one of the workloads for a seed; built once per seed, since loading the data is the slow part."""
    cls = CLASSES[request.param]
    settings = cls.Settings()
    if request.param in PROFILED:
        settings = cls.Settings(**profile("smoke")["workloads"][request.param]["settings"])
    built: dict[int, Workload] = {}

    def construct(seed: int = 0) -> Workload:
        if seed not in built:
            built[seed] = cls(settings, batch_size=BATCH_SIZE, seed=seed, device="cpu")
        return built[seed]

    return construct


def first_batches(workload: Workload, count: int = 3) -> list[tuple[Tensor, ...]]:
    return list(islice(workload.batches(), count))


def same(left: tuple[Tensor, ...], right: tuple[Tensor, ...]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(left, right, strict=True))


def test_the_same_seed_gives_the_same_weights_whatever_was_drawn_before(make: Maker) -> None:
    first = make().model().state_dict()
    torch.rand(7)
    again = make().model().state_dict()
    assert first.keys() == again.keys()
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_another_seed_gives_other_weights(make: Maker) -> None:
    pairs = zip(make(0).model().parameters(), make(1).model().parameters(), strict=True)
    assert any(not torch.equal(a, b) for a, b in pairs)


def test_the_same_seed_gives_the_same_batches(make: Maker) -> None:
    first, again = first_batches(make()), first_batches(make())
    assert all(same(a, b) for a, b in zip(first, again, strict=True))


def test_batches_differ_from_each_other_and_between_seeds(make: Maker) -> None:
    mine, theirs = first_batches(make(0)), first_batches(make(1))
    assert not same(mine[0], mine[1])
    assert not same(mine[0], theirs[0])


def test_nothing_draws_from_the_global_generator(make: Maker) -> None:
    before = torch.get_rng_state()
    workload = make()
    workload.model()
    first_batches(workload)
    workload.cost()
    assert torch.equal(torch.get_rng_state(), before)


def test_the_model_is_float32_and_in_training_mode(make: Maker) -> None:
    model = make().model()
    assert model.training
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_the_loss_is_a_float32_scalar_whose_gradient_reaches_every_parameter(make: Maker) -> None:
    workload = make()
    model = workload.model()
    loss = workload.loss(model, first_batches(workload, 1)[0])
    assert loss.shape == ()
    assert loss.dtype == torch.float32
    assert loss.requires_grad
    loss.backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_the_loss_stays_float32_under_autocast(make: Maker, kind: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)  # oneDNN has no 16-bit LSTM on most CPUs
    workload = make()
    with torch.autocast("cpu", kind):
        loss = workload.loss(workload.model(), first_batches(workload, 1)[0])
    assert loss.dtype == torch.float32
    assert torch.isfinite(loss)


def test_training_lowers_the_loss_on_one_batch(make: Maker) -> None:
    workload = make()
    model, batch = workload.model(), first_batches(workload, 1)[0]
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(25):
        optimizer.zero_grad()
        loss = workload.loss(model, batch)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.9 * losses[0]


def test_evaluation_is_repeatable_complete_and_leaves_the_model_alone(make: Maker) -> None:
    workload = make()
    model = workload.model().eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad():
        first, again = workload.evaluate(model), workload.evaluate(model)
    assert first == again
    assert first.primary in first.metrics
    assert first.baseline > 0
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_the_cost_is_positive_and_counts_the_batch(make: Maker) -> None:
    cost = make().cost()
    assert cost.samples == BATCH_SIZE
    assert cost.flops > 0
    assert cost.tokens is None or cost.tokens % BATCH_SIZE == 0


@pytest.mark.parametrize("name", list(CLASSES))
def test_an_empty_batch_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="batch_size = 0: set it to 1 or more"):
        CLASSES[name](CLASSES[name].Settings(), batch_size=0, seed=0, device="cpu")


@pytest.mark.parametrize("name", ["smoke", "quick", "standard"])
def test_every_profile_names_valid_settings_for_all_four(name: str) -> None:
    workloads = profile(name)["workloads"]
    assert workloads.keys() == PROFILED.keys()
    for key, spec in workloads.items():
        settings = CLASSES[key].Settings(**spec["settings"])
        assert vars(settings) == spec["settings"]  # none left to a default
        assert all(type(value) in (int, float, bool, str) for value in vars(settings).values())
        assert spec["steps"] > spec["warmup_steps"]


def test_quick_times_at_least_twenty_steps() -> None:
    specs = profile("quick")["workloads"].values()
    assert all(spec["steps"] - spec["warmup_steps"] >= 20 and spec["warmup_steps"] >= 4 for spec in specs)


def test_seeds_of_different_purposes_are_unrelated() -> None:
    # The first eight bytes of SHA-256("0:init"), halved: must never change, or old records cannot be re-run.
    assert derive_seed(0, "init") == 3598610026517748695
    assert len({derive_seed(seed, purpose) for seed in range(3) for purpose in ("init", "order")}) == 6
