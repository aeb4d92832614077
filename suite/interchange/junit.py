"""A run's verdicts as JUnit's XML, which every CI server shows: one test case per finding.

`regressed` is a failure, and `failed` and `incomparable` are errors, as the exit status says too; what was not measured
or cannot be decided is skipped with its reason, for a pass would claim more than is known. A run without verdicts has
one case per trial, and where a gate was refused one more, an error, with why.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

import pandas as pd

from suite.judge.findings import Finding, Verdict, Verdicts
from suite.record import Outcome
from suite.store import Run

__all__ = ["junit_of"]

_FAILURE, _ERROR, _SKIPPED = "failure", "error", "skipped"
_RESULT = {
    Verdict.REGRESSED: _FAILURE,
    Verdict.FAILED: _ERROR,
    Verdict.INCONCLUSIVE: _SKIPPED,
    Verdict.INCOMPARABLE: _ERROR,
    Verdict.NOT_MEASURED: _SKIPPED,
}


@dataclass(frozen=True)
class _Case:
    group: str
    name: str
    seconds: float = 0.0
    result: str | None = None
    """None has passed."""
    message: str = ""


def junit_of(run: Run, verdicts: Verdicts | None, refusal: str | None = None) -> bytes:
    """The XML, UTF-8. `refusal` is why a gate could not judge the run, which has no verdicts then."""
    cases = list(_findings(verdicts.findings) if verdicts else _trials(run))
    if refusal is not None:
        cases.insert(0, _Case("ampmark", "gate", 0.0, _ERROR, refusal))
    counts = {kind: sum(case.result == kind for case in cases) for kind in (_FAILURE, _ERROR, _SKIPPED)}
    numbers = {
        "tests": str(len(cases)),
        "failures": str(counts[_FAILURE]),
        "errors": str(counts[_ERROR]),
        "skipped": str(counts[_SKIPPED]),
        "time": f"{sum(case.seconds for case in cases):.3f}",
    }
    whole = {
        name: number for name, number in numbers.items() if name != "skipped"
    }  # Jenkins' schema has no place for it
    root = ElementTree.Element("testsuites", {"name": "ampmark", **whole})
    suite = ElementTree.SubElement(
        root,
        "testsuite",
        {"name": _legal(run.info.run), "timestamp": run.info.created_at[:19], "hostname": "localhost", **numbers},
    )
    for case in cases:
        attributes = {"classname": _legal(case.group), "name": _legal(case.name), "time": f"{case.seconds:.3f}"}
        element = ElementTree.SubElement(suite, "testcase", attributes)
        if case.result is not None:
            message = _legal(case.message)
            told = {"message": message} if case.result == _SKIPPED else {"message": message, "type": case.result}
            ElementTree.SubElement(element, case.result, told).text = message
    ElementTree.indent(root)
    text: str = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'.encode()


def _findings(findings: Sequence[Finding]) -> Iterator[_Case]:
    for finding in findings:
        change = "" if finding.change is None else f"change {finding.change:+.4g}"
        said = "; ".join(part for part in (finding.verdict.value, change, *finding.reasons) if part)
        group = f"{finding.workload}.{finding.precision}"
        yield _Case(group, finding.metric, 0.0, _RESULT.get(finding.verdict), said)


def _trials(run: Run) -> Iterator[_Case]:
    for _, row in run.trials.iterrows():
        outcome = Outcome(row["outcome"])
        broken = outcome.broken or outcome is Outcome.DIVERGED
        result = None if outcome.measured else _ERROR if broken else _SKIPPED
        reason = row["reason"] if isinstance(row["reason"], str) else "no reason was recorded"
        seconds = row["total_seconds"]
        yield _Case(
            f"{row['workload']}.{row['precision']}",
            str(row["trial"]),
            0.0 if pd.isna(seconds) else float(seconds),
            result,
            f"{outcome}: {reason}",
        )


def _legal(text: str) -> str:
    """Without the characters that XML 1.0 has no way to write."""
    return "".join(
        letter
        if letter in "\t\n\r" or "\x20" <= letter <= "\ud7ff" or "\ue000" <= letter <= "\ufffd" or letter > "\uffff"
        else "\ufffd"
        for letter in text
    )
