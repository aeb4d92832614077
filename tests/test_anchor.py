"""The approved baseline's code beside the candidate: whether it can be had, and how it is asked for a block.

A fake Python stands for an environment of its own; a temporary git repository with a tiny `suite` for the checkout.
"""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest
import records
from fake_python import FakePython

import suite
from suite import anchor as anchors
from suite.anchor import Anchor, again, blocks, prepare, run_block
from suite.companions import AnchorNote, write_note
from suite.errors import AnchorFailed, NoBaseline, UsageError
from suite.judge.baseline import Approval, approve
from suite.record import Environment
from suite.spec import Plan
from suite.store import Run, create_run

PROFILE = 'name = "test"\n'
CELLS = tuple(product(("gpt", "lstm"), ("fp32", "bf16")))


def _base(results: Path, machine: Environment | None = None, profile: str = PROFILE) -> Run:
    """A sealed run that was made from a profile."""
    trials = [
        records.record(spec=records.spec(workload, precision), order=order)
        for order, (workload, precision) in enumerate(CELLS)
    ]
    writer = create_run(results, records.plan(trials), machine or records.environment(), "ampmark run", profile)
    for trial in trials:
        writer.append(trial, "")
    return writer.seal()


def _approval(run: Run) -> Approval:
    return Approval("main", run.info.run, run.info.fingerprint, "Test CPU", "trusted", "2026-01-01T00:00:00+00:00")


def _plan(*cells: tuple[str, str], seeds: tuple[int, ...] = (0,), repeats: int = 2) -> Plan:
    trials = [
        records.spec(workload, precision, seed, repeat)
        for repeat in range(repeats)
        for seed in seeds
        for workload, precision in (cells or (("gpt", "fp32"),))
    ]
    return Plan("test", "cpu", tuple(trials))


@pytest.fixture
def python(tmp_path: Path) -> FakePython:
    return FakePython(tmp_path / "environment")


def _prepared(results: Path, python: str | Path | None, plan: Plan | None = None, base: Run | None = None) -> Anchor:
    base = base or _base(results)
    return prepare(_approval(base), base, plan or _plan(), results, None if python is None else str(python))


def _refusal(results: Path, python: str | Path | None = None, base: Run | None = None) -> str:
    with pytest.raises(UsageError) as caught:
        _prepared(results, python, base=base)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- an environment of its own --------------------------------------------------------------------------------------


def test_a_python_that_has_an_ampmark_is_ready_after_it_was_asked_where(tmp_path: Path, python: FakePython) -> None:
    plan = _plan(("gpt", "fp32"), ("lstm", "bf16"), seeds=(3, 4))
    ready = _prepared(tmp_path, python.path, plan)
    assert (ready.python, ready.path) == (str(python.path), None)
    assert ready.cells == (("gpt", "fp32"), ("lstm", "bf16"))
    assert ready.seeds == (3, 4)
    assert ready.profile.read_text(encoding="utf-8") == PROFILE
    (asked,) = python.calls
    assert asked.words[:2] == ("-P", "-c")
    assert "suite.__file__" in asked.words[2]


