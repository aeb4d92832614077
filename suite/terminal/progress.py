"""What a person sees while a run lasts. rich does the drawing."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from suite.record import TrialRecord
from suite.rows import trial_row
from suite.runner import AnchorBlock, Event, Finished, Phase, Started
from suite.terminal.console import milliseconds, number

if TYPE_CHECKING:
    from suite.api import Planned

__all__ = ["RunDisplay"]


class RunDisplay:
    """A live bar with the remaining time on a terminal, one plain line per trial elsewhere.

    It draws once a second and is told of phases, not of steps: on a machine with two cores a livelier display would
    be part of what is measured.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        # Messages go to stderr where stdout carries a document.
        self._console = Console(stderr=quiet, highlight=False, markup=False, emoji=False, soft_wrap=True)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self._console,
            refresh_per_second=1,
            transient=True,
            disable=not self._console.is_terminal,
            speed_estimate_period=3600,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> RunDisplay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def surveying(self) -> None:
        """Torch is being loaded, once for all trials."""
        self._console.print("loading torch and the model libraries (some seconds, once) …")

    def planned(self, planned: Planned) -> None:
        """What is about to run, and where."""
        environment, plan = planned.machine.environment, planned.plan
        self._console.print(
            f"{len(plan.trials)} trials, profile {plan.profile}, on {environment.device_name} "
            f"({environment.threads} CPU threads, torch {environment.torch})"
        )

    def on_event(self, event: Event) -> None:
        """Keep up with the run."""
        if self._task is None:
            self._task = self._progress.add_task("starting", total=None)
            self._progress.start()
        if isinstance(event, Started):
            self._progress.update(self._task, description=event.spec.trial_id, total=event.total, completed=event.index)
        elif isinstance(event, Phase):
            self._progress.update(self._task, description=f"{event.spec.trial_id}: {event.name}")
        elif isinstance(event, Finished):
            self.advance(_one_line(event.record))
        elif isinstance(event, AnchorBlock):
            trials = f"{event.trials} trial{'s' * (event.trials > 1)}"
            self._console.print(f"baseline {event.baseline!r} is run in turn: {trials} of its code …")

    def advance(self, line: str) -> None:
        """One trial is over; `line` says how."""
        if self._task is not None:
            self._progress.update(self._task, advance=1)
        self._console.print(line)

    def note(self, line: str) -> None:
        """Something to know that is no trial's."""
        self._console.print(line)

    def interrupted(self, run: str) -> None:
        """Ctrl-C."""
        self._progress.stop()
        self._console.print(f"interrupted; every finished trial is kept. Complete with: ampmark run --resume {run}")


def _one_line(record: TrialRecord) -> str:
    row = trial_row(record, "")
    parts = [f"{record.spec.trial_id:28} {record.outcome.value}"]
    if record.outcome.measured:
        parts.append("not timed" if record.spec.deterministic else f"{milliseconds(row['step_seconds_median'])} a step")
        parts.append(f"loss {number(row['first_loss'])} → {number(row['final_loss'])}")
        parts.append(f"{row['quality_metric']} {number(row['quality'])}")
        parts.append(f"{row['overflow_count']} overflows")
        parts += [f"! {caution.code}" for caution in record.cautions]
    elif record.reason:
        parts.append(record.reason)
    return " · ".join(parts)
