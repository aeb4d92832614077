"""Where results and reports live: under the current directory, under AMPMARK_HOME, or where the user says."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from suite.errors import UnwritableResults

__all__ = ["Home"]


@dataclass(frozen=True)
class Home:
    """What is stored, and what is made from it."""

    results: Path
    """Runs and baselines."""
    reports: Path
    """One folder per report."""

    @classmethod
    def at(cls, folder: Path) -> Home:
        """`results/` and `reports/` in one folder."""
        return cls(folder / "results", folder / "reports")

    @classmethod
    def choose(cls, given: Path | None = None) -> Home:
        """The given folder, else AMPMARK_HOME, else the current directory."""
        return cls.at((given or Path(os.environ.get("AMPMARK_HOME") or ".")).expanduser())

    def check_writable(self) -> None:
        """Find out before hours of measuring, not after.

        Raises:
            UnwritableResults: a folder cannot be made or written to.
        """
        for folder in (self.results, self.reports):
            try:
                folder.mkdir(parents=True, exist_ok=True)
                tempfile.TemporaryFile(dir=folder).close()
            except OSError as error:
                raise UnwritableResults(
                    f"{folder} cannot be written to ({error.strerror}); give another folder with --out."
                ) from error
