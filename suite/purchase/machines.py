"""What the machines of a comparison are called: by their device, and by what tells apart those that have the same."""

from __future__ import annotations

from collections.abc import Sequence

from suite.judge.followed import machine_labels
from suite.judge.nights import HARDWARE, machine_of
from suite.store import Run, RunInfo

__all__ = ["labels_of"]


def labels_of(runs: Sequence[Run]) -> dict[str, str]:
    """Run → what its machine is called; two machines never share a name."""
    infos = [run.info for run in runs]
    labels = machine_labels(infos)
    return {
        info.run: _distinct(info, [other for other in infos if labels[other.run] == labels[info.run]], labels)
        for info in infos
    }


def _distinct(info: RunInfo, alike: Sequence[RunInfo], labels: dict[str, str]) -> str:
    """The label; of several machines that share it also the facts that differ."""
    if len({machine_of(other) for other in alike}) == 1:
        return labels[info.run]
    facts = [name for name in HARDWARE if len({getattr(other.environment, name) for other in alike}) > 1]
    said = (f"{name.replace('_', ' ')} {getattr(info.environment, name)}" for name in facts)
    return f"{labels[info.run]} ({', '.join(said)})"
