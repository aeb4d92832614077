"""Where results and reports live."""

from __future__ import annotations

from pathlib import Path

import pytest

from suite.home import Home


def test_a_given_folder_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMPMARK_HOME", "elsewhere")
    home = Home.choose(Path("here"))
    assert (home.results, home.reports) == (Path("here/results"), Path("here/reports"))


def test_then_the_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMPMARK_HOME", "elsewhere")
    assert Home.choose() == Home.at(Path("elsewhere"))


@pytest.mark.parametrize("value", [None, ""])
def test_then_the_current_directory(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    if value is None:
        monkeypatch.delenv("AMPMARK_HOME", raising=False)
    else:
        monkeypatch.setenv("AMPMARK_HOME", value)
    assert Home.choose() == Home.at(Path())
