"""In place of `suite.runner.run_plan`: trials that are not run, and go well."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import records

from suite.runner import Event, Finished, Machine, Started
from suite.spec import Plan

#: What the survey finds where it is replaced as well.
MACHINE = Machine(records.environment(), None)


@dataclass
class FakeRunner:
    """Every trial ends well, and its steps take the next of `seconds`, the last one for ever."""

    seconds: list[float] = field(default_factory=lambda: [0.1])
    started: list[str] = field(default_factory=list)
    interrupted_at: str | None = None
    """Id of the trial during which Ctrl-C is pressed."""

    def __call__(self, plan: Plan, machine: Machine, skip: frozenset[str] = frozenset()) -> Iterator[Event]:
        assert machine is MACHINE
        for index, spec in enumerate(plan.trials):
            if spec.trial_id in skip:
                continue
            self.started.append(spec.trial_id)
            yield Started(index, len(plan.trials), spec)
            if spec.trial_id == self.interrupted_at:
                raise KeyboardInterrupt
            seconds = self.seconds.pop(0) if len(self.seconds) > 1 else self.seconds[0]
            record = records.record(spec=spec, order=index, steps=records.trace(seconds))
            yield Finished(record, log=f"log of {spec.trial_id}")
