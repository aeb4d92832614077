"""What other programs read: the same numbers as in the Parquet, and their own programs take them."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
import records

from suite.interchange.junit import junit_of
from suite.interchange.pytest_benchmark import pytest_benchmark_of
from suite.interchange.tables import csv_of, json_of, parquet_of
from suite.judge.findings import Finding, Verdict, Verdicts
from suite.record import Outcome
from suite.store import Run

STOPPED = records.record(Outcome.TIMED_OUT, reason="60 s <\x00 \ufffe ]]>", spec=records.spec("bert", "bf16"))
RUN = records.run([*records.cell([0.1, 0.3, 0.2]), STOPPED])


def _verdicts(*findings: Finding) -> Verdicts:
    return Verdicts("run-0", "base", "main", "f" * 64, "Test CPU", 0.01, 0.05, 0.02, findings)


# --- tables -----------------------------------------------------------------------------------------------------------


def test_csv_and_parquet_hold_the_stored_numbers_to_the_last_digit() -> None:
    csv = pd.read_csv(io.BytesIO(csv_of(records.run(records.cell([0.1, 1 / 3])))))
    parquet = pd.read_parquet(io.BytesIO(parquet_of(RUN)))
    assert csv["step_seconds_median"].tolist() == [0.1, 1 / 3]
    pd.testing.assert_frame_equal(parquet, RUN.trials)


def test_json_has_the_run_and_null_for_gaps() -> None:
    data = json.loads(json_of(records.run(records.cell([0.1]))))
    assert data["run"]["run"] == "base"
    assert data["trials"][0]["step_seconds_median"] == 0.1
    assert data["trials"][0]["energy_joules"] is None


# --- pytest-benchmark -------------------------------------------------------------------------------------------------


def test_a_benchmark_is_a_cell_and_a_round_is_a_process() -> None:
    (found,) = json.loads(pytest_benchmark_of(RUN))["benchmarks"]
    assert (found["name"], found["group"], found["param"]) == ("gpt[fp32]", "gpt", "fp32")
    stats = found["stats"]
    assert (stats["rounds"], stats["min"], stats["median"], stats["max"]) == (3, 0.1, 0.2, 0.3)
    assert (stats["mean"], stats["stddev"], stats["ops"]) == pytest.approx((0.2, 0.1, 5.0))
    assert (stats["q1"], stats["q3"], stats["iqr"]) == pytest.approx((0.15, 0.25, 0.1))


def test_pytest_benchmark_itself_compares_two_runs(tmp_path: Path) -> None:
    paths = []
    for number, seconds in enumerate((0.1, 0.2)):
        paths.append(tmp_path / f"000{number}_run.json")
        paths[-1].write_bytes(pytest_benchmark_of(records.run(records.cell([seconds] * 3), f"run-{number}")))
    call = "from pytest_benchmark.cli import main; main()"
    command = [sys.executable, "-c", call, "compare", *map(str, paths)]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "gpt[fp32]" in ended.stdout
    assert "(2.00)" in ended.stdout


# --- JUnit ------------------------------------------------------------------------------------------------------------


def _suite(run: Run, verdicts: Verdicts | None) -> ElementTree.Element:
    (suite,) = ElementTree.fromstring(junit_of(run, verdicts))
    return suite


@pytest.mark.parametrize(
    ("verdict", "result"),
    [
        (Verdict.REGRESSED, "failure"),
        (Verdict.FAILED, "error"),
        (Verdict.INCONCLUSIVE, "skipped"),
        (Verdict.INCOMPARABLE, "error"),
        (Verdict.NOT_MEASURED, "skipped"),
        (Verdict.CHANGED, None),
        (Verdict.IMPROVED, None),
        (Verdict.UNCHANGED, None),
    ],
)
def test_each_verdict_is_what_a_ci_server_should_make_of_it(verdict: Verdict, result: str | None) -> None:
    finding = Finding("gpt", "bf16", "step_seconds", verdict, change=0.05, reasons=("so.",))
    suite = _suite(RUN, _verdicts(finding))
    (case,) = suite
    assert (case.get("classname"), case.get("name")) == ("gpt.bf16", "step_seconds")
    assert [child.tag for child in case] == ([] if result is None else [result])
    if result is not None:
        assert case[0].get("message") == f"{verdict}; change +0.05; so."
    counts = {"failure": suite.get("failures"), "error": suite.get("errors"), "skipped": suite.get("skipped")}
    assert counts == {name: str(int(name == result)) for name in counts}


def test_without_verdicts_a_case_is_a_trial_and_odd_characters_do_not_break_it() -> None:
    cases = list(_suite(RUN, None))
    assert [[child.tag for child in case] for case in cases] == [[], [], [], ["error"]]
    assert cases[3][0].get("message") == "timed out: 60 s <\ufffd \ufffd ]]>"


def test_a_refused_gate_is_one_error_more_with_the_sentence() -> None:
    suite = ElementTree.fromstring(junit_of(RUN, None, "no baseline 'mian' is approved"))[0]
    assert (suite.get("tests"), suite.get("errors"), suite.get("failures")) == ("5", "2", "0")
    case = suite[0]
    assert (case.get("classname"), case.get("name")) == ("ampmark", "gate")
    assert [(child.tag, child.get("message")) for child in case] == [("error", "no baseline 'mian' is approved")]


ATTRIBUTES = {
    "testsuites": {"name", "time", "tests", "failures", "disabled", "errors"},
    "testsuite": {
        *("name", "tests", "failures", "errors", "time", "disabled", "skipped"),
        *("timestamp", "hostname", "id", "package"),
    },
    "testcase": {"name", "assertions", "time", "classname", "status", "class", "file", "line"},
    "failure": {"type", "message"},
    "error": {"type", "message"},
    "skipped": {"type", "message"},
}


def test_only_what_the_common_schema_knows_is_written() -> None:
    """Elements and attributes of Jenkins' junit-10.xsd (xunit-plugin), which other servers' readers follow."""
    verdicts = _verdicts(*(Finding("g", "p", f"m{n}", verdict) for n, verdict in enumerate(Verdict)))
    for text in (junit_of(RUN, verdicts), junit_of(RUN, None), junit_of(RUN, None, "why")):
        for element in ElementTree.fromstring(text).iter():
            assert set(element.attrib) <= ATTRIBUTES[element.tag]
