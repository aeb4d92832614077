"""The process of one check: `python -m tools.checks.inside TARGET CONDITIONS RESULT`.

Writes the result as JSON lines to the file RESULT. A check that raises leaves its traceback in the log and no last
line.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path

from tools.checks import Conditions, Measurement, NotRun


def main(target: str, conditions: str, result: str) -> None:
    """Run the check; one line per measurement, written at once, and a last one when it has come to its end."""
    module, _, function = target.partition(":")
    known = Conditions(**json.loads(conditions), started=time.monotonic())
    run: Callable[[Conditions], Iterable[Measurement]] = getattr(importlib.import_module(module), function)
    with Path(result).open("w", encoding="utf-8", buffering=1) as lines:
        reason = ""
        try:
            for measurement in run(known):
                lines.write(json.dumps({"measurement": asdict(measurement)}) + "\n")
        except NotRun as why:
            reason = str(why)
        lines.write(json.dumps({"not_run": reason}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
