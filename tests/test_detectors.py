"""tools/detectors: the noise is what it says, the ports follow their rules, and our detectors keep to their rates.

The measured part is a small seeded share of the programme with loose bounds; `nox -s detectors` runs all of it.
"""

from __future__ import annotations

import importlib.util
import json
import math
from pathlib import Path

import numpy as np
import pytest

from tools.detectors import Call, Kind, Nights, Ruling, Sides, Watch, gates, histories, installed
from tools.detectors.__main__ import chosen_cells, main
from tools.detectors.acceptance import acceptance, shown
from tools.detectors.cells import ALL_GATES, ALL_WATCHES, HIERARCHICAL, USUAL, Cell, cells, replicates
from tools.detectors.changes import CHANGE_NIGHT, CHANGES, NIGHTS, SPIKE_NIGHT, apply
from tools.detectors.following import Follower
from tools.detectors.noise import NOISES, autoregressive, drifting, independent, spiky, sticky
from tools.detectors.numbers import document, written
from tools.detectors.ours import ANCHORED, FOLLOWED, FOLLOWED_ANCHORED, IN_TURN, PLAIN, WELCH, rule_on
from tools.detectors.page import page, table
from tools.detectors.programme import Results, Tallies, run, tasks
from tools.detectors.recorded import REAL, consecutive, load, nights
from tools.detectors.runs import STEPS, draw_sides, steps_of
from tools.detectors.surroundings import surroundings
from tools.detectors.tally import GateTally, Share, WatchTally
from tools.detectors.watching import draw_nights, watch, watched

FLAT = np.full(40, 1.0)


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def raised(by: float, count: int = 40, at: int = 30) -> np.ndarray:
    """A level with a scatter of 0.1 %, `by` higher from night `at` on."""
    values = 1.0 + 0.001 * rng(7).standard_normal(count)
    values[at:] *= 1.0 + by
    return values


def of_two(base: list[list[float]], candidate: list[list[float]]) -> Sides:
    return Sides(np.array(base), np.array(candidate))


# --- noise ---------------------------------------------------------------------------------------------------------


def lag_one(values: np.ndarray) -> float:
    return float(np.corrcoef(values[1:], values[:-1])[0, 1])


def test_independent_noise_has_its_spread_and_no_memory() -> None:
    values = independent(0.01)(rng(), 40_000)
    assert values.mean() == pytest.approx(0.0, abs=2e-4)
    assert values.std() == pytest.approx(0.01, rel=0.02)
    assert lag_one(values) == pytest.approx(0.0, abs=0.02)


@pytest.mark.parametrize("phi", [0.5, 0.8])
def test_autoregressive_noise_has_its_spread_and_memory_from_the_first_night(phi: float) -> None:
    draw, random = autoregressive(phi, 0.01), rng()
    values = draw(random, 40_000)
    assert values.std() == pytest.approx(0.01, rel=0.05)
    assert lag_one(values) == pytest.approx(phi, abs=0.02)
    assert np.std([draw(random, 2)[0] for _ in range(4000)]) == pytest.approx(0.01, rel=0.05)


def test_spikes_hit_one_night_in_twenty_and_only_upwards() -> None:
    values = spiky(0.0)(rng(), 40_000)
    hit = values > 0.0
    assert hit.mean() == pytest.approx(0.05, abs=0.005)
    assert values[~hit].tolist() == [0.0] * int((~hit).sum())
    assert math.expm1(values[hit].min()) >= 0.03
    assert math.expm1(values[hit].max()) <= 0.15


def test_a_sticky_machine_has_two_levels_and_stays() -> None:
    values = sticky(0.03, 20.0)(rng(), 40_000)
    assert np.unique(values).tolist() == pytest.approx([0.0, math.log1p(0.03)])
    assert values.mean() == pytest.approx(math.log1p(0.03) / 2, rel=0.1)
    assert (np.diff(values) != 0.0).mean() == pytest.approx(1 / 20, rel=0.1)


def test_a_drift_is_a_straight_line() -> None:
    assert drifting(0.0005)(rng(), 3).tolist() == pytest.approx([0.0, math.log1p(0.0005), 2 * math.log1p(0.0005)])


