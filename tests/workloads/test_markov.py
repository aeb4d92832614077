"""The synthetic language: it is what its settings say, and it can be learned."""

from __future__ import annotations

import math
from itertools import islice

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from workloads.markov import Markov, _zipf


def make(seed: int = 0, **settings: float) -> Markov:
    return Markov(Markov.Settings(**{"vocabulary": 64, **settings}), batch_size=512, seed=seed, device="cpu")  # type: ignore[arg-type]


def test_zipfs_law_of_three_ranks() -> None:
    assert _zipf(3).tolist() == pytest.approx([6 / 11, 3 / 11, 2 / 11])


def test_without_noise_every_symbol_has_its_own_followers_in_zipfs_proportions() -> None:
    language = make(noise=0.0, successors=2)
    ranks = torch.zeros(2)
    for before, after in islice(language.batches(), 20):
        hits = language.followers[before] == after[:, None]
        assert bool(hits.any(1).all())
        ranks += hits.sum(0)
    assert float(ranks[0] / ranks.sum()) == pytest.approx(2 / 3, abs=0.02)


def test_noise_alone_ignores_the_symbol_before() -> None:
    before, after = next(make(noise=1.0).batches())
    assert float((after == 0).float().mean()) == pytest.approx(float(_zipf(64)[0]), abs=0.05)
    assert float((after == 0)[before == 0].float().mean()) == pytest.approx(float(_zipf(64)[0]), abs=0.1)


def test_a_model_of_zeros_knows_nothing() -> None:
    language = make()
    model = language.model()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        evaluation = language.evaluate(model)
    assert evaluation.metrics["loss"] == pytest.approx(math.log(64))
    assert evaluation.primary == "loss"
    assert 2.0 < evaluation.baseline < math.log(64)


def test_the_symbols_are_as_common_as_the_language_says() -> None:
    language = make()
    expected = language.symbol_probabilities()
    assert float(expected.sum()) == pytest.approx(1.0)
    drawn = torch.cat([after for _, after in islice(language.batches(), 200)])
    found = torch.bincount(drawn, minlength=64) / len(drawn)
    # 102,400 draws: four standard deviations of the commonest symbol.
    assert float((found - expected).abs().max()) < 4 * math.sqrt(0.25 / len(drawn))


def test_the_weight_multiplies_the_loss_of_the_training_and_nothing_else() -> None:
    whole, part = make(), make(loss_weight=2.0**-10)
    model, batch = whole.model(), next(whole.batches())
    assert float(part.loss(model, batch).detach()) == float(whole.loss(model, batch).detach()) / 1024
    with torch.no_grad():
        assert part.evaluate(model) == whole.evaluate(model)


def test_the_formula_counts_the_products() -> None:
    language = make(embedding_size=8, hidden_size=16)
    model, (before, _) = language.model(), next(language.batches())
    with FlopCounterMode(display=False) as counter:
        model(before)
    assert language.cost().flops == 3 * counter.get_total_flops()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"successors": 65}, "successors = 65: set at most vocabulary = 64"),
        ({"noise": 1.5}, "noise = 1.5: set a share from 0 to 1"),
        ({"hidden_size": 0}, "hidden_size = 0: set it to 1 or more"),
        ({"loss_weight": 0.0}, "loss_weight = 0.0: set a number above 0"),
        ({"loss_weight": math.inf}, "loss_weight = inf: set a number above 0"),
    ],
)
def test_impossible_settings_are_refused(change: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**change)
