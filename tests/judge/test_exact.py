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
        # 6 against 6: a tie is no gap.
        ((5, 6, 5), (6, 7, 7), Verdict.INCONCLUSIVE),
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


@pytest.mark.parametrize(
    ("before", "after", "verdict", "shown"),
    [
        ((100, 100, 100, 100, 100), (200, 201, 200, 200, 200), Verdict.REGRESSED, (100, 200)),
        ((100, 101, 100, 100, 100), (200, 200, 200, 200, 200), Verdict.REGRESSED, (101, 200)),
        ((200, 201, 200, 200, 200), (100, 100, 100, 100, 100), Verdict.IMPROVED, (200, 100)),
    ],
)
def test_a_byte_of_jitter_does_not_hide_bytes_that_do_not_overlap(
    before: tuple[int, ...], after: tuple[int, ...], verdict: Verdict, shown: tuple[int, int]
) -> None:
    found = _bytes(_allocated(*before), _allocated(*after))
    assert (found.verdict, (found.base, found.candidate)) == (verdict, shown)
    assert "allocated bytes vary between processes of one seed on one side, but" in found.reasons[0]


@pytest.mark.parametrize(
    ("after", "verdict"),
    [
        # Seed 1 needs more whatever seed 0 does; less is better only if both need less.
        (((4, 4), (9, 8)), Verdict.REGRESSED),
        (((3, 2), (4, 4)), Verdict.IMPROVED),
        (((3, 2), (5, 4)), Verdict.INCONCLUSIVE),
        # A gap that is no wider than what one side varies by may be chance.
        (((6, 8), (5, 5)), Verdict.INCONCLUSIVE),
    ],
)
def test_with_jitter_one_seed_is_enough_to_be_worse_and_all_are_needed_to_be_better(
    after: tuple[tuple[int, int], ...], verdict: Verdict
) -> None:
    def side(seeds: tuple[tuple[int, int], ...]) -> list[TrialRecord]:
        return [
            _trial(seed, repeat, memory=Memory(peak_allocated_bytes=peak))
            for seed, peaks in enumerate(seeds)
            for repeat, peak in enumerate(peaks)
        ]

    assert _bytes(side(((5, 5), (5, 5))), side(after)).verdict == verdict


def test_a_process_whose_bytes_are_not_known_hides_none_of_the_others() -> None:
    found = _bytes(_allocated(100, 100, 100, 100, 100), _allocated(500, 500, None, 500, 500))
    assert (found.verdict, found.base, found.candidate) == (Verdict.REGRESSED, 100, 500)
    assert found.notes == ("1 of 5 pairs of trials lack a value and are left out",)


def test_bytes_that_the_candidate_alone_lacks_are_said_not_to_be_measured() -> None:
    found = _bytes(_allocated(1000, 1000), _allocated(None, None))
    assert (found.verdict, found.reasons) == (Verdict.NOT_MEASURED, ("the candidate has no value, the base has",))
    crossed = _bytes(_allocated(1000, None), _allocated(None, 1000))
    assert crossed.verdict == Verdict.NOT_MEASURED
    assert crossed.reasons == ("no trial with the same seed and repeat has a value on both sides",)


@pytest.mark.parametrize("after", [1000, None])
def test_bytes_that_the_base_does_not_have_have_no_finding(after: int | None) -> None:
    found = _findings(_allocated(None), _allocated(after))
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
    assert "losses_sha256" not in _findings(unsteady, unsteady)
    assert "losses_sha256" not in _findings(unsteady, steady)
    assert _findings(steady, steady)["losses_sha256"].verdict == Verdict.UNCHANGED
    found = _findings(steady, unsteady)["losses_sha256"]
    assert found.verdict == Verdict.NOT_MEASURED
    assert found.reasons == ("the candidate's losses do not repeat under one seed; see the quality",)


def test_a_base_without_a_digest_has_no_finding_and_a_candidate_without_one_says_so() -> None:
    assert "losses_sha256" not in _findings(_digests(None, seeds=(0,)), _digests("a", seeds=(0,)))
    lost = _findings(_digests("a", seeds=(0,)), _digests(None, seeds=(0,)))["losses_sha256"]
    assert (lost.verdict, lost.reasons) == (Verdict.NOT_MEASURED, ("the candidate has no value, the base has",))


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
        # Fewer in all, and more under one seed.
        (
            [(2, 3), ()],
            [(), (4,)],
            Verdict.REGRESSED,
            (
                "step 4 overflows now and did not before.",
                "under equal seeds 1 of 2 trials overflow more often, 1 less often",
            ),
        ),
        ([(2, 3), (4,)], [(2,), (5,)], Verdict.IMPROVED, ("step 3 no longer overflows.",)),
        # Of a trial with more, a step that is new.
        ([(2,)], [(5, 6)], Verdict.REGRESSED, ("step 5 overflows now and did not before.",)),
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


def test_without_a_common_seed_every_metric_of_the_base_says_so() -> None:
    memory = Memory(peak_allocated_bytes=7)
    found = _findings([_trial(0, memory=memory), _trial(1, memory=memory)], [_trial(5, memory=memory)])
    assert {metric: finding.verdict for metric, finding in found.items()} == {
        "peak_allocated_bytes": Verdict.NOT_MEASURED,
        "losses_sha256": Verdict.NOT_MEASURED,
        "overflow_steps": Verdict.NOT_MEASURED,
    }
    assert {f.reasons for f in found.values()} == {("no common seeds: the base has 0, 1, the candidate 5",)}


def test_where_only_some_seeds_are_common_a_note_names_them() -> None:
    found = _findings([_trial(0), _trial(1)], [_trial(1), _trial(2)])
    said = "only the common seeds are compared (1): the base has 0, 1, the candidate 1, 2"
    assert {(f.verdict, f.notes) for f in found.values()} == {(Verdict.UNCHANGED, (said,))}


def test_an_overflow_that_must_not_be_needs_no_common_seed() -> None:
    base = [records.record(spec=records.spec(seed=0))]
    candidate = [records.record(spec=records.spec(seed=5), steps=records.trace(overflow_steps=(3,)))]
    found = list(judge_exact(("gpt", "fp32"), (records.run(base).trials, records.run(candidate).trials)))
    assert [f.verdict for f in found if f.metric == "overflow_steps"] == [Verdict.REGRESSED]


def test_steps_that_do_not_repeat_under_one_seed_are_compared_by_their_number() -> None:
    def repeats(*steps: tuple[int, ...]) -> list[TrialRecord]:
        return [_trial(repeat=n, steps=records.trace(overflow_steps=at)) for n, at in enumerate(steps)]

    found = _findings(repeats((0,), (7,), (0,)), repeats((0,), (0,), (0,)))["overflow_steps"]
    assert (found.metric_class, found.verdict, found.p) == (MetricClass.COUNT, Verdict.INCONCLUSIVE, 1.0)
    assert "vary between processes of one seed" in found.notes[0]


def test_counts_are_compared_under_common_seeds_alone() -> None:
    def side(*seeds: int, steps: Sequence[tuple[int, ...]]) -> list[TrialRecord]:
        return [
            _trial(seed, repeat, steps=records.trace(overflow_steps=at))
            for seed in seeds
            for repeat, at in enumerate(steps)
        ]

    varying = [(0,), (7,), (0,)]
    found = _findings(side(0, 1, steps=varying), side(1, 2, steps=varying))["overflow_steps"]
    assert (found.processes_base, found.processes_candidate) == (3, 3)
    assert found.notes[0] == "only the common seeds are compared (1): the base has 0, 1, the candidate 1, 2"
