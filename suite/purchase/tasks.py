"""Which machines did the same work in a workload: sizes, batch, steps, optimizer, loss scaling, and the code itself.

All modes of a workload share one task, so that machines that are compared in different modes did the same as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from suite.decode import encode
from suite.store import Run

__all__ = ["Task", "odd_ones", "task_of"]

MOST_NAMED = 4
"""Differences that are named; of the others the number."""
SHORTEST_DIGEST = 8
PLAIN = {"None": "none", "True": "yes", "False": "no"}
SOURCE = "the workload's source"


@dataclass(frozen=True)
class Task:
    """Everything that must be equal, as words and values."""

    facts: tuple[tuple[str, str], ...]


def task_of(run: Run, workload: str) -> Task | None:
    """The work of the run's timed trials; None where it has none, so that there is nothing to compare."""
    rows = run.trials[(run.trials["workload"] == workload) & run.trials["effective_samples_per_second"].notna()]
    spec = next((spec for spec in run.info.plan.trials if spec.workload == workload), None)
    if spec is None or rows.empty:
        return None
    setup = encode(spec.setup) | {"scaler": encode(spec.scaler)}
    sources = sorted({str(digest)[:SHORTEST_DIGEST] for digest in rows["workload_sha256"].dropna()})
    return Task((*_flat(setup), (SOURCE, ", ".join(sources) or "not recorded")))


def odd_ones(tasks: Mapping[str, Task], voters: Collection[str]) -> dict[str, str]:
    """Run → why it is not compared, of those that did not do the usual work: all of them where none is usual.

    The usual work is what most of the `voters` did, which are the runs that could be ranked.
    """
    counted = Counter(task for run, task in tasks.items() if run in voters) or Counter(tasks.values())
    if not counted:
        return {}
    (usual, most), *others = counted.most_common(2)
    if others and others[0][1] == most:
        why = f"the machines did different work: {_differing(tasks.values(), ' and ')}"
        return dict.fromkeys(tasks, why)
    return {
        run: f"other work than most machines did: {_differing((task, usual), ', elsewhere ')}"
        for run, task in tasks.items()
        if task != usual
    }


def _flat(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for name, value in sorted(tree.items()):
        words = f"{above}{name}".replace("_", " ")
        if isinstance(value, Mapping):
            # A workload's own sizes are named as it names them.
            yield from _flat(value, "" if name == "settings" else f"{words} ")
        else:
            yield words, PLAIN.get(str(value), str(value))


def _differing(tasks: Iterable[Task], between: str) -> str:
    """`batch size 4 and 8; steps 60 and 30`."""
    facts = [dict(task.facts) for task in tasks]
    names = dict.fromkeys(name for one in facts for name in one)
    values = {name: dict.fromkeys(one.get(name, "none") for one in facts) for name in names}
    said = [f"{name} {between.join(found)}" for name, found in values.items() if len(found) > 1]
    rest = len(said) - MOST_NAMED
    return "; ".join(said[:MOST_NAMED]) + (f"; and {rest} more" if rest > 0 else "")