def test_the_anchor_has_the_machines_state_and_nothing_of_the_code() -> None:
    own, anchor, *_ = NOISES["sticky"].draw(rng(), 20_000)
    assert np.corrcoef(own, anchor)[0, 1] > 0.8
    own, anchor, *_ = NOISES["iid-1"].draw(rng(), 20_000)
    assert abs(np.corrcoef(own, anchor)[0, 1]) < 0.03
    changed, same = draw_nights("iid-1", CHANGES["+10"], rng()), draw_nights("iid-1", CHANGES["none"], rng())
    assert changed.anchor.tolist() == same.anchor.tolist()
    assert (changed.seconds / same.seconds).tolist() == pytest.approx([1.0] * CHANGE_NIGHT + [1.1] * 30)


def test_steps_scatter_around_their_process(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = steps_of(rng(), 400)
    assert steps.shape == (400, STEPS)
    assert np.median(steps) == pytest.approx(0.0, abs=5e-4)
    assert (steps > 0.06).mean() == pytest.approx(0.0075, abs=0.001)  # three quarters of the spikes
    monkeypatch.setattr("tools.detectors.runs.SPIKES", 0.0)
    calm = steps_of(rng(), 400)
    assert calm.std() == pytest.approx(0.012, rel=0.02)
    assert calm[:, 0].std() == pytest.approx(0.012, rel=0.1)
    assert np.corrcoef(calm[:, 1:].ravel(), calm[:, :-1].ravel())[0, 1] == pytest.approx(0.6, abs=0.02)


def test_two_sides_alternate_and_carry_the_change() -> None:
    quiet, slow = (draw_sides(HIERARCHICAL, 400, CHANGES[change], rng()) for change in ("none", "+3"))
    assert quiet.base.shape == (400, STEPS)
    assert slow.base.tolist() == quiet.base.tolist()
    assert (slow.candidate / quiet.candidate).mean() == pytest.approx(1.03)
    medians = np.log(np.median(quiet.base, axis=1))
    assert medians.std() == pytest.approx(0.0063, rel=0.1)  # 0.6 %, and what 200 correlated steps add
    wide = draw_sides(HIERARCHICAL, 400, CHANGES["spread"], rng())
    assert np.log(np.median(wide.candidate, axis=1)).std() == pytest.approx(2 * medians.std(), rel=0.2)


def test_changes_of_a_history() -> None:
    deviations = np.full(NIGHTS, 0.01)
    step = apply(CHANGES["+5"], deviations)
    assert step[:CHANGE_NIGHT].tolist() == [0.01] * CHANGE_NIGHT
    assert step[CHANGE_NIGHT:].tolist() == pytest.approx([0.01 + math.log(1.05)] * 30)
    assert apply(CHANGES["spread"], deviations)[-1] == pytest.approx(0.02)
    spike = apply(CHANGES["spike"], deviations)
    assert np.flatnonzero(spike != deviations).tolist() == [SPIKE_NIGHT]
    assert watched(CHANGES["+5"]) == CHANGE_NIGHT + 14
    assert watched(CHANGES["none"]) == watched(CHANGES["-5"]) == NIGHTS


def test_the_recorded_processes_are_drawn_in_blocks() -> None:
    recorded = load()
    assert len(recorded) == 3
    assert {steps.shape for steps in recorded.values()} == {(60, next(iter(recorded.values())).shape[1])}
    assert all((steps > 0.0).all() for steps in recorded.values())
    drawn = consecutive(rng(), 10)
    (steps,) = (steps for steps in recorded.values() if (steps == drawn[0]).all(axis=1).any())
    first = int(np.flatnonzero((steps == drawn[0]).all(axis=1))[0])
    assert (drawn == np.take(steps, first + np.arange(10), axis=0, mode="wrap")).all()
    own, anchor = nights(rng(), NIGHTS)
    assert len(own) == len(anchor) == NIGHTS
    assert draw_sides(REAL, 5, CHANGES["+5"], rng()).base.shape == (5, steps.shape[1])


# --- ports ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "call"),
    [(1.0, 1.06, Call.SLOWER), (1.0, 1.04, Call.NOTHING), (1.0, 0.96, Call.NOTHING), (1.0, 0.94, Call.FASTER)],
)
def test_a_threshold(before: float, after: float, call: Call) -> None:
    assert gates.threshold(before, after, 0.05) is call


