"""Bytes, digests and overflowing steps: equality under equal seeds decides, and one process is enough."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import records

from suite.judge.exact import judge_exact
from suite.judge.findings import Finding, MetricClass, Verdict
from suite.readings import Memory
from suite.record import TrialRecord

MEBIBYTE = 2**20
CELL = ("gpt", "fp16-dynamic")


def _findings(base: Sequence[TrialRecord], candidate: Sequence[TrialRecord]) -> dict[str, Finding]:
    found = list(judge_exact(CELL, (records.run(base).trials, records.run(candidate).trials)))
    assert len({finding.metric for finding in found}) == len(found)
    return {finding.metric: finding for finding in found}


def _trial(seed: int = 0, repeat: int = 0, **fields: object) -> TrialRecord:
    return records.record(spec=records.spec(*CELL, seed=seed, repeat=repeat), **fields)


# --- allocated bytes ------------------------------------------------------------------------------------------------


def _allocated(*peaks: int | None, seeds: Sequence[int] | None = None) -> list[TrialRecord]:
    """One process per peak: repeats of seed 0, or the first repeat of each of these seeds."""
    return [
        _trial(seed=0 if seeds is None else seeds[number], repeat=number if seeds is None else 0,
               memory=Memory(peak_allocated_bytes=peak))
        for number, peak in enumerate(peaks)
    ]  # fmt: skip


def _bytes(base: Sequence[TrialRecord], candidate: Sequence[TrialRecord]) -> Finding:
    return _findings(base, candidate)["peak_allocated_bytes"]


@pytest.mark.parametrize(
    ("before", "after", "verdict", "change"),
    [
        (1000, 1000, Verdict.UNCHANGED, 0.0),
        (1000, 1001, Verdict.REGRESSED, 0.001),
        (1000, 900, Verdict.IMPROVED, -0.1),
        (512 * MEBIBYTE, 513 * MEBIBYTE, Verdict.REGRESSED, 1 / 512),
        (0, 0, Verdict.UNCHANGED, None),
        (0, 5, Verdict.REGRESSED, None),
    ],
)
def test_allocated_bytes_are_compared_to_the_byte_and_one_process_is_enough(
    before: int, after: int, verdict: Verdict, change: float | None
) -> None:
    found = _bytes(_allocated(before), _allocated(after))
    assert (found.verdict, found.base, found.candidate) == (verdict, before, after)
    assert found.change == (None if change is None else pytest.approx(change))
    assert (found.processes_base, found.processes_candidate, found.reasons) == (1, 1, ())
    assert (found.metric_class, found.test, found.p) == (MetricClass.EXACT, "equality under equal seeds", None)


@pytest.mark.parametrize(
    ("before", "after", "verdict", "shown"),
    [
        # The larger of two seeds hides nothing of the smaller one.
        ((100, 200), (150, 200), Verdict.REGRESSED, (100, 150)),
        ((100, 200), (150, 190), Verdict.REGRESSED, (100, 150)),
        ((100, 200), (90, 200), Verdict.IMPROVED, (100, 90)),
        ((100, 200), (100, 200), Verdict.UNCHANGED, (100, 100)),
    ],
)
def test_one_seed_that_allocates_more_is_regressed_whatever_the_others_do(
    before: tuple[int, int], after: tuple[int, int], verdict: Verdict, shown: tuple[int, int]
) -> None:
    found = _bytes(_allocated(*before, seeds=(0, 1)), _allocated(*after, seeds=(0, 1)))
    assert (found.verdict, (found.base, found.candidate)) == (verdict, shown)


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ((5, 6, 5), (5, 7, 5), Verdict.INCONCLUSIVE),
        ((5, 5, 5), (5, 7, 5), Verdict.INCONCLUSIVE),
        ((5, 6, 5), (5, 6, 5), Verdict.UNCHANGED),
        ((5, 5, 5), (7, 7, 7), Verdict.REGRESSED),
    ],
)
def test_bytes_that_vary_between_processes_of_one_seed_cannot_be_compared_for_equality(
    before: tuple[int, ...], after: tuple[int, ...], verdict: Verdict
) -> None:
    found = _bytes(_allocated(*before), _allocated(*after))
    assert found.verdict == verdict
    assert any("vary between processes of one seed" in reason for reason in found.reasons) == (
        verdict == Verdict.INCONCLUSIVE
    )


@pytest.mark.parametrize(("before", "after"), [(None, 1000), (1000, None), (None, None)])
def test_bytes_that_were_not_measured_on_both_sides_have_no_finding(before: int | None, after: int | None) -> None:
    found = _findings(_allocated(before), _allocated(after))
    assert "peak_allocated_bytes" not in found
    assert "overflow_steps" in found


# --- the digest of the losses ---------------------------------------------------------------------------------------


def _digests(*digests: str | None, seeds: Sequence[int]) -> list[TrialRecord]:
    return [
        _trial(seed, repeat, losses_sha256=digest)
        for repeat, (seed, digest) in enumerate(zip(seeds, digests, strict=True))
    ]


def test_losses_that_are_the_same_to_the_bit_are_unchanged() -> None:
    found = _findings(_digests("a", "b", seeds=(0, 1)), _digests("a", "b", seeds=(0, 1)))["losses_sha256"]
    assert (found.verdict, found.reasons, found.metric_class) == (Verdict.UNCHANGED, (), MetricClass.EXACT)


def test_losses_that_are_not_are_changed_which_is_neither_better_nor_worse() -> None:
    base = _digests("a", "b", "c", seeds=(0, 1, 2))
    found = _findings(base, _digests("a", "x", "y", seeds=(0, 1, 2)))["losses_sha256"]
    assert found.verdict == Verdict.CHANGED
    assert found.reasons == ("the losses differ in 2 of 3 trials with equal seed",)
    assert found.change is None


def test_losses_that_do_not_repeat_under_one_seed_have_no_digest_to_compare() -> None:
    steady, unsteady = _digests("a", "a", seeds=(0, 0)), _digests("a", "b", seeds=(0, 0))
    assert "losses_sha256" not in _findings(steady, unsteady)
    assert "losses_sha256" not in _findings(unsteady, steady)
    assert _findings(steady, steady)["losses_sha256"].verdict == Verdict.UNCHANGED


def test_losses_without_a_digest_have_no_finding() -> None:
    assert "losses_sha256" not in _findings(_digests(None, seeds=(0,)), _digests("a", seeds=(0,)))


# --- overflowing steps ----------------------------------------------------------------------------------------------


def _overflowing(*steps_of_each_seed: Sequence[int]) -> list[TrialRecord]:
    return [
        _trial(seed, steps=records.trace(overflow_steps=steps, skips_overflow=True))
        for seed, steps in enumerate(steps_of_each_seed)
    ]


@pytest.mark.parametrize(
    ("before", "after", "verdict", "reasons"),
    [
        ([()], [()], Verdict.UNCHANGED, ()),
        ([(0, 1)], [(0, 1)], Verdict.UNCHANGED, ()),
        ([(0, 1)], [(0, 1, 7)], Verdict.REGRESSED, ("step 7 overflows now and did not before.",)),
        ([(0, 1, 7)], [(0, 1)], Verdict.IMPROVED, ("step 7 no longer overflows.",)),
        ([(0, 5)], [(0, 6)], Verdict.CHANGED, ("step 5 no longer overflows.",)),
        ([(0,), (3,)], [(0,), (2, 3)], Verdict.REGRESSED, ("step 2 overflows now and did not before.",)),
        ([(0,), (3,)], [(3,), (0,)], Verdict.CHANGED, ("step 0 no longer overflows.",)),
    ],
)
def test_overflowing_steps_are_compared_one_by_one_under_equal_seeds(
    before: list[tuple[int, ...]], after: list[tuple[int, ...]], verdict: Verdict, reasons: tuple[str, ...]
) -> None:
    found = _findings(_overflowing(*before), _overflowing(*after))["overflow_steps"]
    assert (found.verdict, found.reasons) == (verdict, reasons)
    assert (found.base, found.candidate) == (sum(map(len, before)), sum(map(len, after)))
    assert found.metric_class == MetricClass.EXACT


def test_only_trials_that_both_sides_have_are_compared() -> None:
    found = _findings(_overflowing((0,), (1,)), _overflowing((0,)))["overflow_steps"]
    assert (found.verdict, found.base, found.candidate) == (Verdict.UNCHANGED, 1, 1)
    assert (found.processes_base, found.processes_candidate) == (2, 1)


def test_without_a_common_seed_there_is_nothing_to_be_equal() -> None:
    assert _findings([_trial(seed=0)], [_trial(seed=5)]) == {}


def test_steps_that_do_not_repeat_under_one_seed_are_compared_by_their_number() -> None:
    def repeats(*steps: tuple[int, ...]) -> list[TrialRecord]:
        return [_trial(repeat=n, steps=records.trace(overflow_steps=at)) for n, at in enumerate(steps)]

    found = _findings(repeats((0,), (7,), (0,)), repeats((0,), (0,), (0,)))["overflow_steps"]
    assert (found.metric_class, found.verdict, found.p) == (MetricClass.COUNT, Verdict.INCONCLUSIVE, 1.0)
    assert "vary between processes of one seed" in found.notes[0]
