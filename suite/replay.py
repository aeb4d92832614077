"""A recorded trial against its replay, bit for bit: the first difference, and what it means. Standard library only.

Both are records of one specification, so everything but what was measured of the machine (times, memory, energy,
clocks) must be the same value to the last bit. What was measured cannot be replayed: `verify` says nothing of it.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from suite.decode import encode
from suite.evidence import follows
from suite.record import StepTrace, TrialRecord
from suite.window import warmup_cut

__all__ = ["Conclusion", "Difference", "Verification", "conclude", "first_difference", "obstacle"]


class Conclusion(enum.StrEnum):
    """What a replay says of a record."""

    VERIFIED = "verified"
    DIFFERS = "differs"
    """Two replays agree with each other and not with the record."""
    NOT_DETERMINISTIC = "not deterministic"
    """Two replays differ from each other."""
    CONTRADICTORY = "contradicts itself"
    """The record cannot be true as it stands; nothing was replayed."""
    REPLAY_FAILED = "replay failed"
    SKIPPED = "skipped"
    """The record has no numbers to verify."""

    @property
    def failed(self) -> bool:
        """Whether the record cannot be relied on."""
        return self not in (Conclusion.VERIFIED, Conclusion.SKIPPED)


@dataclass(frozen=True)
class Difference:
    """The first value that is not the same; `step` counts from 0 and is None outside the training loop."""

    what: str
    recorded: str
    replayed: str
    step: int | None = None

    def words(self, sides: tuple[str, str] = ("recorded", "replayed")) -> str:
        """`loss of step 3: 0.25 recorded, 0.5 replayed`."""
        place = self.what if self.step is None else f"{self.what} of step {self.step}"
        return f"{place}: {self.recorded} {sides[0]}, {self.replayed} {sides[1]}"


@dataclass(frozen=True)
class Verification:
    """What became of one recorded trial."""

    trial: str
    workload: str
    precision: str
    conclusion: Conclusion
    reason: str | None = None
    """One sentence on every conclusion but `verified`, which may have one."""
    difference: Difference | None = None
    """Of the record and its replay; of the two replays where training is not deterministic."""


def obstacle(recorded: TrialRecord) -> Verification | None:
    """Why a record is not replayed: it has no numbers, or it contradicts itself."""
    against = _contradiction(recorded)
    if against is not None:
        return _said(recorded, Conclusion.CONTRADICTORY, f"{against}: the record was changed after it was made.")
    if recorded.steps is None or recorded.attestation is None:
        return _said(recorded, Conclusion.SKIPPED, f"{recorded.outcome}: {recorded.reason}")
    return None


def _contradiction(recorded: TrialRecord) -> str | None:
    """What no trial ends with; None for a record that may be true."""
    steps, attestation = recorded.steps, recorded.attestation
    if recorded.outcome.measured:
        needed = {"steps": steps, "quality": recorded.quality, "attestation": attestation}
        missing = [name for name, value in needed.items() if value is None]
        if missing:
            return f"its outcome is {recorded.outcome}, but it has no {', '.join(missing)}"
    if attestation is not None and not follows(attestation):
        return f"it claims to have run in {attestation.effective!r}, which its own census and probe do not show"
    if steps is not None and steps.warmup_steps != warmup_cut(steps.seconds, recorded.spec.setup.warmup_steps):
        return f"its warm-up of {steps.warmup_steps} steps is not what its step times give"
    return None


def conclude(recorded: TrialRecord, first: TrialRecord, second: TrialRecord | None) -> Verification:
    """The verdict on a record; `second` is another replay, needed where the first one differs.

    Raises:
        ValueError: the first replay differs, and there is no second one.
    """
    if first.steps is None:
        return _said(recorded, Conclusion.REPLAY_FAILED, f"{first.outcome}: {first.reason}")
    difference = first_difference(recorded, first)
    other_source = recorded.workload_sha256 not in (None, first.workload_sha256)
    if difference is None:
        return _said(recorded, Conclusion.VERIFIED, f"{_OTHER_SOURCE}, with the same result." if other_source else None)
    if second is None:
        raise ValueError(f"{recorded.spec.trial_id} differs from its replay; give a second replay.")
    if second.steps is None:
        return _said(recorded, Conclusion.REPLAY_FAILED, f"{second.outcome}: {second.reason}", difference)
    between = first_difference(first, second)
    if between is not None:
        return _said(
            recorded,
            Conclusion.NOT_DETERMINISTIC,
            f"two replays differ ({between.words(('once', 'then'))}): training is not deterministic on this machine, "
            "even in deterministic mode.",
            between,
        )
    found = f"{difference.words()}; two replays agree"
    reason = f"{_OTHER_SOURCE}; {found}." if other_source else f"{found}: {_cause(recorded)}."
    return _said(recorded, Conclusion.DIFFERS, reason, difference)


def first_difference(recorded: TrialRecord, replayed: TrialRecord) -> Difference | None:
    """The first value, in the order of training, that is not the same to the last bit; None where all are.

    Compared: digest of the initial parameters and buffers; step by step the loss scale, the loss, whether it
    overflowed, the gradient norm; the scale after the last step; digests of the loss curve and of the final parameters
    and buffers; the quality; the attestation; the outcome; then everything else in a record but `MEASURED`. A quantity
    that the record of an older schema lacks is left out.
    """
    older = recorded.schema < replayed.schema
    for what, step, ours, theirs in chain(
        _before(recorded, replayed),
        _steps(recorded.steps, replayed.steps),
        _after(recorded, replayed),
        _everything_else(encode(recorded), encode(replayed)),
    ):
        if not (older and ours in (None, {})) and _bits(ours) != _bits(theirs):
            return Difference(what, _bits(ours), _bits(theirs), step)
    return None


_Pair = tuple[str, int | None, object, object]


def _before(recorded: TrialRecord, replayed: TrialRecord) -> Iterator[_Pair]:
    yield "digest of the initial weights", None, recorded.initial_sha256, replayed.initial_sha256


def _steps(ours: StepTrace | None, theirs: StepTrace | None) -> Iterator[_Pair]:
    if ours is None or theirs is None:
        return
    series = (
        ("loss scale", ours.scales, theirs.scales),
        ("loss", ours.losses, theirs.losses),
        ("overflow", ours.overflowed, theirs.overflowed),
        ("gradient norm", ours.gradient_norms, theirs.gradient_norms),
    )
    for step in range(min(len(ours.losses), len(theirs.losses))):
        for what, before, after in series:
            yield what, step, before and before[step], after and after[step]
    yield "number of steps", None, len(ours.losses), len(theirs.losses)
    yield "loss scale after the last step", None, ours.last_scale, theirs.last_scale


def _after(recorded: TrialRecord, replayed: TrialRecord) -> Iterator[_Pair]:
    yield "digest of the loss curve", None, recorded.losses_sha256, replayed.losses_sha256
    yield "digest of the final weights", None, recorded.parameters_sha256, replayed.parameters_sha256
    if recorded.quality is not None:
        metrics = {} if replayed.quality is None else replayed.quality.metrics
        for name, value in recorded.quality.metrics.items():
            yield f"held-out {name}", None, value, metrics.get(name)
    if recorded.attestation is not None and replayed.attestation is not None:
        ours, theirs = recorded.attestation, replayed.attestation
        yield "effective precision", None, ours.effective, theirs.effective
        yield "operator census", None, sorted(ours.operations.items()), sorted(theirs.operations.items())
        for name, error in ours.probe_errors.items():
            yield f"probe error of {name}", None, error, theirs.probe_errors.get(name)
    yield "outcome", None, recorded.outcome.value, replayed.outcome.value


MEASURED = frozenset(
    {
        *("schema", "order", "started_at", "start_seconds", "total_seconds", "build_seconds", "evaluate_seconds"),
        *("memory", "energy", "hardware", "ceiling", "operators", "operators_reason", "cautions", "log_tail"),
        *("compilation.seconds", "compilation.recompiled_in_window", "steps.seconds", "steps.warmup_steps"),
    }
)
"""What two runs of one trial may differ in, as paths of fields."""
_ELSEWHERE = frozenset({"spec", "workload_sha256", "reason"})
"""What is equal by construction; what has a sentence of its own; the outcome in words."""


def _everything_else(ours: Mapping[str, Any], theirs: Mapping[str, Any], at: str = "") -> Iterator[_Pair]:
    """Every other field, so that none that is added one day is forgotten here."""
    for name, value in ours.items():
        path = f"{at}{name}"
        if path in MEASURED or path in _ELSEWHERE:
            continue
        other = theirs.get(name)
        if path in ("steps", "attestation", "quality", "compilation") and isinstance(value, dict):
            yield from _everything_else(value, other or {}, f"{path}.")
        else:
            yield path, None, value, other


def _bits(value: object) -> str:
    """Text that is equal exactly where the values are, to the last bit; all NaNs are one, for JSON keeps no payload."""
    # repr of a float is the shortest text that reads back as the same float, and keeps the sign of zero.
    return value if isinstance(value, str) else repr(value)


_OTHER_SOURCE = "the workload's source file is not the recorded one"


def _cause(recorded: TrialRecord) -> str:
    elsewhere = "this machine repeats itself, so the record was made by other code, weights, data or settings"
    if recorded.spec.deterministic or (recorded.spec.device == "cpu" and not recorded.spec.setup.compile):
        return elsewhere
    # On CUDA, and in Inductor's kernels on a CPU, ordinary sums may be added up in any order.
    return f"{elsewhere}, or by ordinary kernels; `ampmark run --deterministic` makes records that can be verified"


def _said(
    recorded: TrialRecord, conclusion: Conclusion, reason: str | None, difference: Difference | None = None
) -> Verification:
    spec = recorded.spec
    return Verification(spec.trial_id, spec.workload, spec.precision, conclusion, reason, difference)
