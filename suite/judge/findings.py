"""What the judging half says: one frozen finding per cell and metric, and the whole as verdict.json."""

from __future__ import annotations

import enum
from collections import Counter
from dataclasses import dataclass

__all__ = [
    "ORDER",
    "REFERENCE",
    "Finding",
    "MetricClass",
    "OfCell",
    "OperatorGrowth",
    "PrecisionQuality",
    "Verdict",
    "Verdicts",
]

REFERENCE = "fp32"
"""The mode that every other one is compared with."""


class Verdict(enum.StrEnum):
    """The answer for one cell and metric, the worst first."""

    REGRESSED = "regressed"
    FAILED = "failed"
    """The candidate did not finish where the baseline did."""
    INCOMPARABLE = "incomparable"
    """The two sides were not set up alike, or what the base has is gone, which may hide anything; `reasons` says it."""
    INCONCLUSIVE = "inconclusive"
    CHANGED = "changed"
    """Not the same, and by itself neither better nor worse: other bits, or a part of a machine-wide shift."""
    IMPROVED = "improved"
    UNCHANGED = "unchanged"
    NOT_MEASURED = "not measured"
    """Neither side has numbers, or one of them was not run; `reasons` says why."""


#: Worst first: the order of tables and summaries, and of what counts where two say something.
ORDER = {verdict: place for place, verdict in enumerate(Verdict)}


class MetricClass(enum.StrEnum):
    """How a metric is judged."""

    STOCHASTIC = "stochastic"
    """By a test over processes (step time, host memory)."""
    EXACT = "exact"
    """By equality, one process is enough (allocated bytes, overflowing steps, digest of the losses)."""
    COUNT = "count"
    """By exchanging processes between the sides, where those of one seed differ (overflows, allocated bytes)."""
    QUALITY = "quality"
    """By a test over seeds, paired, against a margin in the metric's own unit."""
    SHAPE = "loss-scale shape"
    """By where a dynamic loss scale settles, how low it falls and how often it skips steps."""
    OUTCOME = "outcome"
    """By how the trials ended, or how they were set up."""


@dataclass(frozen=True)
class OperatorGrowth:
    """An operator that takes longer than it did, in seconds of its own per step (medians over processes)."""

    name: str
    base_seconds: float
    """Where `base_calls` is None, of all operators together that the base's profiles do not name: at most so much."""
    candidate_seconds: float
    base_calls: float | None
    candidate_calls: float | None
    """Per step; None where most profiles do not name the operator."""


@dataclass(frozen=True)
class OfCell:
    """Something said of one cell."""

    workload: str
    precision: str

    @property
    def cell(self) -> str:
        """`workload × precision`."""
        return f"{self.workload} × {self.precision}"


@dataclass(frozen=True)
class Finding(OfCell):
    """One cell (workload × precision) and metric of the candidate against the base."""

    metric: str
    verdict: Verdict
    metric_class: MetricClass = MetricClass.OUTCOME
    base: float | None = None
    candidate: float | None = None
    change: float | None = None
    """Relative change: 0.03 is 3 % more. Of a quality, the difference in its own unit; positive is worse."""
    low: float | None = None
    high: float | None = None
    """98 % interval of the change."""
    low90: float | None = None
    high90: float | None = None
    """90 % interval; with one look at the data `unchanged` can be read off it."""
    limit: float | None = None
    """The smallest change that matters: δ, or the margin of a quality."""
    p: float | None = None
    """Two-sided."""
    p_equivalence: float | None = None
    """Of the two one-sided tests against ±limit: small means unchanged."""
    p_adjusted: float | None = None
    """The same after Benjamini–Hochberg over the family."""
    family: int | None = None
    """How many cells the correction is over: those of this metric with enough processes."""
    minimum_detectable: float | None = None
    """The smallest change for the worse that these rules would have called one nine times in ten. Of counts and of
    bytes that vary, relative too: that they would have called one, had both sides scattered just as they did."""
    runs_to_decide: int | None = None
    """Processes a side (of a quality: seeds) that would decide, if difference and spread stayed as they are."""
    estimator: str | None = None
    """What each process is summed up by, such as `median` of its step times."""
    test: str | None = None
    """The statistical test, or the rule."""
    values_base: tuple[float, ...] = ()
    values_candidate: tuple[float, ...] = ()
    """One value per process (of a quality: per seed), which the change is computed from."""
    processes_base: int = 0
    processes_candidate: int = 0
    look: int = 1
    """At which look at the data it was decided; later ones have more processes."""
    undecided: bool = False
    """Inconclusive for want of processes: a top-up is worth its time."""
    reasons: tuple[str, ...] = ()
    """Why the verdict is what it is."""
    notes: tuple[str, ...] = ()
    """What a reader should know and the verdict does not depend on."""
    operators: tuple[OperatorGrowth, ...] = ()
    """Where a slower step got slower: the operators that grew most, the largest growth first."""


