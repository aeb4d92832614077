"""Candidate against base: which verdict, from which evidence, in which words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import records

from suite.errors import Incomparable
from suite.judge.findings import Finding, Verdict, Verdicts
from suite.judge.gate import compare_runs
from suite.readings import Memory
from suite.record import Caution, Outcome, TrialRecord
from suite.spec import OptimizerSpec

STEADY = (0.1000, 0.1001, 0.0999, 0.10005, 0.09995)
"""Five processes that agree within 0.1 %."""
UNSTEADY = (0.100, 0.102, 0.098, 0.1015, 0.0985)
"""Five processes that agree within 2 %."""
NOISY = (0.100, 0.112, 0.090, 0.105, 0.095)
"""Five processes that agree within 10 %."""


def _compare(base: Sequence[TrialRecord], candidate: Sequence[TrialRecord]) -> Verdicts:
    return compare_runs(records.run(base), records.run(candidate, "candidate"))


def _finding(base: Sequence[TrialRecord], candidate: Sequence[TrialRecord], metric: str) -> Finding:
    """The only finding of this metric."""
    (found,) = [finding for finding in _compare(base, candidate).findings if finding.metric == metric]
    return found


def _times(base: Sequence[float], candidate: Sequence[float], **fields: Any) -> Finding:
    return _finding(records.cell(base), records.cell(candidate, **fields), "step_seconds")


def _scaled(seconds: Sequence[float], factor: float) -> list[float]:
    return [value * factor for value in seconds]


# --- step time ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("factor", "verdict"),
    [
        (1.0, Verdict.UNCHANGED),
        (1.01, Verdict.UNCHANGED),
        (1.0195, Verdict.INCONCLUSIVE),
        (1.021, Verdict.REGRESSED),
        (1.5, Verdict.REGRESSED),
        (1 / 1.01, Verdict.UNCHANGED),
        (1 / 1.0195, Verdict.INCONCLUSIVE),
        (1 / 1.021, Verdict.IMPROVED),
        (0.5, Verdict.IMPROVED),
    ],
)
def test_steady_processes_are_judged_by_the_floor_of_two_percent(factor: float, verdict: Verdict) -> None:
    found = _times(STEADY, _scaled(STEADY, factor))
    assert found.verdict == verdict
    assert found.change == pytest.approx(factor - 1)
    assert (found.base, found.candidate) == pytest.approx((0.1, 0.1 * factor), rel=1e-4)


@pytest.mark.parametrize("factor", [0.95, 0.98, 1.0, 1.03, 1.06])
def test_swapping_the_sides_mirrors_the_verdict(factor: float) -> None:
    mirror = {Verdict.REGRESSED: Verdict.IMPROVED, Verdict.IMPROVED: Verdict.REGRESSED}
    one, other = _times(STEADY, _scaled(STEADY, factor)), _times(_scaled(STEADY, factor), STEADY)
    assert other.verdict == mirror.get(one.verdict, one.verdict)


def test_noisy_processes_are_inconclusive_with_what_could_have_been_seen_and_what_would_decide() -> None:
    found = _times(UNSTEADY, _scaled(UNSTEADY, 1.01))
    assert found.verdict == Verdict.INCONCLUSIVE
    assert found.change == pytest.approx(0.01)
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0 < found.high
    # The standard deviation of the logarithms is 1.77 %, its error √(2 / 5) of that; the non-central t with 8 degrees
    # of freedom exceeds t(0.99, 8) = 2.896 nine times in ten from a noncentrality of 4.384 on.
    assert found.minimum_detectable == pytest.approx(math.expm1(4.384 * 0.0177 * math.sqrt(2 / 5)), abs=0.0002)
    # ln 1.01 + t(0.95, 2K − 2) · 1.77 % · √(2 / K) is 0.0199 for K = 18 and 0.0197 for K = 19; ln 1.02 is 0.0198.
    assert found.runs_to_decide == 19
    assert (found.processes_base, found.processes_candidate) == (5, 5)


def test_a_decided_cell_needs_no_more_runs() -> None:
    assert _times(STEADY, STEADY).runs_to_decide is None
    assert _times(STEADY, _scaled(STEADY, 1.1)).runs_to_decide is None


@pytest.mark.parametrize(("base", "candidate"), [(1, 1), (2, 2), (2, 9), (5, 1)])
def test_one_or_two_processes_are_never_conclusive(base: int, candidate: int) -> None:
    found = _times([0.1] * base, [1.0] * candidate)
    assert found.verdict == Verdict.INCONCLUSIVE
    assert found.reasons == (f"{base} against {candidate} processes; at least 3 on each side are needed (5 are usual)",)
    assert found.runs_to_decide is None
    assert (found.change, found.p_adjusted, found.low) == (pytest.approx(9.0), None, None)


def test_three_processes_on_each_side_are_enough_for_a_large_change() -> None:
    assert _times(STEADY[:3], _scaled(STEADY[:3], 1.1)).verdict == Verdict.REGRESSED


def test_unequal_numbers_of_processes_are_compared() -> None:
    found = _times(STEADY, _scaled(STEADY[:3], 1.1))
    assert (found.verdict, found.processes_base, found.processes_candidate) == (Verdict.REGRESSED, 5, 3)


def test_processes_that_all_took_the_same_time_are_judged_exactly() -> None:
    assert _times([0.1] * 5, [0.1] * 5).verdict == Verdict.UNCHANGED
    assert _times([0.1] * 5, [0.103] * 5).verdict == Verdict.REGRESSED
    assert _times([0.103] * 5, [0.1] * 5).verdict == Verdict.IMPROVED


def test_one_side_without_noise_does_not_make_the_other_certain() -> None:
    assert _times([0.1] * 5, _scaled(NOISY, 1.03)).verdict == Verdict.INCONCLUSIVE
    assert _times([0.1] * 5, _scaled(STEADY, 1.03)).verdict == Verdict.REGRESSED


CAUTION = (Caution("clock_throttled", "cool it"),)


@pytest.mark.parametrize("factor", [1.0, 1.1, 0.9])
def test_a_throttled_trial_makes_any_verdict_on_time_inconclusive(factor: float) -> None:
    candidate = records.cell(_scaled(STEADY, factor))
    candidate[1] = replace(candidate[1], cautions=CAUTION)
    found = _finding(records.cell(STEADY), candidate, "step_seconds")
    assert (found.verdict, found.reasons) == (Verdict.INCONCLUSIVE, ("clock_throttled in 1 of 10 trials",))
    assert found.runs_to_decide is None
    assert found.change == pytest.approx(factor - 1)


def test_cautions_of_both_sides_are_counted() -> None:
    found = _finding(records.cell(STEADY, cautions=CAUTION), records.cell(STEADY, cautions=CAUTION), "step_seconds")
    assert found.reasons == ("clock_throttled in 10 of 10 trials",)


# --- the family -----------------------------------------------------------------------------------------------------

#: Logarithms 0 ± 0.01 and 0.05 ± 0.01, three processes each: p = 0.0018 (tests/judge/test_stats.py).
BASE_P18 = tuple(np.exp([-0.01, 0.0, 0.01]))
CANDIDATE_P18 = tuple(np.exp([0.04, 0.05, 0.06]))


def _family(size: int) -> Finding:
    """The finding on one slow cell among `size`, of which all others took exactly the same time."""
    names = [f"quiet{number}" for number in range(size - 1)]
    quiet = [record for name in names for record in records.cell([0.1] * 3, name)]
    verdicts = _compare([*quiet, *records.cell(BASE_P18, "slow")], [*quiet, *records.cell(CANDIDATE_P18, "slow")])
    (found,) = [f for f in verdicts.findings if (f.workload, f.metric) == ("slow", "step_seconds")]
    assert verdicts.count(Verdict.REGRESSED) == (found.verdict == Verdict.REGRESSED)
    return found


@pytest.mark.parametrize(
    ("size", "verdict"), [(1, Verdict.REGRESSED), (13, Verdict.REGRESSED), (14, Verdict.INCONCLUSIVE)]
)
def test_evidence_must_survive_the_size_of_the_family(size: int, verdict: Verdict) -> None:
    found = _family(size)
    assert found.p_adjusted == pytest.approx(2 * 0.0018 * size, rel=0.01)
    assert found.verdict == verdict


def test_a_cell_with_too_few_processes_does_not_enlarge_the_family() -> None:
    lonely = [record for number in range(30) for record in records.cell([0.1], f"lonely{number}")]
    verdicts = _compare([*lonely, *records.cell(BASE_P18, "slow")], [*lonely, *records.cell(CANDIDATE_P18, "slow")])
    slow = next(f for f in verdicts.findings if f.workload == "slow")
    assert (slow.verdict, slow.p_adjusted) == (Verdict.REGRESSED, pytest.approx(0.0036, rel=0.01))


def _runs(logarithms: np.ndarray, offset: float = 0.0) -> list[TrialRecord]:
    """One cell per row."""
    seconds = 0.1 * np.exp(logarithms + offset)
    return [r for number, row in enumerate(seconds) for r in records.cell(row.tolist(), f"cell{number}")]


def _time_verdicts(base: list[TrialRecord], candidate: list[TrialRecord]) -> list[Verdict]:
    return [f.verdict for f in _compare(base, candidate).findings if f.metric == "step_seconds"]


def test_nothing_is_alarmed_in_many_cells_where_nothing_changed() -> None:
    """100 cells, five processes a side, 0.6 % between processes: no alarm, and nearly all are shown unchanged."""
    noise = np.random.default_rng(1).normal(0.0, 0.006, size=(2, 100, 5))
    found = _time_verdicts(_runs(noise[0]), _runs(noise[1]))
    assert found.count(Verdict.REGRESSED) + found.count(Verdict.IMPROVED) == 0
    assert found.count(Verdict.UNCHANGED) >= 90


def test_three_percent_are_found_nine_times_in_ten() -> None:
    noise = np.random.default_rng(2).normal(0.0, 0.006, size=(2, 60, 5))
    found = _time_verdicts(_runs(noise[0]), _runs(noise[1], offset=np.log(1.03)))
    assert found.count(Verdict.REGRESSED) >= 54
    assert found.count(Verdict.IMPROVED) == 0


def test_very_noisy_cells_where_nothing_changed_are_hardly_ever_alarmed() -> None:
    """Six nights of 20 cells with 10 % between processes: the floor is no help here, the tests must hold."""
    alarms = undecided = 0
    for noise in np.random.default_rng(3).normal(0.0, 0.10, size=(6, 2, 20, 5)):
        found = _time_verdicts(_runs(noise[0]), _runs(noise[1]))
        alarms += found.count(Verdict.REGRESSED) + found.count(Verdict.IMPROVED)
        undecided += found.count(Verdict.INCONCLUSIVE)
    assert alarms <= 2
    assert undecided >= 116


# --- exact quantities -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "verdict", "change"),
    [
        (1000, 1000, Verdict.UNCHANGED, 0.0),
        (1000, 1001, Verdict.REGRESSED, 0.001),
        (1000, 900, Verdict.IMPROVED, -0.1),
        (0, 0, Verdict.UNCHANGED, None),
        (0, 5, Verdict.REGRESSED, None),
    ],
)
def test_peak_memory_is_compared_by_the_byte_and_one_process_is_enough(
    before: int, after: int, verdict: Verdict, change: float | None
) -> None:
    base = records.cell([0.1], memory=Memory(peak_allocated_bytes=before))
    candidate = records.cell([0.1], memory=Memory(peak_allocated_bytes=after))
    found = _finding(base, candidate, "peak_allocated_bytes")
    assert (found.verdict, found.base, found.candidate) == (verdict, before, after)
    assert found.change == (None if change is None else pytest.approx(change))
    assert (found.processes_base, found.processes_candidate) == (1, 1)


@pytest.mark.parametrize(("before", "after"), [(None, 1000), (1000, None), (None, None)])
def test_memory_that_was_not_measured_on_both_sides_has_no_finding(before: int | None, after: int | None) -> None:
    base = records.cell([0.1], memory=Memory(peak_allocated_bytes=before))
    candidate = records.cell([0.1], memory=Memory(peak_allocated_bytes=after))
    metrics = [finding.metric for finding in _compare(base, candidate).findings]
    assert "peak_allocated_bytes" not in metrics
    assert "overflow_steps" in metrics


def _overflowing(*steps_of_each_seed: Sequence[int]) -> list[TrialRecord]:
    return [
        records.record(spec=records.spec(seed=seed), steps=records.trace(overflow_steps=steps, skips_overflow=True))
        for seed, steps in enumerate(steps_of_each_seed)
    ]


@pytest.mark.parametrize(
    ("before", "after", "verdict", "reasons"),
    [
        ([()], [()], Verdict.UNCHANGED, ()),
        ([(0, 1)], [(0, 1)], Verdict.UNCHANGED, ()),
        ([(0, 1)], [(0, 1, 7)], Verdict.REGRESSED, ("step 7 overflows now and did not before.",)),
        ([(0, 1, 7)], [(0, 1)], Verdict.IMPROVED, ("step 7 no longer overflows.",)),
        ([(0, 5)], [(0, 6)], Verdict.INCONCLUSIVE, ("step 5 no longer overflows.",)),
        ([(0,), (3,)], [(0,), (2, 3)], Verdict.REGRESSED, ("step 2 overflows now and did not before.",)),
        ([(0,), (3,)], [(3,), (0,)], Verdict.INCONCLUSIVE, ("step 0 no longer overflows.",)),
    ],
)
def test_overflowing_steps_are_compared_one_by_one_under_equal_seeds(
    before: list[tuple[int, ...]], after: list[tuple[int, ...]], verdict: Verdict, reasons: tuple[str, ...]
) -> None:
    found = _finding(_overflowing(*before), _overflowing(*after), "overflow_steps")
    assert (found.verdict, found.reasons) == (verdict, reasons)
    assert (found.base, found.candidate) == (sum(map(len, before)), sum(map(len, after)))


def test_exact_quantities_need_a_common_seed() -> None:
    base, candidate = records.cell([0.1]), [records.record(spec=records.spec(seed=5))]
    assert [finding.metric for finding in _compare(base, candidate).findings] == ["step_seconds"]


def test_only_trials_that_both_sides_have_are_compared_exactly() -> None:
    base = _overflowing((0,), (1,))
    candidate = _overflowing((0,))
    assert _finding(base, candidate, "overflow_steps").verdict == Verdict.UNCHANGED


# --- outcomes -------------------------------------------------------------------------------------------------------


def _end(outcome: Outcome, reason: str | None = None, **fields: Any) -> list[TrialRecord]:
    return [records.record(outcome, reason=reason, **fields)]


@pytest.mark.parametrize(
    ("before", "after", "verdict", "reasons"),
    [
        (
            _end(Outcome.OK),
            _end(Outcome.CRASHED, "signal 9"),
            Verdict.FAILED,
            ("crashed: signal 9", "before: ok"),
        ),
        (_end(Outcome.OK), _end(Outcome.TIMED_OUT), Verdict.FAILED, ("timed out", "before: ok")),
        (
            _end(Outcome.OK),
            _end(Outcome.DIVERGED, "the loss was not finite"),
            Verdict.REGRESSED,
            ("diverged: the loss was not finite", "before: ok"),
        ),
        (
            _end(Outcome.EMULATED, "no AMX"),
            _end(Outcome.DIVERGED),
            Verdict.REGRESSED,
            ("diverged", "before: emulated: no AMX"),
        ),
        (
            _end(Outcome.UNSUPPORTED, "no TF32"),
            _end(Outcome.UNSUPPORTED, "no TF32"),
            Verdict.NOT_MEASURED,
            ("unsupported: no TF32",),
        ),
        (_end(Outcome.CRASHED), _end(Outcome.CRASHED, "again"), Verdict.NOT_MEASURED, ("crashed: again",)),
        (
            _end(Outcome.UNSUPPORTED, "no TF32"),
            _end(Outcome.OK),
            Verdict.IMPROVED,
            ("it ran; before: unsupported: no TF32",),
        ),
        (_end(Outcome.DIVERGED, "NaN"), _end(Outcome.EMULATED), Verdict.IMPROVED, ("it ran; before: diverged: NaN",)),
    ],
)
def test_a_change_of_outcome_is_the_only_finding_of_its_cell(
    before: list[TrialRecord], after: list[TrialRecord], verdict: Verdict, reasons: tuple[str, ...]
) -> None:
    (found,) = _compare(before, after).findings
    assert (found.metric, found.verdict, found.reasons) == ("outcome", verdict, reasons)


@pytest.mark.parametrize(("vanished", "verdict"), [("candidate", Verdict.INCOMPARABLE), ("base", Verdict.NOT_MEASURED)])
def test_a_cell_that_only_one_side_ran_is_named(vanished: str, verdict: Verdict) -> None:
    """One that vanished may hide a regression; one that appeared has nothing to be compared with."""
    both, one = records.cell([0.1], "gpt"), records.cell([0.1], "lstm")
    sides = ([*both, *one], both) if vanished == "candidate" else (both, [*both, *one])
    (found,) = [f for f in _compare(*sides).findings if f.workload == "lstm"]
    assert (found.metric, found.verdict) == ("outcome", verdict)
    assert found.reasons == (f"the {vanished} has no trial of this cell.",)


def _seeds(*outcomes: Outcome) -> list[TrialRecord]:
    return [records.record(outcome, spec=records.spec(seed=seed)) for seed, outcome in enumerate(outcomes)]


def test_one_more_seed_that_diverges_is_regressed_even_if_another_one_always_did() -> None:
    before = _seeds(Outcome.DIVERGED, Outcome.OK, Outcome.OK)
    after = _seeds(Outcome.DIVERGED, Outcome.OK, Outcome.DIVERGED)
    (found,) = _compare(before, after).findings
    assert (found.metric, found.verdict) == ("outcome", Verdict.REGRESSED)


def test_a_trial_that_stopped_on_both_sides_does_not_keep_the_others_from_being_compared() -> None:
    before = _seeds(Outcome.DIVERGED, Outcome.OK, Outcome.OK, Outcome.OK)
    findings = {finding.metric: finding for finding in _compare(before, before).findings}
    assert findings["outcome"].verdict == Verdict.NOT_MEASURED
    assert findings["outcome"].reasons == ("1 of 4 trials, as before: diverged",)
    assert (findings["step_seconds"].verdict, findings["step_seconds"].processes_base) == (Verdict.UNCHANGED, 3)


def test_a_trial_that_finishes_now_beside_others_that_always_did_is_no_finding_of_its_own() -> None:
    before, after = _seeds(Outcome.CRASHED, Outcome.OK), _seeds(Outcome.OK, Outcome.OK)
    assert {finding.metric for finding in _compare(before, after).findings} == {"step_seconds", "overflow_steps"}


# --- setup and machine ----------------------------------------------------------------------------------------------


def test_cells_that_were_set_up_differently_are_incomparable_and_every_difference_is_named() -> None:
    other = records.setup(batch_size=8, clip_norm=1.0, optimizer=OptimizerSpec("sgd", 0.2), settings={"layers": 2})
    base = [records.record(spec=records.spec(seed=1, profile="a"))]
    candidate = [records.record(spec=records.spec(seed=2, profile="b", setup=other))]
    (found,) = _compare(base, candidate).findings
    assert (found.metric, found.verdict) == ("setup", Verdict.INCOMPARABLE)
    assert found.reasons == (
        "setup.batch_size: 4 → 8",
        "setup.clip_norm: None → 1.0",
        "setup.optimizer.learning_rate: 0.1 → 0.2",
        "setup.settings.layers: None → 2",
    )


def test_another_profile_with_the_same_setup_is_comparable() -> None:
    base = [records.record(spec=records.spec(profile="a", timeout_seconds=1.0))]
    candidate = [records.record(spec=records.spec(profile="b", timeout_seconds=2.0))]
    assert {finding.metric for finding in _compare(base, candidate).findings} == {"step_seconds", "overflow_steps"}


def test_another_machine_is_refused_and_every_difference_is_named() -> None:
    ours = records.run(records.cell([0.1]))
    theirs = records.run(records.cell([0.1]), "other", records.environment(torch="2.15.0", cpu_count=4))
    with pytest.raises(Incomparable) as caught:
        compare_runs(ours, theirs)
    assert str(caught.value) == (
        "run other cannot be judged against base: torch: 2.14.1 → 2.15.0; cpu_count: 2 → 4. "
        "Compare runs of one machine and one software stack, or approve a baseline for this one."
    )


# --- the whole ------------------------------------------------------------------------------------------------------


def test_findings_come_worst_first_and_the_headline_counts_them() -> None:
    base = [
        *records.cell(STEADY, "same"),
        *records.cell(STEADY, "slow"),
        *records.cell(STEADY, "dead"),
        *records.cell([0.1], "few"),
    ]
    candidate = [
        *records.cell(STEADY, "same"),
        *records.cell(_scaled(STEADY, 1.1), "slow"),
        *[replace(r, outcome=Outcome.FAILED, steps=None) for r in records.cell(STEADY, "dead")],
        *records.cell([0.1], "few"),
    ]
    verdicts = compare_runs(records.run(base), records.run(candidate, "new"), baseline="main")
    assert [(f.workload, f.metric, f.verdict.value) for f in verdicts.findings] == [
        ("slow", "step_seconds", "regressed"),
        ("dead", "outcome", "failed"),
        ("few", "step_seconds", "inconclusive"),
        ("same", "step_seconds", "unchanged"),
        ("same", "overflow_steps", "unchanged"),
        ("slow", "overflow_steps", "unchanged"),
        ("few", "overflow_steps", "unchanged"),
    ]
    assert verdicts.headline == (
        "1 regressed, 0 improved, 4 unchanged, 1 inconclusive, 1 failed on Test CPU, against baseline 'main' (run base)"
    )
    assert (verdicts.base_run, verdicts.candidate_run, verdicts.baseline) == ("base", "new", "main")
    assert verdicts.fingerprint == records.environment().fingerprint


def test_a_run_that_is_judged_against_itself_is_unchanged() -> None:
    both = [*records.cell(STEADY, "gpt"), *records.cell(NOISY, "lstm", memory=Memory(peak_allocated_bytes=7))]
    verdicts = _compare(both, both)
    assert verdicts.count(Verdict.UNCHANGED) == 4
    assert verdicts.count(Verdict.INCONCLUSIVE) == 1  # the noisy cell's time
    assert len(verdicts.findings) == 5


def test_a_changed_workload_source_is_noted_and_judged_all_the_same() -> None:
    base = [replace(record, workload_sha256="a") for record in records.cell(STEADY)]
    candidate = [replace(record, workload_sha256="b") for record in records.cell(_scaled(STEADY, 1.1))]
    (found,) = [f for f in _compare(base, candidate).findings if f.metric == "step_seconds"]
    assert found.verdict == Verdict.REGRESSED
    assert found.notes == ("the workload's source file is not the one that the base was measured with",)


def test_overflow_steps_that_vary_between_processes_of_one_seed_are_inconclusive() -> None:
    def cell(*steps: tuple[int, ...]) -> list[TrialRecord]:
        return [
            records.record(spec=records.spec(repeat=repeat), steps=records.trace(overflow_steps=overflowed))
            for repeat, overflowed in enumerate(steps)
        ]

    (found,) = [f for f in _compare(cell((0,), (0, 7)), cell((0, 7), (0, 7))).findings if f.metric == "overflow_steps"]
    assert found.verdict == Verdict.INCONCLUSIVE
    assert "vary between processes of one seed" in found.reasons[0]


def test_bytes_that_vary_between_processes_of_one_side_cannot_be_compared_for_equality() -> None:
    def cell(*peaks: int) -> list[TrialRecord]:
        return [
            replace(record, memory=Memory(peak_allocated_bytes=peak))
            for record, peak in zip(records.cell([0.1] * len(peaks)), peaks, strict=True)
        ]

    (found,) = [f for f in _compare(cell(5, 6, 5), cell(5, 7, 5)).findings if f.metric == "peak_allocated_bytes"]
    assert found.verdict == Verdict.INCONCLUSIVE
    (same,) = [f for f in _compare(cell(5, 6, 5), cell(5, 6, 5)).findings if f.metric == "peak_allocated_bytes"]
    assert same.verdict == Verdict.UNCHANGED


def test_a_cell_that_never_had_numbers_cannot_get_worse() -> None:
    base = [replace(records.record(), outcome=Outcome.UNSUPPORTED, reason="no units.", steps=None)]
    candidate = [replace(records.record(), outcome=Outcome.CRASHED, reason="killed.", steps=None)]
    (found,) = _compare(base, candidate).findings
    assert found.verdict == Verdict.NOT_MEASURED
    assert found.reasons == ("crashed: killed.", "before: unsupported: no units.")


def test_a_new_cell_that_crashes_is_failed_although_there_is_nothing_to_compare_with() -> None:
    crashed = replace(records.record(spec=records.spec("lstm")), outcome=Outcome.CRASHED, reason="killed.", steps=None)
    findings = _compare(records.cell([0.1]), [*records.cell([0.1]), crashed]).findings
    (found,) = [finding for finding in findings if finding.workload == "lstm"]
    assert (found.verdict, found.reasons) == (Verdict.FAILED, ("crashed: killed.", "the base has no such cell."))


def test_deterministic_trials_are_judged_by_what_is_exact_and_never_by_their_time() -> None:
    def side(seconds: float) -> list[TrialRecord]:
        return [replace(item, spec=replace(item.spec, deterministic=True)) for item in records.cell([seconds] * 5)]

    found = {finding.metric: finding for finding in _compare(side(0.1), side(0.2)).findings}
    assert found["step_seconds"].verdict is Verdict.NOT_MEASURED
    assert found["step_seconds"].reasons == ("deterministic trials are not timed",)
    assert found["overflow_steps"].verdict is Verdict.UNCHANGED
