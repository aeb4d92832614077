"""The same-night anchor: the approved baseline's code, run in turn with the candidate (docs/decisions/0012).

A machine that is slower tonight slows both, so their difference is the code's. The baseline's code is a git worktree of
the commit that was approved, run by this Python, or whatever another Python has installed (a wheel in an environment of
its own). It is asked through the one interface that every version has, its command line, and answers in the one format
that every version reads: a stored run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import suite
from suite.companions import anchor_folder, other_code, read_note
from suite.errors import AnchorFailed, UsageError
from suite.judge.baseline import Approval, find
from suite.profiles import batch_scale_of
from suite.spec import Plan, TrialSpec
from suite.store import Run, list_runs, load_run

__all__ = ["Anchor", "again", "blocks", "prepare", "run_block"]

_CALL = "from suite.cli import main; main()"
_PROBE = "import suite, sys; sys.stdout.write(suite.__file__)"
PROBE_SECONDS = 120.0
FAILED_TRIALS = 4
"""Exit status of `ampmark run` where a trial failed: the others have numbers all the same."""


@dataclass(frozen=True)
class Anchor:
    """Code that can be run in place of this one."""

    approval: Approval
    profile: Path
    python: str
    path: Path | None
    """A folder that goes before all else on Python's path; None where the Python has its own ampmark."""
    cells: tuple[tuple[str, str], ...]
    seeds: tuple[int, ...]
    base: Run
    """The baseline as it was stored, which the code must be that of."""


def prepare(approval: Approval, base: Run, plan: Plan, results: Path, python: str | None = None) -> Anchor:
    """Make the baseline's code runnable; `python` is an environment that has it, None makes a git worktree.

    Raises:
        UsageError: the code cannot be had, or the baseline was not made from a profile.
    """
    profile = base.folder / "profile.toml"
    if not profile.exists() or not profile.read_text(encoding="utf-8").strip():
        raise UsageError(f"baseline {approval.name!r} was not made from a profile, so it cannot be run again.")
    # The old code need not know a workload that is new.
    known = {(spec.workload, spec.precision) for spec in base.info.plan.trials}
    cells = tuple(cell for cell in dict.fromkeys((s.workload, s.precision) for s in plan.trials) if cell in known)
    if not cells:
        raise UsageError(f"baseline {approval.name!r} has none of these cells, so its code has nothing to run.")
    seeds = tuple(dict.fromkeys(spec.seed for spec in plan.trials))
    if python is not None:
        # Blocks run in a folder of their own, from where a relative path leads elsewhere.
        found = shutil.which(python)
        anchor = Anchor(
            approval, profile, python if found is None else os.path.abspath(found), None, cells, seeds, base
        )
    else:
        anchor = Anchor(approval, profile, sys.executable, _worktree(approval, base, results), cells, seeds, base)
    _probe(anchor)
    return anchor


def again(candidate: Run, results: Path) -> Anchor:
    """The anchor that a stored run had, to be run once more beside more processes of it.

    Raises:
        UsageError: it had none, or its code was in an environment that only the user knows.
        NoBaseline, Incomparable: the baseline is no longer there.
    """
    note = read_note(candidate.folder)
    if note is None or note.own_python:
        raise UsageError("the anchor's code was in an environment of its own, which a top-up does not know.")
    approval, base = find(results, note.baseline, candidate.info.environment)
    return prepare(approval, base, candidate.info.plan, results)


def blocks(plan: Plan) -> list[tuple[TrialSpec, ...]]:
    """The trials of each repeat: what is run in turn with one block of the anchor."""
    repeats = dict.fromkeys(spec.repeat for spec in plan.trials)
    return [tuple(spec for spec in plan.trials if spec.repeat == repeat) for repeat in repeats]


