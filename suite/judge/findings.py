"""What the judging half says: one frozen finding per cell and metric, and the whole as verdict.json."""

from __future__ import annotations

import enum
from collections import Counter
from dataclasses import dataclass

__all__ = ["ORDER", "Finding", "Verdict", "Verdicts"]


class Verdict(enum.StrEnum):
    """The answer for one cell and metric."""

    REGRESSED = "regressed"
    FAILED = "failed"
    """The candidate did not finish where the baseline did."""
    INCONCLUSIVE = "inconclusive"
    IMPROVED = "improved"
    UNCHANGED = "unchanged"
    INCOMPARABLE = "incomparable"
    """The two sides were not set up alike; `reasons` lists what differs."""
    NOT_MEASURED = "not measured"
    """Neither side has numbers, or one of them was not run; `reasons` says why."""


#: Worst first: the order of tables and summaries.
ORDER = {verdict: place for place, verdict in enumerate(Verdict)}


@dataclass(frozen=True)
class Finding:
    """One cell (workload × precision) and metric of the candidate against the base."""

    workload: str
    precision: str
    metric: str
    verdict: Verdict
    base: float | None = None
    candidate: float | None = None
    change: float | None = None
    """Relative change: 0.03 is 3 % more."""
    low: float | None = None
    high: float | None = None
    """98 % interval of the change."""
    p_adjusted: float | None = None
    """Two-sided, after Benjamini–Hochberg over all cells of this metric."""
    minimum_detectable: float | None = None
    """The smallest slow-down that these rules would have called one nine times in ten."""
    runs_to_decide: int | None = None
    processes_base: int = 0
    processes_candidate: int = 0
    reasons: tuple[str, ...] = ()
    """Why the verdict is what it is."""
    notes: tuple[str, ...] = ()
    """What a reader should know and the verdict does not depend on."""

    @property
    def cell(self) -> str:
        """`workload × precision`."""
        return f"{self.workload} × {self.precision}"


@dataclass(frozen=True)
class Verdicts:
    """All findings of one comparison: the content of verdict.json, which reports and CI read."""

    base_run: str
    candidate_run: str
    baseline: str | None
    """Name of the approved baseline, when the base is one."""
    fingerprint: str
    device: str
    alpha: float
    false_discovery_rate: float
    delta: float
    findings: tuple[Finding, ...]

    def count(self, verdict: Verdict) -> int:
        """How many findings say this."""
        return Counter(finding.verdict for finding in self.findings)[verdict]

    @property
    def headline(self) -> str:
        """One sentence to quote."""
        counted = ", ".join(f"{self.count(verdict)} {verdict}" for verdict in _COUNTED)
        extra = "".join(f", {self.count(verdict)} {verdict}" for verdict in _NAMED if self.count(verdict))
        against = f"baseline {self.baseline!r} (run {self.base_run})" if self.baseline else f"run {self.base_run}"
        return f"{counted}{extra} on {self.device}, against {against}"

    def exit_status(self, fail_on: frozenset[str]) -> int:
        """The worst that this comparison says and the caller wants to fail on, as the command line's exit status.

        0 fine · 1 regressed · 2 nothing judged, or something that cannot be compared · 3 inconclusive · 4 failed.
        """
        judged = sum(map(self.count, _COUNTED))
        if self.count(Verdict.REGRESSED) and "regressed" in fail_on:
            return 1
        if self.count(Verdict.FAILED):
            return 4
        if not judged or self.count(Verdict.INCOMPARABLE):
            return 2
        return 3 if self.count(Verdict.INCONCLUSIVE) and "inconclusive" in fail_on else 0


_COUNTED = (Verdict.REGRESSED, Verdict.IMPROVED, Verdict.UNCHANGED, Verdict.INCONCLUSIVE)
_NAMED = (Verdict.FAILED, Verdict.INCOMPARABLE, Verdict.NOT_MEASURED)
