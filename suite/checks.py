"""What `ampmark doctor` finds: one check, its verdict, and what to do. Standard library only."""

from __future__ import annotations

import enum
from dataclasses import dataclass

__all__ = ["Check", "Status", "okay", "unavailable", "warning"]


class Status(enum.StrEnum):
    """Verdict of one check."""

    OK = "ok"
    WARNING = "warning"
    """It works, and it will spoil numbers or already has a flaw."""
    UNAVAILABLE = "unavailable"
    """It cannot be measured or used here; what depends on it is None in the records."""


@dataclass(frozen=True)
class Check:
    """One line of the examination."""

    name: str
    status: Status
    finding: str
    remedy: str | None = None
    essential: bool = False
    """Without it nothing can be measured at all."""


def okay(name: str, finding: str) -> Check:
    """Nothing to object to."""
    return Check(name, Status.OK, finding)


def warning(name: str, finding: str, remedy: str) -> Check:
    """It works, but."""
    return Check(name, Status.WARNING, finding, remedy)


def unavailable(name: str, finding: str, remedy: str | None = None, *, essential: bool = False) -> Check:
    """It is not to be had here; without a remedy, because there is none."""
    return Check(name, Status.UNAVAILABLE, finding, remedy, essential)
