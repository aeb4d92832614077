"""What stands in the way of comparing a cell: how its trials ended, whether they are there, how they were set up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import records

from suite.judge.cells import cells_of, measured, obstacles, pairs_of, rows_of, varies
from suite.judge.findings import Finding, MetricClass, Verdict
from suite.record import Outcome, TrialRecord
from suite.spec import OptimizerSpec

CELL = ("gpt", "fp32")


def _obstacles(base: Sequence[TrialRecord], candidate: Sequence[TrialRecord]) -> list[Finding]:
    # A run needs a trial; one of another cell is none of this one.
    other = records.record(spec=records.spec("elsewhere"))
    ours, theirs = (rows_of(records.run([*side, other]), CELL) for side in (base, candidate))
    return obstacles(CELL, ours, theirs)


def _end(outcome: Outcome, reason: str | None = None, **fields: Any) -> list[TrialRecord]:
    return [records.record(outcome, reason=reason, **fields)]


def _seeds(*outcomes: Outcome) -> list[TrialRecord]:
    return [records.record(outcome, spec=records.spec(seed=seed)) for seed, outcome in enumerate(outcomes)]


# --- outcomes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", [Outcome.OK, Outcome.EMULATED])
def test_nothing_stands_in_the_way_of_trials_with_numbers_on_both_sides(outcome: Outcome) -> None:
    assert _obstacles(_end(outcome), _end(outcome)) == []


@pytest.mark.parametrize(
    ("before", "after", "verdict", "reasons"),
    [
        (_end(Outcome.OK), _end(Outcome.CRASHED, "signal 9"), Verdict.FAILED, ("crashed: signal 9", "before: ok")),
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
def test_a_change_of_outcome_is_a_finding(
    before: list[TrialRecord], after: list[TrialRecord], verdict: Verdict, reasons: tuple[str, ...]
) -> None:
    (found,) = _obstacles(before, after)
    assert (found.metric, found.metric_class) == ("outcome", MetricClass.OUTCOME)
    assert (found.verdict, found.reasons) == (verdict, reasons)


def test_a_cell_that_never_had_numbers_cannot_get_worse() -> None:
    (found,) = _obstacles(_end(Outcome.UNSUPPORTED, "no units."), _end(Outcome.CRASHED, "killed."))
    assert found.verdict == Verdict.NOT_MEASURED
    assert found.reasons == ("crashed: killed.", "before: unsupported: no units.")


def test_one_more_seed_that_diverges_is_regressed_even_if_another_one_always_did() -> None:
    before = _seeds(Outcome.DIVERGED, Outcome.OK, Outcome.OK)
    (found,) = _obstacles(before, _seeds(Outcome.DIVERGED, Outcome.OK, Outcome.DIVERGED))
    assert (found.metric, found.verdict) == ("outcome", Verdict.REGRESSED)


def test_a_trial_that_stopped_on_both_sides_is_said_and_no_alarm() -> None:
    before = _seeds(Outcome.DIVERGED, Outcome.OK, Outcome.OK, Outcome.OK)
    (found,) = _obstacles(before, before)
    assert (found.verdict, found.reasons) == (Verdict.NOT_MEASURED, ("1 of 4 trials, as before: diverged",))


def test_a_trial_that_finishes_now_beside_others_that_always_did_is_no_finding_of_its_own() -> None:
    assert _obstacles(_seeds(Outcome.CRASHED, Outcome.OK), _seeds(Outcome.OK, Outcome.OK)) == []


def _repeats(*outcomes: Outcome) -> list[TrialRecord]:
    return [records.record(outcome, spec=records.spec(repeat=n)) for n, outcome in enumerate(outcomes)]


@pytest.mark.parametrize(
    ("outcome", "verdict"), [(Outcome.DIVERGED, Verdict.REGRESSED), (Outcome.CRASHED, Verdict.FAILED)]
)
def test_repeats_beyond_the_bases_that_stop_more_often_are_an_alarm(outcome: Outcome, verdict: Verdict) -> None:
    # Repeat 4 stopped before as well. Of the five that the base does not have all stopped, of its own one of five:
    # C(5, 5) · C(5, 1) / C(10, 6) = 5 / 210 = 0.024.
    base = _repeats(*[Outcome.OK] * 4, outcome)
    (found,) = _obstacles(base, _repeats(*[Outcome.OK] * 4, *[outcome] * 6))
    assert found.verdict == verdict
    assert found.reasons == (
        outcome.value,
        "5 of 5 trials beyond the base's stopped, before 1 of 5: more than that share explains (p = 0.024)",
    )


def test_a_larger_share_that_chance_explains_is_said_and_not_called_as_before() -> None:
    # Two of the five that are new, against one of five: C(5, 2) · C(5, 1) / C(10, 3) + C(5, 3) / C(10, 3) = 0.5.
    base = _repeats(*[Outcome.OK] * 4, Outcome.DIVERGED)
    (found,) = _obstacles(base, _repeats(*[Outcome.OK] * 4, *[Outcome.DIVERGED] * 3, *[Outcome.OK] * 3))
    assert (found.verdict, found.reasons) == (
        Verdict.NOT_MEASURED,
        ("3 of 10 trials, before 1 of 5, too few to tell whether more stop now (p = 0.5): diverged",),
    )


def test_as_large_a_share_of_more_repeats_is_as_before() -> None:
    base = _repeats(*[Outcome.OK] * 4, Outcome.DIVERGED)
    (found,) = _obstacles(base, _repeats(*[Outcome.OK] * 4, *[Outcome.DIVERGED] * 2, *[Outcome.OK] * 4))
    assert (found.verdict, found.reasons) == (Verdict.NOT_MEASURED, ("2 of 10 trials, as before: diverged",))


def test_which_repeat_of_a_seed_stops_is_chance() -> None:
    base = _repeats(Outcome.DIVERGED, *[Outcome.OK] * 4)
    (found,) = _obstacles(base, _repeats(*[Outcome.OK] * 3, Outcome.DIVERGED, Outcome.OK))
    assert (found.verdict, found.reasons) == (Verdict.NOT_MEASURED, ("1 of 5 trials, as before: diverged",))


@pytest.mark.parametrize(
    ("stopped", "verdict", "reasons"),
    [
        # C(5, 4) · C(5, 1) / C(10, 5) + C(5, 5) / C(10, 5) = 26 / 252, and C(6, 5) / C(10, 5) = 6 / 252.
        (
            4,
            Verdict.NOT_MEASURED,
            ("4 of 5 trials, before 1 of 5, too few to tell whether more stop now (p = 0.1): diverged",),
        ),
        (
            5,
            Verdict.REGRESSED,
            ("diverged", "5 of 5 trials stopped, before 1 of 5: more than that share explains (p = 0.024)"),
        ),
    ],
)
def test_a_seed_that_stopped_before_is_compared_by_its_share(
    stopped: int, verdict: Verdict, reasons: tuple[str, ...]
) -> None:
    base = _repeats(Outcome.DIVERGED, *[Outcome.OK] * 4)
    (found,) = _obstacles(base, _repeats(*[Outcome.OK] * (5 - stopped), *[Outcome.DIVERGED] * stopped))
    assert (found.verdict, found.reasons) == (verdict, reasons)


def test_seeds_that_always_had_numbers_do_not_dilute_the_share_of_one_that_stopped() -> None:
    def side(stopped: int) -> list[TrialRecord]:
        quiet = [records.record(spec=records.spec(seed=seed, repeat=n)) for seed in range(1, 5) for n in range(5)]
        return [*_repeats(*[Outcome.DIVERGED] * stopped, *[Outcome.OK] * (5 - stopped)), *quiet]

    (found,) = _obstacles(side(1), side(5))
    assert (found.verdict, found.reasons[1]) == (
        Verdict.REGRESSED,
        "5 of 5 trials stopped, before 1 of 5: more than that share explains (p = 0.024)",
    )


def test_one_repeat_that_stops_is_worse_at_once_where_all_of_the_seed_had_numbers() -> None:
    base = _repeats(*[Outcome.OK] * 5)
    (found,) = _obstacles(base, _repeats(*[Outcome.OK] * 5, Outcome.CRASHED))
    assert (found.verdict, found.reasons) == (Verdict.FAILED, ("crashed", "before: ok"))


def test_a_seed_that_the_base_lacks_may_not_end_as_no_trial_of_the_base_did() -> None:
    crashed = [records.record(Outcome.CRASHED, spec=records.spec(seed=7))]
    (found,) = _obstacles(_seeds(Outcome.OK, Outcome.OK), crashed)
    assert (found.verdict, found.reasons) == (Verdict.FAILED, ("crashed", "before: ok"))
    (known,) = _obstacles(_seeds(Outcome.OK, Outcome.CRASHED), [*_seeds(Outcome.OK), *crashed])
    assert (known.verdict, known.reasons) == (Verdict.NOT_MEASURED, ("1 of 2 trials, as before: crashed",))


# --- emulated on one side -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (Outcome.OK, Outcome.EMULATED, "computed by the hardware before, emulated now"),
        (Outcome.EMULATED, Outcome.OK, "emulated before, computed by the hardware now"),
    ],
)
def test_a_cell_that_is_emulated_on_one_side_only_is_incomparable(before: Outcome, after: Outcome, reason: str) -> None:
    (found,) = _obstacles(_end(before), _end(after))
    assert (found.metric, found.verdict, found.reasons) == ("outcome", Verdict.INCOMPARABLE, (reason,))


def test_what_stopped_as_before_is_said_beside_what_is_emulated_now() -> None:
    base, candidate = (_seeds(Outcome.DIVERGED, outcome) for outcome in (Outcome.OK, Outcome.EMULATED))
    (found,) = _obstacles(base, candidate)
    assert (found.verdict, found.reasons) == (
        Verdict.INCOMPARABLE,
        ("computed by the hardware before, emulated now", "1 of 2 trials, as before: diverged"),
    )


# --- a cell of one side ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("vanished", "verdict"), [("candidate", Verdict.INCOMPARABLE), ("base", Verdict.NOT_MEASURED)])
def test_a_cell_that_only_one_side_ran_is_named(vanished: str, verdict: Verdict) -> None:
    """One that vanished may hide a regression; one that appeared has nothing to be compared with."""
    sides = (records.cell([0.1]), []) if vanished == "candidate" else ([], records.cell([0.1]))
    (found,) = _obstacles(*sides)
    assert (found.metric, found.verdict) == ("outcome", verdict)
    assert found.reasons == (f"the {vanished} has no trial of this cell.",)


def test_a_cell_without_numbers_that_vanished_hides_nothing() -> None:
    (found,) = _obstacles(_end(Outcome.UNSUPPORTED, "no TF32"), [])
    assert found.verdict == Verdict.NOT_MEASURED


def test_a_new_cell_that_crashes_is_failed_although_there_is_nothing_to_compare_with() -> None:
    (found,) = _obstacles([], _end(Outcome.CRASHED, "killed."))
    assert (found.verdict, found.reasons) == (Verdict.FAILED, ("crashed: killed.", "the base has no such cell."))


# --- setup ----------------------------------------------------------------------------------------------------------


def test_cells_that_were_set_up_differently_are_incomparable_and_every_difference_is_named() -> None:
    other = records.setup(batch_size=8, clip_norm=1.0, optimizer=OptimizerSpec("sgd", 0.2), settings={"layers": 2})
    base = [records.record(spec=records.spec(seed=1, profile="a"))]
    (found,) = _obstacles(base, [records.record(spec=records.spec(seed=2, profile="b", setup=other))])
    assert (found.metric, found.verdict) == ("setup", Verdict.INCOMPARABLE)
    assert found.reasons == (
        "setup.batch_size: 4 → 8",
        "setup.clip_norm: None → 1.0",
        "setup.optimizer.learning_rate: 0.1 → 0.2",
        "setup.settings.layers: None → 2",
    )


def test_another_profile_and_time_limit_with_the_same_setup_are_comparable() -> None:
    base = [records.record(spec=records.spec(profile="a", timeout_seconds=1.0))]
    assert _obstacles(base, [records.record(spec=records.spec(profile="b", timeout_seconds=2.0))]) == []


def test_a_trial_that_stopped_as_before_does_not_hide_another_setup() -> None:
    before = _seeds(Outcome.DIVERGED, Outcome.OK)
    after = [
        records.record(outcome, spec=records.spec(seed=seed, setup=records.setup(batch_size=8)))
        for seed, outcome in enumerate((Outcome.DIVERGED, Outcome.OK))
    ]
    assert [(f.metric, f.verdict) for f in _obstacles(before, after)] == [
        ("outcome", Verdict.NOT_MEASURED),
        ("setup", Verdict.INCOMPARABLE),
    ]


# --- rows -----------------------------------------------------------------------------------------------------------


def test_cells_are_those_of_the_plan_each_once_in_its_order() -> None:
    trials = [
        *records.cell([0.1, 0.1], "lstm", "bf16"),
        *records.cell([0.1], "gpt"),
        *records.cell([0.1], "gpt", "bf16"),
    ]
    assert cells_of(records.run(trials)) == [("lstm", "bf16"), ("gpt", "fp32"), ("gpt", "bf16")]


def test_trials_with_numbers_are_those_that_finished_emulated_ones_included() -> None:
    run = records.run(_seeds(*Outcome))
    assert list(measured(run.trials)["outcome"]) == ["ok", "emulated"]


def test_pairs_are_trials_with_the_same_seed_and_repeat() -> None:
    ours = records.run([records.record(spec=records.spec(seed=s, repeat=r)) for s, r in ((0, 0), (0, 1), (1, 0))])
    theirs = records.run([records.record(spec=records.spec(seed=s, repeat=r)) for s, r in ((1, 0), (0, 1), (1, 1))])
    pairs = pairs_of((ours.trials, theirs.trials))
    assert sorted(zip(pairs["seed"], pairs["repeat"], strict=True)) == [(0, 1), (1, 0)]
    assert {"losses_sha256_base", "losses_sha256_candidate"} <= set(pairs)


@pytest.mark.parametrize(
    ("digests", "expected"),
    [(("a", "a", "b", "b"), False), (("a", "b", "b", "b"), True), (("a", None, "b", "b"), True), (("a",) * 4, False)],
)
def test_a_column_varies_where_processes_of_one_seed_differ(digests: tuple[str | None, ...], expected: bool) -> None:
    trials = [
        records.record(spec=records.spec(seed=number // 2, repeat=number % 2), losses_sha256=digest)
        for number, digest in enumerate(digests)
    ]
    assert varies(records.run(trials).trials, "losses_sha256") == expected
