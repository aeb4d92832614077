"""Where results and reports live: under the current directory, under AMPMARK_HOME, or where the user says."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Home"]


@dataclass(frozen=True)
class Home:
    """A folder that holds `results/` and `reports/`."""

    folder: Path

    @classmethod
    def choose(cls, given: Path | None = None) -> Home:
        """The given folder, else AMPMARK_HOME, else the current directory."""
        return cls((given or Path(os.environ.get("AMPMARK_HOME") or ".")).expanduser())

    @property
    def results(self) -> Path:
        """Runs and baselines."""
        return self.folder / "results"

    @property
    def reports(self) -> Path:
        """One folder per report."""
        return self.folder / "reports"