def test_which_number_of_which_process_the_thresholds_take() -> None:
    sides = of_two([[1.0, 1.0, 1.6], [9.0, 9.0, 9.0]], [[1.0, 1.1, 1.8], [1.0, 1.0, 1.0]])
    for name, call in (
        ("pytest-benchmark mean:5%", Call.SLOWER),  # 1.2 → 1.3
        ("pytest-benchmark min:5%", Call.NOTHING),  # 1.0 → 1.0
        ("torchbench", Call.SLOWER),  # 1.0 → 1.1
        ("github-action-benchmark", Call.NOTHING),
    ):
        assert ALL_GATES[name].judge(sides, rng()).call is call, name
    assert ALL_GATES["github-action-benchmark"].judge(of_two([[1.0]], [[2.01]]), rng()).call is Call.SLOWER


def test_pooled_tests_take_all_steps_of_all_processes() -> None:
    base = [[1.0, 1.1, 1.2], [1.0, 1.1, 1.2]]
    sides = of_two(base, [[1.2, 1.3, 1.4], [1.2, 1.3, 1.4]])
    # t = 0.2 / sqrt(2 × 0.008 / 6) = 3.87 with 10 degrees of freedom; U = 2 of 36
    assert gates.pooled_welch(sides) is gates.mann_whitney(sides) is Call.SLOWER
    assert gates.pooled_welch(of_two(base, base)) is gates.mann_whitney(of_two(base, base)) is Call.NOTHING
    back = Sides(sides.candidate, sides.base)
    assert gates.pooled_welch(back) is gates.mann_whitney(back) is Call.FASTER
    one = of_two([[1.0, 1.1]], [[2.0, 2.1]])  # two against two: U cannot be significant
    assert gates.mann_whitney(one) is Call.NOTHING


def test_hyperfine_tests_the_totals_of_processes() -> None:
    sides = of_two([[0.5, 0.5], [0.6, 0.5]], [[0.7, 0.7], [0.7, 0.8]])  # 1.0, 1.1 against 1.4, 1.5: t = 5.66
    assert gates.welch_of_runs(sides) is Call.SLOWER
    assert gates.welch_of_runs(of_two([[0.5, 0.5], [0.6, 0.5]], [[0.5, 0.6], [0.5, 0.5]])) is Call.NOTHING
    assert gates.welch_of_runs(of_two([[1.0]], [[2.0]])) is Call.NOTHING


def test_criterion_wants_significance_and_an_interval_beyond_one_percent() -> None:
    base = np.resize([0.99, 1.0, 1.01], 100)
    assert gates.criterion(base, 1.03 * base, rng()) is Call.SLOWER
    assert gates.criterion(base, 1.007 * base, rng()) is Call.NOTHING  # significant, and within the noise threshold
    assert gates.criterion(base, base, rng()) is Call.NOTHING
    assert gates.criterion(base, 0.97 * base, rng()) is Call.FASTER


def test_perfherder_wants_twelve_nights_after_a_rise_of_two_percent() -> None:
    assert histories.perfherder(raised(0.05, 42)) == [30]
    assert histories.perfherder(raised(0.05, 41)) == []  # eleven
    assert histories.perfherder(raised(0.015, 60)) == []
    assert histories.perfherder(raised(-0.05, 60)) == []
    assert histories.perfherder(np.resize([1.0, 1.1], 60)) == []


def test_conbench_counts_standard_deviations_of_residuals() -> None:
    # residuals of 1, 3, 1, 3 …: 0, 2, −1, 4/3 …
    values = np.array([1.0, 3.0, 1.0, 3.0, 10.0])
    spread = np.std([0.0, 2.0, -1.0, 3.0 - 5.0 / 3.0], ddof=1)
    assert histories.conbench_z(values) == pytest.approx((10.0 - 2.0) / spread)
    assert histories.conbench_z(FLAT) == 0.0
    spiked = np.append(raised(0.0, 40), 1.05)
    spiked[25] = 3.0  # jumps and comes back: left out, so that the last value still stands out
    assert histories.conbench_z(spiked) > 5.0


