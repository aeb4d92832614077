"""Cells that move together: one finding, whose verdict an anchor decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import pytest

from suite.judge.findings import Finding, MetricClass, Verdict, Verdicts
from suite.judge.shift import ALL, collapse

SLOW, FAST, SAME = Verdict.REGRESSED, Verdict.IMPROVED, Verdict.UNCHANGED
GRID = list(product(("bert", "gpt", "lstm"), ("fp32", "bf16", "fp16-dynamic")))


def _finding(workload: str, precision: str, verdict: Verdict, change: float = 0.0, family: int | None = 9) -> Finding:
    return Finding(
        workload,
        precision,
        "step_seconds",
        verdict,
        MetricClass.STOCHASTIC,
        change=change,
        limit=0.02,
        family=family,
        processes_base=5,
        processes_candidate=4,
    )


def _moved(*changes: float) -> list[Finding]:
    """The nine cells of three workloads and three precisions, row by row; 0 is unchanged."""
    verdicts = {True: SLOW, False: FAST}
    return [
        _finding(*cell, verdicts[change > 0] if change else SAME, change)
        for cell, change in zip(GRID, (*changes, *[0.0] * (9 - len(changes))), strict=True)
    ]


def _kept(findings: Sequence[Finding], *, anchored: bool) -> None:
    assert collapse(findings, anchored=anchored) == (list(findings), None)


def test_without_an_anchor_a_shift_is_one_alarm_that_says_how_to_tell_machine_from_code() -> None:
    found, warning = collapse(_moved(0.03, 0.04, 0.02, 0.05), anchored=False)
    shift = found[0]
    assert (shift.workload, shift.precision, shift.metric) == (ALL, ALL, "step_seconds")
    assert shift.verdict == Verdict.REGRESSED
    assert warning == "machine-wide shift: 4 of 9 cells are slower, by 2.0% to 5.0%"
    assert shift.reasons == (
        warning,
        "the machine, or code that all cells share; `ampmark run --anchor NAME` tells the two apart",
    )


def test_with_an_anchor_it_is_the_code_and_regressed() -> None:
    found, warning = collapse(_moved(0.03, 0.04, 0.02, 0.05), anchored=True)
    assert found[0].verdict == Verdict.REGRESSED
    assert found[0].reasons == (
        warning,
        "the base was run in turn with the candidate, so it is the code or what it stands on",
    )


def test_the_one_finding_carries_the_median_change_and_all_processes() -> None:
    shift = collapse(_moved(0.03, 0.04, 0.02, 0.05, 0.5), anchored=True)[0][0]
    assert shift.change == pytest.approx(0.04)
    assert (shift.processes_base, shift.processes_candidate) == (25, 20)
    assert (shift.limit, shift.family, shift.test) == (0.02, None, "cells that moved together")


@pytest.mark.parametrize("anchored", [True, False])
def test_the_cells_that_moved_are_no_alarm_of_their_own_and_the_others_stay_as_they_are(anchored: bool) -> None:
    before = _moved(0.03, 0.04, 0.02, 0.05)
    found, _ = collapse(before, anchored=anchored)
    assert len(found) == 10
    assert [(f.workload, f.precision) for f in found[1:]] == GRID
    assert found[5:] == before[4:]
    assert {f.verdict for f in found[1:5]} == {Verdict.CHANGED}
    assert {f.reasons for f in found[1:5]} == {("regressed by its own test; part of the machine-wide shift",)}
    assert [f.change for f in found[1:5]] == [0.03, 0.04, 0.02, 0.05]


@pytest.mark.parametrize(("anchored", "verdict"), [(True, Verdict.IMPROVED), (False, Verdict.IMPROVED)])
def test_a_shift_for_the_better_is_one_as_well(anchored: bool, verdict: Verdict) -> None:
    found, warning = collapse(_moved(-0.03, -0.04, -0.02, -0.05), anchored=anchored)
    assert (found[0].verdict, warning) == (verdict, "machine-wide shift: 4 of 9 cells are faster, by 2.0% to 5.0%")


def test_cells_that_move_the_other_way_are_not_of_the_shift() -> None:
    found, warning = collapse(_moved(0.03, 0.04, 0.02, 0.05, -0.1), anchored=True)
    assert warning is not None
    assert "4 of 9 cells are slower" in warning
    assert found[5].verdict == Verdict.IMPROVED


def _between(low: float, high: float, *changes: float) -> list[Finding]:
    """The nine cells, of which the first has this 98 % interval and the others that moved one of 0.1 %."""
    first, *others = _moved(*changes)
    rest = [replace(f, low=f.change - 0.001, high=f.change + 0.001) if f.change else f for f in others]
    return [replace(first, low=low, high=high), *rest]


@pytest.mark.parametrize(
    ("low", "high", "changes", "kept"),
    [
        # The common shift is the median, +4 %.
        (0.95, 1.02, (0.987, 0.04, 0.04, 0.04), True),
        # 1.04 × 1.02 is 1.0608: less than that beyond it does not matter.
        (0.0609, 0.09, (0.07, 0.04, 0.04, 0.04), True),
        (0.0607, 0.09, (0.07, 0.04, 0.04, 0.04), False),
        (0.01, 0.03, (0.02, 0.04, 0.04, 0.04), False),
        (-0.52, -0.48, (-0.5, -0.04, -0.04, -0.04), True),
        (-0.09, -0.0589, (-0.07, -0.04, -0.04, -0.04), True),
        (-0.09, -0.0587, (-0.07, -0.04, -0.04, -0.04), False),
        (-0.03, -0.01, (-0.02, -0.04, -0.04, -0.04), False),
    ],
)
def test_a_cell_that_certainly_moved_further_than_all_keeps_its_own_verdict(
    low: float, high: float, changes: tuple[float, ...], kept: bool
) -> None:
    before = _between(low, high, *changes)
    shift, first, *others = collapse(before, anchored=False)[0]
    assert shift.change == pytest.approx(changes[1])
    verdict = SLOW if changes[0] > 0 else FAST
    assert first.verdict == (verdict if kept else Verdict.CHANGED)
    assert first.notes == ((f"beyond the machine-wide shift of {changes[1]:+.1%}",) if kept else ())
    assert {f.verdict for f in others[:3]} == {Verdict.CHANGED}


def test_cells_that_differ_by_rounding_alone_are_none_of_them_beyond_the_shift() -> None:
    changes = (0.1, 0.1 + 2e-17, 0.1 - 1e-16, 0.1 + 1e-16)
    before = [replace(f, low=f.change, high=f.change) for f in _moved(*changes)]
    assert {f.verdict for f in collapse(before, anchored=True)[0][1:5]} == {Verdict.CHANGED}


@pytest.mark.parametrize(("change", "status"), [(-0.1, 0), (0.1, 1)])
def test_where_every_cell_moved_nothing_is_inconclusive(change: float, status: int) -> None:
    found, _ = collapse(_moved(*[change] * 9), anchored=True)
    verdicts = Verdicts("a", "b", "main", "f", "Test CPU", 0.01, 0.05, 0.02, tuple(found))
    assert verdicts.count(Verdict.CHANGED) == 9
    assert verdicts.exit_status(frozenset({"regressed", "inconclusive"})) == status


# --- not machine-wide -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("anchored", [True, False])
def test_one_workload_that_moves_in_every_precision_is_a_finding_on_it(anchored: bool) -> None:
    _kept(_moved(0.03, 0.03, 0.03), anchored=anchored)


@pytest.mark.parametrize("anchored", [True, False])
def test_one_precision_that_moves_in_every_workload_is_a_finding_on_it(anchored: bool) -> None:
    _kept(_moved(0.0, 0.03, 0.0, 0.0, 0.03, 0.0, 0.0, 0.03, 0.0), anchored=anchored)


@pytest.mark.parametrize(("moved", "cells", "collapsed"), [(3, 9, True), (3, 10, False), (4, 13, True), (4, 14, False)])
def test_a_shift_is_more_than_three_tenths_of_the_cells(moved: int, cells: int, collapsed: bool) -> None:
    grid = list(product((f"w{number}" for number in range(7)), ("fp32", "bf16")))[:cells]
    findings = [_finding(*cell, SLOW if place < moved else SAME, 0.03) for place, cell in enumerate(grid)]
    assert (collapse(findings, anchored=True)[1] is not None) == collapsed


def test_two_cells_are_two_findings_however_few_there_are() -> None:
    _kept([_finding("gpt", "fp32", SLOW, 0.03), _finding("lstm", "bf16", SLOW, 0.03)], anchored=False)


def test_nothing_moved_is_nothing() -> None:
    _kept(_moved(), anchored=False)
    _kept([], anchored=True)


def test_cells_with_too_few_processes_are_not_counted_among_all() -> None:
    findings = _moved(0.03, 0.04, 0.02, 0.05)
    unjudged = [_finding(f"few{number}", "fp32", Verdict.INCONCLUSIVE, 0.3, family=None) for number in range(20)]
    found, warning = collapse([*findings, *unjudged], anchored=True)
    assert warning == "machine-wide shift: 4 of 9 cells are slower, by 2.0% to 5.0%"
    assert found[-20:] == unjudged
