"""Findings and the sentence that sums them up."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from suite.decode import decode, encode
from suite.judge.findings import (
    ORDER,
    Finding,
    MetricClass,
    OperatorGrowth,
    PrecisionQuality,
    Verdict,
    Verdicts,
)


def _verdicts(*verdicts: Verdict, baseline: str | None = None) -> Verdicts:
    return Verdicts(
        base_run="run-a",
        candidate_run="run-b",
        baseline=baseline,
        fingerprint="f" * 64,
        device="Test CPU",
        alpha=0.01,
        false_discovery_rate=0.05,
        delta=0.02,
        findings=tuple(Finding("gpt", "bf16", "step_seconds", verdict) for verdict in verdicts),
    )


def test_worst_comes_first() -> None:
    assert sorted(Verdict, key=ORDER.__getitem__) == [
        "regressed",
        "failed",
        "incomparable",
        "inconclusive",
        "changed",
        "improved",
        "unchanged",
        "not measured",
    ]


def test_a_cell_is_named_by_workload_and_precision() -> None:
    assert Finding("gpt", "bf16", "step_seconds", Verdict.UNCHANGED).cell == "gpt × bf16"


def test_the_headline_counts_the_four_verdicts_and_names_the_run() -> None:
    made = _verdicts(Verdict.REGRESSED, Verdict.UNCHANGED, Verdict.UNCHANGED, Verdict.INCONCLUSIVE)
    assert made.headline == "1 regressed, 0 improved, 2 unchanged, 1 inconclusive on Test CPU, against run run-a"


def test_the_headline_names_what_could_not_be_judged_only_where_there_is_any() -> None:
    made = _verdicts(Verdict.NOT_MEASURED, Verdict.FAILED, Verdict.INCOMPARABLE, Verdict.FAILED, baseline="main")
    assert made.headline == (
        "0 regressed, 0 improved, 0 unchanged, 0 inconclusive, 2 failed, 1 incomparable, 1 not measured "
        "on Test CPU, against baseline 'main' (run run-a)"
    )


def test_the_headline_names_what_changed_without_being_better_or_worse_and_an_anchor() -> None:
    made = replace(_verdicts(Verdict.CHANGED, Verdict.CHANGED, baseline="main"), anchored=True)
    assert made.headline == (
        "0 regressed, 0 improved, 0 unchanged, 0 inconclusive, 2 changed on Test CPU, "
        "against baseline 'main' (run run-a, run again in turn with it)"
    )


def test_counting() -> None:
    made = _verdicts(Verdict.FAILED, Verdict.IMPROVED, Verdict.FAILED)
    assert [made.count(verdict) for verdict in (Verdict.FAILED, Verdict.IMPROVED, Verdict.REGRESSED)] == [2, 1, 0]


FULL = Finding(
    "gpt",
    "bf16",
    "step_seconds",
    Verdict.REGRESSED,
    MetricClass.STOCHASTIC,
    base=0.1,
    candidate=0.11,
    change=0.1,
    low=0.08,
    high=0.12,
    low90=0.09,
    high90=0.11,
    limit=0.02,
    p=1e-6,
    p_adjusted=2e-6,
    family=2,
    minimum_detectable=0.021,
    runs_to_decide=7,
    estimator="median",
    test="Welch",
    values_base=(0.1, 0.1, 0.1),
    values_candidate=(0.11, 0.11, 0.11),
    processes_base=3,
    processes_candidate=3,
    look=2,
    reasons=("because",),
    notes=("by the way",),
    operators=(OperatorGrowth("aten::mm", 0.05, 0.06, 4.0, 5.0), OperatorGrowth("aten::add", 0.01, 0.02, None, 3.0)),
)


def test_verdict_json_holds_everything_and_can_be_read_back() -> None:
    made = replace(
        _verdicts(baseline="main"),
        findings=(FULL, Finding("gpt", "bf16", "outcome", Verdict.NOT_MEASURED)),
        anchored=True,
        looks=3,
        warnings=("it has grown old",),
        against_fp32=(PrecisionQuality("gpt", "bf16", "loss", "worse", 0.1, 0.05, None, 0.02, 5, "why"),),
        reproduce="ampmark gate run-b",
    )
    sent = json.loads(json.dumps(encode(made), allow_nan=False))
    assert sent["findings"][0]["verdict"] == "regressed"
    assert sent["findings"][0]["metric_class"] == "stochastic"
    assert decode(Verdicts, sent, "verdict.json") == made


def test_a_precision_is_named_like_a_cell() -> None:
    assert PrecisionQuality("gpt", "bf16", "loss", "worse", 0.1, None, None, None, 1).cell == "gpt × bf16"


@pytest.mark.parametrize(
    ("verdicts", "fail_on", "status"),
    [
        ((Verdict.UNCHANGED,), "regressed", 0),
        ((Verdict.IMPROVED, Verdict.INCONCLUSIVE), "regressed", 0),
        ((Verdict.UNCHANGED, Verdict.NOT_MEASURED), "regressed", 0),
        ((Verdict.REGRESSED, Verdict.FAILED, Verdict.INCOMPARABLE), "regressed", 1),
        ((Verdict.REGRESSED,), "inconclusive", 0),
        ((Verdict.CHANGED,), "regressed,inconclusive", 0),
        ((Verdict.CHANGED, Verdict.NOT_MEASURED), "regressed", 0),
        ((Verdict.CHANGED, Verdict.REGRESSED), "regressed", 1),
        ((Verdict.INCONCLUSIVE,), "regressed", 0),
        ((Verdict.NOT_MEASURED,), "regressed", 2),
        ((), "regressed", 2),
        ((Verdict.UNCHANGED, Verdict.INCOMPARABLE), "regressed", 2),
        ((Verdict.UNCHANGED, Verdict.INCONCLUSIVE), "regressed,inconclusive", 3),
        ((Verdict.FAILED, Verdict.INCONCLUSIVE), "regressed,inconclusive", 4),
    ],
)
def test_the_exit_status_is_the_worst_that_the_caller_wants_to_fail_on(
    verdicts: tuple[Verdict, ...], fail_on: str, status: int
) -> None:
    findings = tuple(Finding("gpt", "fp32", "step_seconds", verdict) for verdict in verdicts)
    said = Verdicts("a", "b", None, "f", "d", 0.01, 0.05, 0.02, findings)
    assert said.exit_status(frozenset(fail_on.split(","))) == status
