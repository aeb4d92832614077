"""The plan of the demo, and the rule by which it is judged, on records with known losses."""

from __future__ import annotations

from dataclasses import replace

import pytest
import records
from loss_scales import MARKOV, outcome

from suite.loss_scale.findings import headline, judge
from suite.loss_scale.underflow import EXPERIMENTS, MODES, Reach, underflow_plan
from suite.readings import FlushShare
from suite.record import Outcome, TrialRecord
from suite.runner import Finished, run_plan, survey


def test_every_experiment_is_run_in_every_mode_and_differs_in_nothing_else() -> None:
    plan = underflow_plan("cpu")
    assert len(plan.trials) == 18
    assert len({trial.trial_id for trial in plan.trials}) == 18
    assert [trial.precision for trial in plan.trials[:6]] == [mode.precision for mode in MODES]
    for experiment in EXPERIMENTS:
        trials = [trial for trial in plan.trials if trial.workload == experiment.workload]
        assert {(trial.seed, trial.threads, trial.device) for trial in trials} == {(0, 1, "cpu")}
        assert all(trial.setup == experiment.setup for trial in trials)
        assert [trial.scaler.static_scale for trial in trials][3:5] == [experiment.too_small, experiment.fitting]


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda experiment: experiment.workload)
def test_in_exact_arithmetic_the_weight_of_the_loss_changes_nothing(experiment) -> None:  # type: ignore[no-untyped-def]
    optimizer = experiment.setup.optimizer
    assert (optimizer.name, experiment.setup.clip_norm) == ("adamw", None)
    assert optimizer.epsilon < 1e-3 * experiment.loss_weight**2


def test_the_verdicts_of_the_papers() -> None:
    # fp32 gained 4: 0.2 of it is 5 %, 2.0 is 50 %.
    (found,) = judge(outcome(3.0, 3.1, 6.0, 4.0, 2.9, 3.19), MARKOV)
    assert [row.verdict.value for row in found.rows] == [
        "the reference",
        "matches fp32",
        "fails",
        "falls short",
        "matches fp32",
        "matches fp32",
    ]
    assert [row.missing for row in found.rows] == pytest.approx([0.0, 0.025, 0.75, 0.25, -0.025, 0.0475])
    assert [row.final_loss for row in found.rows] == pytest.approx([3.0, 3.1, 6.0, 4.0, 2.9, 3.19])
    assert found.as_in_the_papers
    assert headline([found]) == "Loss scaling is required, as the papers say: found on markov."


@pytest.mark.parametrize(("final", "verdict"), [(3.21, "falls short"), (5.0, "falls short"), (5.01, "fails")])
def test_the_edges_of_the_rule(final: float, verdict: str) -> None:
    (found,) = judge(outcome(3.0, 3.0, 6.0, final, 3.0, 3.0), MARKOV)
    assert found.rows[3].verdict == verdict


def test_what_did_not_come_out_is_said() -> None:
    (found,) = judge(outcome(3.0, 3.0, 3.1, 3.1, 3.0, 3.0), MARKOV)
    assert not found.as_in_the_papers
    assert found.sentence == (
        "Not as in the papers: fp16-unscaled: matches fp32, expected: fails; "
        "fp16-static 2^3: matches fp32, expected: falls short."
    )
    assert headline([found]) == "What the papers found was not found on markov; found on none."


def test_a_divergence_is_a_failure_and_a_broken_trial_has_no_verdict() -> None:
    trials = outcome(3.0, 3.0, 6.0, 4.0, 3.0, 3.0)
    trials[2] = replace(trials[2], outcome=Outcome.DIVERGED, reason="a gradient was not finite at step 3.")
    trials[4] = TrialRecord(spec=trials[4].spec, outcome=Outcome.TIMED_OUT, started_at="", reason="not finished.")
    (found,) = judge(trials, MARKOV)
    assert [row.verdict for row in found.rows[2:5]] == [Reach.FAILS, Reach.FALLS_SHORT, Reach.NO_NUMBERS]
    assert (found.rows[4].final_loss, found.rows[4].overflows, found.rows[4].curve) == (None, None, ())
    assert not found.as_in_the_papers


def test_where_float32_learns_nothing_there_is_nothing_to_compare_with() -> None:
    (found,) = judge(outcome(7.5, 7.5, 8.0, 7.0, 3.0, 3.0), MARKOV)
    assert {row.verdict for row in found.rows} == {Reach.NO_NUMBERS}


def test_the_flushed_share_and_the_scale_come_from_the_trial() -> None:
    trials = outcome(3.0, 3.0, 6.0, 4.0, 3.0, 3.0)
    trace = trials[3].steps
    assert trace is not None
    scaled = replace(trace, scales=(8.0,) * records.STEPS, last_scale=8.0, skips_overflow=True)
    trials[3] = replace(trials[3], steps=scaled, flush=FlushShare(8.0, values=200, flushed=50, overflowed=0))
    (found,) = judge(trials, MARKOV)
    assert (found.rows[3].title, found.rows[3].flushed_share, found.rows[3].last_scale) == (
        "fp16-static 2^3",
        0.25,
        8.0,
    )


def test_float16_really_needs_its_loss_scaled_on_the_synthetic_language() -> None:
    """Real processes, real autocast; the two other experiments are in the slow test of the command."""
    plan = underflow_plan("cpu", MARKOV)
    events = run_plan(plan, survey("cpu"))
    (found,) = judge([event.record for event in events if isinstance(event, Finished)], MARKOV)
    assert found.as_in_the_papers, [(row.title, row.missing, row.record.reason) for row in found.rows]
    shares = [row.flushed_share for row in found.rows]
    assert shares[:2] == [None, None]
    assert (shares[2] or 0) > 0.6
    assert found.rows[0].record.flush_reason == "fp32 does not hold gradients in float16"
