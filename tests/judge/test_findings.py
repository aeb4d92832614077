"""Findings and the sentence that sums them up."""

from __future__ import annotations

import json

import pytest

from suite.decode import decode, encode
from suite.judge.findings import ORDER, Finding, Verdict, Verdicts


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
        "inconclusive",
        "improved",
        "unchanged",
        "incomparable",
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


def test_counting() -> None:
    made = _verdicts(Verdict.FAILED, Verdict.IMPROVED, Verdict.FAILED)
    assert [made.count(verdict) for verdict in (Verdict.FAILED, Verdict.IMPROVED, Verdict.REGRESSED)] == [2, 1, 0]


def test_verdict_json_holds_everything_and_can_be_read_back() -> None:
    made = _verdicts(Verdict.REGRESSED, baseline="main")
    sent = json.loads(json.dumps(encode(made), allow_nan=False))
    assert sent["findings"][0]["verdict"] == "regressed"
    assert decode(Verdicts, sent, "verdict.json") == made


@pytest.mark.parametrize(
    ("verdicts", "fail_on", "status"),
    [
        ((Verdict.UNCHANGED,), "regressed", 0),
        ((Verdict.IMPROVED, Verdict.INCONCLUSIVE), "regressed", 0),
        ((Verdict.UNCHANGED, Verdict.NOT_MEASURED), "regressed", 0),
        ((Verdict.REGRESSED, Verdict.FAILED, Verdict.INCOMPARABLE), "regressed", 1),
        ((Verdict.REGRESSED,), "inconclusive", 0),
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
