"""What the nights say of a series: the states, the segments they are read from, and levels that were accepted.

The noise of one night is 0.3 % and effects are of 10 %, so that no threshold is near (statistics: test_changes.py).
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from suite.errors import DamagedResults, UnwritableResults, UsageError
from suite.judge.acknowledged import Acknowledgement, acknowledge, acknowledgements
from suite.judge.history import trend_of
from suite.judge.nights import Night, Series
from suite.judge.trends import State, Trend, exit_status

SLOWER = 0.1
Levels = Sequence[tuple[float, int]]


def _series(*levels: tuple[float, int], anchored: bool = True, seed: int = 0) -> Series:
    """So many nights at each level; run and commit of night 7 are `run-07` and `commit-07`."""
    flat = np.array([level for level, nights in levels for _ in range(nights)])
    noise = np.random.default_rng(seed).normal(0.0, 0.003, (2, len(flat)))
    noise[:, -1:] = 0.0  # the last night is an ordinary one: only its level can put it out of line
    nights = tuple(
        Night(
            run=f"run-{number:02}",
            at=f"2026-01-01T00:00:{number:02}+00:00",
            commit=f"commit-{number:02}",
            fingerprint="f",
            value=math.log(0.1) + float(flat[number] + noise[0, number]),
            processes=5,
            anchor=math.log(0.1) + float(noise[1, number]) if anchored else None,
            anchor_run="base" if anchored else None,
        )
        for number in range(len(flat))
    )
    return Series("gpt", "bf16", "s" * 64, "median", nights)


def _with_nights(series: Series, **changed: dict[int, object]) -> Series:
    """The series with fields of single nights replaced: `anchor={3: None}`."""
    nights = [
        replace(night, **{name: values[place] for name, values in changed.items() if place in values})
        for place, night in enumerate(series.nights)
    ]
    return replace(series, nights=tuple(nights))


# --- states ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nights", [0, 1, 10])
def test_fewer_than_eleven_nights_are_too_short(nights: int) -> None:
    trend = trend_of(_series((0.0, nights)))
    assert (trend.state, trend.nights) == (State.TOO_SHORT, nights)
    counted = "1 night" if nights == 1 else f"{nights} nights"
    assert trend.reasons == (f"{counted}; a change needs 8 before and 3 after it",)


def test_a_series_that_did_not_move_is_steady() -> None:
    trend = trend_of(_series((0.0, 40)))
    assert trend == Trend("gpt", "bf16", State.STEADY, nights=40, anchored=True, setup_sha256="s" * 64)
    assert trend.cell == "gpt × bf16"


@pytest.mark.parametrize("anchored", [True, False])
def test_one_slow_night_is_suspect_and_a_fresh_run_decides(anchored: bool) -> None:
    trend = trend_of(_series((0.0, 30), (SLOWER, 1), anchored=anchored))
    assert trend.state == State.SUSPECT
    assert trend.change == pytest.approx(math.expm1(SLOWER), abs=0.02)
    assert (trend.first_run, trend.last_run) == ("run-30", "run-30")
    assert trend.reasons[-1].startswith("one night is out of line, +")
    assert "`ampmark history --confirm`" in trend.reasons[-1]


def test_a_slow_night_that_was_a_spike_is_forgotten_with_the_next_one() -> None:
    assert trend_of(_series((0.0, 30), (SLOWER, 1), (0.0, 1))).state == State.STEADY


def test_a_change_that_a_further_run_confirmed_beside_an_anchor_is_regressed() -> None:
    trend = trend_of(_series((0.0, 30), (SLOWER, 4)))
    assert trend.state == State.REGRESSED
    assert trend.change == pytest.approx(math.expm1(SLOWER), abs=0.02)
    assert trend.p is not None
    assert trend.p < 1e-3
    assert (trend.first_run, trend.last_run) == ("run-30", "run-30")
    assert trend.commits == ("commit-29", "commit-30")
    assert trend.reasons == ("slower since run run-30, most likely, and confirmed",)


def test_three_slow_nights_that_no_further_run_confirmed_are_suspect() -> None:
    trend = trend_of(_series((0.0, 30), (SLOWER, 3)))
    assert trend.state == State.SUSPECT
    assert trend.reasons == ("slower since run run-30, most likely; a fresh run decides (`ampmark history --confirm`)",)


def test_a_suspect_that_no_fresh_run_can_decide_asks_for_none() -> None:
    """It is confirmed already, and what it lacks is an anchor."""
    without = trend_of(_series((0.0, 20), (0.05, 6), anchored=False))
    assert (without.state, without.worth_a_run) == (State.SUSPECT, False)
    unconfirmed = trend_of(_series((0.0, 20), (0.05, 3)))
    assert (unconfirmed.state, unconfirmed.worth_a_run) == (State.SUSPECT, True)


def test_without_an_anchor_no_number_of_runs_makes_a_suspect_regressed() -> None:
    trend = trend_of(_series((0.0, 30), (SLOWER, 20), anchored=False))
    assert (trend.state, trend.anchored) == (State.SUSPECT, False)
    assert trend.reasons == (
        "slower since run run-30, most likely, and confirmed",
        "no anchor was run, so it may be the machine: `ampmark run --anchor NAME` tells",
    )
    assert trend.commits == ("commit-29", "commit-30")


def test_a_machine_that_is_slower_for_a_fortnight_slows_its_anchor_and_is_steady() -> None:
    series = _series((0.0, 20), (SLOWER, 14), (0.0, 10))
    moved = {place: math.log(0.1) + SLOWER for place in range(20, 34)}
    assert trend_of(_with_nights(series, anchor=moved)).state == State.STEADY


@pytest.mark.parametrize("slow_nights", [5, 12])
def test_a_regression_that_is_gone_again_is_fixed(slow_nights: int) -> None:
    trend = trend_of(_series((0.0, 30), (SLOWER, slow_nights), (0.0, 20)))
    assert trend.state == State.FIXED
    assert trend.reasons == ("it was slower since run run-30",)
    assert trend.change == pytest.approx(math.expm1(-SLOWER), abs=0.02)
    assert trend.first_run == f"run-{30 + slow_nights}"


def test_a_series_that_became_faster_is_improved() -> None:
    trend = trend_of(_series((0.0, 30), (-SLOWER, 20)))
    assert (trend.state, trend.reasons) == (State.IMPROVED, ())
    assert trend.change == pytest.approx(math.expm1(-SLOWER), abs=0.02)
    assert trend.commits == ("commit-29", "commit-30")


@pytest.mark.parametrize(
    ("levels", "change", "steps"),
    [
        (((0.0, 20), (0.1, 10), (0.07, 10)), 0.07, False),
        (((0.0, 20), (0.05, 10), (0.1, 10), (0.05, 10)), 0.05, False),
        (((0.0, 20), (0.05, 10), (0.12, 10), (0.08, 10)), 0.08, True),
        (((0.0, 20), (-0.05, 15), (0.05, 10), (0.0, 10)), 0.05, False),
    ],
)
def test_a_regression_that_is_gone_in_part_is_still_one(levels: Levels, change: float, steps: bool) -> None:
    trend = trend_of(_series(*levels))
    assert (trend.state, trend.reasons[-1]) == (State.REGRESSED, "partly recovered")
    assert trend.change == pytest.approx(math.expm1(change), abs=0.005)
    assert any(reason.startswith("in several steps, the first with run run-20") for reason in trend.reasons) == steps
    unanchored = trend_of(_series(*levels, anchored=False))
    assert unanchored.state == State.SUSPECT
    assert "partly recovered" in unanchored.reasons


def test_a_second_rise_is_the_one_that_is_dated_and_the_change_is_that_of_both() -> None:
    trend = trend_of(_series((0.0, 20), (0.05, 10), (0.1, 10)))
    assert (trend.state, trend.first_run) == (State.REGRESSED, "run-30")
    assert trend.change == pytest.approx(math.expm1(0.1), abs=0.005)
    assert trend.reasons[-1] == "in several steps, the first with run run-20"


def test_a_regression_that_is_gone_in_two_steps_is_fixed() -> None:
    trend = trend_of(_series((0.0, 20), (0.1, 10), (0.05, 10), (0.0, 10)))
    assert (trend.state, trend.reasons) == (State.FIXED, ("it was slower since run run-20",))


def test_faster_than_before_the_regression_is_improved() -> None:
    assert trend_of(_series((0.0, 20), (0.05, 10), (-0.05, 10))).state == State.IMPROVED


def test_an_acknowledged_level_is_what_later_ones_are_measured_by() -> None:
    accepted = [_accepted("run-20")]
    assert trend_of(_series((0.0, 20), (0.05, 10), (0.1, 10), (0.05, 10)), accepted).state == State.FIXED
    assert trend_of(_series((0.0, 20), (0.1, 10), (0.07, 10)), accepted).state == State.IMPROVED


# --- a regression stays one -----------------------------------------------------------------------------------------

STANDING = _series((0.0, 20), (0.05, 10))
ORDINARY = math.log(0.1)


@pytest.mark.parametrize("low", [1, 2])
@pytest.mark.parametrize("slow", [4, 10])
def test_one_or_two_nights_at_the_old_level_do_not_end_a_regression(slow: int, low: int) -> None:
    trend = trend_of(_series((0.0, 20), (0.05, slow), (0.0, low)))
    assert (trend.state, trend.first_run) == (State.REGRESSED, "run-20")


@pytest.mark.parametrize("slow", [5, 10])
def test_three_nights_at_the_old_level_do(slow: int) -> None:
    assert trend_of(_series((0.0, 20), (0.05, slow), (0.0, 3))).state == State.FIXED


def test_a_last_night_whose_anchor_failed_does_not_end_a_regression() -> None:
    trend = trend_of(_with_nights(STANDING, anchor={29: None}))
    assert (trend.state, trend.anchored, trend.nights) == (State.REGRESSED, True, 29)
    assert trend.reasons[0] == "1 night without an anchor is left out"


def test_a_disturbed_last_night_does_not_end_a_regression() -> None:
    trend = trend_of(_with_nights(STANDING, disturbed={29: True}))
    assert (trend.state, trend.nights) == (State.REGRESSED, 29)
    assert trend.reasons[0] == "1 night with a disturbance is left out"


def test_disturbed_nights_are_left_out_wherever_they_are() -> None:
    places = [3, 11, 24]
    disturbed = _with_nights(
        STANDING, disturbed=dict.fromkeys(places, True), value=dict.fromkeys(places, ORDINARY + 0.5)
    )
    trend = trend_of(disturbed)
    assert (trend.state, trend.nights, trend.first_run) == (State.REGRESSED, 27, "run-20")
    assert trend.change == pytest.approx(math.expm1(0.05), abs=0.005)


def test_where_too_few_nights_are_undisturbed_all_are_read_and_a_disturbed_one_confirms_nothing() -> None:
    series = _with_nights(_series((0.0, 14), (SLOWER, 4)), disturbed=dict.fromkeys([*range(8), 17], True))
    trend = trend_of(series)
    assert (trend.state, trend.nights) == (State.SUSPECT, 18)
    assert trend.reasons[-1] == "the last run was disturbed, so it confirms nothing"


@pytest.mark.parametrize("weak", ["disturbed", "anchor"])
@pytest.mark.parametrize("slow", [1, 6])
def test_slow_nights_that_are_disturbed_or_without_an_anchor_are_suspect_and_never_regressed(
    weak: str, slow: int
) -> None:
    fields = {weak: dict.fromkeys(range(30, 30 + slow), True if weak == "disturbed" else None)}
    trend = trend_of(_with_nights(_series((0.0, 30), (SLOWER, slow)), **fields))
    assert (trend.state, trend.nights) == (State.SUSPECT, 30 + slow)
    assert trend.reasons[-1] == "the nights since run run-30 are disturbed or without an anchor"


def test_a_slow_fortnight_that_the_anchor_explains_is_not_held_against_a_last_night_without_one() -> None:
    moved = dict.fromkeys(range(15, 29), ORDINARY + SLOWER)
    series = _with_nights(
        _series((0.0, 15), (SLOWER, 14), (0.0, 15)), anchor={**moved, 43: None}, value={43: ORDINARY - 0.01}
    )
    assert trend_of(series).state == State.STEADY


def test_an_improvement_that_is_lost_again_is_regressed() -> None:
    trend = trend_of(_series((0.0, 20), (-SLOWER, 20), (0.0, 10)))
    assert (trend.state, trend.first_run) == (State.REGRESSED, "run-40")


def test_after_an_improvement_a_slow_night_is_suspect_by_the_new_level() -> None:
    """As slow as it was before the improvement: nothing remarkable by the old level."""
    trend = trend_of(_series((0.0, 30), (-SLOWER, 20), (0.0, 1)))
    assert trend.state == State.SUSPECT
    assert trend.change == pytest.approx(math.expm1(SLOWER), abs=0.02)
    assert (trend.first_run, trend.last_run) == ("run-50", "run-50")


def test_a_slow_rise_is_drifting_and_says_over_how_many_nights() -> None:
    rising = _series(*[(0.001 * night, 1) for night in range(60)])
    # The last night is as those a fortnight before: by itself it is not out of line.
    trend = trend_of(_with_nights(rising, value={59: rising.nights[45].value}))
    assert trend.state == State.DRIFTING
    assert trend.change == pytest.approx(math.expm1(0.059), abs=0.01)
    assert trend.reasons[-1].endswith("over 60 nights, in no single step")


def test_a_slow_fall_is_no_news() -> None:
    assert trend_of(_series(*[(-0.001 * night, 1) for night in range(60)])).state in (State.STEADY, State.IMPROVED)


# --- segments -------------------------------------------------------------------------------------------------------


def test_only_nights_of_the_newest_environment_are_judged() -> None:
    series = _series((0.0, 20), (SLOWER, 20))
    changed = _with_nights(series, fingerprint=dict.fromkeys(range(20, 40), "g"))
    trend = trend_of(changed)
    assert (trend.state, trend.nights) == (State.STEADY, 20)
    assert trend.reasons == ("20 nights of other environments are left out",)
    assert trend_of(series).state == State.REGRESSED


@pytest.mark.parametrize("slow", [1, 2, 3, 4])
def test_soon_after_an_accepted_level_a_night_far_above_it_is_suspect(slow: int) -> None:
    """Its noise is known from before: eleven nights of silence would hide a second regression."""
    series = _series((0.0, 30), (0.05, 1), (0.70, slow))
    accepted = [_accepted("run-30")]
    trend = trend_of(series, accepted)
    assert (trend.state, trend.worth_a_run, trend.first_run) == (State.SUSPECT, True, f"run-{30 + slow:02}")
    assert trend.change == pytest.approx(math.expm1(0.65), abs=0.02)
    assert trend_of(_series((0.0, 30), (0.05, 1 + slow)), accepted).state == State.ACKNOWLEDGED


def test_in_a_new_environment_a_night_far_above_the_first_ones_is_suspect_by_the_noise_of_the_old_one() -> None:
    series = _series((0.0, 20), (0.1, 4), (0.2, 1))
    series = _with_nights(series, fingerprint=dict.fromkeys(range(20, 25), "another"))
    trend = trend_of(series)
    assert (trend.state, trend.worth_a_run) == (State.SUSPECT, True)
    steady = _with_nights(_series((0.0, 20), (0.1, 5)), fingerprint=dict.fromkeys(range(20, 25), "another"))
    assert trend_of(steady).state == State.TOO_SHORT


def test_one_fast_night_of_a_new_environment_is_no_level_and_noisier_nights_tell_so() -> None:
    """Three nights are needed to know that the first one was the odd one out."""
    suspects = []
    for nights in range(1, 10):
        series = _series((0.0, 20), (0.1, 1), (0.15, nights))
        count = len(series.nights)
        trend = trend_of(_with_nights(series, fingerprint=dict.fromkeys(range(20, count), "another")))
        suspects.append(trend.state is State.SUSPECT)
    assert suspects == [True, True, *[False] * 7]


def test_steps_that_are_each_too_small_to_be_seen_are_seen_together() -> None:
    trend = trend_of(_series((0.0, 70), (0.012, 70), (0.024, 70), (0.036, 70)))
    assert (trend.state, trend.surely_drifting) == (State.DRIFTING, True)
    assert trend.change == pytest.approx(0.036, abs=0.004)
    assert (trend.first_run, trend.last_run) == ("run-00", "run-279")
    assert trend_of(_series((0.0, 280))).state == State.STEADY


def test_after_a_change_of_the_environment_nothing_more_is_said_for_eleven_nights() -> None:
    series = _with_nights(_series((0.0, 20), (SLOWER, 5)), fingerprint=dict.fromkeys(range(20, 25), "g"))
    trend = trend_of(series)
    assert (trend.state, trend.nights) == (State.TOO_SHORT, 5)
    assert trend.reasons == (
        "20 nights of other environments are left out",
        "5 nights since then; a change needs 8 before and 3 after it",
    )


def test_nights_of_an_environment_that_came_back_are_read_together() -> None:
    """f, one night of g, and f again."""
    trend = trend_of(_with_nights(_series((0.0, 20), (SLOWER, 10)), fingerprint={25: "g"}))
    assert (trend.state, trend.nights, trend.first_run) == (State.REGRESSED, 29, "run-20")
    assert trend.reasons[0] == "1 night of other environments is left out"


def _moved(*levels: tuple[float, int], new: int, anchored: bool = True) -> Series:
    """The same with the last so many nights in another environment."""
    series = _series(*levels, anchored=anchored)
    count = len(series.nights)
    return _with_nights(series, fingerprint=dict.fromkeys(range(count - new, count), "g"))


@pytest.mark.parametrize("nights", [1, 2, 5, 15, 30])
def test_a_regression_stays_one_in_a_new_environment_while_it_is_beside_the_same_anchor(nights: int) -> None:
    trend = trend_of(_moved((0.0, 20), (SLOWER, 10 + nights), new=nights))
    assert (trend.state, trend.first_run, trend.worth_a_run) == (State.REGRESSED, "run-20", False)
    few = f"{'1 night' if nights == 1 else f'{nights} nights'} of the newest environment cannot say that it is gone"
    assert (trend.reasons[-1] == few) == (nights < 3)


@pytest.mark.parametrize(("nights", "state"), [(2, State.REGRESSED), (3, State.TOO_SHORT), (15, State.STEADY)])
def test_it_is_gone_once_three_nights_beside_the_same_anchor_are_as_before_the_change(
    nights: int, state: State
) -> None:
    assert trend_of(_moved((0.0, 20), (SLOWER, 10), (0.0, nights), new=nights)).state == state


def test_without_an_anchor_no_new_environment_ends_a_suspect_but_somebody_can() -> None:
    series = _moved((0.0, 20), (SLOWER, 30), new=20, anchored=False)
    trend = trend_of(series)
    assert (trend.state, trend.first_run) == (State.SUSPECT, "run-20")
    assert trend.reasons[-1] == "20 nights of the newest environment cannot say that it is gone"
    assert trend_of(series, [_accepted("run-20")]).state == State.STEADY


def test_a_drift_does_not_end_with_its_environment_either() -> None:
    rising = tuple((0.001 * night, 1) for night in range(60))
    series = _moved(*rising, *[(0.06, 15)], new=15)
    assert trend_of(series).state == State.DRIFTING


# --- anchors --------------------------------------------------------------------------------------------------------


def test_a_newly_approved_baseline_is_another_program_and_no_change_of_the_series() -> None:
    """The anchor's code becomes 10 % faster in the middle; the machine's moods, which both share, are still removed."""
    moods = np.random.default_rng(9).normal(0.0, 0.02, 40)
    series = _series((0.0, 40))
    shared = _with_nights(
        series,
        value={place: night.value + float(moods[place]) for place, night in enumerate(series.nights)},
        anchor={
            place: (night.anchor or 0.0) + float(moods[place]) - (SLOWER if place >= 20 else 0.0)
            for place, night in enumerate(series.nights)
        },
        anchor_run=dict.fromkeys(range(20, 40), "newer base"),
    )
    assert trend_of(shared).state == State.STEADY


@pytest.mark.parametrize("failed", [[3], [3, 17, 33]])
def test_nights_whose_anchor_failed_are_left_out_and_undo_no_other(failed: list[int]) -> None:
    trend = trend_of(_with_nights(_series((0.0, 30), (SLOWER, 6)), anchor=dict.fromkeys(failed)))
    assert (trend.state, trend.anchored, trend.nights) == (State.REGRESSED, True, 36 - len(failed))
    left_out = "1 night without an anchor is" if len(failed) == 1 else f"{len(failed)} nights without an anchor are"
    assert trend.reasons[0] == f"{left_out} left out"
    assert trend.commits == ("commit-29", "commit-30")


@pytest.mark.parametrize("approved", [19, 20, 21])
def test_a_baseline_that_was_approved_in_the_night_of_the_change_leaves_it_a_suspect(approved: int) -> None:
    """The machine is 5 % slower from night 20 on, and each anchor is seen at one of its two speeds only."""
    slower = dict.fromkeys(range(20, 35), ORDINARY + 0.05)
    series = _with_nights(
        _series((0.0, 20), (0.05, 15)), anchor=slower, anchor_run=dict.fromkeys(range(approved, 35), "newer base")
    )
    trend = trend_of(series)
    assert (trend.state, trend.anchored) == (State.SUSPECT, True)
    assert trend.reasons[-1] == (f"the anchor is another baseline's since run run-{approved}, so it may be the machine")


@pytest.mark.parametrize("every", [5, 7, 15, 30])
@pytest.mark.parametrize("seed", range(5))
def test_a_machine_that_drifts_with_its_anchor_is_no_sure_drift_whoever_is_approved_meanwhile(
    every: int, seed: int
) -> None:
    """Five percent over sixty nights on both; the anchor is another program, 10 % slower or faster, every so often."""
    series = _series((0.0, 60), seed=seed)
    drift = {place: 0.05 * place / 60 for place in range(60)}
    programs = {place: place // every for place in range(60)}
    moved = _with_nights(
        series,
        value={place: night.value + drift[place] for place, night in enumerate(series.nights)},
        anchor={
            place: (night.anchor or 0.0) + drift[place] + 0.1 * (programs[place] % 2)
            for place, night in enumerate(series.nights)
        },
        anchor_run={place: f"base-{program}" for place, program in programs.items()},
    )
    trend = trend_of(moved)
    assert (trend.state is State.REGRESSED, trend.surely_drifting) == (False, False)
    if trend.state is State.DRIFTING:
        assert "so it may be the machine" in trend.reasons[-1]


@pytest.mark.parametrize("approved", [22, 25, 28, 30])
def test_a_machine_that_slows_near_an_approval_is_at_most_suspect(approved: int) -> None:
    """Both are 3 % slower from the twenty-fifth night on."""
    series = _series((0.0, 25), (0.03, 25))
    shared = {place: (night.anchor or 0.0) + 0.03 * (place >= 25) for place, night in enumerate(series.nights)}
    programs = {place: "old" if place < approved else "new" for place in range(50)}
    trend = trend_of(_with_nights(series, anchor=shared, anchor_run=programs))
    assert trend.state in (State.STEADY, State.SUSPECT)


def test_a_baseline_that_was_approved_well_before_or_after_the_change_hides_nothing() -> None:
    for approved in (10, 28):
        newer = dict.fromkeys(range(approved, 35), "newer base")
        assert trend_of(_with_nights(_series((0.0, 20), (0.05, 15)), anchor_run=newer)).state == State.REGRESSED


def test_where_too_few_nights_have_an_anchor_all_are_read_without() -> None:
    trend = trend_of(_with_nights(_series((0.0, 30), (SLOWER, 6)), anchor=dict.fromkeys(range(26))))
    assert (trend.state, trend.anchored, trend.nights) == (State.SUSPECT, False, 36)


# --- accepted levels ------------------------------------------------------------------------------------------------

REGRESSED = _series((0.0, 30), (SLOWER, 20))


def _accepted(run: str, **fields: str) -> Acknowledgement:
    made = Acknowledgement("gpt", "bf16", "s" * 64, run, "a better loss is worth it", "2026-02-01T00:00:00+00:00")
    return replace(made, **fields)


def test_an_accepted_level_begins_the_series_anew() -> None:
    assert trend_of(REGRESSED).state == State.REGRESSED
    trend = trend_of(REGRESSED, [_accepted("run-30")])
    assert (trend.state, trend.nights) == (State.ACKNOWLEDGED, 20)
    assert trend.reasons == ("the level since run run-30 was acknowledged: a better loss is worth it",)


def test_a_level_that_was_just_accepted_is_acknowledged_and_not_too_short() -> None:
    trend = trend_of(REGRESSED, [_accepted("run-45")])
    assert (trend.state, trend.nights) == (State.ACKNOWLEDGED, 5)
    assert trend.reasons[-1] == "5 nights since then; a change needs 8 before and 3 after it"


def test_a_regression_after_an_accepted_level_is_one_again() -> None:
    trend = trend_of(_series((0.0, 20), (SLOWER, 20), (2 * SLOWER, 10)), [_accepted("run-20")])
    assert (trend.state, trend.first_run) == (State.REGRESSED, "run-40")


def test_the_newest_of_several_accepted_levels_counts_whatever_their_order() -> None:
    both = [_accepted("run-40", reason="second"), _accepted("run-20", reason="first")]
    trend = trend_of(_series((0.0, 20), (SLOWER, 20), (2 * SLOWER, 15)), both)
    assert (trend.state, trend.nights) == (State.ACKNOWLEDGED, 15)
    assert trend.reasons == ("the level since run run-40 was acknowledged: second",)


@pytest.mark.parametrize(
    "other", [{"workload": "lstm"}, {"precision": "fp32"}, {"setup_sha256": "t" * 64}, {"run": "run-99"}]
)
def test_a_level_of_another_series_or_of_a_run_that_is_not_there_is_not_accepted(other: dict[str, str]) -> None:
    assert trend_of(REGRESSED, [replace(_accepted("run-30"), **other)]).state == State.REGRESSED


def test_acknowledging_keeps_the_last_run_of_the_range_and_the_reason(tmp_path: Path) -> None:
    trend = replace(trend_of(REGRESSED), first_run="run-29", last_run="run-31")
    made = acknowledge(tmp_path, REGRESSED, trend, "a better loss is worth it")
    assert (made.workload, made.precision, made.setup_sha256) == ("gpt", "bf16", "s" * 64)
    assert (made.run, made.reason) == ("run-31", "a better loss is worth it")
    assert acknowledgements(tmp_path) == [made]
    assert trend_of(REGRESSED, acknowledgements(tmp_path)).state == State.ACKNOWLEDGED


def test_every_acknowledgement_is_kept_oldest_first(tmp_path: Path) -> None:
    trend = trend_of(REGRESSED)
    made = [acknowledge(tmp_path, REGRESSED, trend, reason) for reason in ("first", "second")]
    assert acknowledgements(tmp_path) == made
    assert len((tmp_path / "acknowledged.jsonl").read_text(encoding="utf-8").splitlines()) == 2


def test_without_any_there_are_none(tmp_path: Path) -> None:
    assert acknowledgements(tmp_path) == []


def test_a_suspect_can_be_accepted_too(tmp_path: Path) -> None:
    suspect = _series((0.0, 30), (SLOWER, 1))
    assert acknowledge(tmp_path, suspect, trend_of(suspect), "known").run == "run-30"


def test_a_drift_is_accepted_with_its_last_run(tmp_path: Path) -> None:
    rising = _series(*[(0.001 * night, 1) for night in range(60)])
    drifting = _with_nights(rising, value={59: rising.nights[45].value})
    assert trend_of(drifting).state == State.DRIFTING
    assert acknowledge(tmp_path, drifting, trend_of(drifting), "known").run == "run-59"
    assert trend_of(drifting, acknowledgements(tmp_path)).state == State.ACKNOWLEDGED


@pytest.mark.parametrize("reason", ["", " \n"])
def test_a_level_is_not_accepted_without_a_reason(tmp_path: Path, reason: str) -> None:
    with pytest.raises(UsageError) as caught:
        acknowledge(tmp_path, REGRESSED, trend_of(REGRESSED), reason)
    assert str(caught.value) == "--reason is empty; say why the new level is accepted."
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("series", "state"), [(_series((0.0, 30)), "steady"), (_series((0.0, 5)), "too short"),
                          (_series((0.0, 30), (-SLOWER, 20)), "improved")]
)  # fmt: skip
def test_there_is_nothing_to_accept_where_nothing_got_worse(tmp_path: Path, series: Series, state: str) -> None:
    with pytest.raises(UsageError) as caught:
        acknowledge(tmp_path, series, trend_of(series), "why not")
    assert str(caught.value) == (f"gpt × bf16 is {state}; only a regression, a suspect or a drift is accepted.")


@pytest.mark.parametrize("text", ["{", "[]", '{"workload": "gpt"}', "\udcff"])
def test_a_damaged_list_of_accepted_levels_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "acknowledged.jsonl"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DamagedResults) as caught:
        acknowledgements(tmp_path)
    assert str(caught.value).startswith(f"{path} is damaged (")
    assert str(caught.value).endswith("); restore it from a copy.")


def test_empty_lines_between_accepted_levels_are_nothing(tmp_path: Path) -> None:
    line = json.dumps(_accepted("run-30").__dict__)
    (tmp_path / "acknowledged.jsonl").write_text(f"{line}\n\n{line}\n", encoding="utf-8")
    assert acknowledgements(tmp_path) == [_accepted("run-30")] * 2


def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "acknowledged.jsonl").mkdir()
    with pytest.raises(UnwritableResults):
        acknowledge(tmp_path, REGRESSED, trend_of(REGRESSED), "why not")


# --- the edge cases of a nightly job ---------------------------------------------------------------------------------


@pytest.mark.parametrize("improved", [8, 10, 12, 14, 20])
@pytest.mark.parametrize("seed", range(3))
def test_a_regression_back_to_the_level_before_an_improvement_is_one_however_short_that_was(
    improved: int, seed: int
) -> None:
    trend = trend_of(_series((0.0, 30), (-0.05, improved), (0.0, 5), seed=seed))
    assert trend.state == State.REGRESSED
    assert trend.change == pytest.approx(0.05, abs=0.01)


@pytest.mark.parametrize("before", [1, 2])
def test_a_regression_that_began_in_the_last_nights_with_an_anchor_is_not_lost_with_them(before: int) -> None:
    series = _with_nights(_series((0.0, 30), (SLOWER, 10)), anchor=dict.fromkeys(range(30 + before, 40)))
    trend = trend_of(series)
    assert trend.state == State.SUSPECT
    assert trend.last_run in ("run-30", "run-31")


def test_a_cell_that_the_newest_runs_planned_and_have_no_time_of_is_not_steady() -> None:
    series = replace(_series((0.0, 30)), without_numbers=("run-30", "run-31"))
    trend = trend_of(series)
    assert trend.state == State.WITHOUT_NUMBERS
    assert trend.reasons == (
        "2 runs have no time of it, the first run-30",
        "what the last times say is steady",
    )
    assert exit_status([trend], frozenset()) == 4


def test_a_regression_does_not_end_because_the_cell_fails_now() -> None:
    trend = trend_of(replace(_series((0.0, 30), (SLOWER, 4)), without_numbers=("run-34",)))
    assert trend.state == State.REGRESSED


def test_a_series_that_is_run_no_more_says_so_and_asks_for_nothing() -> None:
    trend = trend_of(replace(_series((0.0, 30), (SLOWER, 1)), ended=True))
    assert (trend.state, trend.worth_a_run) == (State.SUSPECT, False)
    assert trend.reasons[-1] == "not run since run-30"


@pytest.mark.parametrize(
    ("state", "surely", "default", "strict"),
    [
        (State.STEADY, False, 0, 0),
        (State.REGRESSED, False, 1, 1),
        (State.SUSPECT, False, 0, 3),
        (State.DRIFTING, True, 1, 1),
        (State.DRIFTING, False, 0, 3),
        (State.WITHOUT_NUMBERS, False, 4, 4),
    ],
)
def test_what_fails_is_what_somebody_must_look_at(state: State, surely: bool, default: int, strict: int) -> None:
    worst = Trend("gpt", "bf16", state, 30, anchored=True, surely_drifting=surely)
    trends = [worst, Trend("gpt", "fp32", State.STEADY, 30, anchored=True)]
    assert exit_status(trends, frozenset({"regressed"})) == default
    assert exit_status(trends, frozenset({"regressed", "inconclusive"})) == strict


@pytest.mark.parametrize(("failed", "state"), [(1, State.STEADY), (5, State.STEADY), (6, State.WITHOUT_NUMBERS)])
def test_a_newest_run_of_which_trials_failed_says_so_and_most_of_them_are_no_numbers(failed: int, state: State) -> None:
    trend = trend_of(_with_nights(_series((0.0, 30)), failed={29: failed}))
    assert trend.state == state
    assert f"{failed} of {failed + 5} trials of run run-29 have no time" in trend.reasons


@pytest.mark.parametrize("first", [3, 5, 7])
def test_a_change_soon_after_the_series_began_is_seen_once_the_new_level_is_known(first: int) -> None:
    """As after a driver update, or when a level was accepted a few nights before."""
    trend = trend_of(_series((0.0, first), (SLOWER, 30)))
    assert trend.state == State.REGRESSED
    assert trend.first_run is not None
    assert trend.first_run <= f"run-{first:02}" <= (trend.last_run or "")


@pytest.mark.parametrize(
    ("rise", "anchored", "surely"), [(0.15, True, True), (0.15, False, False), (0.022, True, False)]
)
def test_a_drift_is_sure_beside_an_anchor_and_where_all_of_its_interval_matters(
    rise: float, anchored: bool, surely: bool
) -> None:
    steady = _series((0.0, 60), anchored=anchored)
    values = {night: steady.nights[night].value + rise * night / 59 for night in range(60)}
    trend = trend_of(_with_nights(steady, value=values))
    assert (trend.state, trend.surely_drifting) == (State.DRIFTING, surely)
