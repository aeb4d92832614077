from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
import torch

from suite.errors import DeterminismUnsupported
from suite.measure.determinism import WORKSPACE_VARIABLE, allowing_only_deterministic_kernels


def _state() -> tuple[bool, bool, bool, bool, str | None]:
    cudnn = torch.backends.cudnn
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        cudnn.deterministic,
        cudnn.benchmark,
        os.environ.get(WORKSPACE_VARIABLE),
    )


def test_the_mode_is_strict_and_ends_with_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(WORKSPACE_VARIABLE, raising=False)
    with allowing_only_deterministic_kernels(True):
        assert _state() == (True, False, True, False, ":16:8")
    assert _state() == (False, False, False, False, None)


def test_a_workspace_of_the_users_own_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WORKSPACE_VARIABLE, ":4096:8")
    with allowing_only_deterministic_kernels(True):
        assert os.environ[WORKSPACE_VARIABLE] == ":16:8"
    assert os.environ[WORKSPACE_VARIABLE] == ":4096:8"


def test_an_ordinary_trial_is_left_alone() -> None:
    before = _state()
    with allowing_only_deterministic_kernels(False):
        assert _state() == before


def test_memory_that_was_never_written_is_not_left_to_chance() -> None:
    with allowing_only_deterministic_kernels(True):
        assert torch.empty(1000).isnan().all()


def test_an_operator_without_a_deterministic_form_is_named() -> None:
    words = r"^put_ has no deterministic form on this device; this workload cannot be repeated bit for bit here\.$"
    with pytest.raises(DeterminismUnsupported, match=words), allowing_only_deterministic_kernels(True):
        torch.zeros(2).put_(torch.tensor([0]), torch.tensor([1.0]))
    assert not torch.are_deterministic_algorithms_enabled()


def test_other_errors_pass_through() -> None:
    with pytest.raises(RuntimeError, match="mine"), allowing_only_deterministic_kernels(True):
        raise RuntimeError("mine")


def test_too_late_is_said_and_changes_nothing() -> None:
    started = SimpleNamespace(is_initialized=lambda: True)
    with (
        pytest.raises(RuntimeError, match="CUDA was started before deterministic mode"),
        allowing_only_deterministic_kernels(True, started),
    ):
        pass
    assert not torch.are_deterministic_algorithms_enabled()
