"""Markov: a small network learns to predict the next symbol of a synthetic language.

The language is a Markov chain over ``vocabulary`` symbols. Every symbol has ``successors`` likely followers, drawn at
random, whose probabilities follow Zipf's law (1/rank, normalised); a share of ``noise`` of all symbols is drawn by
Zipf's law over the whole vocabulary instead. Nothing is vendored: language and text follow from the trial's seed.

Its purpose is `ampmark demo underflow`. With mean cross-entropy the gradient of a logit is (p - y) / N, so with
p = 1 / vocabulary at the start every gradient of a wrong symbol is below half of float16's smallest number once
vocabulary · N > 2^25. ``loss_weight`` = 1 / A makes N = A · batch size, as A accumulated micro-batches of the same data
would.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from workloads.base import Cost, Evaluation, check_loss_weight, derive_seed, generator

BATCHES_PER_DRAW = 256

Batch = tuple[Tensor, Tensor]
"""Symbols int64 ``[batch]`` and the symbols after them int64 ``[batch]``."""


class Markov:
    """Next-symbol prediction in a synthetic language."""

    @dataclass(frozen=True)
    class Settings:
        """Sizes of the language, of the network and of the evaluation."""

        vocabulary: int = 1024
        successors: int = 8
        noise: float = 0.15
        embedding_size: int = 64
        hidden_size: int = 256
        evaluation_pairs: int = 8192
        loss_weight: float = 1.0
        """Factor of the training loss; 1/A stands for one of A identical accumulated micro-batches."""

        def __post_init__(self) -> None:
            for name in ("vocabulary", "successors", "embedding_size", "hidden_size", "evaluation_pairs"):
                if getattr(self, name) < 1:
                    raise ValueError(f"{name} = {getattr(self, name)}: set it to 1 or more")
            if self.successors > self.vocabulary:
                raise ValueError(f"successors = {self.successors}: set at most vocabulary = {self.vocabulary}")
            if not 0 <= self.noise <= 1:
                raise ValueError(f"noise = {self.noise}: set a share from 0 to 1")
            check_loss_weight(self.loss_weight)

    def __init__(self, settings: Settings, batch_size: int, seed: int, device: torch.device | str) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size = {batch_size}: set it to 1 or more")
        self.settings, self.batch_size, self.seed, self.device = settings, batch_size, seed, torch.device(device)
        random = generator(seed, "language")
        order = torch.rand(settings.vocabulary, settings.vocabulary, generator=random).argsort(1)
        self.followers = order[:, : settings.successors].contiguous()
        pairs = self._pairs(settings.evaluation_pairs, generator(seed, "held out"))
        self.held_out: Batch = (pairs[0].to(self.device), pairs[1].to(self.device))

    def model(self) -> nn.Module:
        """The network with random weights drawn from the trial's seed alone."""
        sizes = self.settings
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(derive_seed(self.seed, "init"))
            model = NextSymbol(sizes.vocabulary, sizes.embedding_size, sizes.hidden_size)
        return model.to(self.device).train()

    def batches(self) -> Iterator[Batch]:
        """Pairs of the chain in which the first symbol is drawn by Zipf's law."""
        random = generator(self.seed, "order")
        while True:
            before, after = self._pairs(BATCHES_PER_DRAW * self.batch_size, random)
            yield from zip(
                before.to(self.device).split(self.batch_size), after.to(self.device).split(self.batch_size), strict=True
            )

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Mean cross-entropy of the next symbol in nats, times ``loss_weight``; the softmax is taken in float32."""
        return self.settings.loss_weight * _cross_entropy(model, batch)

    def evaluate(self, model: nn.Module) -> Evaluation:
        """Cross-entropy on held-out pairs, against knowing nothing but how common each symbol is."""
        before, after = self.held_out
        nats = -self.symbol_probabilities().log()
        return Evaluation(
            metrics={"loss": float(_cross_entropy(model, (before, after)))},
            primary="loss",
            higher_is_better=False,
            baseline=float(nats[after.cpu()].mean()),
            baseline_name="unigram entropy",
        )

    def cost(self) -> Cost:
        """FLOPs = 3 · B · 2 · (2 · e · h + e · V): two layers of e × h weights and the output layer of e × V.

        The backward pass costs twice the forward; the embedding look-up and the layer norm are not counted.
        """
        sizes = self.settings
        weights = 2 * sizes.embedding_size * sizes.hidden_size + sizes.embedding_size * sizes.vocabulary
        return Cost(samples=self.batch_size, tokens=self.batch_size, flops=3 * self.batch_size * 2 * weights)

    def symbol_probabilities(self) -> Tensor:
        """How common each symbol is as a successor, float64 ``[vocabulary]``: exact, from the language itself."""
        sizes = self.settings
        everywhere, near = _zipf(sizes.vocabulary), _zipf(sizes.successors)
        followed = torch.zeros_like(everywhere)
        followed.index_add_(0, self.followers.flatten(), (everywhere[:, None] * near).flatten())
        return sizes.noise * everywhere + (1 - sizes.noise) * followed

    def _pairs(self, count: int, random: torch.Generator) -> Batch:
        sizes = self.settings
        everywhere, near = _zipf(sizes.vocabulary), _zipf(sizes.successors)
        before = torch.multinomial(everywhere, count, replacement=True, generator=random)
        ranks = torch.multinomial(near, count, replacement=True, generator=random)
        stray = torch.multinomial(everywhere, count, replacement=True, generator=random)
        strays = torch.rand(count, generator=random) < sizes.noise
        return before, torch.where(strays, stray, self.followers[before, ranks])


class NextSymbol(nn.Module):
    """Embedding, one residual layer, layer norm, output layer."""

    def __init__(self, vocabulary: int, embedding_size: int, hidden_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, embedding_size)
        self.widen = nn.Linear(embedding_size, hidden_size)
        self.narrow = nn.Linear(hidden_size, embedding_size)
        self.norm = nn.LayerNorm(embedding_size)
        self.output = nn.Linear(embedding_size, vocabulary)

    def forward(self, symbols: Tensor) -> Tensor:
        """Logits ``[batch, vocabulary]`` from symbols ``[batch]``."""
        embedded = self.embedding(symbols)
        changed = embedded + self.narrow(functional.relu(self.widen(embedded)))
        logits: Tensor = self.output(self.norm(changed))
        return logits


def _cross_entropy(model: nn.Module, batch: Batch) -> Tensor:
    before, after = batch
    return functional.cross_entropy(model(before).float(), after)


def _zipf(ranks: int) -> Tensor:
    """Probabilities proportional to 1/rank."""
    weights = 1 / torch.arange(1, ranks + 1, dtype=torch.float64)
    return weights / weights.sum()
