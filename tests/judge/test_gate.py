"""The gate on stored runs: which processes are the base, look by look, and what weakens the comparison."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import records

from suite.companions import AnchorNote, anchor_folder, topup_folder, write_note
from suite.errors import Incomparable, NoBaseline, UsageError
from suite.judge.baseline import approve, find
from suite.judge.calibration import Calibration, CellCalibration, freeze
from suite.judge.findings import Finding, MetricClass, Verdict, Verdicts
from suite.judge.gate import judge, undecided
from suite.readings import Memory
from suite.record import Outcome, Quality, TrialRecord
from suite.store import Run, create_run, load_run

STEADY = (0.1000, 0.1001, 0.0999, 0.10005, 0.09995)
"""Five processes that agree within 0.1 %."""
UNSTEADY = (0.100, 0.102, 0.098, 0.1015, 0.0985)
"""Five processes that agree within 2 %."""
FINGERPRINT = records.environment().fingerprint


def _cell(
    seconds: Sequence[float], workload: str = "gpt", precision: str = "fp32", first: int = 0, rss: int = 300
) -> list[TrialRecord]:
    """One process per time; repeats count from `first`, and each has so many MiB resident."""
    return [
        records.record(
            spec=records.spec(workload, precision, repeat=first + number),
            steps=records.trace(value),
            memory=Memory(peak_rss_bytes=rss * 2**20),
        )
        for number, value in enumerate(seconds)
    ]


def _scaled(seconds: Sequence[float], factor: float) -> list[float]:
    return [value * factor for value in seconds]


def _approved(results: Path, trials: Sequence[TrialRecord], name: str = "main") -> Run:
    run = records.stored(results, trials)
    approve(results, run, name, "trusted")
    return run


def _finding(verdicts: Verdicts, workload: str = "gpt", metric: str = "step_seconds") -> Finding:
    (found,) = [f for f in verdicts.findings if (f.workload, f.metric) == (workload, metric)]
    return found


def _blocks(run: Run, seconds: Sequence[float], base: Run, *, name: str = "main", reason: str | None = None) -> None:
    """An anchor beside a run: one block, a run of its own, per time."""
    write_note(run.folder, AnchorNote(name, base.info.run, reason=reason))
    for value in seconds:
        records.stored(anchor_folder(run.folder), _cell([value]))


# --- one look at the stored baseline --------------------------------------------------------------------------------


def test_without_an_anchor_the_base_are_the_stored_processes_of_the_baseline(tmp_path: Path) -> None:
    base = _approved(tmp_path, _cell(STEADY))
    candidate = records.stored(tmp_path, _cell(_scaled(STEADY, 1.1)))
    verdicts = judge(candidate, tmp_path, "main")
    assert _finding(verdicts).verdict == Verdict.REGRESSED
    assert (verdicts.baseline, verdicts.base_run, verdicts.candidate_run) == ("main", base.info.run, candidate.info.run)
    assert (verdicts.anchored, verdicts.looks, verdicts.alpha, verdicts.warnings) == (False, 1, 0.01, ())
    assert verdicts.reproduce == f"ampmark gate {candidate.info.run} --baseline main"


def test_without_an_approved_baseline_there_is_no_verdict(tmp_path: Path) -> None:
    candidate = records.stored(tmp_path, _cell(STEADY))
    with pytest.raises(NoBaseline, match="no baseline 'main' is approved for this machine"):
        judge(candidate, tmp_path, "main")


def test_a_baseline_of_another_stack_is_not_compared_and_what_differs_is_said(tmp_path: Path) -> None:
    other = records.stored(tmp_path, _cell(STEADY), records.environment(torch="2.13.0"))
    approve(tmp_path, other, "main", "trusted")
    with pytest.raises(Incomparable, match=r"torch: 2\.13\.0 → 2\.14\.1"):
        judge(records.stored(tmp_path, _cell(STEADY)), tmp_path, "main")


def test_a_run_is_not_compared_with_itself(tmp_path: Path) -> None:
    base = _approved(tmp_path, _cell(STEADY))
    for candidate in (base, find(tmp_path, "main", records.environment())[1]):
        with pytest.raises(UsageError) as caught:
            judge(candidate, tmp_path, "main")
        assert str(caught.value) == (
            f"run {base.info.run} is baseline 'main' itself, so there is nothing to compare; "
            "measure again with `ampmark run`."
        )


def _digests(folder: Path) -> Mapping[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.2])
def test_no_verdict_ever_moves_the_baseline(tmp_path: Path, factor: float) -> None:
    """An improvement least of all: the next slow-down back to the old level would then be none."""
    _approved(tmp_path, _cell(STEADY))
    before = _digests(tmp_path / "baselines")
    candidate = records.stored(tmp_path, _cell(_scaled(STEADY, factor)))
    for _ in range(2):
        judge(candidate, tmp_path, "main", topping_up=True)
    assert _digests(tmp_path / "baselines") == before != {}


# --- what weakens it ------------------------------------------------------------------------------------------------


def _grown_old(results: Path, days: int) -> None:
    """The one baseline was measured so many days ago."""
    (path,) = (results / "baselines").glob("*/*/*/run.json")
    measured = datetime.now(UTC) - timedelta(days=days, hours=1)
    path.write_text(
        json.dumps(json.loads(path.read_text(encoding="utf-8")) | {"created_at": measured.isoformat()}),
        encoding="utf-8",
    )


@pytest.mark.parametrize(("days", "stale"), [(0, False), (89, False), (91, True), (400, True)])
def test_a_baseline_of_more_than_ninety_days_is_said_to_have_grown_old(tmp_path: Path, days: int, stale: bool) -> None:
    _approved(tmp_path, _cell(STEADY))
    _grown_old(tmp_path, days)
    verdicts = judge(records.stored(tmp_path, _cell(STEADY)), tmp_path, "main")
    said = (
        f"baseline 'main' was measured {days} days ago; run its code again with --anchor, or approve a newer "
        "run with `ampmark baseline approve`"
    )
    assert verdicts.warnings == ((said,) if stale else ())
    assert _finding(verdicts).verdict == Verdict.UNCHANGED


@pytest.mark.parametrize(("blocks", "before"), [(5, 0), (2, 1)])
def test_who_ran_the_anchor_of_an_old_baseline_is_not_told_to_run_it(tmp_path: Path, blocks: int, before: int) -> None:
    base = _approved(tmp_path, _cell(STEADY))
    _grown_old(tmp_path, 91)
    candidate = records.stored(tmp_path, _cell(STEADY))
    _blocks(candidate, STEADY[:blocks], base)
    warnings = judge(candidate, tmp_path, "main").warnings
    assert warnings[before:] == (
        "baseline 'main' was measured 91 days ago; approve a newer run with `ampmark baseline approve`",
    )


def test_who_ran_the_anchor_of_another_baseline_than_the_old_one_is_told_to_run_its(tmp_path: Path) -> None:
    base = _approved(tmp_path, _cell(STEADY))
    _grown_old(tmp_path, 91)
    candidate = records.stored(tmp_path, _cell(STEADY))
    _blocks(candidate, STEADY, base, name="other")
    _, said = judge(candidate, tmp_path, "main").warnings
    assert "run its code again with --anchor, or approve" in said


# --- the anchor -----------------------------------------------------------------------------------------------------

#: A machine that is 8 % slower tonight, and slows by another 4 % while it is measured.
TONIGHT = _scaled((1.00, 1.01, 1.02, 1.03, 1.04), 0.108)


def test_with_an_anchor_its_blocks_are_the_base_and_a_slow_machine_is_no_regression(tmp_path: Path) -> None:
    base = _approved(tmp_path, _cell(STEADY))
    candidate = records.stored(tmp_path, _cell(_scaled(TONIGHT, 1.001)))
    assert _finding(judge(candidate, tmp_path, "main")).verdict == Verdict.REGRESSED
    _blocks(candidate, TONIGHT, base)
    verdicts = judge(candidate, tmp_path, "main")
    found = _finding(verdicts)
    assert (found.verdict, found.test, found.values_base) == (
        Verdict.UNCHANGED,
        "paired t over blocks",
        pytest.approx(TONIGHT),
    )
    assert (verdicts.anchored, verdicts.base_run, verdicts.warnings) == (True, base.info.run, ())
    assert verdicts.headline.endswith(f"against baseline 'main' (run {base.info.run}, run again in turn with it)")


def test_an_anchor_of_another_baseline_is_not_used(tmp_path: Path) -> None:
    base = _approved(tmp_path, _cell(STEADY))
    other = _approved(tmp_path, _cell(STEADY), "other")
    candidate = records.stored(tmp_path, _cell(STEADY))
    _blocks(candidate, _scaled(STEADY, 2.0), other, name="other")
    verdicts = judge(candidate, tmp_path, "main")
    assert (verdicts.anchored, verdicts.base_run) == (False, base.info.run)
    assert verdicts.warnings == ("the anchor is of baseline 'other' and not of 'main'; the stored one counts",)
    assert _finding(verdicts).verdict == Verdict.UNCHANGED
    assert _finding(judge(candidate, tmp_path, "other")).verdict == Verdict.IMPROVED


def test_an_anchor_of_a_run_that_is_no_longer_the_baseline_is_not_used_and_that_is_said(tmp_path: Path) -> None:
    former = _approved(tmp_path, _cell(_scaled(STEADY, 2.0)))
    candidate = records.stored(tmp_path, _cell(STEADY))
    _blocks(candidate, _scaled(STEADY, 2.0), former)
    newer = _approved(tmp_path, _cell(STEADY))
    verdicts = judge(candidate, tmp_path, "main")
    assert (verdicts.anchored, verdicts.base_run) == (False, newer.info.run)
    assert verdicts.warnings == (
        f"the anchor was run {former.info.run}, which is no longer baseline 'main'; the stored one counts",
    )
    assert _finding(verdicts).verdict == Verdict.UNCHANGED


@pytest.mark.parametrize(
    ("blocks", "reason", "said"),
    [
        (2, None, ("2 anchor blocks are too few, at least 3 are needed; the stored baseline counts",)),
        (
            0,
            "it broke",
            (
                "the anchor has 0 blocks: it broke",
                "0 anchor blocks are too few, at least 3 are needed; the stored baseline counts",
            ),
        ),
    ],
)
def test_too_few_blocks_are_not_used_and_that_is_said(
    tmp_path: Path, blocks: int, reason: str | None, said: tuple[str, ...]
) -> None:
    base = _approved(tmp_path, _cell(STEADY))
    candidate = records.stored(tmp_path, _cell(STEADY))
    _blocks(candidate, _scaled(STEADY, 2.0)[:blocks], base, reason=reason)
    verdicts = judge(candidate, tmp_path, "main")
    assert (verdicts.anchored, verdicts.warnings) == (False, said)
    assert _finding(verdicts).verdict == Verdict.UNCHANGED


def test_an_anchor_that_ended_after_three_blocks_is_used_with_the_reason(tmp_path: Path) -> None:
    base = _approved(tmp_path, _cell(STEADY))
    candidate = records.stored(tmp_path, _cell(_scaled(TONIGHT, 1.001)))
    _blocks(candidate, TONIGHT[:3], base, reason="it broke")
    verdicts = judge(candidate, tmp_path, "main")
    assert (verdicts.anchored, verdicts.warnings) == (True, ("the anchor has 3 blocks: it broke",))
    assert (_finding(verdicts).processes_base, _finding(verdicts).processes_candidate) == (3, 3)


# --- several looks --------------------------------------------------------------------------------------------------


def test_topping_up_divides_the_error_rates_from_the_first_look_on(tmp_path: Path) -> None:
    _approved(tmp_path, _cell(UNSTEADY))
    # 3.5 standard errors: one-sided p = 0.004 is below 0.01 and above 0.01 / 3.
    candidate = records.stored(tmp_path, _cell(_scaled(UNSTEADY, 1.04)))
    once, topped = (judge(candidate, tmp_path, "main", topping_up=flag) for flag in (False, True))
    assert (_finding(once).verdict, _finding(topped).verdict) == (Verdict.REGRESSED, Verdict.INCONCLUSIVE)
    assert (topped.looks, topped.alpha, topped.false_discovery_rate) == (
        3,
        pytest.approx(0.01 / 3),
        pytest.approx(0.05 / 3),
    )
    assert topped.reproduce == f"ampmark gate {candidate.info.run} --baseline main --top-up"


def test_what_a_look_decided_stays_and_the_rest_is_decided_by_the_next(tmp_path: Path) -> None:
    # Of five processes of the base alone, ten more of the candidate would tell less than the divided rates cost.
    _approved(tmp_path, [*_cell(UNSTEADY * 3), *_cell(STEADY, "lstm")])
    candidate = records.stored(tmp_path, [*_cell(_scaled(UNSTEADY, 1.03)), *_cell(STEADY, "lstm")])
    first = judge(candidate, tmp_path, "main", topping_up=True)
    assert undecided(first) == [("gpt", "fp32")]
    assert _finding(first).verdict == Verdict.INCONCLUSIVE
    assert _finding(first, metric="peak_rss_bytes").verdict == Verdict.UNCHANGED
    # Five more processes of gpt, as slow as the first and with twice the memory, which was decided already.
    records.stored(topup_folder(candidate.folder), _cell(_scaled(UNSTEADY, 1.03), first=5, rss=600))
    second = judge(candidate, tmp_path, "main")
    time, memory = _finding(second), _finding(second, metric="peak_rss_bytes")
    assert (time.verdict, time.look, time.processes_candidate) == (Verdict.REGRESSED, 2, 10)
    assert (memory.verdict, memory.look, memory.processes_candidate) == (Verdict.UNCHANGED, 1, 5)
    assert _finding(second, "lstm").look == 1
    # Topped up once, it was judged on those terms for good, whether or not that is asked for again.
    assert (second.looks, second.alpha) == (3, pytest.approx(0.01 / 3))
    assert undecided(second) == []
    assert [f.verdict for f in second.findings] == sorted((f.verdict for f in second.findings), key=list(Verdict).index)


def test_a_third_look_with_its_own_anchor_decides_what_two_could_not(tmp_path: Path) -> None:
    base = _approved(tmp_path, _cell(STEADY))
    # Pairs differ by 3 % ± 3 %: t is 2.2 with 4 degrees of freedom, then 3.3 with 9, then 4.1 with 14.
    slower = [
        value * math.exp(0.0296 + 0.03 * z) for value, z in zip(TONIGHT, (-1.2, -0.7, 0.0, 0.7, 1.2), strict=True)
    ]
    candidate = records.stored(tmp_path, _cell(slower))
    _blocks(candidate, TONIGHT, base)
    seen = [_finding(judge(candidate, tmp_path, "main", topping_up=True))]
    for first in (5, 10):
        more = records.stored(topup_folder(candidate.folder), _cell(slower, first=first))
        _blocks(more, TONIGHT, base)
        seen.append(_finding(judge(candidate, tmp_path, "main", topping_up=True)))
    assert [(f.verdict, f.look, f.processes_base, f.processes_candidate) for f in seen] == [
        (Verdict.INCONCLUSIVE, 1, 5, 5),
        (Verdict.INCONCLUSIVE, 2, 10, 10),
        (Verdict.REGRESSED, 3, 15, 15),
    ]
    assert {f.test for f in seen} == {"paired t over blocks"}


def test_a_process_that_fails_at_a_later_look_is_a_failure_of_its_cell(tmp_path: Path) -> None:
    _approved(tmp_path, _cell(UNSTEADY))
    candidate = records.stored(tmp_path, _cell(_scaled(UNSTEADY, 1.04)))
    crashed = records.record(Outcome.CRASHED, reason="signal 9", spec=records.spec(repeat=5))
    records.stored(topup_folder(candidate.folder), [crashed])
    verdicts = judge(candidate, tmp_path, "main")
    assert [(f.metric, f.verdict) for f in verdicts.findings] == [("outcome", Verdict.FAILED)]


def test_only_what_more_processes_could_decide_is_undecided() -> None:
    def said(workload: str, metric: str, *, undecided: bool) -> Finding:
        return Finding(
            workload, "fp32", metric, Verdict.INCONCLUSIVE, MetricClass.STOCHASTIC, family=3, undecided=undecided
        )

    findings = (
        said("noisy", "step_seconds", undecided=True),
        said("noisy", "peak_rss_bytes", undecided=True),
        said("hungry", "peak_rss_bytes", undecided=True),
        said("anchorless", "step_seconds", undecided=False),
        Finding("learned", "fp32", "quality (accuracy)", Verdict.INCONCLUSIVE, MetricClass.QUALITY, family=3),
    )
    verdicts = Verdicts("a", "b", "main", "f", "Test CPU", 0.01, 0.05, 0.02, findings)
    assert undecided(verdicts) == [("noisy", "fp32"), ("hungry", "fp32")]


# --- what an anchor, a later look or a cut-short run must not hide ----------------------------------------------------


def test_a_cell_that_vanished_is_named_also_where_the_anchor_ran_only_what_the_candidate_has(tmp_path: Path) -> None:
    base = _approved(tmp_path, [*_cell(STEADY), *_cell(STEADY, "resnet")])
    candidate = records.stored(tmp_path, _cell(STEADY))
    _blocks(candidate, STEADY, base)
    verdicts = judge(candidate, tmp_path, "main")
    assert verdicts.anchored
    assert _finding(verdicts, "resnet", "outcome").verdict == Verdict.INCOMPARABLE
    assert verdicts.exit_status(frozenset({"regressed"})) == 2


def test_what_fails_tonight_on_both_sides_is_a_failure_for_the_baseline_did_not(tmp_path: Path) -> None:
    base = _approved(tmp_path, [*_cell(STEADY), *_cell(STEADY, "resnet")])
    crashed = [
        records.record(Outcome.CRASHED, reason="signal 9", spec=records.spec("resnet", repeat=n)) for n in range(5)
    ]
    candidate = records.stored(tmp_path, [*_cell(STEADY), *crashed])
    write_note(candidate.folder, AnchorNote("main", base.info.run))
    for value, failed in zip(STEADY, crashed, strict=True):
        once = replace(failed, spec=replace(failed.spec, repeat=0))
        records.stored(anchor_folder(candidate.folder), [*_cell([value]), once])
    verdicts = judge(candidate, tmp_path, "main")
    assert (verdicts.anchored, _finding(verdicts).verdict) == (True, Verdict.UNCHANGED)
    assert _finding(verdicts, "resnet", "outcome").verdict == Verdict.FAILED
    assert verdicts.exit_status(frozenset({"regressed"})) == 4


def test_overflows_of_a_later_look_are_an_alarm_although_an_earlier_one_had_none(tmp_path: Path) -> None:
    """None in 10 processes, then one in each of 20: by chance alone the base would be spared once in 565 times."""
    _approved(tmp_path, _cell(UNSTEADY, precision="fp16-dynamic"))
    candidate = records.stored(tmp_path, _cell(_scaled(UNSTEADY, 1.01), precision="fp16-dynamic"))
    more = [
        replace(trial, steps=records.trace(trial.steps.seconds[0], overflow_steps=[3]))
        for trial in _cell([*UNSTEADY] * 4, precision="fp16-dynamic", first=5)
        if trial.steps is not None
    ]
    records.stored(topup_folder(candidate.folder), more)
    found = _finding(judge(candidate, tmp_path, "main", topping_up=True), metric="overflow_steps")
    assert (found.verdict, found.look) == (Verdict.REGRESSED, 2)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"git_commit": "def"}, "commit def and not abc"),
        ({"ampmark": "0.2.0"}, "ampmark 0.2.0 and not 0.1.0"),
        ({"torch": "2.15.0"}, "torch: 2.14.1 → 2.15.0"),
    ],
)
def test_blocks_of_another_code_than_the_baselines_are_not_used_and_that_is_said(
    tmp_path: Path, other: dict[str, str], said: str
) -> None:
    base = _approved(tmp_path, _cell(STEADY))
    candidate = records.stored(tmp_path, _cell(STEADY))
    write_note(candidate.folder, AnchorNote("main", base.info.run))
    for value in STEADY:
        records.stored(anchor_folder(candidate.folder), _cell([2 * value]), records.environment(**other))
    verdicts = judge(candidate, tmp_path, "main")
    assert (verdicts.anchored, _finding(verdicts).verdict) == (False, Verdict.UNCHANGED)
    assert verdicts.warnings == (f"the anchor is not the baseline's code ({said}); the stored baseline counts",)


def test_a_run_that_was_cut_short_is_not_judged(tmp_path: Path) -> None:
    _approved(tmp_path, _cell(STEADY))
    trials = _cell(STEADY)
    writer = create_run(tmp_path, records.plan(trials), records.environment(), "ampmark run")
    writer.append(trials[0], "")
    with pytest.raises(UsageError, match="was cut short and may hide a regression"):
        judge(load_run(writer.folder), tmp_path, "main")


# --- what was frozen ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("setup", "estimator"), [("this one", "min"), ("another one", "median")])
def test_a_frozen_estimator_is_used_for_its_machine_and_setup(tmp_path: Path, setup: str, estimator: str) -> None:
    base = _approved(tmp_path, _cell(STEADY))
    sha = str(base.trials.iloc[0]["setup_sha256"]) if setup == "this one" else "0" * 64
    frozen = CellCalibration("gpt", "fp32", sha, 20, estimator="min")
    freeze(tmp_path, Calibration(FINGERPRINT, "aa", "2026-01-01T00:00:00+00:00", "equal code", (frozen,)))
    assert _finding(judge(records.stored(tmp_path, _cell(STEADY)), tmp_path, "main")).estimator == estimator


def test_the_baseline_of_the_name_and_no_other_is_meant(tmp_path: Path) -> None:
    _approved(tmp_path, _cell(STEADY), "main")
    old = _approved(tmp_path, _cell(_scaled(STEADY, 1.2)), "v1.0")
    candidate = records.stored(tmp_path, _cell(STEADY))
    assert _finding(judge(candidate, tmp_path, "main")).verdict == Verdict.UNCHANGED
    verdicts = judge(candidate, tmp_path, "v1.0")
    assert (_finding(verdicts).verdict, verdicts.base_run) == (Verdict.IMPROVED, old.info.run)
    assert find(tmp_path, "v1.0", records.environment())[0].run == old.info.run


def test_a_cell_whose_anchor_failed_is_never_an_alarm_beside_others_that_have_one(tmp_path: Path) -> None:
    """The machine is 5 % slower tonight, and so is gpt's anchor; bert's did not run."""
    base = _approved(tmp_path, [*_cell(STEADY), *_cell(STEADY, "bert")])
    slow = _scaled(STEADY, 1.05)
    candidate = records.stored(tmp_path, [*_cell(slow), *_cell(slow, "bert")])
    _blocks(candidate, slow, base)
    verdicts = judge(candidate, tmp_path, "main")
    assert _finding(verdicts).verdict == Verdict.UNCHANGED
    found = _finding(verdicts, "bert")
    assert (found.verdict, found.test) == (Verdict.INCONCLUSIVE, "Welch")
    assert found.reasons == (
        "its anchor has fewer than 3 blocks, so it is compared with the stored baseline of another time",
    )


def test_why_the_anchor_of_a_top_up_broke_is_said(tmp_path: Path) -> None:
    base = _approved(tmp_path, _cell(UNSTEADY))
    candidate = records.stored(tmp_path, _cell(UNSTEADY))
    _blocks(candidate, UNSTEADY, base)
    more = records.stored(topup_folder(candidate.folder), _cell(UNSTEADY, first=5))
    _blocks(more, [], base, reason="it broke")
    assert judge(candidate, tmp_path, "main").warnings == ("the anchor has 5 blocks: it broke",)


def test_what_a_look_decided_stays_where_a_later_trial_of_the_cell_fails(tmp_path: Path) -> None:
    _approved(tmp_path, _cell(UNSTEADY))
    candidate = records.stored(tmp_path, _cell(UNSTEADY, rss=600))
    timed_out = records.record(Outcome.TIMED_OUT, reason="60 s.", spec=records.spec(repeat=5))
    records.stored(topup_folder(candidate.folder), [*_cell(UNSTEADY[1:], first=6, rss=600), timed_out])
    verdicts = judge(candidate, tmp_path, "main", topping_up=True)
    assert _finding(verdicts, metric="peak_rss_bytes").verdict == Verdict.REGRESSED
    assert _finding(verdicts, metric="outcome").verdict in (Verdict.FAILED, Verdict.NOT_MEASURED)
    assert verdicts.exit_status(frozenset({"regressed"})) == 1


def test_a_fourth_look_does_not_count(tmp_path: Path) -> None:
    _approved(tmp_path, _cell(UNSTEADY))
    candidate = records.stored(tmp_path, _cell(UNSTEADY))
    for number in range(4):
        records.stored(topup_folder(candidate.folder), _cell(UNSTEADY, first=5 * (number + 1)))
    found = _finding(judge(candidate, tmp_path, "main"))
    assert found.processes_candidate == 15
    assert found.look <= 3


# --- counts and quality, look by look -------------------------------------------------------------------------------


def _with_bytes(*peaks: int | None, first: int = 0) -> list[TrialRecord]:
    """One process per peak of allocated bytes."""
    return [
        records.record(
            spec=records.spec(precision="fp16-dynamic", repeat=first + number),
            memory=Memory(peak_allocated_bytes=peak),
        )
        for number, peak in enumerate(peaks)
    ]


def _looked(results: Path, base: Sequence[TrialRecord], *looks: Sequence[TrialRecord]) -> list[Verdicts]:
    """What the gate says after the first look and after each further one."""
    _approved(results, base)
    candidate = records.stored(results, looks[0])
    said = [judge(candidate, results, "main", topping_up=True)]
    for more in looks[1:]:
        records.stored(topup_folder(candidate.folder), more)
        said.append(judge(candidate, results, "main", topping_up=True))
    return said


def test_bytes_that_one_look_left_undecided_are_decided_by_the_next(tmp_path: Path) -> None:
    first, both = _looked(
        tmp_path,
        _with_bytes(1012, 1018, 1018, 1016, 1012),
        _with_bytes(1006, 1013, 1004, 1011, 1013),
        _with_bytes(1000, 1008, 1005, 1003, 1001, first=5),
    )
    before, after = (_finding(said, metric="peak_allocated_bytes") for said in (first, both))
    # 8 of 252 ways are as extreme, then 8 of 3003.
    assert (before.verdict, before.p, before.look) == (Verdict.INCONCLUSIVE, pytest.approx(16 / 252), 1)
    assert (after.verdict, after.p, after.look) == (Verdict.IMPROVED, pytest.approx(16 / 3003), 2)
    assert (after.processes_base, after.processes_candidate) == (5, 10)


def test_bytes_that_one_look_decided_stay_decided(tmp_path: Path) -> None:
    # They do not overlap at first, and with five more 517 of 3003 ways are as extreme.
    _, both = _looked(
        tmp_path,
        _with_bytes(1000, 1001, 1000, 1001, 1000),
        _with_bytes(1002, 1003, 1002, 1003, 1002),
        _with_bytes(1000, 1000, 1001, 1000, 999, first=5),
    )
    found = _finding(both, metric="peak_allocated_bytes")
    assert (found.verdict, found.look, found.processes_candidate) == (Verdict.REGRESSED, 1, 5)


@pytest.mark.parametrize(
    ("first", "more", "verdict"),
    [
        # One process needed more; five others with it need as little as any of the base.
        ((2000,), (1000, 1000, 1000, 1000, 1000), Verdict.INCONCLUSIVE),
        # Five that agree and five that do not are all above the base.
        ((2000, 2000, 2000, 2000, 2000), (2000, 2512, 2000, 2512, 2000), Verdict.REGRESSED),
        # 6 of 4368 ways are as extreme: the one above the base may change places with any of the base's five.
        ((1001,), (900, 901, 902, 903, 900, 901, 902, 903, 900, 901), Verdict.IMPROVED),
        ((1000,), (2000, 2001, 2000, 2001, 2000), Verdict.INCONCLUSIVE),
    ],
)
def test_where_processes_of_a_seed_turn_out_to_differ_equality_said_nothing_and_their_test_counts(
    tmp_path: Path, first: tuple[int, ...], more: tuple[int, ...], verdict: Verdict
) -> None:
    once, both = _looked(tmp_path, _with_bytes(*[1000] * 5), _with_bytes(*first), _with_bytes(*more, first=len(first)))
    before, after = (_finding(said, metric="peak_allocated_bytes") for said in (once, both))
    exact = Verdict.UNCHANGED if first[0] == 1000 else Verdict.REGRESSED
    assert (before.verdict, before.metric_class) == (exact, MetricClass.EXACT)
    assert (after.verdict, after.metric_class, after.look) == (verdict, MetricClass.COUNT, 2)
    said = (f"look 1, in which the processes of each seed agreed, said {exact}",)
    assert after.notes == (said if verdict is not exact else ())


def test_bytes_that_no_process_of_an_earlier_look_has_are_what_the_later_one_says(tmp_path: Path) -> None:
    first, both = _looked(
        tmp_path,
        _with_bytes(*[1000] * 10),
        _with_bytes(*[None] * 5),
        _with_bytes(2000, 2512, 2000, 2512, 2000, first=5),
    )
    before, after = (_finding(said, metric="peak_allocated_bytes") for said in (first, both))
    assert (before.verdict, after.verdict, after.look) == (Verdict.NOT_MEASURED, Verdict.REGRESSED, 2)
    assert not any("look 1" in note for note in after.notes)


def _with_quality(*values: float, repeat: int = 0) -> list[TrialRecord]:
    """One process under each of the seeds 0, 1, …"""
    return [
        records.record(
            spec=records.spec(seed=seed, repeat=repeat),
            steps=records.trace(UNSTEADY[seed]),
            quality=Quality({"accuracy": value}, "accuracy", True, 0.5, "majority class"),
        )
        for seed, value in enumerate(values)
    ]


LEARNED = (0.80, 0.82, 0.78, 0.81, 0.79)
"""Of five seeds: the margin is 1.5 · 0.0158."""


def _worse_by(*amounts: float) -> list[float]:
    return [value - amount for value, amount in zip(LEARNED, amounts, strict=True)]


@pytest.mark.parametrize(("sign", "verdict"), [(1, Verdict.REGRESSED), (-1, Verdict.IMPROVED)])
def test_a_quality_that_one_look_left_undecided_is_decided_by_the_next_for_good(
    tmp_path: Path, sign: int, verdict: Verdict
) -> None:
    # 0.05 ± 0.035, then in the mean of each seed's two 0.05 ± 0.001, then of its three as good as 0.
    looks = ((0.01, 0.09, 0.02, 0.08, 0.05), (0.092, 0.01, 0.08, 0.02, 0.05), (-0.102, -0.1, -0.1, -0.1, -0.1))
    said = _looked(
        tmp_path,
        _with_quality(*LEARNED),
        *(
            _with_quality(*_worse_by(*(sign * amount for amount in amounts)), repeat=repeat)
            for repeat, amounts in enumerate(looks)
        ),
    )
    found = [_finding(one, metric="quality (accuracy)") for one in said]
    assert [(one.verdict, one.look) for one in found] == [(Verdict.INCONCLUSIVE, 1), (verdict, 2), (verdict, 2)]


def test_a_seed_that_comes_to_nothing_at_a_later_look_is_an_alarm_although_the_quality_was_unchanged(
    tmp_path: Path,
) -> None:
    same = _worse_by(0.0001, -0.0001, 0.0002, -0.0002, 0.0)
    first, both = _looked(
        tmp_path,
        _with_quality(*LEARNED),
        _with_quality(*same),
        _with_quality(0.8, 0.82, 0.78, 0.81, 0.2, repeat=1),
    )
    before, after = (_finding(said, metric="quality (accuracy)") for said in (first, both))
    assert (before.verdict, before.test) == (Verdict.UNCHANGED, "paired t over seeds")
    assert (after.verdict, after.test) == (Verdict.REGRESSED, "better than an input-blind predictor")


def test_a_quality_that_was_equal_to_the_last_bit_and_is_no_longer_is_what_the_later_look_says(tmp_path: Path) -> None:
    first, both = _looked(
        tmp_path,
        _with_quality(*LEARNED),
        _with_quality(*LEARNED),
        _with_quality(*_worse_by(0.02, 0.18, 0.04, 0.16, 0.1), repeat=1),
    )
    before, after = (_finding(said, metric="quality (accuracy)") for said in (first, both))
    assert (before.verdict, before.test) == (Verdict.UNCHANGED, "equality under equal seeds")
    assert (after.verdict, after.look) == (Verdict.INCONCLUSIVE, 2)


def test_exact_verdicts_keep_the_worse_of_both_looks(tmp_path: Path) -> None:
    # Under seed 0 a mebibyte more, which a later process of seed 1 does not make good.
    def side(zero: int, one: int, repeat: int = 0) -> list[TrialRecord]:
        trials = _with_bytes(zero, one)
        return [replace(trial, spec=replace(trial.spec, seed=seed, repeat=repeat)) for seed, trial in enumerate(trials)]

    first, both = _looked(tmp_path, side(1000, 5000), side(1000 + 2**20, 5000), side(1000 + 2**20, 5000, repeat=1))
    for said in (first, both):
        found = _finding(said, metric="peak_allocated_bytes")
        assert (found.verdict, found.metric_class) == (Verdict.REGRESSED, MetricClass.EXACT)
