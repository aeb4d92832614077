"""What was measured for the sake of a run and lies in its folder: blocks of an anchor, and more processes.

`<run>/anchor/results/runs/*` are runs of the approved baseline's code, one per block, made in turn with the run itself;
`<run>/topup/runs/*` are later processes of its undecided cells, each perhaps with an anchor of its own. Every one is an
ordinary sealed run; here they are put together.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from suite.decode import DecodeError, decode, encode
from suite.errors import DamagedResults
from suite.files import write_atomically
from suite.spec import Plan, TrialSpec
from suite.store import Run, list_runs, load_run

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "AnchorNote",
    "anchor_folder",
    "anchor_of",
    "looks_of",
    "other_code",
    "read_note",
    "topup_folder",
    "whole",
    "write_note",
]


@dataclass(frozen=True)
class AnchorNote:
    """anchor.json in the folder of a run: which baseline was run again, and what became of it."""

    baseline: str
    base_run: str
    own_python: bool = False
    """Whether an environment of its own had the code (`--anchor-python`)."""
    reason: str | None = None
    """Why there are fewer blocks than planned."""


def anchor_folder(run: Path) -> Path:
    """Where the anchor's blocks of a run lie, as a results folder of their own."""
    return run / "anchor" / "results"


def topup_folder(run: Path) -> Path:
    """Where later processes of a run lie, as a results folder of their own."""
    return run / "topup"


def looks_of(run: Run) -> list[Run]:
    """The run and its top-ups, oldest first: what was known at each look."""
    return [run, *_nested(topup_folder(run.folder))]


def whole(looks: Sequence[Run]) -> Run:
    """One run that holds the trials of all of these; the first gives its name."""
    if len(looks) == 1:
        return looks[0]
    return replace(
        looks[0],
        info=replace(looks[0].info, plan=_plan(looks)),
        trials=_joined([look.trials for look in looks]),
        steps=_joined([look.steps for look in looks]),
    )


def anchor_of(looks: Sequence[Run]) -> Run | None:
    """The anchor's trials of a run and its top-ups as one run, repeats numbered like the candidate's; None without.

    Every block of repeats has an anchor run of its own, in which the repeat is 0.
    """
    blocks: list[Run] = []
    for look in looks:
        numbers = sorted({spec.repeat for spec in look.info.plan.trials})
        nested = _nested(anchor_folder(look.folder))
        blocks += [_as_block(run, number) for run, number in zip(nested, numbers, strict=False)]
    return whole(blocks) if blocks else None


def other_code(base: Run, anchor: Run) -> str | None:
    """What shows that the anchor ran something other than the baseline did."""
    ours, theirs = base.info.environment, anchor.info.environment
    if ours.fingerprint != theirs.fingerprint:
        return "; ".join(ours.differences(theirs))
    if ours.ampmark != theirs.ampmark:
        return f"ampmark {theirs.ampmark} and not {ours.ampmark}"
    if theirs.git_commit is not None and ours.git_commit != theirs.git_commit:
        return f"commit {theirs.git_commit} and not {ours.git_commit}"
    sources = [
        {(row["workload"], row["workload_sha256"]) for _, row in run.trials[["workload", "workload_sha256"]].iterrows()}
        for run in (base, anchor)
    ]
    changed = sorted({workload for workload, _ in sources[1] - sources[0]})
    return f"the source of {', '.join(changed)} differs" if changed else None


def _as_block(run: Run, number: int) -> Run:
    plan = replace(run.info.plan, trials=tuple(replace(spec, repeat=number) for spec in run.info.plan.trials))
    return replace(run, info=replace(run.info, plan=plan), trials=run.trials.assign(repeat=number))


def _nested(results: Path) -> list[Run]:
    """Only finished ones: a block that was cut short is no block."""
    return [load_run(results / "runs" / info.run) for info in list_runs(results) if info.sealed_at is not None]


def _plan(looks: Sequence[Run]) -> Plan:
    trials: tuple[TrialSpec, ...] = tuple(spec for look in looks for spec in look.info.plan.trials)
    return replace(looks[0].info.plan, trials=trials)


def _joined(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    import pandas as pd

    return pd.concat([frame for frame in frames if len(frame)], ignore_index=True)


def write_note(folder: Path, note: AnchorNote) -> None:
    """Keep anchor.json."""
    write_atomically(folder / "anchor.json", json.dumps(encode(note), indent=1).encode())


def read_note(folder: Path) -> AnchorNote | None:
    """What anchor.json says; None where the run has no anchor."""
    path = folder / "anchor.json"
    if not path.exists():
        return None
    try:
        return decode(AnchorNote, json.loads(path.read_text(encoding="utf-8")), str(path))
    except (OSError, ValueError, DecodeError) as error:
        raise DamagedResults(f"{path} is damaged ({error}); restore it from a copy or delete the run.") from error
