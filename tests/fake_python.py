"""A stand-in for the Python of an anchor: a shell script that is called like one and keeps how it was called."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from suite.store import Run

_SCRIPT = """#!/bin/sh
here="$(cd "$(dirname "$0")" && pwd)"
{
    echo "call"
    echo "cwd $PWD"
    echo "path ${PYTHONPATH-unset}"
    echo "home ${AMPMARK_HOME-unset}"
    for word in "$@"; do echo "word $word"; done
} >> "$here/calls"
case "$3" in *__file__*)
    test -f "$here/probe.sh" && . "$here/probe.sh"
    printf %s "$here/site/suite/__init__.py"
    exit 0;;
esac
while [ $# -gt 0 ]; do
    if [ "$1" = --out ]; then out="$2"; fi
    shift
done
next="$(ls "$here/blocks" | head -n 1)"
if [ -n "$next" ]; then
    mkdir -p "$out/results/runs" && mv "$here/blocks/$next" "$out/results/runs/$next"
fi
test -f "$here/block.sh" && . "$here/block.sh"
exit 0
"""


@dataclass(frozen=True)
class Call:
    """One start of it."""

    words: tuple[str, ...]
    cwd: Path
    path: str
    """PYTHONPATH, or `unset`."""
    home: str
    """AMPMARK_HOME, or `unset`."""

    def option(self, name: str) -> list[str]:
        """Every value that was given to an option."""
        return [value for word, value in zip(self.words, self.words[1:], strict=False) if word == name]


class FakePython:
    """`probe` and `block` are lines of shell for what it is asked for; stored runs are what its blocks leave."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "blocks").mkdir(parents=True)
        self.path = folder / "python"
        self.path.write_text(_SCRIPT, encoding="utf-8")
        self.path.chmod(0o755)

    def probe(self, lines: str) -> None:
        (self._folder / "probe.sh").write_text(lines + "\n", encoding="utf-8")

    def block(self, lines: str) -> None:
        (self._folder / "block.sh").write_text(lines + "\n", encoding="utf-8")

    def stores(self, run: Run) -> None:
        """What the next block leaves behind: this run, which is moved there."""
        shutil.move(run.folder, self._folder / "blocks" / run.info.run)

    @property
    def calls(self) -> list[Call]:
        """Every start so far, oldest first."""
        path = self._folder / "calls"
        if not path.exists():
            return []
        found = []
        for part in path.read_text(encoding="utf-8").split("call\n")[1:]:
            pairs = [line.partition(" ")[::2] for line in part.splitlines()]
            told = dict(pair for pair in pairs if pair[0] != "word")
            words = tuple(value for name, value in pairs if name == "word")
            found.append(Call(words, Path(os.path.realpath(told["cwd"])), told["path"], told["home"]))
        return found

    @property
    def blocks(self) -> list[Call]:
        """Those that were asked for a block."""
        return [call for call in self.calls if "__file__" not in call.words[2]]
