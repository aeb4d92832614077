"""`python -m tools.detectors`: run the programme, write docs/detectors.md and suite/judge/detectors.json."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tools.detectors.acceptance import acceptance
from tools.detectors.cells import ALL_GATES, ALL_WATCHES, HISTORY_NOISES, OTHER_GATE_NOISES, Cell, cells
from tools.detectors.changes import CHANGES
from tools.detectors.numbers import document, written
from tools.detectors.page import page
from tools.detectors.programme import run
from tools.detectors.surroundings import surroundings

__all__ = ["REPLICATES", "chosen_cells", "main"]

ROOT = Path(__file__).resolve().parents[2]
REPLICATES = 1000
PARTS = ("two-sides", "nights")


def chosen_cells(words: Sequence[str]) -> tuple[list[Cell], list[str] | None]:
    """Cells and detectors (None: all) that the words leave; words of one sort are alternatives.

    Raises:
        ValueError: a word that is neither a part, nor a noise, a change or a detector.
    """
    noises = {cell.noise for cell in cells()}
    sorts = [set(PARTS), noises, set(CHANGES), {*ALL_GATES, *ALL_WATCHES}]
    unknown = set(words).difference(*sorts)
    if unknown:
        known = [*PARTS, *dict.fromkeys((*HISTORY_NOISES, *OTHER_GATE_NOISES, *noises)), *CHANGES, *sorts[3]]
        raise ValueError(f"{sorted(unknown)} is not known; known are {', '.join(map(repr, dict.fromkeys(known)))}")
    parts, noise, change, names = (sort.intersection(words) or None for sort in sorts)
    left = [
        cell
        for cell in cells()
        if (parts is None or PARTS[not cell.gate] in parts)
        and (noise is None or cell.noise in noise)
        and (change is None or cell.change in change)
    ]
    return left, None if names is None else sorted(names)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0, 1 where a demand was missed, 2 for a word that is not known."""
    parser = argparse.ArgumentParser(prog="python -m tools.detectors", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--replicates", type=int, default=REPLICATES, help="series per quiet cell (default: 1000)")
    parser.add_argument("--processes", type=int, default=2, help="how many work at once (default: 2)")
    parser.add_argument(
        "--only", action="append", default=[], metavar="WORD", help="a part, noise, change or detector (repeatable)"
    )
    parser.add_argument("--out", type=Path, help="folder for both files; without it, and without --only, their places")
    chosen = parser.parse_args(arguments)
    try:
        left, names = chosen_cells(chosen.only)
    except ValueError as error:
        parser.error(f"--only: {error}")
    made = surroundings()
    results = run(left, chosen.replicates, names=names, processes=chosen.processes, progress=_Progress())
    full = chosen.replicates >= REPLICATES and not chosen.only
    text, numbers = page(results, made, full=full), written(document(results, made, full=full))
    if chosen.out is None and chosen.only:
        print(text)
    else:
        docs, judge = (ROOT / "docs", ROOT / "suite" / "judge") if chosen.out is None else (chosen.out, chosen.out)
        for path, content in ((docs / "detectors.md", text), (judge / "detectors.json", numbers)):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
            print(path)
    words = {True: "met", False: "MISSED", None: "not measured"}
    rows = list(acceptance(results))
    for row in rows:
        print(f"{words[row.met]:12} {row.what}: {row.measured} (wanted: {row.wanted})")
    return 1 if any(row.met is False for row in rows) else 0


class _Progress:
    """A line every few seconds."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, done: int, of: int, seconds: float) -> None:
        now = time.monotonic()
        if now - self._last >= 10.0 or done == of:
            self._last = now
            left = seconds / done * (of - done)
            print(f"{done} of {of} parts, {seconds / 60:.1f} min, about {left / 60:.1f} min left", flush=True)


if __name__ == "__main__":
    sys.exit(main())
