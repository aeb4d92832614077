"""torch.compile around a trial: what is compiled, when, into how many graphs, and at what cost in time.

Only the model's forward, and with it its backward, runs compiled; the loss outside the model, clipping and the
optimizer are as in the eager rows. The module that torch.compile returns is used by the training loop and by the
attested step; digests, optimizer and evaluation hold the original, whose parameters are the same and whose names have
no `_orig_mod.` before them. Held-out quality is computed eagerly, in float32, as in every row.

Every trial compiles from nothing, in a cache folder of its own: otherwise the first trial of a cell would pay for the
next ones, and its seconds would not be comparable. What cannot be compiled is an error, never a silent eager run.

torch tells what it did in `torch._dynamo.utils` only; tests/measure/test_compilation.py is the contract test
(torch 2.14.1).
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, cast
from unittest import mock

import torch
from torch import nn

from suite.errors import CompilationUnsupported
from suite.readings import Compilation
from suite.record import Caution

__all__ = ["Compiled", "Eager", "Execution", "compiling_from_nothing", "execution_of"]

LARGEST_REASONS = 10
"""Different reasons of graph breaks that a record keeps."""


class Execution(Protocol):
    """How the training loop runs a model."""

    model: nn.Module
    """What the loop calls; it shares its parameters with the model it was made from."""

    def warmup_ends(self) -> None:
        """End of the fixed warm-up, where there is one: what is compiled from here on is in the way of timed steps."""
        ...

    def finish(self) -> tuple[Compilation | None, tuple[Caution, ...]]:
        """What was compiled; after the last step.

        Raises:
            CompilationUnsupported: nothing was, so the steps ran eagerly.
        """
        ...


class Eager:
    """The model as it is."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model

    def warmup_ends(self) -> None:
        pass

    def finish(self) -> tuple[None, tuple[Caution, ...]]:
        return None, ()


class Compiled:
    """torch.compile's module, and the difference in torch's counters since it was made."""

    def __init__(self, model: nn.Module, backend: str = "inductor") -> None:
        self._before = self._at_end_of_warmup = _progress()
        self.model = cast(nn.Module, torch.compile(model, backend=backend))

    def warmup_ends(self) -> None:
        self._at_end_of_warmup = _progress()

    def finish(self) -> tuple[Compilation, tuple[Caution, ...]]:
        done, late = _progress() - self._before, _progress() - self._at_end_of_warmup
        if done.graphs == 0:
            why = "; ".join(_in_short(text) for text in done.refusals) or "it captured no graph"
            raise CompilationUnsupported(f"torch.compile compiled nothing of this model: {why}.")
        found = Compilation(
            seconds=done.seconds,
            graphs=done.graphs,
            graph_breaks=done.breaks.total(),
            recompiled_in_window=late.graphs,
            break_reasons=tuple(_in_short(text) for text, _ in done.breaks.most_common(LARGEST_REASONS)),
        )
        return found, _cautions(late)


def execution_of(model: nn.Module, *, compiled: bool, device: torch.device, backend: str = "inductor") -> Execution:
    """Eager, or compiled.

    Raises:
        CompilationUnsupported: what the backend needs on this device is not installed.
    """
    if not compiled:
        return Eager(model)
    if backend == "inductor":
        require_compiler(device)
    return Compiled(model, backend)


@contextmanager
def compiling_from_nothing(compiled: bool) -> Iterator[None]:
    """A cache folder that nothing was compiled into before, removed afterwards; nothing at all for an eager trial.

    Inside it torch also raises where it would go on eagerly: on an error, and when a graph was compiled too often; and
    products come from the libraries, whatever TORCHINDUCTOR_MAX_AUTOTUNE says, for the census sees no generated ones.
    """
    if not compiled:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="ampmark-compile-", ignore_cleanup_errors=True) as folder:
        # torch/_inductor/runtime/cache_dir_utils.py reads the first at each use, Triton the second.
        caches = {"TORCHINDUCTOR_CACHE_DIR": folder, "TRITON_CACHE_DIR": os.path.join(folder, "triton")}
        honest = torch._dynamo.config.patch(suppress_errors=False, fail_on_recompile_limit_hit=True)
        seen = torch._inductor.config.patch(max_autotune=False, max_autotune_gemm=False)
        with mock.patch.dict(os.environ, caches), honest, seen:
            yield


def require_compiler(device: torch.device, has: Callable[[str], bool] | None = None) -> None:
    """Find out before the model is built whether inductor can compile for this device.

    Raises:
        CompilationUnsupported: there is no C++ compiler (for a CPU) or no Triton (for a CUDA device).
    """
    has = has or _has
    if device.type == "cuda" and not has("triton"):
        raise CompilationUnsupported(
            "torch.compile needs Triton on a GPU and found none; install triton, or run eagerly."
        )
    if device.type != "cuda" and not has("c++"):
        raise CompilationUnsupported(
            "torch.compile needs a C++ compiler on a CPU and found none; install g++, name one in CXX, or run eagerly."
        )


def _has(tool: str) -> bool:
    if tool == "triton":
        from torch.utils._triton import has_triton

        return has_triton()
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler:
        return False
    return True


@dataclass(frozen=True)
class _Progress:
    """torch's counters at one moment, or between two."""

    seconds: float
    graphs: int
    breaks: Counter[str]
    """Reason -> how often the code of a frame had to be split there."""
    refusals: Counter[str]
    """Reason -> how often something was left to eager execution, with or without a split."""

    def __sub__(self, earlier: _Progress) -> _Progress:
        return _Progress(
            self.seconds - earlier.seconds,
            self.graphs - earlier.graphs,
            self.breaks - earlier.breaks,
            self.refusals - earlier.refusals,
        )


def _progress() -> _Progress:
    from torch._dynamo.utils import calculate_time_spent, counters

    return _Progress(
        # The frames and the backward graphs that are compiled apart from them.
        seconds=calculate_time_spent()["total_wall_time"],
        graphs=counters["stats"]["unique_graphs"],
        breaks=Counter(counters["graph_break"]),
        refusals=Counter(counters["unimplemented"]),
    )


def _cautions(late: _Progress) -> tuple[Caution, ...]:
    if not late.graphs and late.seconds == 0:
        return ()
    message = (
        f"{late.seconds:.2f} s of compilation ({late.graphs} graphs) came after the fixed warm-up, so timed steps may "
        "hold some of it; use more warm-up steps."
    )
    return (Caution("compiled_in_window", message),)


def _in_short(reason: str) -> str:
    """The first sentence of one of Dynamo's pages of explanation, without a full stop."""
    lines = [line.strip() for line in reason.splitlines() if line.strip()]
    explained = [line.removeprefix("Explanation:").strip() for line in lines if line.startswith("Explanation:")]
    return ": ".join([*lines[:1], *explained[:1]]).rstrip(".")
