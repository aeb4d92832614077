"""ampmark: what each precision mode does to a training workload on this hardware, and whether it got worse."""

from __future__ import annotations

from suite.api import Planned, compare, gate, plan, report, resume, run
from suite.errors import SuiteError
from suite.home import Home
from suite.store import Run, find_run, list_runs, load_run

__all__ = [
    "Home",
    "Planned",
    "Run",
    "SuiteError",
    "compare",
    "find_run",
    "gate",
    "list_runs",
    "load_run",
    "plan",
    "report",
    "resume",
    "run",
]
