"""Check ampmark on the device at hand, best on an NVIDIA GPU: `PYTHONPATH=. python tools/gpu_checks.py --out DIR`.

Every check runs in a process of its own under its own time limit; its result is one JSON line in DIR/checks.jsonl,
written when it ends, and what it printed is in DIR/checks.log. Runs that checks have stored are in DIR/runs.tar. The
table at the end is also DIR/checks.txt. Needs a checkout, torch ≥ 2.9 and numpy; a check that needs more says so
where it is missing. The short form ends within nine minutes.

Exit status: 0 everything passed; 1 a target was missed, or a check failed or was killed at its limit; 3 all that was
measured passed, but something could not be run or there was no time for all of it.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tools.checks import CHECKS, PATIENCE, Check

__all__ = ["Result", "exit_status", "main", "run_checks", "table"]

ROOT = Path(__file__).resolve().parents[1]
TOTAL_SECONDS = 540.0
LONGEST_REASON = 300
TIMED_OUT = "timed out"


@dataclass(frozen=True)
class Result:
    """How one check ended."""

    check: int
    name: str
    outcome: str
    """`passed`, `missed`, `incomplete`, `failed`, `timed out` or `not run`."""
    seconds: float
    reason: str = ""
    measurements: Sequence[dict[str, Any]] = field(default_factory=tuple)


def run_checks(
    checks: Iterable[Check], out: Path, *, device: str, full: bool = False, total_seconds: float = TOTAL_SECONDS
) -> list[Result]:
    """Run the checks one after another; each result is written and flushed as soon as it is there."""
    out.mkdir(parents=True, exist_ok=True)
    patience = PATIENCE if full or device == "cpu" else 1
    end = time.monotonic() + total_seconds * patience
    results = []
    for stale in ("checks.log", "runs.tar"):
        (out / stale).unlink(missing_ok=True)
    with (out / "checks.jsonl").open("w", encoding="utf-8") as lines, (out / "checks.log").open("ab") as log:
        for check in checks:
            left = end - time.monotonic()
            because = _obstacle(check, device, left)
            if because:
                result = Result(check.number, check.name, "not run", 0.0, because)
            else:
                log.write(f"\n=== {check.number} {check.name}\n".encode())
                log.flush()
                result = _run(check, min(check.seconds * patience, left), device, full, out)
            lines.write(json.dumps(asdict(result), ensure_ascii=False) + "\n")
            lines.flush()
            os.fsync(lines.fileno())
            print(_row(result), flush=True)
            results.append(result)
    return results


def _obstacle(check: Check, device: str, seconds_left: float) -> str:
    """Why the check cannot be made, or nothing."""
    if check.gpu and device == "cpu":
        return "needs a GPU"
    missing = [name for name in ("torch", "numpy", *check.needs) if importlib.util.find_spec(name) is None]
    if missing:
        return f"needs {', '.join(missing)}, which is not installed"
    return "the time for all checks was used up; run it alone with --only" if seconds_left <= 0 else ""


def _run(check: Check, limit: float, device: str, full: bool, out: Path) -> Result:
    """The check in a process group of its own, killed as a whole at its limit."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ampmark-check-") as name:
        folder, result = Path(name) / f"check-{check.number}", Path(name) / "result.json"
        folder.mkdir()
        told = json.dumps({"device": device, "full": full, "folder": str(folder), "seconds": limit})
        command = [sys.executable, "-m", "tools.checks.inside", check.target, told, str(result)]
        with (out / "checks.log").open("ab") as log:
            # Unbuffered, so that the log of a check that is killed is whole.
            surroundings = os.environ | {"PYTHONUNBUFFERED": "1"}
            process = subprocess.Popen(
                command, cwd=ROOT, env=surroundings, stdout=log, stderr=log, start_new_session=True
            )
        ending = _wait(process, limit)
        _keep_runs(folder, out)
        lines = (
            [json.loads(line) for line in result.read_text(encoding="utf-8").splitlines()] if result.exists() else []
        )
    seconds = round(time.monotonic() - began, 1)
    measurements = [line["measurement"] for line in lines if "measurement" in line]
    not_run = next((line["not_run"] for line in lines if "not_run" in line), None)
    if ending == TIMED_OUT:
        outcome, reason = TIMED_OUT, f"killed after {limit:.0f} s"
    elif not_run is None:
        outcome, reason = "failed", f"{ending}: {_last_line(out / 'checks.log')}"
    else:
        outcome, reason = "not run" if not_run else _judged(measurements), not_run
    return Result(check.number, check.name, outcome, seconds, reason, measurements)


def _judged(measurements: Sequence[dict[str, Any]]) -> str:
    """One missed target is a miss; one that there was no time for leaves it open."""
    met = {found["met"] for found in measurements}
    return "missed" if False in met else "incomplete" if None in met else "passed"


def _wait(process: subprocess.Popen[bytes], limit: float) -> str:
    """How the process ended; nothing of it is left afterwards."""
    try:
        return f"exit status {process.wait(timeout=limit)}"
    except subprocess.TimeoutExpired:
        return TIMED_OUT
    finally:
        # The fork server of a check that uses the runner is in the same group; its trials end with it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _keep_runs(folder: Path, out: Path) -> None:
    if any(folder.iterdir()):
        with tarfile.open(out / "runs.tar", "a") as archive:
            archive.add(folder, arcname=folder.name)


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n=== ")[-1].strip().splitlines()
    return lines[-1][:LONGEST_REASON] if len(lines) > 1 else "it was silent"


def table(results: Iterable[Result]) -> str:
    """A row for each check, and under it a row for each of its measurements."""
    lines = [f"{'check':>5}  {'name':24} {'outcome':10} {'seconds':>7}"]
    for result in results:
        lines.append(_row(result))
        for found in result.measurements:
            wanted = f" (target: {found['target']})" if found["target"] else ""
            mark = {True: " ", False: "✗", None: "?"}[found["met"]]
            lines.append(f"      {mark} {found['name']}: {found['value']}{wanted}")
    return "\n".join(lines)


def _row(result: Result) -> str:
    row = f"{result.check:>5}  {result.name:24} {result.outcome:10} {result.seconds:>7.1f}"
    return f"{row}  {result.reason}".rstrip()


def exit_status(results: Iterable[Result]) -> int:
    """As the module's docstring says."""
    outcomes = {result.outcome for result in results}
    if outcomes & {"missed", "failed", TIMED_OUT}:
        return 1
    return 0 if outcomes == {"passed"} else 3


def main(arguments: Sequence[str] | None = None, checks: Sequence[Check] = CHECKS) -> int:
    """Parse, run, print the table; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--device", default="cuda:0", help="cuda:N or cpu (default: cuda:0)")
    parser.add_argument("--only", default="", help="numbers of the checks, such as 1,3,12")
    parser.add_argument("--full", action="store_true", help="the long form: whole profiles, four times the time")
    chosen = parser.parse_args(arguments)
    numbers = {int(number) for number in chosen.only.split(",") if number}
    unknown = numbers - {check.number for check in checks}
    if unknown:
        parser.error(f"--only: there is no check {sorted(unknown)}; known are {[check.number for check in checks]}")
    selected = [check for check in checks if not numbers or check.number in numbers]
    results = run_checks(selected, chosen.out, device=chosen.device, full=chosen.full)
    text = table(results)
    (chosen.out / "checks.txt").write_text(text + "\n", encoding="utf-8")
    print(f"\n{text}")
    return exit_status(results)


if __name__ == "__main__":
    sys.exit(main())
