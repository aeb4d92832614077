"""Make `reports/sample/` from `results/reference/`: `python -m nox -s sample`.

The reference is a results folder like any other, whose runs are committed: what they measured is on the page with the
machine, the software and the date. Of each machine the oldest run becomes the baseline of the later ones. The price
file beside them is an example.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from suite import api, store
from suite.errors import UsageError
from suite.hardware import newest_of_each_machine, report_hardware
from suite.home import Home
from suite.judge.baseline import approve
from suite.judge.nights import machine_of
from suite.overview import write_index
from suite.purchase.batches import larger_only

ROOT = Path(__file__).parents[1]
REFERENCE, SAMPLE = ROOT / "results" / "reference", ROOT / "reports" / "sample"
REASON = "the oldest run of its machine in the reference"


def make(home: Home) -> Path:
    """Judge every stored run and write every page anew; returns the index.

    Raises:
        UsageError: the folder for the pages holds something that is no such sample.
    """
    if home.reports.exists() and any(home.reports.iterdir()) and not (home.reports / "hardware").is_dir():
        raise UsageError(f"{home.reports} is not empty and no sample; give another folder with --out.")
    shutil.rmtree(home.reports, ignore_errors=True)
    shutil.rmtree(home.results / "baselines", ignore_errors=True)
    oldest: dict[tuple[object, ...], store.RunInfo] = {}
    for info in store.list_runs(home.results):
        run = store.load_run(home.results / "runs" / info.run)
        base = oldest.setdefault(machine_of(info), info)
        if base is info:
            approve(home.results, run, api.MAIN_BASELINE, REASON)
        elif not larger_only(info, base):
            api.gate(run, home=home)
        api.report(run, home=home)
    report_hardware(newest_of_each_machine(home), home, home.results / "prices.toml")
    return write_index(home)


def main() -> None:
    """Write the sample, or with `--out` the same somewhere else."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=SAMPLE, help="folder of the pages (default: reports/sample)")
    print(make(Home(REFERENCE, parser.parse_args().out)))


if __name__ == "__main__":
    main()
