"""The language model: what it predicts, what it is compared with, what it costs."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import GPT2Config, GPT2LMHeadModel

from workloads.gpt import Gpt, unigram_bits_per_byte

SETTINGS = Gpt.Settings(layers=2, heads=2, hidden_size=16, sequence_length=8, evaluation_sequences=4)


def as_bytes(text: bytes) -> torch.Tensor:
    return torch.tensor(list(text), dtype=torch.uint8)


@pytest.fixture(scope="module")
def gpt() -> Gpt:
    return Gpt(SETTINGS, batch_size=2, seed=0, device="cpu")


def test_unigram_entropy_of_a_literal_text() -> None:
    # One is added to each of 256 counts: a 3/259, b 2/259, so (log2(259/3) + log2(259/2)) / 2 bits.
    assert unigram_bits_per_byte(as_bytes(b"aab"), as_bytes(b"ab")) == pytest.approx(6.7243, abs=1e-4)


def test_unigram_entropy_without_evidence_is_eight_bits() -> None:
    assert unigram_bits_per_byte(as_bytes(b""), as_bytes(b"any")) == 8.0


def test_a_model_of_zeros_scores_eight_bits_per_byte(gpt: Gpt) -> None:
    model = gpt.model().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        evaluation = gpt.evaluate(model)
    assert evaluation.metrics["bits_per_byte"] == pytest.approx(8.0)
    assert evaluation.metrics["loss"] == pytest.approx(8.0 * math.log(2))
    assert 4.0 < evaluation.baseline < 5.0  # English


def test_targets_are_the_bytes_after_the_inputs(gpt: Gpt) -> None:
    inputs, targets = next(gpt.batches())
    assert inputs.shape == targets.shape == (2, 8)
    assert inputs.dtype == targets.dtype == torch.int64
    assert torch.equal(inputs[:, 1:], targets[:, :-1])


def test_the_last_twentieth_of_the_text_is_held_out(gpt: Gpt) -> None:
    total = len(gpt.train) + len(gpt.held_out)
    assert total == 12_186_247
    assert len(gpt.held_out) / total == pytest.approx(0.05, abs=1e-6)
    assert bytes(gpt.train[:15].tolist()) == b"Fellow-Citizens"


def test_a_later_byte_does_not_change_earlier_predictions(gpt: Gpt) -> None:
    model = gpt.model().eval()
    inputs = torch.arange(8)[None]
    changed = inputs.clone()
    changed[0, 5] = 99
    with torch.no_grad():
        before, after = model(inputs).logits, model(changed).logits
    assert torch.equal(before[:, :5], after[:, :5])
    assert not torch.equal(before[:, 5:], after[:, 5:])


def test_attention_without_a_mask_equals_transformers_own(gpt: Gpt) -> None:
    model = gpt.model().eval()
    config = GPT2Config(vocab_size=256, n_positions=8, n_embd=16, n_layer=2, n_head=2)
    config._attn_implementation = "sdpa"
    reference: nn.Module = GPT2LMHeadModel(config)
    reference.load_state_dict(model.state_dict())
    reference.eval()
    inputs = next(gpt.batches())[0]
    with torch.no_grad():
        torch.testing.assert_close(model(inputs).logits, reference(inputs).logits)


def test_the_formula_counts_what_the_flop_counter_counts(gpt: Gpt) -> None:
    model, batch = gpt.model(), next(gpt.batches())
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        gpt.loss(model, batch).backward()
    assert gpt.cost().flops == counter.get_total_flops()
    assert gpt.cost().tokens == 16


def test_gpt2_has_its_published_number_of_flops() -> None:
    # nanoGPT's accounting for GPT-2 124M at T = 1024: 6 · 124.4 M + 12 · L · d · T = 0.860 GFLOP a token.
    full = Gpt.Settings(layers=12, heads=12, hidden_size=768, sequence_length=1024, vocabulary=50304)
    cost = Gpt(full, batch_size=1, seed=0, device="cpu").cost()
    assert cost.flops / 1024 == pytest.approx(0.855e9, rel=0.01)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layers": 0}, "layers = 0: set it to 1 or more"),
        ({"hidden_size": 30}, "hidden_size = 30: make it a multiple of heads = 4"),
        ({"vocabulary": 100}, "vocabulary = 100: set a multiple of 64"),
        ({"vocabulary": 300}, "vocabulary = 300: set a multiple of 64"),
        ({"dropout": 1.0}, "dropout = 1.0: set a probability"),
    ],
)
def test_impossible_settings_are_refused(change: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Gpt.Settings(**change)  # type: ignore[arg-type]


def test_the_weight_multiplies_the_loss_of_the_training_and_nothing_else(gpt: Gpt) -> None:
    weighted = Gpt(replace(SETTINGS, loss_weight=2.0**-10), batch_size=2, seed=0, device="cpu")
    model, batch = gpt.model(), next(gpt.batches())
    with torch.no_grad():
        assert float(weighted.loss(model, batch)) == float(gpt.loss(model, batch)) / 1024
        assert weighted.evaluate(model) == gpt.evaluate(model)