def test_rustc_perf_takes_quartiles_as_medians_of_the_halves() -> None:
    # differences of 1, 2, 3, 4, 5 %: halves {1, 2} and {4, 5}: 4.5 + 3 × (4.5 − 1.5) = 13.5 %
    history = np.cumprod([1.0, 1.01, 1.02, 1.03, 1.04, 1.05])
    assert histories.rustc_perf_threshold(history) == pytest.approx(0.135)
    # of six (1 to 6 %) it takes {1, 2} and {5, 6}
    history = np.cumprod([1.0, 1.01, 1.02, 1.03, 1.04, 1.05, 1.06])
    assert histories.rustc_perf_threshold(history) == pytest.approx(0.055 + 3 * 0.04)


def test_bencher_predicts_the_next_value() -> None:
    # 1, 2, 3, 4, 5: mean 3, sd 1.5811, t(0.99, 4) = 3.7469, times sqrt(1.2): 9.490
    assert histories.bencher_t(np.array([1.0, 2.0, 3.0, 4.0, 5.0, 9.50]))
    assert not histories.bencher_t(np.array([1.0, 2.0, 3.0, 4.0, 5.0, 9.48]))


def test_rules_for_the_last_night_name_it() -> None:
    def said(name: str, last: float) -> list[int]:
        seconds = np.append(raised(0.0, 40), last)
        return list(ALL_WATCHES[name].judge(Nights(seconds, seconds), rng()))

    assert said("night before, 5 %", 1.06) == said("night before, 7 %", 1.08) == [40]
    assert said("night before, 5 %", 1.04) == said("night before, 7 %", 1.06) == []
    assert said("github-action-benchmark", 2.1) == [40]
    assert said("github-action-benchmark", 1.9) == []
    assert said("rustc-perf", 1.05) == said("conbench", 1.05) == said("bencher t .99", 1.05) == [40]
    assert said("rustc-perf", 1.001) == said("conbench", 1.001) == said("bencher t .99", 1.001) == []


def test_the_least_squares_cuts() -> None:
    assert installed.segments(raised(0.05)) == [30]
    seen = Nights(raised(0.05), FLAT)
    assert ALL_WATCHES["ruptures"].judge(seen, rng()) == ALL_WATCHES["ruptures, ≥ 2 %"].judge(seen, rng()) == [30]
    small = Nights(raised(0.015), FLAT)
    assert ALL_WATCHES["ruptures"].judge(small, rng()) == [30]
    assert ALL_WATCHES["ruptures, ≥ 2 %"].judge(small, rng()) == []
    assert ALL_WATCHES["ruptures"].judge(Nights(raised(-0.05), FLAT), rng()) == []


# --- other tools' own code, where it is installed --------------------------------------------------------------------


def needing(package: str) -> pytest.MarkDecorator:
    missing = importlib.util.find_spec(package) is None
    return pytest.mark.skipif(missing, reason=f"{package} is not installed (nox -s detectors installs it)")


@needing("otava")
def test_otavas_code_names_upward_changes_only() -> None:
    for name in ("Otava", "Otava, ≥ 2 %"):
        assert list(ALL_WATCHES[name].judge(Nights(raised(0.05), FLAT), rng())) == [30]
        assert list(ALL_WATCHES[name].judge(Nights(raised(-0.05), FLAT), rng())) == []
    assert list(ALL_WATCHES["Otava"].judge(Nights(raised(0.01), FLAT), rng())) == [30]
    assert list(ALL_WATCHES["Otava, ≥ 2 %"].judge(Nights(raised(0.01), FLAT), rng())) == []


@needing("asv")
def test_asvs_code_lists_steps_of_five_percent() -> None:
    judge = ALL_WATCHES["asv steps"].judge
    assert list(judge(Nights(raised(0.08, 60), FLAT), rng())) == [30]
    assert list(judge(Nights(raised(0.03, 60), FLAT), rng())) == []
    assert list(judge(Nights(raised(-0.08, 60), FLAT), rng())) == []


@needing("asv")
def test_asvs_code_wants_a_tenth_and_significance() -> None:
    base = np.resize([0.99, 1.0, 1.01], (5, 20))
    said = [ALL_GATES["asv continuous"].judge(Sides(base, f * base), rng()).call for f in (1.12, 1.08, 0.88)]
    assert said == [Call.SLOWER, Call.NOTHING, Call.FASTER]


