"""`ampmark doctor`: what this machine can measure and what will spoil it.

Half of it is asked of a process that has torch (suite.measure.diagnosis); what needs no torch is looked at here, so
that a machine on which torch cannot be loaded is told so. No names of users, hosts or folders appear in a finding.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from suite.checks import Check, okay, unavailable, warning
from suite.decode import decode
from suite.errors import JobFailed, SurveyFailed
from suite.home import Home
from suite.runner import ask
from suite.variables import OVERRIDES

__all__ = ["can_measure", "examine"]

TIMEOUT_SECONDS = 300.0
SMALLEST_DISK_BYTES = 2**30
SMALLEST_MEMORY_BYTES = 2 * 2**30
"""Four times what a trial of the quick profile holds at its peak."""
SMALLEST_SHARED_BYTES = 2**28


def examine(home: Home, device: str | None = None) -> list[Check]:
    """Every check, those of the processes' own half first.

    Raises:
        UsageError: the requested device is not here.
    """
    return [
        *worker_checks(device, ask),
        *variable_checks(os.environ),
        nvml_package_check(importlib.metadata.packages_distributions().get("pynvml", []), _version("nvidia-ml-py")),
        compiler_check(os.environ.get("CXX"), shutil.which),
        *memory_checks(Path("/proc/meminfo"), Path("/dev/shm")),  # noqa: S108 (only its size is read)
        *disk_checks(home),
    ]


def can_measure(checks: list[Check]) -> bool:
    """Whether anything can be measured at all."""
    return not any(check.essential for check in checks)


def worker_checks(device: str | None, ask: Callable[..., dict[str, Any]]) -> list[Check]:
    """What a process with torch finds; that it starts is the first finding."""
    name = "trial processes"
    try:
        reply = ask("doctor", {"device": device}, TIMEOUT_SECONDS)
    except (JobFailed, SurveyFailed) as error:
        last_line = str(error).strip().splitlines()[-1]
        remedy = "python -c 'import torch, torchvision, transformers' must work"
        return [unavailable(name, f"none can be started: {last_line}", remedy, essential=True)]
    return [
        okay(name, "the fork server starts them"),
        *(decode(Check, check, "the examination") for check in reply["checks"]),
    ]


def variable_checks(variables: Mapping[str, str]) -> list[Check]:
    """Variables of the environment that change the precision without a trace in torch's own settings."""
    found = [name for name in OVERRIDES if name in variables]
    if not found:
        return [okay("precision variables", "none is set")]
    return [
        warning(f"variable {name}", f"it is set, and {OVERRIDES[name]}", f"unset {name} before measuring")
        for name in found
    ]


def nvml_package_check(owners: list[str], version: str | None) -> Check:
    """Who owns the module `pynvml`: old releases of the package of that name overwrite nvidia-ml-py's."""
    name = "nvidia-ml-py"
    others = sorted({owner for owner in owners if owner != name})
    if version is None:
        return unavailable(name, "it is not installed", "pip install nvidia-ml-py")
    if others:
        remedy = f"pip uninstall {' '.join(others)} && pip install --force-reinstall nvidia-ml-py"
        return warning(name, f"its module pynvml is also installed by {', '.join(others)}", remedy)
    return okay(name, version)


def compiler_check(chosen: str | None, which: Callable[[str], str | None]) -> Check:
    """torch.compile writes C++ for the CPU, and a launcher in C for the GPU."""
    found = next((name for name in ([chosen] if chosen else ["g++", "clang++"]) if which(name)), None)
    if found is None:
        return unavailable("C++ compiler", "there is none, so torch.compile does not work", "install g++")
    return okay("C++ compiler", "found, for torch.compile")


def memory_checks(meminfo: Path, shared: Path) -> list[Check]:
    """Memory of the host, and the shared memory that data loaders use."""
    checks = []
    try:
        available = next(
            int(line.split()[1]) * 1024
            for line in meminfo.read_text(encoding="ascii").splitlines()
            if line.startswith("MemAvailable:")
        )
        checks.append(
            _enough("memory", available, SMALLEST_MEMORY_BYTES, "end other programs, or choose a smaller profile")
        )
    except (OSError, StopIteration):
        checks.append(unavailable("memory", "this system does not tell what is available (/proc/meminfo)"))
    if shared.is_dir():
        free = shutil.disk_usage(shared).free
        checks.append(_enough("shared memory", free, SMALLEST_SHARED_BYTES, "in a container: docker run --shm-size=1g"))
    return checks


def disk_checks(home: Home) -> list[Check]:
    """Whether results can be written, and how much room there is; nothing is created that stays."""
    checks = []
    for name, folder in (("results folder", home.results), ("reports folder", home.reports)):
        existing = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
        try:
            tempfile.TemporaryFile(dir=existing).close()
        except OSError as error:
            remedy = "give another folder with --home"
            checks.append(unavailable(name, f"cannot be written to: {error.strerror}", remedy, essential=True))
            continue
        free = shutil.disk_usage(existing).free
        checks.append(_enough(name, free, SMALLEST_DISK_BYTES, "make room, or give another folder with --home"))
    return checks


def _enough(name: str, found_bytes: int, wanted_bytes: int, remedy: str) -> Check:
    finding = f"{found_bytes / 2**30:.1f} GiB free"
    return okay(name, finding) if found_bytes >= wanted_bytes else warning(name, finding, remedy)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
