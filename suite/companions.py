"""What was measured for the sake of a run and lies in its folder: blocks of an anchor, and more processes.

`<run>/anchor/runs/*` are runs of the approved baseline's code, one per block, made in turn with the run itself;
`<run>/topup/runs/*` are later processes of its undecided cells, each perhaps with an anchor of its own. Every one is an
ordinary sealed run; here they are put together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from suite.spec import TrialSpec
from suite.store import Run, list_runs, load_run

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["anchor_folder", "anchor_of", "looks_of", "topup_folder", "whole"]


def anchor_folder(run: Path) -> Path:
    """Where the anchor's blocks of a run lie, as a results folder of their own."""
    return run / "anchor"


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


def _as_block(run: Run, number: int) -> Run:
    plan = replace(run.info.plan, trials=tuple(replace(spec, repeat=number) for spec in run.info.plan.trials))
    return replace(run, info=replace(run.info, plan=plan), trials=run.trials.assign(repeat=number))


def _nested(results: Path) -> list[Run]:
    """Only finished ones: a block that was cut short is no block."""
    return [load_run(results / "runs" / info.run) for info in list_runs(results) if info.sealed_at is not None]


def _plan(looks: Sequence[Run]):  # type: ignore[no-untyped-def]
    trials: tuple[TrialSpec, ...] = tuple(spec for look in looks for spec in look.info.plan.trials)
    return replace(looks[0].info.plan, trials=trials)


def _joined(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    import pandas as pd

    return pd.concat([frame for frame in frames if len(frame)], ignore_index=True)
