"""Deterministic mode: the same bits from every process on one machine and stack. Slower, so it is never timed.

A trial's process is a fork of a server that never touches CUDA, so what cuBLAS reads when its handle is created can
still be set here (docs/decisions/0002).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from suite.errors import DeterminismUnsupported
from suite.record import Caution

__all__ = ["NOT_TIMED", "WORKSPACE", "WORKSPACE_VARIABLE", "allowing_only_deterministic_kernels"]

WORKSPACE_VARIABLE = "CUBLAS_WORKSPACE_CONFIG"
WORKSPACE = ":16:8"
"""The one value that every reader of the variable takes for deterministic: cuDNN's recurrences want `:16:8` or
`:4096:2` (PyTorch documentation, "cuDNN RNN determinism"); torch 2.9 wants `:16:8` or `:4096:8` (later ones dropped
the check, pytorch pull request 161749)."""
NOT_TIMED = Caution(
    "not_timed", "Only deterministic kernels were allowed, which are slower; run without --deterministic for its speed."
)
"""On every trial of this mode that finished: why it has no step times."""
_NO_DETERMINISTIC_FORM = " does not have a deterministic implementation"
"""How torch's error begins after the operator's name (ATen/Context.cpp; checked with torch 2.14.1)."""


@contextmanager
def allowing_only_deterministic_kernels(wanted: bool, cuda: Any = torch.cuda) -> Iterator[None]:
    """Deterministic mode for the `with` block, where `wanted`; enter it before anything starts CUDA.

    Strict, not `warn_only`: with warnings alone, torch's fused attention keeps its non-deterministic backward pass.
    `torch.utils.deterministic.fill_uninitialized_memory` stays on, so that a kernel that reads memory it never wrote
    gives NaN and not chance.

    Raises:
        DeterminismUnsupported: an operator has no deterministic form; the message names it.
        RuntimeError: CUDA was started before.
    """
    if not wanted:
        yield
        return
    if cuda.is_initialized():
        raise RuntimeError("CUDA was started before deterministic mode; cuBLAS would not see its setting.")
    before = os.environ.get(WORKSPACE_VARIABLE), torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic
    os.environ[WORKSPACE_VARIABLE] = WORKSPACE
    torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = False, True
    torch.use_deterministic_algorithms(True)
    try:
        yield
    except RuntimeError as error:
        operator, found, _ = str(error).partition(_NO_DETERMINISTIC_FORM)
        if not found:
            raise
        raise DeterminismUnsupported(
            f"{operator} has no deterministic form on this device; this workload cannot be repeated bit for bit here."
        ) from error
    finally:
        torch.use_deterministic_algorithms(False)
        _restore(*before)


def _restore(workspace: str | None, benchmark: bool, deterministic: bool) -> None:
    torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = benchmark, deterministic
    if workspace is None:
        del os.environ[WORKSPACE_VARIABLE]
    else:
        os.environ[WORKSPACE_VARIABLE] = workspace
