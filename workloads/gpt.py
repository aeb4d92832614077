"""GPT: a GPT-2 of any size learns to predict the next byte of the US presidents' annual messages, 1790-2026.

The architecture is transformers' GPT-2 (pre-norm, learned positions, tied embedding), initialised at random. Attention
is PyTorch's ``scaled_dot_product_attention`` with ``is_causal=True``. A token is one byte of UTF-8 text, so nothing
depends on a tokenizer; a larger ``vocabulary`` only pads the output layer (50304 gives GPT-2's own shape and cost).

The last 5 % of the bytes, the most recent messages, are held out. Card: `workloads/data/sotu.md`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface, GPT2Config, GPT2LMHeadModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from workloads.base import Cost, Evaluation, check_loss_weight, derive_seed, generator
from workloads.data import load

HELD_OUT_SHARE = 0.05
BYTE_VALUES = 256
BATCHES_PER_DRAW = 1024

Batch = tuple[Tensor, Tensor]
"""Input and target byte ids, int64 ``[batch, sequence]``; a target is the byte after its input."""


class Gpt:
    """GPT-2 language model on bytes."""

    @dataclass(frozen=True)
    class Settings:
        """Sizes of the model and of the evaluation; the defaults suit a small CPU."""

        layers: int = 2
        heads: int = 4
        hidden_size: int = 128
        sequence_length: int = 128
        vocabulary: int = 256
        dropout: float = 0.0
        evaluation_sequences: int = 64
        loss_weight: float = 1.0
        """Factor of the training loss; 1/A stands for one of A identical accumulated micro-batches."""

        def __post_init__(self) -> None:
            for name in ("layers", "heads", "hidden_size", "sequence_length", "evaluation_sequences"):
                if getattr(self, name) < 1:
                    raise ValueError(f"{name} = {getattr(self, name)}: set it to 1 or more")
            if self.hidden_size % self.heads:
                raise ValueError(f"hidden_size = {self.hidden_size}: make it a multiple of heads = {self.heads}")
            if self.vocabulary < BYTE_VALUES or self.vocabulary % 64:
                raise ValueError(f"vocabulary = {self.vocabulary}: set a multiple of 64, at least {BYTE_VALUES}")
            if not 0 <= self.dropout < 1:
                raise ValueError(f"dropout = {self.dropout}: set a probability from 0 up to, not including, 1")
            check_loss_weight(self.loss_weight)

    def __init__(self, settings: Settings, batch_size: int, seed: int, device: torch.device | str) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size = {batch_size}: set it to 1 or more")
        self.settings, self.batch_size, self.seed, self.device = settings, batch_size, seed, torch.device(device)
        text = torch.frombuffer(bytearray(load("sotu.txt")), dtype=torch.uint8)
        split = round(len(text) * (1 - HELD_OUT_SHARE))
        self.train, self.held_out = text[:split].to(self.device), text[split:].to(self.device)

    def model(self) -> nn.Module:
        """GPT-2 with random weights drawn from the trial's seed alone, on any device."""
        sizes = self.settings
        # transformers builds a mask for "sdpa" by looking at values on the device: one host sync per forward pass, and
        # a dense mask instead of is_causal under torch.compile. A name it has no mask for takes the same kernel as is.
        AttentionInterface.register("sdpa_causal", sdpa_attention_forward)
        shape: dict[str, Any] = {
            "vocab_size": sizes.vocabulary,
            "n_positions": sizes.sequence_length,
            "n_embd": sizes.hidden_size,
            "n_layer": sizes.layers,
            "n_head": sizes.heads,
            "use_cache": False,
            "attn_implementation": "sdpa_causal",
            **dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), sizes.dropout),
            **dict.fromkeys(("bos_token_id", "eos_token_id"), None),
        }
        config = GPT2Config(**shape)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(derive_seed(self.seed, "init"))
            model: nn.Module = GPT2LMHeadModel(config)
        return model.to(self.device).train()

    def batches(self) -> Iterator[Batch]:
        """Windows that start anywhere in the training text, drawn with replacement."""
        random = generator(self.seed, "order")
        while True:
            shape = (BATCHES_PER_DRAW, self.batch_size)
            starts = torch.randint(len(self.train) - self.settings.sequence_length, shape, generator=random)
            for rows in starts.to(self.device):
                yield self._windows(self.train, rows)

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Mean cross-entropy of the next byte in nats, times ``loss_weight``; the softmax is taken in float32."""
        return self.settings.loss_weight * _cross_entropy(model, batch)

    def evaluate(self, model: nn.Module) -> Evaluation:
        """Bits per byte on evenly spaced held-out windows, against a model that knows only how common each byte is."""
        inputs, targets = self._windows(self.held_out, self._evaluation_starts())
        batches = zip(inputs.split(self.batch_size), targets.split(self.batch_size), strict=True)
        nats = [_cross_entropy(model, batch).double() * batch[0].numel() for batch in batches]
        loss = float(torch.stack(nats).sum()) / targets.numel()
        return Evaluation(
            metrics={"loss": loss, "bits_per_byte": loss / math.log(2)},
            primary="bits_per_byte",
            higher_is_better=False,
            baseline=unigram_bits_per_byte(self.train, targets.flatten()),
            baseline_name="unigram entropy",
        )

    def cost(self) -> Cost:
        """FLOPs = 3 · B · T · (24 · L · d² + 4 · L · T · d + 2 · d · V): the backward pass costs twice the forward.

        Per token and layer: 12 d² weights in the four linear layers, and T · d multiply-adds each for QKᵀ and AV over
        the full square (causality not deducted). The last term is the output layer. This is the convention of PaLM
        (Chowdhery et al. 2022, appendix B) with the output layer counted and the embedding look-ups not.
        """
        sizes = self.settings
        width, length = sizes.hidden_size, sizes.sequence_length
        per_token = sizes.layers * (24 * width**2 + 4 * length * width) + 2 * width * sizes.vocabulary
        tokens = self.batch_size * length
        return Cost(samples=self.batch_size, tokens=tokens, flops=3 * tokens * per_token)

    def _windows(self, text: Tensor, starts: Tensor) -> Batch:
        """Inputs and targets of the windows of ``text`` that begin at ``starts``."""
        positions = starts[:, None] + torch.arange(self.settings.sequence_length + 1, device=self.device)
        windows = text[positions].long()
        return windows[:, :-1], windows[:, 1:]

    def _evaluation_starts(self) -> Tensor:
        last = len(self.held_out) - self.settings.sequence_length - 1
        return torch.linspace(0, last, self.settings.evaluation_sequences, dtype=torch.float64).long().to(self.device)


def _cross_entropy(model: nn.Module, batch: Batch) -> Tensor:
    inputs, targets = batch
    logits = model(inputs).logits
    return functional.cross_entropy(logits.float().flatten(0, 1), targets.flatten())


def unigram_bits_per_byte(train: Tensor, held_out: Tensor) -> float:
    """Cross-entropy, in bits, of ``held_out`` under the byte frequencies of ``train``, one added to each count."""
    counts = torch.bincount(train.cpu().long(), minlength=BYTE_VALUES).double() + 1
    bits = -(counts / counts.sum()).log2()
    return float(bits[held_out.cpu().long()].mean())
