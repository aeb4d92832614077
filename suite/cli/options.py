"""Options that several commands have, and how a command finds a run and prints a document."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from suite import store
from suite.decode import encode
from suite.home import Home

__all__ = ["BaselineOption", "FailOption", "HomeOption", "JsonOption", "load", "print_json", "rows"]

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


def rows(frame: Any) -> Any:
    """A frame as plain data: one table per row, gaps as null."""
    # Not DataFrame.to_json, which rounds to ten decimals.
    return encode(frame.astype(object).where(frame.notna(), None).to_dict("records"))


def print_json(document: Any) -> None:
    """One JSON document on stdout."""
    print(json.dumps(document, indent=1, default=str))