@needing("pyperf")
def test_pyperfs_code_tests_pooled_values() -> None:
    base = np.resize([0.9, 1.0, 1.1], (5, 20))
    said = [ALL_GATES["pyperf"].judge(Sides(base, f * base), rng()).call for f in (1.05, 1.001, 0.95)]
    assert said == [Call.SLOWER, Call.NOTHING, Call.FASTER]


# --- watching and counting -------------------------------------------------------------------------------------------


def test_a_finding_that_is_reported_again_is_no_second_alarm() -> None:
    def judge(seen: Nights, random: np.random.Generator) -> list[int]:
        count = len(seen.seconds)
        return [5, *([31] if count >= 33 else []), *([30, 40] if count >= 45 else [])]

    detector = Watch("test", "test", Kind.CONTROL, judge=judge)
    alarms, standing = watch(detector, Nights(np.ones(60), np.ones(60)), 50, rng())
    assert alarms == [(32, 31), (44, 40)]  # 5 was known before, 30 is 31 again
    assert standing == {5, 30, 31, 40}


def test_a_detector_sees_no_night_to_come() -> None:
    seen = []
    detector = Watch("test", "", Kind.CONTROL, judge=lambda nights, random: seen.append(len(nights.seconds)) or [])
    watch(detector, Nights(np.ones(60), np.ones(60)), 34, rng())
    assert seen == [30, 31, 32, 33, 34]


def test_what_is_counted_of_a_series() -> None:
    tally = WatchTally()
    tally.add([(32, 31)], 14, 30, standing=True)  # right, on the third night
    tally.add([(31, 20), (43, 32)], 14, 30, standing=False)  # wrong first, then right on the fourteenth
    tally.add([], 14, 30, standing=False)
    tally.add([(36, 36)], 14, 30, standing=False)  # wrong place
    other = WatchTally()
    other.merge(tally)
    assert other == tally
    assert (tally.alarmed, tally.alarms, tally.nights) == (3, 4, 56)
    assert [tally.found_within(nights).hits for nights in (1, 3, 4, 14)] == [0, 1, 1, 2]
    assert tally.delay == 8.5
    assert (tally.placed.hits, tally.placed.of, tally.standing) == (1, 3, 1)
    assert WatchTally().delay is None


def test_what_is_counted_of_a_gate() -> None:
    tally, other = GateTally(), GateTally()
    tally.add(Ruling(Call.SLOWER, (0.01, 0.03), (0.0, 0.04)), 0.02)
    tally.add(Ruling(Call.NOTHING, (0.03, 0.05), (0.02, 0.06)), 0.02)
    tally.add(Ruling(Call.NOTHING), 0.02)
    other.merge(tally)
    assert other == tally
    assert tally.share(Call.NOTHING) == Share(2, 3)
    assert (tally.intervals, tally.inside90, tally.inside98) == (2, 1, 2)


def test_a_share_has_wilsons_interval() -> None:
    # (p + z²/2n ± z sqrt(p(1 − p)/n + z²/4n²)) / (1 + z²/n) with z = 1.95996
    assert Share(5, 100).interval == pytest.approx((0.02154, 0.11175), abs=1e-5)
    assert Share(0, 100).interval == pytest.approx((0.0, 0.03699), abs=1e-5)
    assert shown(Share(5, 100)) == "5.0 % [2.2, 11.2]"
    assert shown(Share(0, 0)) == ""


# --- ours ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("change", ["none", "+10"])
def test_one_or_two_processes_are_inconclusive(processes: int, change: str) -> None:
    sides = draw_sides(HIERARCHICAL, processes, CHANGES[change], rng())
    for in_turn in (False, True):
        assert rule_on(sides, in_turn=in_turn) == Ruling(Call.NOTHING)


def test_our_gate_on_two_sides() -> None:
    processes = np.array([0.997, 1.0, 1.003, 0.999, 1.001])[:, None] * np.resize([0.99, 1.0, 1.01], 30)
    for in_turn in (False, True):
        said = [rule_on(Sides(processes, f * processes[::-1]), in_turn=in_turn) for f in (1.0, 1.03, 0.97)]
        assert [ruling.call for ruling in said] == [Call.UNCHANGED, Call.SLOWER, Call.FASTER]
        for ruling, truth in zip(said, (0.0, math.log(1.03), math.log(0.97)), strict=True):
            assert ruling.interval90 is not None
            assert ruling.interval90[0] < truth < ruling.interval90[1]


