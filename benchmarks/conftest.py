"""Stored runs that several measurements look at."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from made import store_run


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of 80 trials each with known times, stored without running anything."""
    folder = tmp_path_factory.mktemp("home")
    for _ in range(2):
        store_run(folder / "results", cells=16, repeats=5, steps=100)
    return folder


@pytest.fixture(scope="session")
def hundred_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hundred runs of 80 trials each, the first one the baseline."""
    folder = tmp_path_factory.mktemp("hundred")
    for number in range(100):
        store_run(folder / "results", cells=16, repeats=5, steps=100)
        if not number:
            approve = [sys.executable, "-m", "suite", "baseline", "approve", "latest", "--reason", "the first"]
            subprocess.run([*approve, "--home", str(folder)], check=True, capture_output=True)
    return folder
