"""Options that several commands have, and how a command finds a run, prints a document and leaves the index behind."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from suite import store
from suite.decode import nearest
from suite.errors import SuiteError, UsageError
from suite.home import Home

__all__ = [
    "BaselineOption",
    "FailOption",
    "HomeOption",
    "JsonOption",
    "command_text",
    "failing_on",
    "load",
    "print_json",
    "rewrite_index",
]

HomeOption = Annotated[
    Path | None,
    typer.Option("--home", "--out", help="Folder of results/ and reports/ (default: AMPMARK_HOME or here)."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on stdout instead of text.")]
BaselineOption = Annotated[str, typer.Option("--baseline", help="Name of the approved baseline.")]
FailOption = Annotated[str, typer.Option("--fail-on", help="Verdicts that fail: regressed, inconclusive.")]


def load(home: Home, name: str) -> store.Run:
    """The run of that id, beginning of an id, folder, or `latest`."""
    return store.load_run(store.find_run(home.results, name))


def failing_on(text: str) -> frozenset[str]:
    """The verdicts named by --fail-on.

    Raises:
        UsageError: an unknown one.
    """
    known = ("regressed", "inconclusive")
    chosen = [part.strip() for part in text.split(",") if part.strip()]
    for name in chosen:
        if name not in known:
            raise UsageError(f"--fail-on {name!r} is not known; {nearest(name, known)}")
    return frozenset(chosen)


def print_json(document: Any) -> None:
    """One JSON document on stdout."""
    print(json.dumps(document, indent=1, default=str))


def rewrite_index(home: Home) -> None:
    """Make reports/index.html again; where that fails it is said, and the command ends as it would have."""
    from suite.overview import write_index

    try:
        write_index(home)
    except SuiteError as error:
        print(f"the index was not written: {error}", file=sys.stderr)


def command_text(command: str, choices: Mapping[str, object]) -> str:
    """What was asked for, without where it was stored; None and False are options that were not given."""
    words = ["ampmark", command]
    for name, choice in choices.items():
        for value in choice if isinstance(choice, list) else [choice]:
            if value is True:
                words.append(name)
            elif value is not None and value is not False:
                words += [name, f"{value:g}" if isinstance(value, float) else str(value)]
    return shlex.join(words)
