"""Record the processes of recorded.py on this machine: `python -m tools.detectors.recording --repeats 60`.

Runs data/recording.toml through the suite (a fresh process per trial, workloads in turn) and writes
data/processes.csv and, beside it, data/recorded_on.json. Leave the machine alone meanwhile, or say so.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from suite import api
from suite.home import Home
from suite.store import Run
from tools.detectors.recorded import DATA

__all__ = ["main", "rows_of"]

PROFILE = DATA.parent / "recording.toml"


def rows_of(run: Run) -> Iterator[tuple[str, int, str]]:
    """Workload, order and timed steps (whole microseconds) of every trial."""
    steps = run.steps[~run.steps["warmup"]]
    seconds = dict(iter(steps.groupby("trial")["seconds"]))
    trials = run.trials.sort_values("order")
    for trial, workload, order in zip(trials["trial"], trials["workload"], trials["order"], strict=True):
        yield workload, int(order), " ".join(str(round(value * 1e6)) for value in seconds[trial])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, write, say where."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    parser.add_argument("--repeats", type=int, default=60, help="processes of every workload (default: 60)")
    parser.add_argument("--out", type=Path, default=DATA.parent, help="folder for the two files")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="ampmark-detectors-") as folder:
        load = os.getloadavg()
        planned = api.plan(str(PROFILE), device="cpu", repeats=chosen.repeats)
        run = api.run(planned, home=Home.choose(Path(folder)), command="tools.detectors.recording")
        with (chosen.out / DATA.name).open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(("workload", "order", "step_microseconds"))
            table.writerows(rows_of(run))
        about = _about(run) | {"load_before": load, "load_after": os.getloadavg()}
    (chosen.out / "recorded_on.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    print(f"{len(run.trials)} processes: {chosen.out / DATA.name}")
    return 0


def _about(run: Run) -> dict[str, object]:
    """What the record says of machine and software; names and versions only."""
    environment = run.info.environment
    names = ("cpu", "cpu_count", "threads", "cpu_instructions", "os", "python", "torch", "ampmark", "git_commit")
    about: dict[str, object] = {name: getattr(environment, name) for name in names}
    return {"started_at": run.info.created_at, "processes": len(run.trials), **about}


if __name__ == "__main__":
    sys.exit(main())
