"""A/A from literal runs: which process stands on which side, and what the noise of each cell lets the rules see."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import records

from suite.decode import encode
from suite.judge.selfcheck import CellNoise, SelfCheck, self_check
from suite.record import Caution, Outcome, TrialRecord

STEADY = (0.1000, 0.1001, 0.0999, 0.10005, 0.09995)
"""Five processes whose logarithms have the standard deviation 0.00079."""
UNSTEADY = (0.100, 0.102, 0.098, 0.1015, 0.0985)
"""The same with 0.0177."""
#: Repeats of the two sides in a run of ten: A B B A, A B B A, A B.
FIRST, SECOND = (0, 3, 4, 7, 8), (1, 2, 5, 6, 9)


def _check(trials: Sequence[TrialRecord]) -> SelfCheck:
    return self_check(records.run(trials, "aa"))


def _cell(first: Sequence[float], second: Sequence[float], precision: str = "fp32", **fields: Any) -> list[TrialRecord]:
    seconds = dict(zip((*FIRST, *SECOND), (*first, *second), strict=True))
    return records.cell([seconds[repeat] for repeat in range(10)], precision=precision, **fields)


def _only(trials: Sequence[TrialRecord]) -> CellNoise:
    (found,) = _check(trials).cells
    return found


def test_a_quiet_cell_has_these_numbers() -> None:
    found = _only(_cell(STEADY, STEADY))
    assert (found.processes, found.alarms, found.reasons, found.emulated) == (5, (), (), False)
    assert found.variation == pytest.approx(0.00079, abs=1e-5)
    # The floor of 2 % decides: log 1.02 + 1.2816 · 0.00079 · √(2/5).
    expected = math.expm1(math.log(1.02) + 1.2816 * 0.00079 * math.sqrt(0.4))
    assert found.minimum_detectable == pytest.approx(expected, abs=1e-6)
    assert found.processes_needed == 3


def test_a_noisy_cell_has_these_numbers() -> None:
    found = _only(_cell(UNSTEADY, UNSTEADY))
    assert found.variation == pytest.approx(0.0177, abs=1e-4)
    # 4.384 standard errors: the non-central t of tests/judge/test_gate.py.
    assert found.minimum_detectable == pytest.approx(math.expm1(4.384 * 0.0177 * math.sqrt(2 / 5)), abs=2e-4)
    # t(0.99, 20) · 0.0177 · √(2/11) = 0.0191 < log 1.02 < t(0.99, 18) · 0.0177 · √(2/10) = 0.0202.
    assert found.processes_needed == 11


def test_more_cells_ask_for_more() -> None:
    alone = _only(_cell(UNSTEADY, UNSTEADY))
    family = _check([item for n in range(10) for item in _cell(UNSTEADY, UNSTEADY, f"mode{n}")]).cells[0]
    assert alone.minimum_detectable is not None
    assert family.minimum_detectable is not None
    assert family.minimum_detectable > alone.minimum_detectable
    # At 0.05 / 20: t(0.9975, 28) · 0.0177 · √(2/15) = 0.0197 < log 1.02, and 14 give 0.0205.
    assert (alone.processes_needed, family.processes_needed) == (11, 15)


def test_an_alarm_names_what_was_called_a_change() -> None:
    check = _check([*_cell(STEADY, [1.1 * s for s in STEADY]), *_cell(STEADY, [s / 1.1 for s in STEADY], "bf16")])
    assert [cell.alarms for cell in check.alarmed] == [
        ("step_seconds regressed by +10.0%",),
        ("step_seconds improved by -9.1%",),
    ]
    assert check.headline.endswith("; 2 of 2 cells raised an alarm where nothing changed.")


def test_every_second_process_being_slower_is_on_both_sides_alike() -> None:
    seconds = [0.1 * (1 + 0.1 * (repeat % 2)) * (1 + 1e-4 * repeat) for repeat in range(12)]
    found = _only(records.cell(seconds))
    assert (found.processes, found.alarms) == (6, ())


def test_an_even_drift_moves_both_sides_alike() -> None:
    drift = [0.1 * 1.001**repeat for repeat in range(8)]
    found = _only(records.cell(drift))
    assert found.alarms == ()
    # Each side has 0, 3, 4, 7 or 1, 2, 5, 6: equal means, so all of the spread is within the sides.
    assert found.variation == pytest.approx(math.log(1.001) * math.sqrt((25 / 3 + 17 / 3) / 2), rel=1e-3)


def test_overflows_of_the_same_seed_on_one_side_only_are_an_alarm() -> None:
    overflowing = records.trace(0.1, overflow_steps=[3])
    trials = [
        replace(item, steps=overflowing) if item.spec.repeat in SECOND else item for item in _cell(STEADY, STEADY)
    ]
    assert "overflow_steps regressed" in _only(trials).alarms


def test_what_was_disturbed_is_named_and_is_no_alarm() -> None:
    trials = _cell(STEADY, [1.1 * s for s in STEADY])
    for place in range(6):
        trials[place] = replace(trials[place], cautions=(Caution("cpu_throttled", "more quota"),))
    found = _only(trials)
    assert found.alarms == ()
    assert found.reasons == (
        "cpu_throttled in 6 of 10 trials",
        "only 2 against 2 processes are undisturbed, and 3 on each side are needed",
    )


def test_a_cell_without_numbers_says_why() -> None:
    unsupported = [
        records.record(Outcome.UNSUPPORTED, reason="no TF32 here.", spec=records.spec(precision="tf32", repeat=repeat))
        for repeat in range(10)
    ]
    fp32, tf32 = _check([*_cell(STEADY, STEADY), *unsupported]).cells
    assert fp32.variation is not None
    assert (tf32.processes, tf32.variation, tf32.minimum_detectable, tf32.processes_needed) == (0, None, None, None)
    assert (tf32.alarms, tf32.reasons) == ((), ("unsupported: no TF32 here.",))


def test_too_few_processes_give_no_numbers_and_the_reason() -> None:
    found = _only(records.cell([0.1, 0.1, 0.1, 0.1]))
    assert (found.processes, found.variation, found.minimum_detectable) == (2, None, None)
    assert found.reasons == ("2 processes on the smaller side; at least 3 on each are needed (5 are usual)",)
    assert _check(records.cell([0.1] * 4)).headline == (
        "Test CPU: no cell has 3 processes a side, so nothing is known of its noise."
    )


def test_a_process_that_failed_on_one_side_is_an_alarm_too() -> None:
    trials = _cell(STEADY, STEADY)
    trials[1] = records.record(Outcome.CRASHED, reason="exit status 7.", spec=trials[1].spec)
    assert _only(trials).alarms == ("outcome failed",)


def test_the_sentence_to_quote() -> None:
    emulated = _cell(STEADY, STEADY, "fp16-static", outcome=Outcome.EMULATED)
    check = _check([*_cell(STEADY, STEADY), *_cell(UNSTEADY, UNSTEADY, "bf16"), *emulated])
    # Emulated steps are long and steady, and say nothing of what the machine can see of its own units.
    assert check.headline == (
        "With 5 processes a side Test CPU sees slow-downs from 2.1% (gpt × fp32) to 5.2% (gpt × bf16) and above nine "
        "times in ten, and smaller ones less often or not at all; 0 of 3 cells raised an alarm where nothing changed."
    )
    assert [cell.emulated for cell in check.cells] == [False, False, True]
    assert _check(emulated).headline.startswith("With 5 processes a side Test CPU sees a slow-down of 2.1% ")
    assert _check(_cell(STEADY, STEADY)).headline.startswith(
        "With 5 processes a side Test CPU sees a slow-down of 2.1% (gpt × fp32) nine times in ten, "
    )
    assert json.loads(json.dumps(encode(check)))["cells"][0]["processes"] == 5