def test_its_own_packages_are_found_and_not_this_processs(
    tmp_path: Path, python: FakePython, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.setenv("AMPMARK_HOME", "/elsewhere")
    _prepared(tmp_path, python.path)
    (asked,) = python.calls
    assert (asked.path, asked.home) == ("unset", "unset")


def test_a_relative_path_and_a_name_on_the_search_path_are_the_same_python(
    tmp_path: Path, python: FakePython, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A block runs in another folder, where the relative path would lead nowhere."""
    monkeypatch.chdir(tmp_path)
    assert _prepared(tmp_path, "environment/python").python == str(python.path)
    monkeypatch.setenv("PATH", f"{python.path.parent}{os.pathsep}{os.environ['PATH']}")
    assert _prepared(tmp_path, "python").python == str(python.path)


@pytest.mark.parametrize(
    ("probe", "words"),
    [
        ("echo \"No module named 'suite'\" >&2; exit 1", "has no ampmark (No module named 'suite'); install the"),
        ("exit 1", "has no ampmark (it was silent); install the baseline's there."),
    ],
)
def test_a_python_without_an_ampmark_is_refused(tmp_path: Path, python: FakePython, probe: str, words: str) -> None:
    python.probe(probe)
    message = _refusal(tmp_path, python.path)
    assert message.startswith(f"the anchor's Python {str(python.path)!r} ")
    assert words in message


def test_a_python_that_is_not_there_is_refused(tmp_path: Path) -> None:
    message = _refusal(tmp_path, "/no/such/python")
    assert message.startswith("the anchor's Python '/no/such/python' cannot be run (")
    assert message.endswith("); give another.")


def test_a_python_that_never_answers_is_refused(
    tmp_path: Path, python: FakePython, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(anchors, "PROBE_SECONDS", 0.2)
    python.probe("exec sleep 60")
    assert "timed out after 0.2 seconds" in _refusal(tmp_path, python.path)


@pytest.mark.parametrize("profile", ["", " \n", None])
def test_a_baseline_that_was_not_made_from_a_profile_cannot_be_run_again(
    tmp_path: Path, python: FakePython, profile: str | None
) -> None:
    base = _base(tmp_path, profile=profile or "")
    if profile is None:
        (base.folder / "profile.toml").unlink()
    message = _refusal(tmp_path, python.path, base)
    assert message == "baseline 'main' was not made from a profile, so it cannot be run again."
    assert python.calls == []


# --- a worktree of the baseline's commit ----------------------------------------------------------------------------

_CLI = """
import json, os, sys
from pathlib import Path

def main():
    here = Path(__file__).parents[1]
    said = {"code": str(here), "arguments": sys.argv[1:], "cwd": os.getcwd(), "path": os.environ["PYTHONPATH"]}
    print(json.dumps(said))
    sys.exit("said: " + json.dumps(said))
"""


def _git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
    ended = subprocess.run(["git", "-C", str(folder), *identity, *words], capture_output=True, text=True, check=True)
    return ended.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository with a tiny ampmark, which this process seems to be running from; it has gone on since."""
    folder = tmp_path / "checkout"
    (folder / "suite").mkdir(parents=True)
    (folder / "suite" / "__init__.py").touch()
    (folder / "suite" / "cli.py").write_text(_CLI, encoding="utf-8")
    _git(folder, "init", "-q")
    _git(folder, "add", ".")
    _git(folder, "commit", "-q", "-m", "approved")
    _git(folder, "tag", "approved")
    (folder / "suite" / "cli.py").write_text("raise SystemExit('the candidate')\n", encoding="utf-8")
    _git(folder, "commit", "-q", "-a", "-m", "candidate")
    monkeypatch.setattr(suite, "__file__", str(folder / "suite" / "__init__.py"))
    return folder


def _committed(checkout: Path) -> Environment:
    return records.environment(git_commit=_git(checkout, "rev-parse", "approved"), git_dirty=False)


def test_the_code_of_a_clean_checkout_is_a_worktree_of_its_commit(tmp_path: Path, checkout: Path) -> None:
    ready = _prepared(tmp_path, None, base=_base(tmp_path, _committed(checkout)))
    commit = _git(checkout, "rev-parse", "approved")
    assert ready.path == tmp_path / "anchors" / commit[:12]
    assert (ready.path / "suite" / "cli.py").read_text(encoding="utf-8") == _CLI
    assert ready.python == sys.executable
    # The candidate's own checkout is as it was.
    assert "the candidate" in (checkout / "suite" / "cli.py").read_text(encoding="utf-8")
    assert _git(checkout, "status", "--porcelain") == ""


def test_a_worktree_is_made_once_and_made_again_where_it_was_deleted(tmp_path: Path, checkout: Path) -> None:
    base = _base(tmp_path, _committed(checkout))
    first = _prepared(tmp_path, None, base=base)
    assert first.path is not None
    made = first.path.stat().st_ino
    assert _prepared(tmp_path, None, base=base).path == first.path
    assert first.path.stat().st_ino == made
    (first.path / "suite" / "changed").touch()
    with pytest.raises(UsageError, match="as it was; delete it, and it will be made anew"):
        _prepared(tmp_path, None, base=base)
    subprocess.run(["rm", "-r", str(first.path)], check=True)
    assert _prepared(tmp_path, None, base=base).path == first.path
    assert not (first.path / "suite" / "changed").exists()


def test_a_block_is_run_by_the_baselines_code_also_where_the_results_are_named_by_a_relative_path(
    tmp_path: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The usual case: results/ under the current directory. The block runs in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", "plugins")
    base = _base(Path("results"), _committed(checkout))
    ready = _prepared(Path("results"), None, base=base)
    candidate = tmp_path / "results" / "runs" / "candidate"
    with pytest.raises(AnchorFailed) as caught:
        run_block(ready, candidate, _plan().trials[:1])
    words = str(caught.value)
    assert words.startswith("the anchor's code ended with status 1: said: ")
    assert f'"code": "{tmp_path}/results/anchors/' in words
    assert f'"cwd": "{candidate}/anchor"' in words
    # What else this process finds, such as plug-ins, its code finds as well: by a path that leads there from anywhere.
    assert f'{os.pathsep}{tmp_path}/plugins"' in words


def test_a_baseline_that_was_not_made_from_a_git_checkout_is_refused(tmp_path: Path) -> None:
    base = _base(tmp_path, records.environment(git_commit=None, git_dirty=None))
    assert _refusal(tmp_path, base=base) == (
        "baseline 'main' was not made from a git checkout; give an environment that has its code with --anchor-python."
    )


def test_a_baseline_from_a_checkout_with_changes_is_refused(tmp_path: Path) -> None:
    base = _base(tmp_path, records.environment(git_commit="0123456789abcdef", git_dirty=True))
    assert _refusal(tmp_path, base=base) == (
        "baseline 'main' was made from commit 0123456789ab with changes that were not committed, so its code "
        "cannot be had again; give an environment that has its code with --anchor-python, "
        "or approve a run of a clean checkout."
    )


def test_a_commit_that_is_not_there_is_refused(tmp_path: Path, checkout: Path) -> None:
    assert checkout.exists()
    base = _base(tmp_path, records.environment(git_commit="0" * 40, git_dirty=False))
    message = _refusal(tmp_path, base=base)
    assert message.startswith("`git worktree add` failed (fatal: ")
    assert message.endswith("); run from ampmark's own checkout, or give --anchor-python.")


def test_an_installed_ampmark_has_no_commits_and_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setattr(suite, "__file__", str(tmp_path / "site-packages" / "suite" / "__init__.py"))
    (tmp_path / "site-packages").mkdir()
    message = _refusal(tmp_path, base=_base(tmp_path))
    assert message.startswith("`git worktree prune` failed (fatal: not a git repository")


def test_a_worktree_that_python_does_not_prefer_to_what_is_installed_is_refused(tmp_path: Path, checkout: Path) -> None:
    """A commit without the package's own file: Python then takes an installed ampmark, or finds none."""
    _git(checkout, "rm", "-q", "suite/__init__.py")
    _git(checkout, "commit", "-q", "-m", "broken")
    broken = records.environment(git_commit=_git(checkout, "rev-parse", "HEAD"), git_dirty=False)
    message = _refusal(tmp_path, base=_base(tmp_path, broken))
    assert message.startswith("the anchor's Python ")
    assert "and not from the baseline's worktree; give an environment" in message or "has no ampmark" in message


# --- one block ------------------------------------------------------------------------------------------------------


def _anchor(folder: Path, python: FakePython) -> Anchor:
    profile = folder / "profile.toml"
    profile.write_text(PROFILE, encoding="utf-8")
    base = records.run(records.cell([0.1]))
    return Anchor(_approval(base), profile, str(python.path), None, CELLS, (0,), base)


def test_a_block_asks_for_every_cell_and_seed_once_and_stores_beside_the_candidate(
    tmp_path: Path, python: FakePython
) -> None:
    plan = _plan(("gpt", "fp32"), ("gpt", "bf16"), ("lstm", "fp32"), ("lstm", "bf16"), seeds=(3, 4))
    run_block(_anchor(tmp_path, python), tmp_path / "candidate", plan.trials[:8])
    (call,) = python.blocks
    assert call.words[:4] == ("-P", "-c", "from suite.cli import main; main()", "run")
    assert call.words[4:] == (
        *("--profile", str(tmp_path / "profile.toml")),
        *("--out", str(tmp_path / "candidate" / "anchor")),
        *("--repeats", "1", "--workload", "gpt", "--workload", "lstm", "--precision", "fp32", "--precision", "bf16"),
        *("--seeds", "3,4", "--device", "cpu", "--timeout", "60"),
    )
    assert call.cwd == tmp_path / "candidate" / "anchor"


def test_a_compiled_candidate_has_a_compiled_anchor(tmp_path: Path, python: FakePython) -> None:
    spec = records.spec(setup=records.setup(compile=True), timeout_seconds=0.5, device="cuda:1")
    run_block(_anchor(tmp_path, python), tmp_path / "candidate", [spec])
    (call,) = python.blocks
    assert call.words[-1] == "--compile"
    assert (call.option("--timeout"), call.option("--device")) == (["0.5"], ["cuda:1"])


def test_a_baseline_of_a_larger_batch_is_run_again_with_it(tmp_path: Path, python: FakePython) -> None:
    anchor = _anchor(tmp_path, python)
    anchor.profile.write_text(
        'name = "test"\nsummary = "s"\nprecisions = ["fp32"]\n[workloads.gpt]\nsteps = 12\nwarmup_steps = 2\n'
        'batch_size = 2\noptimizer = { name = "sgd", learning_rate = 1 }\n',
        encoding="utf-8",
    )
    run_block(anchor, tmp_path / "candidate", _plan().trials[:1])
    (call,) = python.blocks
    assert call.words[-2:] == ("--batch-scale", "2")


def test_a_block_in_which_a_trial_failed_is_a_block(tmp_path: Path, python: FakePython) -> None:
    python.block("exit 4")
    run_block(_anchor(tmp_path, python), tmp_path / "candidate", _plan().trials[:1])
    assert len(python.blocks) == 1


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ("echo 'loading …' >&2; echo 'ampmark: no such profile.' >&2; exit 2", "status 2: ampmark: no such profile."),
        ("echo 'on stdout'; exit 1", "status 1: on stdout"),
        ("exit 7", "status 7: it was silent"),
        ("kill -9 $$", "status -9: it was silent"),
    ],
)
def test_code_that_cannot_be_run_is_said_with_its_last_words(
    tmp_path: Path, python: FakePython, block: str, words: str
) -> None:
    python.block(block)
    with pytest.raises(AnchorFailed) as caught:
        run_block(_anchor(tmp_path, python), tmp_path / "candidate", _plan().trials[:1])
    assert str(caught.value) == f"the anchor's code ended with {words}"


def test_a_python_that_has_gone_since_is_a_block_that_failed(tmp_path: Path, python: FakePython) -> None:
    ready = _anchor(tmp_path, python)
    python.path.unlink()
    with pytest.raises(AnchorFailed, match="cannot be run"):
        run_block(ready, tmp_path / "candidate", _plan().trials[:1])


def test_the_blocks_of_a_plan_are_its_repeats_in_their_order() -> None:
    plan = _plan(("gpt", "fp32"), ("gpt", "bf16"), seeds=(0, 1), repeats=3)
    assert [[spec.trial_id for spec in block] for block in blocks(plan)] == [
        [f"gpt-fp32-s0-r{r}", f"gpt-bf16-s0-r{r}", f"gpt-fp32-s1-r{r}", f"gpt-bf16-s1-r{r}"] for r in range(3)
    ]
    assert [spec for block in blocks(plan) for spec in block] == list(plan.trials)


# --- once more, for more processes ----------------------------------------------------------------------------------


def test_an_anchor_of_a_worktree_is_prepared_again_from_what_was_noted(tmp_path: Path, checkout: Path) -> None:
    base = _base(tmp_path, _committed(checkout))
    approve(tmp_path, base, "main", "trusted")
    write_note(base.folder, AnchorNote("main", base.info.run))
    ready = again(base, tmp_path)
    assert (ready.approval.name, ready.approval.run) == ("main", base.info.run)
    assert ready.path is not None


@pytest.mark.parametrize("note", [None, AnchorNote("main", "run-1", own_python=True)])
def test_an_anchor_in_an_environment_of_its_own_is_not_known_again(tmp_path: Path, note: AnchorNote | None) -> None:
    run = _base(tmp_path)
    if note is not None:
        write_note(run.folder, note)
    with pytest.raises(UsageError, match="which a top-up does not know"):
        again(run, tmp_path)


def test_an_anchor_whose_baseline_is_gone_is_not_known_again(tmp_path: Path) -> None:
    run = _base(tmp_path)
    write_note(run.folder, AnchorNote("main", run.info.run))
    with pytest.raises(NoBaseline):
        again(run, tmp_path)