@dataclass(frozen=True)
class PrecisionQuality(OfCell):
    """A precision's held-out quality against float32's, within one run and paired by seed. Never an alarm."""

    metric: str
    conclusion: str
    """`equivalent`, `worse`, `better`, or `undecided`."""
    difference: float
    """In the metric's own unit; positive is worse."""
    low90: float | None
    high90: float | None
    margin: float | None
    seeds: int
    reason: str | None = None


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
    equivalence: float = 0.05
    """Level of the two one-sided tests."""
    anchored: bool = False
    """Whether the base was run again in turn with the candidate, so that a slow machine slows both."""
    looks: int = 1
    """Among so many looks at the data the error rates are divided."""
    warnings: tuple[str, ...] = ()
    """What weakens the whole comparison: a baseline that has grown old, a machine-wide shift."""
    against_fp32: tuple[PrecisionQuality, ...] = ()
    differences: tuple[str, ...] | None = None
    """What else differs between the two sides, each `field: base → candidate`: code and facts of the machine that make
    no other machine; empty where nothing known does, None where it was not looked at."""
    reproduce: str | None = None
    """The command that makes this comparison again."""

    def count(self, verdict: Verdict) -> int:
        """How many findings say this."""
        return Counter(finding.verdict for finding in self.findings)[verdict]

    @property
    def headline(self) -> str:
        """One sentence to quote."""
        counted = ", ".join(f"{self.count(verdict)} {verdict}" for verdict in _COUNTED)
        extra = "".join(f", {self.count(verdict)} {verdict}" for verdict in _NAMED if self.count(verdict))
        again = ", run again in turn with it" if self.anchored else ""
        against = (
            f"baseline {self.baseline!r} (run {self.base_run}{again})" if self.baseline else f"run {self.base_run}"
        )
        return f"{counted}{extra} on {self.device}, against {against}"

    def exit_status(self, fail_on: frozenset[str]) -> int:
        """The worst that this comparison says and the caller wants to fail on, as the command line's exit status.

        0 fine · 1 regressed · 2 nothing judged, or something that cannot be compared · 3 inconclusive · 4 failed.
        """
        judged = sum(map(self.count, (*_COUNTED, Verdict.CHANGED)))
        if self.count(Verdict.REGRESSED) and "regressed" in fail_on:
            return 1
        if self.count(Verdict.FAILED):
            return 4
        if not judged or self.count(Verdict.INCOMPARABLE):
            return 2
        return 3 if self.count(Verdict.INCONCLUSIVE) and "inconclusive" in fail_on else 0


_COUNTED = (Verdict.REGRESSED, Verdict.IMPROVED, Verdict.UNCHANGED, Verdict.INCONCLUSIVE)
_NAMED = (Verdict.FAILED, Verdict.CHANGED, Verdict.INCOMPARABLE, Verdict.NOT_MEASURED)