def test_our_gate_sees_steps_that_no_median_shows() -> None:
    """Every fifth step takes a third longer."""
    processes = np.array([0.997, 1.0, 1.003, 0.999, 1.001])[:, None] * np.ones(30)
    some = processes * np.resize([1.0, 1.0, 1.0, 1.0, 1.33], 30)
    assert rule_on(Sides(processes, some), in_turn=False).call is Call.SLOWER
    assert rule_on(Sides(some, processes), in_turn=False).call is Call.FASTER


def test_of_many_cells_one_needs_more_evidence() -> None:
    """One-sided p is 0.004: enough for one cell, and not for one of twenty."""
    processes = np.array([0.98, 0.99, 1.0, 1.01, 1.02])[:, None] * np.ones(30)
    sides = Sides(processes, 1.036 * processes)
    assert rule_on(sides, in_turn=False).call is Call.SLOWER
    assert rule_on(sides, in_turn=False, family=20).call is Call.NOTHING


def test_our_watch_names_the_night_and_a_later_run_confirms() -> None:
    slow, over = raised(0.05), raised(0.05)
    over[-1] = 1.0  # back at the old level
    still = Nights(slow, raised(0.0))
    ours = (PLAIN, ANCHORED, FOLLOWED, FOLLOWED_ANCHORED)
    assert [list(detector.judge(still, rng())) for detector in ours] == [[30]] * 4
    assert list(PLAIN.judge(Nights(raised(-0.05), FLAT), rng())) == []
    shared = Nights(slow, slow)  # the anchor is slower as well: the machine
    assert list(ANCHORED.judge(shared, rng())) == list(FOLLOWED_ANCHORED.judge(shared, rng())) == []


def test_a_suspect_night_is_run_again_and_only_then_judged() -> None:
    # Three nights at the new level are a change point; the fresh run of the third one confirms it, or does not.
    slow, flat = raised(0.05)[:33], np.ones(33)
    assert Follower(anchored=False).judge(Nights(slow, flat, slow, flat), rng()) == [30]
    assert Follower(anchored=False).judge(Nights(slow, flat, flat, flat), rng()) == []
    assert Follower(anchored=False).judge(Nights(slow, flat), rng()) == []
    spike = np.ones(33)
    spike[31] = 1.1
    once = Follower(anchored=False).follow(Nights(spike, flat, flat, flat))
    assert (once.alarmed, once.fresh_runs) == ((), 1)


@pytest.fixture(scope="module")
def measured() -> Results:
    """A small part of the programme: 60 series and 200 draws."""
    series = [Cell(noise, change) for noise in ("iid-1", "spikes") for change in ("none", "+3")]
    tallies = run([*series, Cell("sticky", "none")], 60, names=OURS_AND_CONTROLS, processes=1).tallies
    sides = [Cell(HIERARCHICAL, "none", USUAL), Cell(HIERARCHICAL, "+3", USUAL), Cell(HIERARCHICAL, "+10", 2)]
    names = [*OURS_AND_CONTROLS, "google/benchmark", "torchbench"]
    tallies.merge(run(sides, 200, names=names, processes=1).tallies)
    return Results(tallies, 200, 1.0)


OURS_AND_CONTROLS = (WELCH.name, IN_TURN.name, FOLLOWED.name, FOLLOWED_ANCHORED.name, "null", "coin")


def test_our_gate_keeps_to_its_rates(measured: Results) -> None:
    quiet, slow = (measured.gate(Cell(HIERARCHICAL, change, USUAL), WELCH.name) for change in ("none", "+3"))
    assert quiet.share(Call.SLOWER).value <= 0.03
    assert quiet.share(Call.UNCHANGED).value >= 0.85
    assert 0.8 <= quiet.inside90 / quiet.intervals <= 0.97
    assert quiet.inside98 / quiet.intervals >= 0.94
    assert slow.share(Call.SLOWER).value >= 0.9
    two = measured.gate(Cell(HIERARCHICAL, "+10", 2), WELCH.name)
    assert two.share(Call.NOTHING).value == 1.0


