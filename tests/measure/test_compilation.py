"""torch.compile behind its adapter; also the contract with torch's private counters (checked with torch 2.14.1)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from suite.errors import CompilationUnsupported
from suite.measure.census import Census
from suite.measure.compilation import Compiled, Eager, compiling_from_nothing, execution_of, require_compiler
from suite.measure.digests import digest_of_state
from suite.readings import Compilation

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _forgetful() -> Iterator[None]:
    """Dynamo remembers compiled code by the code's place, and so from one test to the next."""
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


class Broken(nn.Module):
    """The graph is split in two."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        torch._dynamo.graph_break()
        result: Tensor = self.second(x)
        return result


def test_one_graph_is_counted_with_its_time() -> None:
    model = nn.Linear(4, 1)
    execution = Compiled(model, "aot_eager")
    execution.model(torch.ones(2, 4)).sum().backward()
    execution.warmup_ends()
    execution.model(torch.ones(2, 4)).sum().backward()
    found, cautions = execution.finish()
    assert found == Compilation(found.seconds, graphs=1, graph_breaks=0, recompiled_in_window=0)
    assert 0 < found.seconds < 60
    assert cautions == ()


def test_the_compiled_model_shares_the_original_and_computes_the_same() -> None:
    model = nn.Linear(4, 1)
    before = digest_of_state(model)
    execution = Compiled(model, "aot_eager")
    x = torch.randn(2, 4)
    torch.testing.assert_close(execution.model(x), model(x))
    assert {id(p) for p in execution.model.parameters()} == {id(p) for p in model.parameters()}
    assert digest_of_state(model) == before
    assert set(model.state_dict()) == {"weight", "bias"}


def test_a_graph_break_is_counted_with_its_reason() -> None:
    execution = Compiled(Broken(), "eager")
    with torch.no_grad():  # Dynamo itself looks at the .grad of a tensor between two graphs, which warns
        execution.model(torch.ones(2, 4))
    found, _ = execution.finish()
    assert (found.graphs, found.graph_breaks) == (2, 1)
    (reason,) = found.break_reasons
    assert reason.startswith("Call to `torch._dynamo.graph_break()`")
    assert "\n" not in reason


def test_compilation_inside_the_window_is_a_caution() -> None:
    execution = Compiled(nn.Linear(4, 1), "eager")
    execution.model(torch.ones(2, 4))
    execution.warmup_ends()
    execution.model(torch.ones(2, 4).double().float().requires_grad_())  # another graph: its input has a gradient
    found, (caution,) = execution.finish()
    assert (found.graphs, found.recompiled_in_window) == (2, 1)
    assert caution.code == "compiled_in_window"
    assert "(1 graphs) came after the fixed warm-up" in caution.message


def test_what_another_model_compiled_before_is_not_counted() -> None:
    Compiled(nn.Linear(3, 1), "eager").model(torch.ones(2, 3))
    execution = Compiled(nn.Linear(4, 1), "eager")
    execution.model(torch.ones(2, 4))
    found, _ = execution.finish()
    assert (found.graphs, found.graph_breaks) == (1, 0)


def test_a_model_that_stays_eager_is_unsupported_and_says_why() -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = self.lstm(x)[0]
            return result

    execution = Compiled(Recurrent(), "eager")
    execution.model(torch.ones(2, 1, 4))
    with pytest.raises(CompilationUnsupported) as caught:
        execution.finish()
    assert str(caught.value) == (
        "torch.compile compiled nothing of this model: Attempted to wrap RNN, GRU, or LSTM: "
        "Dynamo does not support RNN, GRU, or LSTM."
    )


def test_a_model_that_never_ran_was_not_compiled() -> None:
    with pytest.raises(CompilationUnsupported, match="of this model: it captured no graph"):
        Compiled(nn.Linear(4, 1), "eager").finish()


def test_an_eager_trial_has_no_compilation() -> None:
    model = nn.Linear(4, 1)
    execution = execution_of(model, compiled=False, device=CPU)
    assert isinstance(execution, Eager)
    assert execution.model is model
    execution.warmup_ends()
    assert execution.finish() == (None, ())


@pytest.mark.parametrize(
    ("device", "tool", "message"),
    [
        ("cpu", "c++", r"needs a C\+\+ compiler on a CPU and found none; install g\+\+"),
        ("cuda", "triton", "needs Triton on a GPU and found none"),
    ],
)
def test_a_missing_compiler_is_named(device: str, tool: str, message: str) -> None:
    require_compiler(torch.device(device), lambda wanted: wanted == tool)
    with pytest.raises(CompilationUnsupported, match=message):
        require_compiler(torch.device(device), lambda wanted: wanted != tool)


def test_every_trial_compiles_into_an_empty_folder_that_is_removed() -> None:
    before = os.environ.get("TORCHINDUCTOR_CACHE_DIR")
    with compiling_from_nothing(True):
        from torch._inductor.runtime.cache_dir_utils import cache_dir, triton_cache_dir

        folder = Path(cache_dir())
        assert list(folder.iterdir()) == []
        assert Path(triton_cache_dir(0)).parent == folder
    assert not folder.exists()
    assert os.environ.get("TORCHINDUCTOR_CACHE_DIR") == before


def test_torch_raises_where_it_would_go_on_eagerly() -> None:
    def failing(graph: object, inputs: object) -> object:
        raise RuntimeError("no code for this")

    with compiling_from_nothing(True), torch._dynamo.config.patch(recompile_limit=1):
        with pytest.raises(Exception, match="no code for this"):
            torch.compile(nn.Linear(4, 1), backend=failing)(torch.ones(2, 4))
        compiled = torch.compile(nn.Linear(4, 1), backend="eager", dynamic=False)
        compiled(torch.ones(2, 4))
        with pytest.raises(Exception, match="recompile_limit"):
            compiled(torch.ones(3, 4))


def test_an_eager_trial_gets_no_folder() -> None:
    before = dict(os.environ)
    with compiling_from_nothing(False):
        assert dict(os.environ) == before


class Fused(nn.Module):
    """Eager, its sum and its square are operators of their own; compiled they are one generated kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(16, 16), nn.Linear(16, 16)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.second(self.first(x).relu() + 1.0).square()
        return result


class Everything(TorchDispatchMode):
    """Every operator that runs, by name, through compiled code as well."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    ignore_compile_internals = Census.ignore_compile_internals

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        self.names.append(str(func))
        return func(*args, **(kwargs or {}))


def test_the_census_of_a_compiled_step_is_of_the_compiled_code() -> None:
    """The contract with torch (checked with 2.9.1 and 2.14.1): a census is looked through and not compiled around."""
    execution = Compiled(Fused())
    x = torch.randn(8, 16)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            loss = execution.model(x).float().mean()
        loss.backward()

    with compiling_from_nothing(True):
        step()
        found, _ = execution.finish()  # torch 2.9 compiles anew for every census, to the same operators
        with Census() as census:
            step()
        with Everything() as everything:
            step()
    assert (found.graphs, found.graph_breaks) == (1, 0)
    # Two products forward, two for their weights and one for the first one's output backward.
    assert census.operations == {"aten.addmm/bfloat16": 2, "aten.mm/bfloat16": 3}
    assert dict(census.flops) == {"bfloat16": 5 * 2 * 8 * 16 * 16}
    assert "aten.mm.out" in everything.names
    assert not {"aten.relu.default", "aten.threshold_backward.default"} & set(everything.names)