def run_block(anchor: Anchor, folder: Path, trials: Sequence[TrialSpec]) -> None:
    """One block: every cell once, with every seed, stored under the candidate's folder.

    Raises:
        AnchorFailed: the baseline's code could not be run, and the message carries its last words; or it is not that.
    """
    trials = [spec for spec in trials if (spec.workload, spec.precision) in anchor.cells]
    if not trials:
        return
    home = anchor_folder(folder).parent  # it makes results/ and reports/ there, as in any home
    home.mkdir(parents=True, exist_ok=True)
    try:
        ended = subprocess.run(
            [anchor.python, "-P", "-c", _CALL, *_arguments(anchor, home, trials)],
            cwd=home,
            env=_environment(anchor),
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as error:
        raise AnchorFailed(f"the anchor's Python {anchor.python!r} cannot be run ({error})") from error
    if ended.returncode not in (0, FAILED_TRIALS):
        words = (ended.stderr.strip() or ended.stdout.strip()).splitlines()
        raise AnchorFailed(
            f"the anchor's code ended with status {ended.returncode}: {words[-1] if words else 'it was silent'}"
        )
    made = [info for info in list_runs(anchor_folder(folder)) if info.sealed_at is not None]
    other = other_code(anchor.base, load_run(anchor_folder(folder) / "runs" / made[-1].run)) if made else None
    if other is not None:
        raise AnchorFailed(f"it is not the baseline's code ({other})")


def _arguments(anchor: Anchor, home: Path, trials: Sequence[TrialSpec]) -> list[str]:
    first = trials[0]
    words = ["run", "--profile", str(anchor.profile.resolve()), "--out", str(home.resolve()), "--repeats", "1"]
    for option, values in (
        ("--workload", dict.fromkeys(spec.workload for spec in trials)),
        ("--precision", dict.fromkeys(spec.precision for spec in trials)),
    ):
        for value in values:
            words += [option, value]
    words += ["--seeds", ",".join(str(seed) for seed in dict.fromkeys(spec.seed for spec in trials))]
    words += ["--device", first.device, "--timeout", f"{first.timeout_seconds:g}"]
    scale = batch_scale_of(anchor.base.info.plan, anchor.profile)
    return words + ["--compile"] * first.setup.compile + ["--batch-scale", str(scale)] * (scale > 1)


def _environment(anchor: Anchor) -> Mapping[str, str]:
    """This process's, for what changes speed must be alike on both sides; only the code differs."""
    variables = {name: value for name, value in os.environ.items() if name not in ("AMPMARK_HOME", "PYTHONPATH")}
    if anchor.path is not None:
        inherited = [os.path.abspath(part) for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
        variables["PYTHONPATH"] = os.pathsep.join([str(anchor.path), *inherited])
    return variables


def _probe(anchor: Anchor) -> None:
    """Find out before hours of measuring whether the code can be imported, and that it is the baseline's."""
    words = [anchor.python, "-P", "-c", _PROBE]
    try:
        ended = subprocess.run(
            words, env=_environment(anchor), capture_output=True, text=True, timeout=PROBE_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"the anchor's Python {anchor.python!r} cannot be run ({error}); give another.") from error
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or ["it was silent"])[-1]
        raise UsageError(
            f"the anchor's Python {anchor.python!r} has no ampmark ({last}); install the baseline's there."
        )
    found = Path(ended.stdout.strip())
    if anchor.path is not None and anchor.path.resolve() not in found.resolve().parents:
        raise UsageError(
            f"the anchor's Python takes ampmark from {found.parent} and not from the baseline's worktree; "
            "give an environment that has the baseline's code with --anchor-python."
        )


def _worktree(approval: Approval, base: Run, results: Path) -> Path:
    """A git worktree of the commit that the baseline was made with; made once."""
    commit, dirty = base.info.environment.git_commit, base.info.environment.git_dirty
    other = "give an environment that has its code with --anchor-python"
    if commit is None:
        raise UsageError(f"baseline {approval.name!r} was not made from a git checkout; {other}.")
    if dirty:
        raise UsageError(
            f"baseline {approval.name!r} was made from commit {commit[:12]} with changes that were not committed, "
            f"so its code cannot be had again; {other}, or approve a run of a clean checkout."
        )
    # Absolute: from the folder in which the blocks run, a relative path would lead to this process's own code.
    place = (results / "anchors" / commit[:12]).resolve()
    if not place.exists():
        root = Path(suite.__file__).parent.parent
        place.parent.mkdir(parents=True, exist_ok=True)
        _git(root, "worktree", "prune")
        _git(root, "worktree", "add", "--detach", str(place), commit)
    # One that was made before may have been cut short, or changed since.
    if _git(place, "rev-parse", "HEAD") != commit or _git(place, "status", "--porcelain"):
        raise UsageError(f"{place} is not commit {commit[:12]} as it was; delete it, and it will be made anew.")
    return place


def _git(root: Path, *words: str) -> str:
    """What git prints."""
    ended = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=False)
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or ["it was silent"])[-1]
        raise UsageError(
            f"`git {' '.join(words[:2])}` failed ({last}); run from ampmark's own checkout, or give --anchor-python."
        )
    return ended.stdout.strip()