def test_our_watch_keeps_to_its_rates(measured: Results) -> None:
    assert measured.watch(Cell("iid-1", "none"), FOLLOWED.name).false_alarms.value <= 0.05
    assert measured.watch(Cell("spikes", "none"), FOLLOWED.name).false_alarms.value <= 0.1
    assert measured.watch(Cell("sticky", "none"), FOLLOWED_ANCHORED.name).false_alarms.value <= 0.1
    for noise in ("iid-1", "spikes"):
        assert measured.watch(Cell(noise, "+3"), FOLLOWED.name).found_within(14).value >= 0.75


def test_the_controls_score_what_chance_scores(measured: Results) -> None:
    assert measured.watch(Cell("iid-1", "none"), "null").alarmed == 0
    assert 0.6 <= measured.watch(Cell("iid-1", "none"), "coin").false_alarms.value <= 0.95  # 1 − 0.95^30 = 0.79
    quiet = Cell(HIERARCHICAL, "none", USUAL)
    assert measured.gate(quiet, "null").share(Call.SLOWER).hits == 0
    assert 0.01 <= measured.gate(quiet, "coin").share(Call.SLOWER).value <= 0.1
    assert measured.gate(quiet, "google/benchmark").share(Call.SLOWER).value > 0.1  # pooling is what we do not do


# --- the programme and what it writes --------------------------------------------------------------------------------


def test_every_cell_is_measured_once_and_chunks_cover_the_draws() -> None:
    listed = list(cells())
    assert len(set(listed)) == len(listed)
    slow = Cell(HIERARCHICAL, "+3", USUAL)
    assert replicates(slow, WELCH, 1000) == 400
    found = list(tasks([slow], 300, ["ampmark", "criterion.rs"]))
    assert [(task.start, task.stop) for task in found] == [(0, 50), (50, 100), (100, 120)]
    assert list(found[0].at(47)) == ["ampmark", "criterion.rs"]
    assert list(found[0].at(48)) == list(found[2].at(119)) == ["ampmark"]


def test_the_numbers_do_not_depend_on_who_else_is_measured() -> None:
    cell = Cell("spikes", "none")
    alone = run([cell], 3, names=["coin"], processes=1).watch(cell, "coin")
    together = run([cell], 3, names=["coin", "ampmark", "rustc-perf"], processes=1).watch(cell, "coin")
    assert alone == together
    assert alone.series == 3


def test_words_choose_cells_and_detectors() -> None:
    left, names = chosen_cells(["two-sides", "spikes", "ampmark"])
    assert {(cell.noise, cell.gate) for cell in left} == {("spikes", True)}
    assert names == ["ampmark"]
    assert chosen_cells([]) == (list(cells()), None)
    with pytest.raises(ValueError, match="is not known") as caught:
        chosen_cells(["spikey"])
    assert "'spikes'" in str(caught.value)


def made() -> Results:
    """Literal tallies of two detectors."""
    quiet, slow = Cell(HIERARCHICAL, "none", USUAL), Cell(HIERARCHICAL, "+3", USUAL)
    tallies = Tallies()
    for cell, name, slower, unchanged in (
        (quiet, "ampmark", 0, 95),
        (slow, "ampmark", 97, 0),
        (quiet, "hyperfine", 3, 0),
        (slow, "hyperfine", 100, 0),
    ):
        tallies.gates[cell, name] = GateTally()
        tallies.gates[cell, name].calls.update(
            {Call.SLOWER: slower, Call.UNCHANGED: unchanged, Call.NOTHING: 100 - slower - unchanged}
        )
    tallies.watches[Cell("iid-1", "none"), FOLLOWED.name] = WatchTally(100, 3, 3, 3000)
    tallies.watches[Cell("iid-1", "+3"), FOLLOWED.name] = WatchTally(100, 96, 96, 1400, 95, [3] * 92 + [6] * 3, 95)
    return Results(tallies, 100, 90.0, ("asv steps",))


