from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from suite.measure.cautions import cautions
from suite.measure.host import Shares
from suite.measure.nvml import clock_reason_names
from suite.measure.reading import Reading
from suite.readings import HardwareState

QUIET = HardwareState()
ROOT = Path(__file__).parents[2]


def _codes(
    mask: int = 0,
    during: HardwareState = QUIET,
    *,
    foreign: float = 0.0,
    steal: float = 0.0,
    throttled: float = 0.0,
    error: float = 0.0,
    processors: int = 2,
    idle: float = 0.0,
    full: bool = True,
) -> list[str]:
    shares = Shares(Reading(foreign), error, Reading(steal), Reading(throttled), processors, idle)
    found = cautions(during, clock_reason_names(mask), shares, uses_all_processors=full)
    assert all(caution.message.endswith(".") and ";" in caution.message for caution in found), "what, and what to do"
    return [caution.code for caution in found]


def test_a_quiet_trial_has_none() -> None:
    assert _codes() == []


@pytest.mark.parametrize("mask", [0x01, 0x02, 0x04, 0x10, 0x100, 0x200, 0x400, 0x05])
def test_states_of_the_clock_are_no_fault(mask: int) -> None:
    assert _codes(mask) == []


@pytest.mark.parametrize("mask", [0x08, 0x20, 0x40, 0x80, 0x48, 0x04 | 0x20])
def test_a_slowdown_is(mask: int) -> None:
    assert _codes(mask) == ["clock_throttled"]


def test_only_the_slowdown_is_blamed() -> None:
    (caution,) = cautions(QUIET, clock_reason_names(0x44), None, uses_all_processors=False)
    assert "held back (hardware thermal)" in caution.message


@pytest.mark.parametrize(
    ("count", "held", "codes"),
    [
        (None, None, []),
        (None, 2.0**30 - 1, []),
        (None, 2.0**30, ["foreign_gpu_memory"]),
        (0, 2.0**34, []),  # the driver's list says that nobody else computes
        (1, 2.0**34, ["foreign_gpu_process"]),
    ],
)
def test_memory_that_somebody_holds_counts_where_nobody_can_be_named(
    count: int | None, held: float | None, codes: list[str]
) -> None:
    during = HardwareState(foreign_processes=count)
    found = cautions(during, (), None, uses_all_processors=False, held_before_bytes=held)
    assert [caution.code for caution in found] == codes


@pytest.mark.parametrize(("count", "codes"), [(None, []), (0, []), (1, ["foreign_gpu_process"])])
def test_other_processes_on_the_gpu(count: int | None, codes: list[str]) -> None:
    assert _codes(during=HardwareState(foreign_processes=count)) == codes


def test_a_twentieth_of_one_processor_is_a_foreign_load_however_large_the_machine() -> None:
    assert _codes(foreign=0.024, processors=2) == []
    assert _codes(foreign=0.026, processors=2) == ["foreign_load"]
    assert _codes(foreign=0.0008, processors=64) == ["foreign_load"]


def test_a_load_that_may_be_an_error_of_counting_is_none() -> None:
    assert _codes(foreign=0.05, error=0.009, processors=2) == []
    assert _codes(foreign=0.05, error=0.008, processors=2) == ["foreign_load"]


def test_a_trial_that_leaves_processors_idle_is_not_disturbed() -> None:
    assert _codes(foreign=0.5, processors=16, idle=7.0, full=False) == []
    assert _codes(foreign=0.5, processors=16, idle=0.5, full=False) == ["foreign_load"]


def test_stolen_time_and_a_quota_that_bites() -> None:
    assert _codes(steal=0.019, throttled=0.019) == []
    assert _codes(steal=0.02, throttled=0.02) == ["cpu_steal", "cpu_throttled"]


def test_what_is_not_known_is_no_caution() -> None:
    unknown = Reading(None, "no /proc")
    assert cautions(QUIET, (), Shares(unknown, 0.0, unknown, unknown, 0, 0.0), uses_all_processors=True) == ()


def test_every_code_in_the_source_is_snake_case_and_explained_in_the_documentation() -> None:
    codes = {
        node.args[0].value
        for file in (ROOT / "suite").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Caution"
        if isinstance(node.args[0], ast.Constant)
    }
    table = (
        (ROOT / "docs/measurement.md").read_text(encoding="utf-8").partition("| code | when |")[2].partition("\n\n")[0]
    )
    explained = {code for row in table.splitlines() for code in re.findall(r"`(\w+)`", row.partition(" | ")[0])}
    assert "not_timed" in codes
    assert {code for code in codes if not re.fullmatch(r"[a-z]+(_[a-z]+)*", str(code))} == set()
    assert codes == explained
