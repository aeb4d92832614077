"""The machine and the software stack, read once per run in a process of its own."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch

from suite.measure.device import choose, cpu_name
from suite.measure.nvml import NvmlDevice, open_device
from suite.record import Environment
from suite.variables import RECORDED

__all__ = ["default_threads", "describe", "device_uuid", "survey"]


def survey(device: torch.device, variables: dict[str, str], nvml: NvmlDevice | str) -> Environment:
    """Describe this machine; `variables` is the environment as it was before ampmark set anything."""
    return Environment(
        device=str(device),
        cpu=cpu_name(),
        cpu_count=os.cpu_count() or 1,
        threads=default_threads(),
        cpu_instructions=torch.backends.cpu.get_cpu_capability(),
        container=_container(),
        torch=torch.__version__,
        torchvision=_version("torchvision"),
        transformers=_version("transformers"),
        python=platform.python_version(),
        os=f"{platform.system()} {platform.machine()}",
        ampmark=_version("ampmark") or "checkout",
        git_commit=_git("rev-parse", "HEAD"),
        git_dirty=None if (status := _git("status", "--porcelain")) is None else bool(status),
        variables={name: variables[name] for name in RECORDED if name in variables},
        **(_cuda_facts(device, nvml) if device.type == "cuda" else _cpu_facts()),
    )


def default_threads() -> int:
    """CPU threads of every trial: the processors this process may use, at most its container's quota."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(allowed, _cpu_quota() or allowed)


def _cpu_quota(path: Path = Path("/sys/fs/cgroup/cpu.max")) -> int | None:
    """Whole processors of a container's limit (cgroup version 2: microseconds per period), rounded up."""
    try:
        limit, period = path.read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return None
    return None if limit == "max" else max(1, -(-int(limit) // int(period)))


def device_uuid(device: torch.device, cuda: Any = torch.cuda) -> str | None:
    """The UUID by which NVML finds a CUDA device; None elsewhere."""
    return f"GPU-{cuda.get_device_properties(device).uuid}" if device.type == "cuda" else None


def _cuda_facts(device: torch.device, nvml: NvmlDevice | str) -> dict[str, Any]:
    properties = torch.cuda.get_device_properties(device)
    limit = _nvml_text(nvml, "nvmlDeviceGetPowerManagementLimit")
    cudnn = torch.backends.cudnn.version()
    return {
        "device_name": properties.name,
        "device_memory_bytes": properties.total_memory,
        "compute_capability": f"{properties.major}.{properties.minor}",
        "device_count": torch.cuda.device_count(),
        "driver": _driver() if isinstance(nvml, NvmlDevice) else None,
        "cuda": torch.version.cuda,
        "cudnn": None if cudnn is None else str(cudnn),
        "nccl": ".".join(map(str, torch.cuda.nccl.version())) if torch.distributed.is_nccl_available() else None,
        "mig": _nvml_text(nvml, "nvmlDeviceGetMigMode"),
        "ecc": _nvml_text(nvml, "nvmlDeviceGetEccMode"),
        # NVML gives milliwatts.
        "power_limit_watts": None if limit is None else float(limit) / 1e3,
        "persistence": _nvml_text(nvml, "nvmlDeviceGetPersistenceMode"),
    }


def _cpu_facts() -> dict[str, Any]:
    pages = os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else None
    memory = None if pages is None else pages * os.sysconf("SC_PAGE_SIZE")
    nothing = ("compute_capability", "driver", "cuda", "cudnn", "nccl", "mig", "ecc", "power_limit_watts")
    return {
        "device_name": cpu_name(),
        # Whole GiB: the kernel's own share, and so the exact number, changes with every reboot.
        "device_memory_bytes": None if memory is None else round(memory / 2**30) * 2**30,
        "device_count": 1,
        "persistence": None,
    } | dict.fromkeys(nothing)


def _nvml_text(nvml: NvmlDevice | str, function: str) -> str | None:
    return nvml.text(function) if isinstance(nvml, NvmlDevice) else None


def _driver() -> str | None:
    import pynvml

    try:
        return str(pynvml.nvmlSystemGetDriverVersion())
    except pynvml.NVMLError:
        return None


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _container() -> str | None:
    if Path("/.dockerenv").exists():
        return "docker"
    return "podman" if Path("/run/.containerenv").exists() else os.environ.get("container")  # noqa: SIM112 (podman and systemd-nspawn spell it so)


def _git(*arguments: str) -> str | None:
    """Of the checkout that holds this file; None when ampmark is installed as a package."""
    here = Path(__file__).resolve().parents[2]
    if not (here / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "-C", str(here), *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def describe(requested: str | None, variables: dict[str, str]) -> tuple[Environment, str | None]:
    """Choose the device and describe the machine around it.

    Raises:
        UsageError: the requested device is not here.
    """
    device = choose(requested)
    uuid = device_uuid(device)
    return survey(device, variables, open_device(uuid)), uuid
