from __future__ import annotations

import pytest

from suite.judge.selfcheck import CellNoise, SelfCheck
from suite.replay import Conclusion, Verification
from suite.terminal.checks import print_self_check, print_verifications

Capture = pytest.CaptureFixture[str]


def _rows(printed: str) -> list[list[str]]:
    lines = [line for line in printed.splitlines() if line.startswith("│")]
    return [[part.strip() for part in line.strip("│").split("│")] for line in lines]


def test_verifications_are_one_row_each_and_counted(capsys: Capture) -> None:
    print_verifications(
        "run1",
        [
            Verification("gpt-fp32-s0-r0", "gpt", "fp32", Conclusion.VERIFIED),
            Verification("gpt-bf16-s0-r0", "gpt", "bf16", Conclusion.DIFFERS, "loss of step 3: [/red] recorded"),
            Verification("gpt-tf32-s0-r0", "gpt", "tf32", Conclusion.SKIPPED, "unsupported: no TF32 here."),
        ],
    )
    printed = capsys.readouterr().out
    assert _rows(printed) == [
        ["gpt-fp32-s0-r0", "verified", "every value is the same"],
        ["gpt-bf16-s0-r0", "differs", "loss of step 3: [/red] recorded"],
        ["gpt-tf32-s0-r0", "skipped", "unsupported: no TF32 here."],
    ]
    assert printed.endswith("run run1: 1 verified, 1 differs, 1 skipped\n")


def test_noise_is_one_row_per_cell_and_one_sentence(capsys: Capture) -> None:
    cells = (
        CellNoise("gpt", "fp32", 5, False, 0.0123, 0.051, 11),
        CellNoise("gpt", "bf16", 5, True, 0.2, 0.9, None, ("step_seconds regressed by +30.0%",)),
        CellNoise("gpt", "tf32", 0, reasons=("unsupported: no TF32 here.",)),
    )
    print_self_check(SelfCheck("run1", "Test CPU", 0.02, cells))
    printed = capsys.readouterr().out
    assert _rows(printed) == [
        ["gpt × fp32", "5", "± 1.23%", "≥ 5.1%", "11", "none", ""],
        ["gpt × bf16", "5", "± 20.00%", "≥ 90.0%", "≥ 200", "step_seconds regressed by +30.0%", "emulated"],
        ["gpt × tf32", "0", "–", "–", "–", "none", "unsupported: no TF32 here."],
    ]
    assert "1 of 2 cells raised an alarm where nothing changed." in printed.replace("\n", " ")
