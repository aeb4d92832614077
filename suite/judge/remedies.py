"""What would decide a time that more processes of the candidate would not: said where `gate --top-up` measured none."""

from __future__ import annotations

from suite.judge.cells import disturbances, measured
from suite.judge.clocks import hidden_by_clock
from suite.judge.findings import Finding, MetricClass, Verdict, Verdicts
from suite.store import Run

__all__ = ["why_no_top_up"]

_CLOCK = "lock the GPU's clock alike on both sides"
_DISTURBED = "approve a baseline that was measured on a quiet machine"
_TOO_FEW = "run with --anchor, or approve a baseline with more repeats"


def why_no_top_up(verdicts: Verdicts, base: Run) -> str | None:
    """Why no more processes were measured, where something is inconclusive that they could have decided."""
    open_ = [
        finding
        for finding in verdicts.findings
        if finding.metric_class is MetricClass.STOCHASTIC and finding.verdict is Verdict.INCONCLUSIVE
    ]
    if not open_:
        return None
    trials = measured(base.trials)
    noisy = trials[[bool(disturbances(text)) for text in trials["cautions"]]]
    disturbed = set(zip(noisy["workload"], noisy["precision"], strict=True))
    remedies = dict.fromkeys(_remedy(finding, disturbed) for finding in open_)
    return f"more processes of the candidate alone would not decide what is inconclusive; {'; '.join(remedies)}"


def _remedy(finding: Finding, disturbed: set[tuple[str, str]]) -> str:
    if hidden_by_clock(finding):
        return _CLOCK
    return _DISTURBED if (finding.workload, finding.precision) in disturbed else _TOO_FEW