def test_demands_are_met_missed_or_not_measured() -> None:
    rows = list(acceptance(made()))
    gates = [True, True, True, True, None, None, None]
    assert [row.met for row in rows] == [*gates, False, None, None, None, True, None, None, None]
    assert rows[0].measured == "0.0 % [0.0, 3.7]"
    assert rows[3].measured == "none of 1"
    assert rows[7].wanted == "≤ 2 %"
    assert rows[11].measured == "92.0 % [85.0, 95.9]"


def test_a_peer_that_is_as_good_on_both_is_named() -> None:
    results = made()
    results.tallies.gates[Cell(HIERARCHICAL, "none", USUAL), "hyperfine"] = GateTally()
    results.tallies.gates[Cell(HIERARCHICAL, "none", USUAL), "hyperfine"].calls[Call.NOTHING] = 100
    row = list(acceptance(results))[3]
    assert (row.measured, row.met) == ("hyperfine of 1", False)


def test_a_table_leaves_out_what_was_not_measured() -> None:
    text = table(("a", "b", "c"), [("x", "1", ""), ("y", "", ""), ("z|", "2", "")])
    assert text.splitlines() == ["| a | b |", "| --- | --- |", "| x | 1 |", "| z\\| | 2 |"]
    assert table(("a", "b"), [("x", "")]) == "Not measured."


def test_the_page_says_what_how_and_whether_it_was_all() -> None:
    text = page(made(), surroundings(), full=False)
    assert "**Reduced run.**" in text
    assert "**Reduced run.**" not in page(made(), surroundings(), full=True)
    assert "| hyperfine | 3.0 % [1.0, 8.5] |" in text
    assert f"| {FOLLOWED.name} | 95.0 % [88.8, 97.8] (3) |" in text
    assert "| series with an alarm | independent, 1 % |" in text
    assert "| asv steps | nights | L1 Potts model with AR(1), steps ≥ 5 % | their code |" in text
    assert "2 minutes" in text
    assert all(line.count("|") == 0 or line.startswith("|") for line in text.splitlines() if "Wilson" not in line)


def test_the_numbers_for_reports_are_ours_alone_and_small() -> None:
    text = written(document(made(), surroundings(), full=False))
    found = json.loads(text)
    assert found["full"] is False
    assert found["gate"][0] == {
        "detector": "ampmark",
        "noise": "processes",
        "processes": 5,
        "change": "none",
        "slower": [0.0, 0.0, 0.037, 100],
        "faster": [0.0, 0.0, 0.037, 100],
        "unchanged": [0.95, 0.8882, 0.9785, 100],
        "inconclusive": [0.05, 0.0215, 0.1118, 100],
    }
    assert [row["false_alarms"] for row in found["history"] if "false_alarms" in row] == [[0.03, 0.0103, 0.0845, 100]]
    assert {row["detector"] for row in (*found["gate"], *found["history"])} == {"ampmark", FOLLOWED.name}
    assert "hyperfine" not in json.dumps([found["gate"], found["history"]])


def test_the_shipped_numbers_are_what_the_programme_writes() -> None:
    path = Path(__file__).parents[1] / "suite" / "judge" / "detectors.json"
    text = path.read_text(encoding="utf-8")
    found = json.loads(text)
    assert written(found) == text
    assert found["schema"] == 1
    assert found["acceptance"]
    assert len(text) < 40_000


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--replicates", "2", "--processes", "1", "--only", "null", "--only", "iid-1", "--only", "none"]
    assert main([*words, "--out", str(tmp_path)]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["detectors.json", "detectors.md"]
    assert "| null | 0.0 % [0.0, 65.8] |" in (tmp_path / "detectors.md").read_text("utf-8")
    assert "1 of 1 parts" in capsys.readouterr().out
    assert main(words) == 0
    assert "| null | 0.0 % [0.0, 65.8] |" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ending:
        main(["--only", "nonsense"])
    assert ending.value.code == 2
    assert "'nonsense'" in capsys.readouterr().err


def test_every_detector_says_where_it_comes_from() -> None:
    for detector in (*ALL_GATES.values(), *ALL_WATCHES.values()):
        assert detector.rule
        if detector.kind is Kind.PORT and detector.name != "pooled Welch":
            repository, _, path = detector.source.partition(" ")
            assert "@" in repository
            assert path
