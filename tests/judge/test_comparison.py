"""Candidate against base, the whole: which findings there are, in which order, on which terms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

import pytest
import records

from suite.errors import Incomparable
from suite.judge.calibration import Calibration, CellCalibration
from suite.judge.comparison import BESIDE_FINGERPRINT, Terms, compare_runs
from suite.judge.findings import Finding, MetricClass, Verdict, Verdicts
from suite.readings import Memory, OperatorProfile, OperatorTime
from suite.record import Environment, Outcome, Quality, TrialRecord

STEADY = (0.1000, 0.1001, 0.0999, 0.10005, 0.09995)
"""Five processes that agree within 0.1 %."""
NOISY = (0.100, 0.112, 0.090, 0.105, 0.095)
"""Five processes that agree within 10 %."""
PLAIN = Terms()


def _compare(base: Sequence[TrialRecord], candidate: Sequence[TrialRecord], terms: Terms = PLAIN) -> Verdicts:
    return compare_runs(records.run(base), records.run(candidate, "candidate"), terms)


def _metric(verdicts: Verdicts, metric: str) -> list[Finding]:
    return [finding for finding in verdicts.findings if finding.metric == metric]


def _scaled(seconds: Sequence[float], factor: float) -> list[float]:
    return [value * factor for value in seconds]


# --- which findings there are ---------------------------------------------------------------------------------------


def test_every_metric_class_of_a_cell_has_a_finding() -> None:
    scales = (65536.0, 32768.0, *[16384.0] * 10)
    steps = records.trace(0.1, overflow_steps=(0, 1), scales=scales, last_scale=16384.0, skips_overflow=True)
    trials = [replace(item, steps=steps) for item in records.cell(STEADY, precision="fp16-dynamic")]
    assert {(f.metric, f.metric_class, f.verdict) for f in _compare(trials, trials).findings} == {
        ("step_seconds", MetricClass.STOCHASTIC, Verdict.UNCHANGED),
        ("peak_rss_bytes", MetricClass.STOCHASTIC, Verdict.UNCHANGED),
        ("losses_sha256", MetricClass.EXACT, Verdict.UNCHANGED),
        ("overflow_steps", MetricClass.EXACT, Verdict.UNCHANGED),
        ("quality (accuracy)", MetricClass.QUALITY, Verdict.UNCHANGED),
        ("loss_scale", MetricClass.SHAPE, Verdict.UNCHANGED),
    }


def _some_steps(factor: float, seconds: Sequence[float] = STEADY) -> list[TrialRecord]:
    """Processes of which every third step takes so many times as long: no median moves."""
    steps = [[second * (factor if step % 3 == 2 else 1.0) for step in range(records.STEPS)] for second in seconds]
    return [
        replace(item, steps=records.trace(seconds=tuple(of_one)))
        for item, of_one in zip(records.cell(seconds), steps, strict=True)
    ]


@pytest.mark.parametrize(("factor", "verdict"), [(2.0, Verdict.REGRESSED), (0.5, Verdict.IMPROVED)])
def test_where_only_some_steps_got_slower_the_mean_says_so(factor: float, verdict: Verdict) -> None:
    found = _compare(records.cell(STEADY), _some_steps(factor))
    (median,), (mean,) = _metric(found, "step_seconds"), _metric(found, "mean_step_seconds")
    assert (median.verdict, mean.verdict, mean.estimator) == (Verdict.UNCHANGED, verdict, "mean")
    assert found.count(verdict) == 1


def test_where_the_mean_says_the_same_it_is_no_second_finding() -> None:
    for factor in (0.9, 1.0, 1.1):
        assert _metric(_compare(records.cell(STEADY), records.cell(_scaled(STEADY, factor))), "mean_step_seconds") == []
    # Undecided, and no sign that it grew by what matters.
    assert _metric(_compare(_some_steps(1.0), _some_steps(1.0, NOISY)), "mean_step_seconds") == []


def test_a_mean_that_may_have_grown_is_named_where_the_median_is_unchanged() -> None:
    candidate = [replace(item) for item in records.cell(STEADY)]
    long = (0.1,) * (records.STEPS - 1) + (0.2,)
    candidate[0] = replace(candidate[0], steps=records.trace(seconds=long))
    candidate[1] = replace(candidate[1], steps=records.trace(seconds=long))
    found = _compare(records.cell(STEADY), candidate)
    (median,), (mean,) = _metric(found, "step_seconds"), _metric(found, "mean_step_seconds")
    assert (median.verdict, mean.verdict) == (Verdict.UNCHANGED, Verdict.INCONCLUSIVE)
    assert (mean.change or 0.0) > 0.02


def test_resident_memory_is_judged_only_where_the_device_has_no_allocator_of_its_own() -> None:
    device = Memory(peak_allocated_bytes=7, peak_rss_bytes=300 * 2**20)
    on_device = _compare(records.cell(STEADY, memory=device), records.cell(STEADY, memory=device))
    on_host = _compare(records.cell(STEADY), records.cell(STEADY))
    assert (len(_metric(on_device, "peak_allocated_bytes")), len(_metric(on_device, "peak_rss_bytes"))) == (1, 0)
    assert (len(_metric(on_host, "peak_allocated_bytes")), len(_metric(on_host, "peak_rss_bytes"))) == (0, 1)


def test_the_families_of_time_and_memory_are_corrected_apart() -> None:
    on_device = records.cell(STEADY, "c", memory=Memory(peak_allocated_bytes=7))
    trials = [*records.cell(STEADY, "a"), *records.cell(STEADY, "b"), *on_device]
    found = _compare(trials, trials)
    assert {finding.family for finding in _metric(found, "step_seconds")} == {3}
    assert {finding.family for finding in _metric(found, "peak_rss_bytes")} == {2}


def test_a_change_of_outcome_is_the_only_finding_of_its_cell() -> None:
    crashed = [records.record(Outcome.CRASHED, reason="signal 9")]
    (found,) = _compare([records.record()], crashed).findings
    assert (found.metric, found.verdict, found.reasons) == (
        "outcome",
        Verdict.FAILED,
        ("crashed: signal 9", "before: ok"),
    )


def test_a_trial_that_stopped_on_both_sides_does_not_keep_the_others_from_being_compared() -> None:
    outcomes = (Outcome.DIVERGED, Outcome.OK, Outcome.OK, Outcome.OK)
    side = [records.record(outcome, spec=records.spec(seed=seed)) for seed, outcome in enumerate(outcomes)]
    findings = {finding.metric: finding for finding in _compare(side, side).findings}
    assert findings["outcome"].verdict == Verdict.NOT_MEASURED
    assert (findings["step_seconds"].verdict, findings["step_seconds"].processes_base) == (Verdict.UNCHANGED, 3)


@pytest.mark.parametrize(("vanished", "verdict"), [("candidate", Verdict.INCOMPARABLE), ("base", Verdict.NOT_MEASURED)])
def test_a_cell_that_only_one_side_ran_is_named(vanished: str, verdict: Verdict) -> None:
    both, one = records.cell([0.1], "gpt"), records.cell([0.1], "lstm")
    sides = ([*both, *one], both) if vanished == "candidate" else (both, [*both, *one])
    (found,) = [f for f in _compare(*sides).findings if f.workload == "lstm"]
    assert (found.metric, found.verdict) == ("outcome", verdict)


def test_cells_that_were_set_up_differently_have_that_finding_and_no_other() -> None:
    other = records.record(spec=records.spec(setup=records.setup(batch_size=8)))
    (found,) = _compare([records.record()], [other]).findings
    assert (found.metric, found.verdict, found.reasons) == (
        "setup",
        Verdict.INCOMPARABLE,
        ("setup.batch_size: 4 → 8",),
    )


def test_what_the_candidate_measured_under_other_seeds_is_named_and_its_time_is_not_compared() -> None:
    def side(*seeds: int) -> list[TrialRecord]:
        memory = Memory(peak_allocated_bytes=7)
        return [records.record(spec=records.spec(seed=seed), memory=memory) for seed in seeds]

    verdicts = _compare(side(0, 1, 2), side(5, 6, 7))
    said = "no common seeds: the base has 0, 1, 2, the candidate 5, 6, 7"
    assert {f.metric for f in verdicts.findings if f.reasons == (said,) and f.verdict is Verdict.NOT_MEASURED} == {
        "peak_allocated_bytes",
        "losses_sha256",
        "overflow_steps",
        "quality (accuracy)",
    }
    (time,) = _metric(verdicts, "step_seconds")
    assert (time.verdict, time.reasons) == (Verdict.INCOMPARABLE, (said,))
    assert verdicts.exit_status(frozenset({"regressed"})) == 2


def test_a_quality_by_another_name_cannot_be_compared_and_is_not_passed_over() -> None:
    other = Quality({"recall": 0.75}, "recall", True, 0.5, "majority class")
    verdicts = _compare(records.cell(STEADY), records.cell(STEADY, quality=other))
    (found,) = _metric(verdicts, "quality (accuracy)")
    assert (found.verdict, found.reasons) == (Verdict.INCOMPARABLE, ("quality metric: accuracy → recall",))
    assert verdicts.exit_status(frozenset({"regressed"})) == 2


def test_deterministic_trials_are_judged_by_what_is_exact_and_never_by_their_time() -> None:
    def side(seconds: float) -> list[TrialRecord]:
        return [replace(item, spec=replace(item.spec, deterministic=True)) for item in records.cell([seconds] * 5)]

    found = {finding.metric: finding for finding in _compare(side(0.1), side(0.2)).findings}
    assert found["step_seconds"].verdict is Verdict.NOT_MEASURED
    assert found["step_seconds"].reasons == ("deterministic trials are not timed",)
    assert found["overflow_steps"].verdict is Verdict.UNCHANGED


def test_a_slower_cell_names_the_operators_that_grew() -> None:
    def side(seconds: Sequence[float], product: float) -> list[TrialRecord]:
        times = (OperatorTime("aten::mm", 4.0, product), OperatorTime("aten::add", 9.0, 0.01))
        return records.cell(seconds, operators=OperatorProfile(3, "cpu", times))

    (found,) = _metric(_compare(side(STEADY, 0.05), side(_scaled(STEADY, 1.2), 0.07)), "step_seconds")
    assert [(item.name, item.base_seconds, item.candidate_seconds) for item in found.operators] == [
        ("aten::mm", 0.05, 0.07)
    ]


# --- order and words ------------------------------------------------------------------------------------------------


def test_findings_come_worst_first_and_the_headline_counts_them() -> None:
    base = [
        *records.cell(STEADY, "same"),
        *records.cell(STEADY, "slow"),
        *records.cell(STEADY, "dead"),
        *records.cell([0.1], "few"),
    ]
    candidate = [
        *records.cell(STEADY, "same"),
        *records.cell(_scaled(STEADY, 1.1), "slow", losses_sha256="2" * 64),
        *[replace(r, outcome=Outcome.FAILED, steps=None) for r in records.cell(STEADY, "dead")],
        *records.cell([0.1], "few"),
    ]
    terms = Terms(baseline="main", reproduce="ampmark gate new", warnings=("grown old",))
    verdicts = compare_runs(records.run(base), records.run(candidate, "new"), terms)
    everything = [(f.workload, f.metric, f.verdict.value) for f in verdicts.findings]
    assert everything[:6] == [
        ("slow", "step_seconds", "regressed"),
        ("dead", "outcome", "failed"),
        ("few", "step_seconds", "inconclusive"),
        ("few", "peak_rss_bytes", "inconclusive"),
        ("slow", "losses_sha256", "changed"),
        ("same", "step_seconds", "unchanged"),
    ]
    assert {verdict for _, _, verdict in everything[6:]} == {"unchanged"}
    assert verdicts.headline == (
        "1 regressed, 0 improved, 11 unchanged, 2 inconclusive, 1 failed, 1 changed on Test CPU, "
        "against baseline 'main' (run base)"
    )
    assert (verdicts.base_run, verdicts.candidate_run, verdicts.baseline) == ("base", "new", "main")
    assert (verdicts.warnings, verdicts.reproduce) == (("grown old",), "ampmark gate new")
    assert verdicts.fingerprint == records.environment().fingerprint
    assert (verdicts.anchored, verdicts.looks, verdicts.against_fp32) == (False, 1, ())


def test_a_run_that_is_judged_against_itself_is_unchanged_but_for_what_its_noise_hides() -> None:
    both = [*records.cell(STEADY, "gpt"), *records.cell(NOISY, "lstm", memory=Memory(peak_allocated_bytes=7))]
    verdicts = _compare(both, both)
    assert [(f.workload, f.metric) for f in verdicts.findings if f.verdict is not Verdict.UNCHANGED] == [
        ("lstm", "step_seconds")
    ]
    assert verdicts.count(Verdict.UNCHANGED) == len(verdicts.findings) - 1 == 9


def test_another_machine_is_refused_and_every_difference_is_named() -> None:
    ours = records.run(records.cell([0.1]))
    theirs = records.run(records.cell([0.1]), "other", records.environment(torch="2.15.0", cpu_count=4))
    with pytest.raises(Incomparable) as caught:
        compare_runs(ours, theirs)
    assert str(caught.value) == (
        "run other cannot be judged against base: torch: 2.14.1 → 2.15.0; cpu_count: 2 → 4. "
        "Compare runs of one machine and one software stack, or approve a baseline for this one."
    )


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        ({}, {}, ()),
        ({"git_commit": "abc"}, {"git_commit": "def"}, ("git_commit: abc → def",)),
        ({}, {"ampmark": "0.2.0"}, ("ampmark: 0.1.0 → 0.2.0",)),
        ({}, {"git_dirty": True}, ("git_dirty: False → True",)),
        ({"git_dirty": True}, {"git_dirty": True}, ("git_dirty: on both sides, and perhaps not the same changes",)),
        ({"device": "cuda:0"}, {"device": "cuda:1"}, ("device: cuda:0 → cuda:1",)),
        ({}, {"container": "docker", "persistence": "on"}, ("container: None → docker", "persistence: None → on")),
    ],
)
def test_what_else_differs_between_the_two_sides_is_named(
    ours: dict[str, object], theirs: dict[str, object], said: tuple[str, ...]
) -> None:
    base = records.run(records.cell([0.1]), machine=records.environment(**ours))
    candidate = records.run(records.cell([0.1]), "candidate", records.environment(**theirs))
    assert compare_runs(base, candidate).differences == said


def test_every_fact_of_the_environment_is_compared_one_way_or_another() -> None:
    compared = {*Environment.FINGERPRINT.split(), "ampmark", "git_commit", "git_dirty", *BESIDE_FINGERPRINT}
    assert {field.name for field in fields(Environment)} == compared


# --- terms ----------------------------------------------------------------------------------------------------------


def test_error_rates_are_divided_among_the_looks() -> None:
    found = _compare(records.cell(STEADY), records.cell(STEADY), Terms(looks=3))
    assert (found.alpha, found.false_discovery_rate, found.looks) == (
        pytest.approx(0.01 / 3),
        pytest.approx(0.05 / 3),
        3,
    )
    one = _compare(records.cell(STEADY), records.cell(STEADY))
    assert (one.alpha, one.false_discovery_rate, one.delta) == (0.01, 0.05, 0.02)


def test_with_an_anchor_the_processes_are_compared_block_by_block() -> None:
    drifting = (0.100, 0.104, 0.109, 0.115, 0.120)
    slower = [value * factor for value, factor in zip(drifting, (1.03, 1.031, 1.029, 1.03, 1.03), strict=True)]
    anchored = _compare(
        records.cell(drifting), records.cell(slower), Terms(anchor=records.run(records.cell(drifting), "anchor"))
    )
    (found,) = _metric(anchored, "step_seconds")
    assert (found.verdict, found.test, anchored.anchored) == (Verdict.REGRESSED, "paired t over blocks", True)
    (apart,) = _metric(_compare(records.cell(drifting), records.cell(slower)), "step_seconds")
    assert (apart.verdict, apart.test) == (Verdict.INCONCLUSIVE, "Welch")


def test_the_frozen_estimator_and_margin_of_a_cell_are_used() -> None:
    sha = records.spec().setup_sha256
    frozen = CellCalibration("gpt", "fp32", sha, 20, estimator="min", quality_metric="accuracy", quality_margin=0.1)

    def side(*values: float) -> list[TrialRecord]:
        return [
            records.record(
                spec=records.spec(seed=seed), quality=Quality({"accuracy": value}, "accuracy", True, 0.5, "majority")
            )
            for seed, value in enumerate(values)
        ]

    terms = Terms(calibration=Calibration(cells=(frozen,)))
    found = _compare(side(0.75, 0.76, 0.77), side(0.76, 0.75, 0.77), terms)
    assert _metric(found, "step_seconds")[0].estimator == "min"
    (quality,) = _metric(found, "quality (accuracy)")
    assert (quality.limit, quality.verdict) == (0.1, Verdict.UNCHANGED)


def _many(factor: float) -> list[TrialRecord]:
    return [
        item
        for workload in ("gpt", "lstm")
        for precision in ("fp32", "bf16")
        for item in records.cell(_scaled(STEADY, factor), workload, precision)
    ]


@pytest.mark.parametrize(("anchored", "verdict"), [(False, Verdict.REGRESSED), (True, Verdict.REGRESSED)])
def test_many_cells_that_slow_down_together_are_one_finding_that_comes_before_theirs(
    anchored: bool, verdict: Verdict
) -> None:
    verdicts = _compare(_many(1.0), _many(1.1), Terms(anchor=records.run(_many(1.0), "anchor") if anchored else None))
    first, *others = _metric(verdicts, "step_seconds")
    assert (first.workload, first.precision, first.verdict) == ("all", "all", verdict)
    assert {finding.verdict for finding in others} == {Verdict.CHANGED}
    assert verdicts.warnings == ("machine-wide shift: 4 of 4 cells are slower, by 10.0% to 10.0%",)


def test_a_self_check_keeps_them_apart() -> None:
    verdicts = _compare(_many(1.0), _many(1.1), Terms(collapsing=False))
    assert verdicts.count(Verdict.REGRESSED) == 4
    assert verdicts.warnings == ()


def test_precisions_are_told_apart_from_float32_by_their_quality() -> None:
    def qualities(precision: str, *values: float) -> list[TrialRecord]:
        return [
            records.record(
                spec=records.spec("gpt", precision, seed=seed),
                quality=Quality({"accuracy": value}, "accuracy", True, 0.5, "majority class"),
            )
            for seed, value in enumerate(values)
        ]

    both = [
        *qualities("fp32", 0.70, 0.71, 0.72, 0.73, 0.74),
        *qualities("bf16", 0.50, 0.51, 0.52, 0.53, 0.54),
    ]
    (said,) = _compare(both, both).against_fp32
    assert (said.cell, said.conclusion, said.difference) == ("gpt × bf16", "worse", pytest.approx(0.2))
