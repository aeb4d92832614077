"""SHA-256 of tensors: equal digests mean equal bits."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import torch
from torch import Tensor, nn

__all__ = ["digest", "digest_of_state"]


def digest_of_state(model: nn.Module) -> str:
    """Digest of all parameters and buffers, in the order of their names; what else a module keeps is left out."""
    state = sorted(model.state_dict().items())
    return digest(value for _, value in state if isinstance(value, Tensor))


def digest(tensors: Iterable[Tensor]) -> str:
    """SHA-256 over the bytes of tensors in order."""
    found = hashlib.sha256()
    for tensor in tensors:
        found.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()
