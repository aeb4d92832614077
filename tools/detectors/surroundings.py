"""What a measurement was made with: machine, versions, commit. Names and numbers only."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

__all__ = ["PACKAGES", "Surroundings", "surroundings"]

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("numpy", "scipy", "statsmodels", "ruptures", "asv", "apache-otava", "pyperf")


@dataclass(frozen=True)
class Surroundings:
    """Printed on the page and stored with the numbers."""

    date: str
    commit: str | None
    dirty: bool
    """Whether the code differs from that commit; true as well where there is none."""
    cpu: str
    cores: int
    python: str
    versions: dict[str, str]


def surroundings() -> Surroundings:
    """Of this process, now."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    commit, changed = _git("rev-parse", "--short=12", "HEAD"), _git("status", "--porcelain", "--", "suite", "tools")
    return Surroundings(
        date=datetime.now(UTC).date().isoformat(),
        commit=commit,
        dirty=commit is None or changed != "",
        cpu=_cpu(),
        cores=os.cpu_count() or 1,
        python=platform.python_version(),
        versions=versions,
    )


def _git(*words: str) -> str | None:
    try:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def _cpu() -> str:
    listing = Path("/proc/cpuinfo")
    if listing.exists():
        for line in listing.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
