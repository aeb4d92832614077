"""A finding in words and numbers: what was compared, the formula with the numbers in it, and how to see it again."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from suite.errors import UsageError
from suite.judge.counts import BINOMIAL
from suite.judge.error_rates import CHANGE_INTERVAL, EQUIVALENCE_LEVEL
from suite.judge.exact import WELCH
from suite.judge.findings import Finding, MetricClass, Verdict, Verdicts
from suite.judge.permutation import ENOUGH_TO_SEPARATE, EXCHANGE

__all__ = ["explain", "find_cell"]

_SEPARATORS = ("×", "/", ":", " ")


def find_cell(verdicts: Verdicts, text: str) -> list[Finding]:
    """The findings of the cell that is called `gpt × bf16`, `gpt/bf16`, `gpt:bf16` or `gpt-bf16`.

    Raises:
        UsageError: the comparison has no such cell, or several; the message names those it has.
    """
    cells = {finding.cell: f"{finding.workload}/{finding.precision}" for finding in verdicts.findings}
    exact = [cell for cell, name in cells.items() if text in (cell, name)]
    found = exact or [cell for cell in cells if _plain(cell) == _plain(text)]
    if not found:
        raise UsageError(f"the comparison has no cell {text!r}; it has {', '.join(cells.values()) or 'none'}.")
    if len(found) > 1:
        raise UsageError(f"{text!r} may be {' or '.join(cells[cell] for cell in found)}; give one of these.")
    return [finding for finding in verdicts.findings if finding.cell == found[0]]


def explain(verdicts: Verdicts, text: str) -> list[str]:
    """Lines of text on every finding of a cell.

    Raises:
        UsageError: the comparison has no such cell.
    """
    findings = find_cell(verdicts, text)
    lines = [
        f"{findings[0].cell}: run {verdicts.candidate_run} against "
        + (f"baseline {verdicts.baseline!r}, run {verdicts.base_run}" if verdicts.baseline else verdicts.base_run)
        + (", run again in turn with it" if verdicts.anchored else ""),
        *(f"! {warning}" for warning in verdicts.warnings),
    ]
    for finding in findings:
        lines += ["", f"{finding.metric}: {finding.verdict}", *(f"  {line}" for line in _lines(finding, verdicts))]
    return [*lines, *(["", f"again: {verdicts.reproduce}"] if verdicts.reproduce else [])]


def _lines(finding: Finding, verdicts: Verdicts) -> Iterator[str]:
    yield from finding.reasons
    if finding.test:
        yield f"test: {finding.test}" + (f" of the {finding.estimator} per process" if finding.estimator else "")
    if finding.values_base:
        yield f"base      ({finding.processes_base}): {_listed(finding.values_base, finding.metric)}"
        yield f"candidate ({finding.processes_candidate}): {_listed(finding.values_candidate, finding.metric)}"
    elif finding.base is not None:
        # Counts and bytes that are compared by equality: to the last digit.
        yield f"base {_text(finding.base, '.0f')}, candidate {_text(finding.candidate, '.0f')}"
    if finding.metric_class is MetricClass.STOCHASTIC and finding.p is not None:
        yield from _relative(finding, verdicts)
    elif finding.metric_class is MetricClass.QUALITY and finding.limit is not None and finding.p is not None:
        yield from _quality(finding, verdicts)
    elif finding.metric_class is MetricClass.COUNT and finding.p is not None:
        yield from _count(finding, finding.p / 2, verdicts.alpha)
    if finding.runs_to_decide:
        unit = "seeds" if finding.metric_class is MetricClass.QUALITY else "processes a side"
        yield f"{finding.runs_to_decide} {unit} would decide, if difference and spread stay as they are"
    for operator in finding.operators:
        grown = operator.candidate_seconds - operator.base_seconds
        most, least = ("at most ", "at least ") if operator.base_calls is None else ("", "")
        yield (
            f"slower operator: {operator.name}, {most}{_milliseconds(operator.base_seconds)} → "
            f"{_milliseconds(operator.candidate_seconds)} of its own a step ({least}{_milliseconds(grown)} more), "
            f"{_text(operator.base_calls, 'g')} → {_text(operator.candidate_calls, 'g')} calls"
        )
    yield from finding.notes


def _relative(finding: Finding, verdicts: Verdicts) -> Iterator[str]:
    yield (
        f"change = exp(mean ln candidate − mean ln base) − 1 = {_number(finding.candidate, finding.metric)} / "
        f"{_number(finding.base, finding.metric)} − 1 = {_text(finding.change, '+.2%')}"
    )
    wide, narrow = _span(finding.low, finding.high, "+.2%"), _span(finding.low90, finding.high90, "+.2%")
    yield f"{CHANGE_INTERVAL} {wide}; {100 * EQUIVALENCE_LEVEL:g} % {narrow}"
    limit = finding.limit or 0.0
    yield from _rule(finding, verdicts, f"{limit:.1%}", f"{-limit / (1 + limit):.2%}")


def _quality(finding: Finding, verdicts: Verdicts) -> Iterator[str]:
    yield f"mean difference over {finding.processes_base} seeds = {_text(finding.change, '+.4g')} (positive is worse)"
    span = _span(finding.low90, finding.high90, "+.4g")
    yield f"{100 * EQUIVALENCE_LEVEL:g} % interval {span}; margin {_text(finding.limit, '.4g')}"
    yield from _rule(finding, verdicts, _text(finding.limit, ".4g"), f"-{_text(finding.limit, '.4g')}")


def _count(finding: Finding, one_sided: float, alpha: float) -> Iterator[str]:
    """The rule of the test that the counts are judged by; what it needs beside a p is known from the verdict."""
    if finding.change is not None:
        base, candidate = (_number(value, finding.metric) for value in (finding.base, finding.candidate))
        yield f"change = mean candidate / mean base − 1 = {candidate} / {base} − 1 = {finding.change:+.2%}"
    sure, decided = one_sided <= alpha, f" ({_yes(finding.verdict is not Verdict.INCONCLUSIVE)})"
    limit = finding.limit or 0.0
    beside = {
        EXCHANGE: f", or at least {ENOUGH_TO_SEPARATE} processes a side without overlap{'' if sure else decided}",
        BINOMIAL: f", and no overlap{decided if sure else ''}",
        WELCH: f", change ≥ {limit:.1%} or ≤ {-limit / (1 + limit):.2%}{decided}",
    }
    yield f"alarm needs: one-sided p {one_sided:.3g} ≤ {alpha:.3g} ({_yes(sure)}){beside.get(finding.test or '', '')}"
    if finding.verdict is not Verdict.REGRESSED and finding.minimum_detectable is not None:
        seen = f"{finding.minimum_detectable:.1%}"
        yield f"a change for the worse of {seen} would have been called one, both sides scattering as they do"


def _rule(finding: Finding, verdicts: Verdicts, limit: str, mirror: str) -> Iterator[str]:
    """The rule, every condition with its number and whether it holds."""
    one_sided = 1.0 if finding.p is None else finding.p / 2
    adjusted = 1.0 if finding.p_adjusted is None else finding.p_adjusted
    alpha, rate = verdicts.alpha, verdicts.false_discovery_rate
    yield (
        f"alarm needs: one-sided p {one_sided:.3g} ≤ {alpha:.3g} ({_yes(one_sided <= alpha)}), "
        f"adjusted over {finding.family} cells {adjusted:.3g} ≤ {rate:.3g} ({_yes(adjusted <= rate)}), "
        f"change ≥ {limit} or ≤ {mirror} ({_yes(_beyond(finding))})"
    )
    if finding.p_equivalence is not None:
        level, within = verdicts.equivalence, finding.p_equivalence
        inside = _yes(within <= level)
        yield f"unchanged needs: two one-sided tests inside ±{limit}, p {within:.3g} ≤ {level:.3g} ({inside})"
    if finding.verdict is not Verdict.REGRESSED and finding.minimum_detectable is not None:
        form = ".1%" if finding.metric_class is MetricClass.STOCHASTIC else ".4g"
        seen = _text(finding.minimum_detectable, form)
        yield f"a change for the worse of {seen} would have been called one nine times in ten"


def _beyond(finding: Finding) -> bool:
    change, limit = finding.change or 0.0, finding.limit or 0.0
    if finding.metric_class is MetricClass.STOCHASTIC:
        return abs(math.log1p(change)) >= math.log1p(limit)
    return abs(change) >= limit


def _text(value: float | None, form: str) -> str:
    return "unknown" if value is None else format(value, form)


def _span(low: float | None, high: float | None, form: str) -> str:
    return f"{_text(low, form)} to {_text(high, form)}"


def _listed(values: Sequence[float], metric: str) -> str:
    return "  ".join(_number(value, metric) for value in values)


def _number(value: float | None, metric: str) -> str:
    if value is None:
        return "unknown"
    if metric.endswith("_seconds"):
        return _milliseconds(value)
    if metric == "peak_allocated_bytes":
        return f"{value:.0f}"  # its processes may differ by a few bytes
    return f"{value / 2**20:.1f} MiB" if metric.endswith("_bytes") else f"{value:.5g}"


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.4g} ms"


def _yes(condition: bool) -> str:
    return "yes" if condition else "no"


def _plain(text: str) -> str:
    for separator in _SEPARATORS:
        text = text.replace(separator, "-")
    while "--" in text:
        text = text.replace("--", "-")
    return text.strip("-").lower()
