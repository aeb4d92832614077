"""A plan carried out and stored, alone or in turn with an anchor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from suite import runner, store
from suite.anchor import Anchor, blocks, run_block
from suite.companions import AnchorNote, write_note
from suite.errors import AnchorFailed
from suite.runner import AnchorBlock, Event, Finished, Machine
from suite.spec import TrialSpec
from suite.store import Run

__all__ = ["RunInterruptedError", "execute"]


class RunInterruptedError(KeyboardInterrupt):
    """Ctrl-C during a run: every finished trial is kept, and `run` says which run it was."""

    def __init__(self, run: str) -> None:
        super().__init__(f"run {run} was interrupted")
        self.run = run


def execute(
    writer: store.RunWriter, machine: Machine, on_event: Callable[[Event], None], anchor: Anchor | None = None
) -> Run:
    """Run every trial that has no record yet, store each as it ends, seal the run.

    Raises:
        RunInterruptedError: an interrupt; what has ended is kept.
    """
    try:
        if anchor is None:
            _run_trials(writer, machine, on_event, writer.finished)
        else:
            _run_in_turn(writer, machine, on_event, anchor)
        return writer.seal()
    except KeyboardInterrupt:
        raise RunInterruptedError(writer.info.run) from None


def _run_trials(
    writer: store.RunWriter, machine: Machine, on_event: Callable[[Event], None], skip: frozenset[str]
) -> None:
    for event in runner.run_plan(writer.info.plan, machine, skip=skip):
        if isinstance(event, Finished):
            writer.append(event.record, event.log)
        on_event(event)


def _run_in_turn(writer: store.RunWriter, machine: Machine, on_event: Callable[[Event], None], anchor: Anchor) -> None:
    """Anchor, candidate, candidate, anchor, …: a machine that drifts evenly moves both alike.

    An anchor that fails costs the candidate nothing: it ends there, and anchor.json says why.
    """
    note = AnchorNote(anchor.approval.name, anchor.approval.run, own_python=anchor.path is None)
    write_note(writer.folder, note)
    every = {spec.trial_id for spec in writer.info.plan.trials}
    for number, block in enumerate(blocks(writer.info.plan)):
        others = frozenset(every - {spec.trial_id for spec in block}) | writer.finished

        def candidate_block(others: frozenset[str] = others) -> None:
            _run_trials(writer, machine, on_event, others)

        def anchor_block(block: tuple[TrialSpec, ...] = block) -> None:
            nonlocal note
            if note.reason is not None:
                return
            on_event(AnchorBlock(anchor.approval.name, len(block)))
            try:
                run_block(anchor, writer.folder, block)
            except AnchorFailed as error:
                note = replace(note, reason=str(error))
                write_note(writer.folder, note)

        for turn in (anchor_block, candidate_block) if number % 2 == 0 else (candidate_block, anchor_block):
            turn()
