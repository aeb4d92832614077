"""How far verdicts can be trusted: what this comparison rests on, and how often such rules are wrong, as measured."""

from __future__ import annotations

from dataclasses import dataclass

from suite.judge.findings import Finding, Verdicts
from suite.judge.rates import measured_rates
from suite.report import numbers
from suite.report.tables import Table

__all__ = ["Trust", "trust"]

QUOTED = 2
"""Rates in the sentence: false alarms, and what is found."""


@dataclass(frozen=True)
class Trust:
    """Sentences that are always seen, and the table behind them."""

    comparison: str
    """Empty where nothing was compared."""
    measured: str
    table: Table


def trust(verdicts: Verdicts | None) -> Trust:
    """Of this comparison, or without one of the rules alone."""
    known = measured_rates()
    caption = (
        f"Measured on {known.date} with {known.replicates} random series a cell (commit {known.commit}, {known.cpu}); "
        "shares with Wilson's 95 % interval. docs/detectors.md has the other tools' beside them."
    )
    met = {True: "yes", False: "no", None: "not measured"}
    rows = [(rate.what, rate.wanted, rate.measured, met[rate.met]) for rate in known.rates]
    quoted = "; ".join(f"{rate.what}: {rate.measured} (wanted {rate.wanted})" for rate in known.rates[:QUOTED])
    return Trust(
        comparison=_comparison(verdicts) if verdicts else "",
        measured=f"The rules themselves, as measured on {known.date} on series whose truth is known: {quoted}.",
        table=Table.of(caption, ("Rule", "Wanted", "Measured", "Met"), rows),
    )


def _comparison(verdicts: Verdicts) -> str:
    """`K = 5 processes of the base against 5 of the candidate in each cell; …`."""
    times = [finding for finding in verdicts.findings if finding.metric == "step_seconds" and finding.processes_base]
    looks = "1 look" if verdicts.looks == 1 else f"{verdicts.looks} looks"
    return (
        f"This comparison of step times rests on {_processes(times)}; {_family(times)}; "
        f"α = {verdicts.alpha:.3g} one-sided, q = {verdicts.false_discovery_rate:.3g}, "
        f"δ = {numbers.percent(verdicts.delta)}; {looks} at the data{', each at these α and q' * (verdicts.looks > 1)}."
    )


def _processes(times: list[Finding]) -> str:
    if not times:
        return "no process with a step time on both sides"
    base, candidate = (
        numbers.count_between([getattr(finding, f"processes_{side}") for finding in times])
        for side in ("base", "candidate")
    )
    return f"K = {base} processes of the base against {candidate} of the candidate in each cell"


def _family(times: list[Finding]) -> str:
    """Over how many cells the correction is."""
    sizes = [finding.family for finding in times if finding.family is not None]
    if not sizes:
        return "no cell has enough processes for a test"
    cells = f"{numbers.count_between(sizes)} cell{'s' * (max(sizes) > 1)}"
    return f"a family of {cells} with enough processes for a test"
