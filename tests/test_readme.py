"""The README's words are tried: its commands run, its example package is installed and runs, its names exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from suite.cli import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


COMMANDS = [line for block in _blocks("sh") for line in block.splitlines()]
AMPMARK = [line for line in COMMANDS if line.startswith("ampmark ")]
OTHERS = [line for line in COMMANDS if not line.startswith("ampmark ")]


def _block_of(language: str, first_line: str, containing: str = "") -> str:
    (found,) = (block for block in _blocks(language) if block.startswith(first_line) and containing in block)
    return found


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The README's example package, installed as a user would have it, in a folder of its own."""
    (tmp_path / "my_workload.py").write_text(_block_of("python", "# my_workload.py"), encoding="utf-8")
    (tmp_path / "my_precision.py").write_text(_block_of("python", "# my_precision.py"), encoding="utf-8")
    for name in ("line.toml", "prices.toml"):
        (tmp_path / name).write_text(_block_of("toml", f"# {name}"), encoding="utf-8")
    groups = [block for block in _blocks("toml") if block.startswith("# pyproject.toml")]
    points = "".join(groups).replace("# pyproject.toml of your package\n", "").replace('"', "")
    metadata = tmp_path / "my_package-1.0.dist-info"
    metadata.mkdir()
    (metadata / "entry_points.txt").write_text(points.replace("project.entry-points.", ""), encoding="utf-8")
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_ampmark_command_of_the_readme_runs(installed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the README's order; the runs take the README's own small workload, so that most of them end in seconds."""
    statuses = {}
    for command in AMPMARK:
        words = shlex.split(command)[1:]
        if words[0] in ("run", "selfcheck") and "--profile" not in words and "--resume" not in words:
            words += ["--profile", "line.toml", "--precision", "fp32"]
        if words[0] == "explain":
            words[1] = "line/fp32"
        if words[0] == "scan-scale":
            words += ["--profile", "smoke"]
        with pytest.raises(SystemExit) as ending:
            main(words)
        statuses[command] = ending.value.code or 0
    capsys.readouterr()
    # Nothing was cut short, so there is nothing to resume; a noisy machine may be slower the second time.
    assert statuses.pop("ampmark run --resume latest") == 2
    assert statuses.pop("ampmark gate") in (0, 1)
    assert statuses.pop("ampmark gate --top-up") in (0, 1)
    assert statuses.pop("ampmark history") in (0, 1)
    # A checkout with changes that are not committed has no code that could be run again.
    assert statuses.pop("ampmark run --repeats 5 --anchor main") in (0, 2)
    # Its trials last milliseconds, of which a busy machine may make anything, an alarm included.
    assert statuses.pop("ampmark selfcheck --repeats 5") in (0, 4)
    assert set(statuses.values()) == {0}


def test_the_example_workload_and_precision_are_measured(installed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ending:
        main(["run", "--profile", "line.toml"])
    assert ending.value.code == 0
    printed = capsys.readouterr().out
    assert "line-fp32-s0-r0" in printed
    assert re.search(r"line-half-step-s0-r0 +(ok|emulated)", printed)


def test_the_other_commands_are_what_ci_runs_or_are_nox_sessions() -> None:
    sessions = set(re.findall(r"^def ([a-z]+)\(session", (ROOT / "noxfile.py").read_text(encoding="utf-8"), re.M))
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    for command in OTHERS:
        if command.startswith("python -m nox -s "):
            assert set(command.removeprefix("python -m nox -s ").split()) <= sessions
        else:
            assert command in ci


def test_ci_runs_nothing_that_the_readme_does_not() -> None:
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    for command in (line for line in ci if line.startswith("python -m ")):
        assert command in COMMANDS


def test_the_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^):]+)\)", README):
        assert (ROOT / target).exists(), target


def test_every_stored_column_is_described() -> None:
    from suite.columns import STEP_COLUMNS, TRIAL_COLUMNS

    schema = (ROOT / "results" / "README.md").read_text(encoding="utf-8")
    described = set(re.findall(r"`([a-z0-9_]+)`", schema))
    assert set(TRIAL_COLUMNS) | set(STEP_COLUMNS) <= described
