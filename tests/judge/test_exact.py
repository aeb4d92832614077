"""Bytes, digests and overflowing steps: equality under equal seeds decides, and one process is enough."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
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
    said = () if before == after else (f"under seed 0 {before} bytes became {after}",)
    assert (found.processes_base, found.processes_candidate, found.reasons) == (1, 1, said)
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


VARY = "allocated bytes vary between processes of one seed, and "


@pytest.mark.parametrize(
    ("before", "after", "verdict", "shown", "p", "reason"),
    [
        # Of the C(10, 5) = 252 ways to divide ten processes one is as extreme, and its mirror.
        (
            (100, 101, 100, 100, 100),
            (200, 200, 200, 200, 200),
            Verdict.REGRESSED,
            (100.2, 200),
            2 / 252,
            VARY + "the sides are further apart than that explains (one-sided p = 0.004, level 0.01)",
        ),
        (
            (200, 201, 200, 200, 200),
            (100, 100, 100, 100, 100),
            Verdict.IMPROVED,
            (200.2, 100),
            2 / 252,
            VARY + "the sides are further apart than that explains (one-sided p = 0.004, level 0.01)",
        ),
        # Seven of the ten are larger: in C(7, 5) = 21 ways all five of the candidate, as here.
        (
            (1000, 1512, 1512, 1000, 1000),
            (1512, 1512, 1512, 1512, 1512),
            Verdict.INCONCLUSIVE,
            (1204.8, 1512),
            2 * 21 / 252,
            VARY + "the sides are no further apart than that explains (one-sided p = 0.083, level 0.01)",
        ),
        # One candidate process is as any one of six: three of five base processes needed as much.
        (
            (1000, 1512, 1512, 1000, 1512),
            (1512,),
            Verdict.INCONCLUSIVE,
            (1307.2, 1512),
            1.0,
            VARY + "5 against 1 are too few to tell the sides apart (one-sided p = 0.5, level 0.01)",
        ),
        # 1 / C(6, 3): three a side can never reach 0.01 by exchange; the logarithms are 0.35 ± 0.16 apart.
        (
            (1000, 1500, 1000),
            (1501, 1900, 1501),
            Verdict.INCONCLUSIVE,
            (3500 / 3, 4902 / 3),
            2 / 20,
            VARY + "3 against 3 are too few to tell the sides apart (one-sided p = 0.05, level 0.01)",
        ),
        # Equality says nothing here, equality of every process neither.
        (
            (5, 6, 5),
            (5, 6, 5),
            Verdict.INCONCLUSIVE,
            (16 / 3, 16 / 3),
            1.0,
            VARY + "3 against 3 are too few to tell the sides apart (one-sided p = 0.5, level 0.01)",
        ),
    ],
)
def test_bytes_that_vary_between_processes_of_one_seed_are_judged_by_exchanging_them(
    before: tuple[int, ...],
    after: tuple[int, ...],
    verdict: Verdict,
    shown: tuple[float, float],
    p: float,
    reason: str,
) -> None:
    found = _bytes(_allocated(*before), _allocated(*after))
    assert (found.verdict, found.reasons) == (verdict, (reason,))
    assert (found.base, found.candidate) == pytest.approx(shown)
    assert (found.change, found.p) == pytest.approx((shown[1] / shown[0] - 1, p))
    assert (found.values_base, found.values_candidate) == (before, after)
    assert (found.metric_class, found.test) == (MetricClass.COUNT, "permutation of processes")


@pytest.mark.parametrize(
    ("before", "after", "seen", "runs"),
    [
        # 307.2 bytes a process more. Without overlap, from 1513 on, all five of the candidate are above: 513 more than
        # 1512, and 1 / 252. By repeating these very processes 10 a side would decide.
        ((1000, 1512, 1512, 1000, 1000), (1512, 1512, 1512, 1512, 1512), (1513 - 1204.8) / 1204.8, 10),
        # Three a side: 5 % of the logarithms and Welch's test; five that do not overlap.
        ((1000, 1001, 1000), (1010, 1011, 1010), 0.05, 5),
        # So few never tell; the spread of one process is not known.
        ((1000, 1512), (2000, 2512), None, None),
        ((1000, 1512, 1000, 1512, 1000), (1000, 1512, 1000, 1512, 1000), 513 / 1204.8, None),
    ],
)
def test_varying_bytes_say_what_could_have_been_seen_and_how_many_processes_would_decide(
    before: tuple[int, ...], after: tuple[int, ...], seen: float | None, runs: int | None
) -> None:
    found = _bytes(_allocated(*before), _allocated(*after))
    assert found.verdict == Verdict.INCONCLUSIVE
    # The search ends within a thousandth of the base's mean.
    assert found.minimum_detectable == (None if seen is None else pytest.approx(seen, abs=0.0011))
    assert found.runs_to_decide == runs


def test_processes_that_agree_are_compared_for_equality_however_many_each_side_has() -> None:
    found = _bytes(_allocated(1000, 1000, 1000), _allocated(1512))
    assert (found.verdict, found.base, found.candidate) == (Verdict.REGRESSED, 1000, 1512)
    assert (found.metric_class, found.reasons) == (MetricClass.EXACT, ("under seed 0 1000 bytes became 1512",))


def _seeds(*seeds: tuple[int, ...]) -> list[TrialRecord]:
    """Of each seed one process per peak."""
    return [
        _trial(seed, repeat, memory=Memory(peak_allocated_bytes=peak))
        for seed, peaks in enumerate(seeds)
        for repeat, peak in enumerate(peaks)
    ]


def test_bytes_are_exchanged_within_each_seed_so_that_two_processes_of_many_seeds_can_tell() -> None:
    # Each seed has its own size; 1 / 6³ is below 0.01 and 1 / 6² above it.
    base, candidate = ((5, 6), (50, 51), (500, 501)), ((7, 7), (57, 58), (510, 510))
    three = _bytes(_seeds(*base), _seeds(*candidate))
    assert (three.verdict, three.p) == (Verdict.REGRESSED, pytest.approx(2 / 216))
    two = _bytes(_seeds(*base[:2]), _seeds(*candidate[:2]))
    assert (two.verdict, two.p) == (Verdict.INCONCLUSIVE, pytest.approx(2 / 36))


GIBIBYTE = 2**30


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ((0, 512, 0), (GIBIBYTE, GIBIBYTE + 512, GIBIBYTE), Verdict.REGRESSED),
        ((0, 512, 0, 512), (GIBIBYTE, GIBIBYTE + 512, GIBIBYTE, GIBIBYTE + 512), Verdict.REGRESSED),
        ((GIBIBYTE, GIBIBYTE + 512, GIBIBYTE), (0, 512, 0), Verdict.IMPROVED),
        # As sure, and below the limit of 5 %.
        ((0, 512, 0), (50 * MEBIBYTE, 50 * MEBIBYTE + 512, 50 * MEBIBYTE), Verdict.INCONCLUSIVE),
        ((0, 512, 0), (52 * MEBIBYTE, 52 * MEBIBYTE + 512, 52 * MEBIBYTE), Verdict.REGRESSED),
        # Two a side have no spread to be held against.
        ((0, 512), (GIBIBYTE, GIBIBYTE + 512), Verdict.INCONCLUSIVE),
    ],
)
def test_three_or_four_processes_are_enough_where_their_bytes_vary_little_and_differ_much(
    before: tuple[int, ...], after: tuple[int, ...], verdict: Verdict
) -> None:
    found = _bytes(*(_allocated(*[GIBIBYTE + more for more in side]) for side in (before, after)))
    assert found.verdict == verdict
    assert found.metric_class == MetricClass.COUNT
    decided = verdict is not Verdict.INCONCLUSIVE
    assert (found.test, found.limit) == (
        ("Welch on logarithms", 0.05) if decided else ("permutation of processes", None)
    )
    assert found.reasons[0].startswith(
        VARY + ("the sides are further" if decided else f"{len(before)} against {len(after)} are too few")
    )


def test_the_seed_with_enough_processes_is_not_hidden_by_another_with_fewer() -> None:
    base = _seeds((GIBIBYTE, GIBIBYTE + 512, GIBIBYTE), (5, 6))
    found = _bytes(base, _seeds((2 * GIBIBYTE, 2 * GIBIBYTE + 512, 2 * GIBIBYTE), (5,)))
    assert (found.verdict, found.processes_base, found.test) == (Verdict.REGRESSED, 3, "Welch on logarithms")


# --- seed by seed ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "candidate", "verdict", "metric_class", "note"),
    [
        # Seed 1 varies by 512 on both sides; seed 0 agrees and needs a mebibyte more, or less.
        (
            ((1000, 1000), (5000, 5512)),
            ((1000 + MEBIBYTE,) * 2, (5000, 5512)),
            Verdict.REGRESSED,
            MetricClass.EXACT,
            "where processes of a seed differ, their test says inconclusive",
        ),
        (
            ((1000 + MEBIBYTE,), (5000, 5512)),
            ((1000,), (5000, 5512)),
            Verdict.IMPROVED,
            MetricClass.EXACT,
            "where processes of a seed differ, their test says inconclusive",
        ),
        # Better under seed 0, and under seed 1 perhaps worse by more than it varies.
        (
            ((1000 + MEBIBYTE,), (5000, 5512)),
            ((1000,), (9000, 9512)),
            Verdict.INCONCLUSIVE,
            MetricClass.COUNT,
            "where the processes of a seed agree, it is improved",
        ),
        (
            ((1000, 1000), (5000, 5512)),
            ((1000, 1000), (5000, 5512)),
            Verdict.INCONCLUSIVE,
            MetricClass.COUNT,
            "where the processes of a seed agree, it is unchanged",
        ),
        # Better under seed 0, certainly worse under seed 1.
        (
            ((1000 + MEBIBYTE,), (1, 2, 3, 4, 5)),
            ((1000,), (6, 7, 8, 9, 10)),
            Verdict.REGRESSED,
            MetricClass.COUNT,
            "where the processes of a seed agree, it is improved",
        ),
    ],
)
def test_a_seed_whose_processes_agree_is_decided_by_equality_whatever_the_others_do(
    base: tuple[tuple[int, ...], ...],
    candidate: tuple[tuple[int, ...], ...],
    verdict: Verdict,
    metric_class: MetricClass,
    note: str,
) -> None:
    found = _bytes(_seeds(*base), _seeds(*candidate))
    assert (found.verdict, found.metric_class, found.notes[-1]) == (verdict, metric_class, note)
    if metric_class is MetricClass.EXACT:
        assert found.reasons == (f"under seed 0 {base[0][0]} bytes became {candidate[0][0]}",)


@pytest.mark.parametrize(("more", "verdict"), [(512, Verdict.INCONCLUSIVE), (513, Verdict.REGRESSED)])
def test_where_other_seeds_vary_a_steady_one_must_grow_by_more_than_they_do(more: int, verdict: Verdict) -> None:
    found = _bytes(_seeds((1000, 1000), (5000, 5512)), _seeds((1000 + more,) * 2, (5000, 5512)))
    assert found.verdict == verdict


def test_one_look_of_three_asks_for_a_third_of_the_level() -> None:
    # The sums 16 and 39 are one exchange, of 6 for 5, from no overlap: 2 of 252 ways are as extreme, p = 0.0079.
    sides = [records.run(_allocated(*peaks)).trials for peaks in ((1, 2, 3, 4, 6), (5, 7, 8, 9, 10))]
    found = {alpha: next(judge_exact(CELL, (sides[0], sides[1]), alpha)) for alpha in (0.01, 0.01 / 3)}
    assert {alpha: finding.verdict for alpha, finding in found.items()} == {
        0.01: Verdict.REGRESSED,
        0.01 / 3: Verdict.INCONCLUSIVE,
    }


def test_only_the_processes_of_common_seeds_say_whether_bytes_vary() -> None:
    found = _bytes(_seeds((5, 5), (8, 9)), _seeds((6,)))
    assert (found.verdict, found.base, found.candidate) == (Verdict.REGRESSED, 5, 6)


@pytest.mark.parametrize(("processes", "seeds"), [(2, 5), (5, 1), (3, 1), (4, 1)])
def test_equal_sides_of_varying_bytes_are_rarely_called_different(processes: int, seeds: int) -> None:
    """The level is 1 % on each side: of 200 draws 2 are expected, and 7 are 3.5 standard deviations more."""
    generator = np.random.default_rng(7)

    def draw() -> pd.DataFrame:
        peaks = generator.choice((1000, 1512), (seeds, processes))
        rows = [(seed, repeat, peak) for seed in range(seeds) for repeat, peak in enumerate(peaks[seed])]
        frame = pd.DataFrame(rows, columns=["seed", "repeat", "peak_allocated_bytes"])
        return frame.assign(losses_sha256=None, overflow_steps=None)

    verdicts = [next(judge_exact(CELL, (draw(), draw()))).verdict for _ in range(200)]
    assert verdicts.count(Verdict.REGRESSED) <= 7


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
    assert _findings(steady, steady)["losses_sha256"].verdict == Verdict.UNCHANGED
    for base, candidate, whose in (
        (steady, unsteady, "candidate"),
        (unsteady, steady, "base"),
        (unsteady, unsteady, "base"),
    ):
        found = _findings(base, candidate)["losses_sha256"]
        assert found.verdict == Verdict.NOT_MEASURED
        assert found.reasons == (f"the {whose}'s losses do not repeat under one seed; see the quality",)


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
        ([(0, 1)], [(0, 1, 7)], Verdict.REGRESSED, ("under seed 0 step 7 overflows now and did not before.",)),
        ([(0, 1, 7)], [(0, 1)], Verdict.IMPROVED, ("under seed 0 step 7 no longer overflows.",)),
        ([(0, 5)], [(0, 6)], Verdict.CHANGED, ("under seed 0 step 5 no longer overflows.",)),
        ([(0,), (3,)], [(0,), (2, 3)], Verdict.REGRESSED, ("under seed 1 step 2 overflows now and did not before.",)),
        ([(0,), (3,)], [(3,), (0,)], Verdict.CHANGED, ("under seed 0 step 0 no longer overflows.",)),
        # Fewer in all, and more under one seed.
        (
            [(2, 3), ()],
            [(), (4,)],
            Verdict.REGRESSED,
            (
                "under seed 1 step 4 overflows now and did not before.",
                "under 1 of 2 seeds more steps overflow, under 1 fewer",
            ),
        ),
        ([(2, 3), (4,)], [(2,), (5,)], Verdict.IMPROVED, ("under seed 0 step 3 no longer overflows.",)),
        # Of a trial with more, a step that is new.
        ([(2,)], [(5, 6)], Verdict.REGRESSED, ("under seed 0 step 5 overflows now and did not before.",)),
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


def test_steps_that_do_not_repeat_under_one_seed_are_compared_by_their_number() -> None:
    def repeats(*steps: tuple[int, ...]) -> list[TrialRecord]:
        return [_trial(repeat=n, steps=records.trace(overflow_steps=at)) for n, at in enumerate(steps)]

    found = _findings(repeats((0,), (7,), (0,)), repeats((0,), (0,), (0,)))["overflow_steps"]
    assert (found.metric_class, found.verdict, found.p) == (MetricClass.COUNT, Verdict.INCONCLUSIVE, 1.0)
    assert "vary between processes of one seed" in found.notes[0]


def _processes(*seeds: Sequence[Sequence[int]]) -> list[TrialRecord]:
    """Of each seed one process per list of overflowing steps."""
    return [
        _trial(seed, repeat, steps=records.trace(overflow_steps=at))
        for seed, processes in enumerate(seeds)
        for repeat, at in enumerate(processes)
    ]


NO_FURTHER = "the sides are no further apart than chance explains (one-sided p = 0.5, level 0.01)"


@pytest.mark.parametrize(
    ("before", "after", "verdict", "metric_class", "reason"),
    [
        # Seed 1 overflows once or twice; seed 0 always once.
        (
            (0,),
            (0, 3, 4),
            Verdict.REGRESSED,
            MetricClass.EXACT,
            "under seed 0 step 3 overflows now and did not before.",
        ),
        ((0, 3, 4), (0,), Verdict.IMPROVED, MetricClass.EXACT, "under seed 0 step 3 no longer overflows."),
        # One step more is as much as the counts of seed 1 differ.
        ((0,), (0, 3), Verdict.INCONCLUSIVE, MetricClass.COUNT, NO_FURTHER),
        ((0,), (0,), Verdict.INCONCLUSIVE, MetricClass.COUNT, NO_FURTHER),
        ((0, 3), (1, 2), Verdict.INCONCLUSIVE, MetricClass.COUNT, NO_FURTHER),
    ],
)
def test_a_seed_that_overflows_alike_is_compared_step_by_step_whatever_the_others_do(
    before: tuple[int, ...],
    after: tuple[int, ...],
    verdict: Verdict,
    metric_class: MetricClass,
    reason: str,
) -> None:
    varying = [(0,), (0, 5), (0,)]
    found = _findings(_processes([before], varying), _processes([after], varying))["overflow_steps"]
    assert (found.verdict, found.metric_class) == (verdict, metric_class)
    assert found.reasons == (reason,)


def test_counts_that_grow_under_a_varying_seed_are_an_alarm_beside_a_steady_one_that_falls() -> None:
    few, many = [(0,), (1,), (0,), (1,), (0,)], [(2, 3, 4), (2, 3, 5), (2, 3, 4), (2, 3, 5), (2, 3, 4)]
    found = _findings(_processes([(0, 1, 2)], few), _processes([(0,)], many))["overflow_steps"]
    assert (found.verdict, found.metric_class) == (Verdict.REGRESSED, MetricClass.COUNT)
    assert found.notes[-1] == "where the processes of a seed agree, it is improved"


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
