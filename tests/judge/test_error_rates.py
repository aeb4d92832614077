"""The levels of the intervals follow from the error rates, and their names from the levels."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from suite.judge import error_rates
from suite.judge.stats import ALPHA, EQUIVALENCE

ROOT = Path(__file__).parents[2]


def test_levels_follow_from_the_error_rates() -> None:
    assert (ALPHA, EQUIVALENCE) == (error_rates.ALPHA, error_rates.EQUIVALENCE) == (0.01, 0.05)
    assert pytest.approx(0.98) == error_rates.CHANGE_LEVEL
    assert pytest.approx(0.90) == error_rates.EQUIVALENCE_LEVEL
    assert error_rates.CHANGE_INTERVAL == "98 % interval"


def test_no_page_and_no_table_spells_the_level_of_a_change_by_itself() -> None:
    spelt = re.compile(r"98[ \u00a0]%|98 times in 100")
    files = [*ROOT.glob("suite/report/**/*.*"), *ROOT.glob("suite/terminal/*.py"), ROOT / "suite/judge/explain.py"]
    texts = {path: path.read_text(encoding="utf-8") for path in files if path.suffix in (".py", ".j2", ".js", ".css")}
    assert len(texts) > 30
    assert [path.name for path, text in texts.items() if spelt.search(text)] == []
