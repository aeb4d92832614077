"""Where there is no browser: skipped with the reason on a person's machine, a failure in CI."""

from __future__ import annotations

from pathlib import Path

import pytest
from visits import NAMES, chromium


@pytest.fixture
def nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder as the whole PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CI", raising=False)
    return tmp_path


def test_a_person_reads_why_the_tests_are_skipped(nothing: Path) -> None:
    with pytest.raises(pytest.skip.Exception, match="no Chromium is on the PATH; install one as chromium, "):
        chromium()


def test_in_ci_a_missing_browser_is_a_failure(nothing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no Chromium is on the PATH"):
        chromium()


@pytest.mark.parametrize("name", NAMES)
def test_a_browser_is_found_under_each_of_its_names(nothing: Path, name: str) -> None:
    program = nothing / name
    program.touch(mode=0o755)
    assert chromium() == str(program)
