from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from suite.measure.environment import _cpu_quota, default_threads, describe, device_uuid, survey


def test_a_cpu_machine_has_no_gpu_facts() -> None:
    environment, uuid = describe("cpu", {})
    assert uuid is None
    assert environment.device_name == environment.cpu != ""
    assert environment.driver is None
    assert environment.cuda is None
    assert environment.compute_capability is None
    assert environment.power_limit_watts is None
    assert environment.threads == default_threads() >= 1
    assert environment.torch == torch.__version__


def test_only_listed_variables_are_kept() -> None:
    variables = {"OMP_NUM_THREADS": "3", "HOME": "/home/somebody", "HF_TOKEN": "secret"}
    environment = survey(torch.device("cpu"), variables, "no device")
    assert environment.variables == {"OMP_NUM_THREADS": "3"}


def test_the_same_machine_has_the_same_fingerprint() -> None:
    first, second = describe("cpu", {})[0], describe("cpu", {})[0]
    assert first.fingerprint == second.fingerprint
    assert first.differences(second) == []


def test_a_variable_that_changes_numerics_is_part_of_the_fingerprint() -> None:
    plain = survey(torch.device("cpu"), {}, "no device")
    other = survey(torch.device("cpu"), {"ONEDNN_MAX_CPU_ISA": "AVX2"}, "no device")
    assert plain.fingerprint != other.fingerprint
    assert plain.differences(other) == ["variables: {} → {'ONEDNN_MAX_CPU_ISA': 'AVX2'}"]


def test_only_cuda_devices_have_a_uuid() -> None:
    assert device_uuid(torch.device("cpu")) is None
    cuda = SimpleNamespace(get_device_properties=lambda device: SimpleNamespace(uuid="0123"))
    assert device_uuid(torch.device("cuda:0"), cuda) == "GPU-0123"


@pytest.mark.parametrize(
    ("text", "processors"),
    [("200000 100000", 2), ("150000 100000", 2), ("5000 100000", 1), ("max 100000", None), ("rubbish", None)],
)
def test_a_containers_quota_limits_the_threads(tmp_path: Path, text: str, processors: int | None) -> None:
    (tmp_path / "cpu.max").write_text(text, encoding="ascii")
    assert _cpu_quota(tmp_path / "cpu.max") == processors
    assert _cpu_quota(tmp_path / "absent") is None
