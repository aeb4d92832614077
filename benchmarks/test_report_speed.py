"""How long reports take to be made and to be opened, and how large they are: `python -m nox -s perf`."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from suite import store
from suite.home import Home
from suite.report import render

Benchmark = Callable[..., object]

MEGABYTE = 1_000_000
INDEX = """
import resource, sys, time
from pathlib import Path
from suite.home import Home
from suite.overview import write_index
began = time.perf_counter()
write_index(Home.at(Path(sys.argv[1])))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(time.perf_counter() - began, peak)
"""

REPORT = """
import sys, time
from pathlib import Path
from suite import api, store
from suite.home import Home
from suite.overview import write_index
began = time.perf_counter()
home = Home.at(Path(sys.argv[1]))
api.report(store.load_run(store.find_run(home.results, "latest")), home=home)
write_index(home)
print(time.perf_counter() - began)
"""


@pytest.fixture(scope="module")
def report(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run of 80 trials, beside its script."""
    return render(_newest(home), None, Home(home / "results", tmp_path_factory.mktemp("reports")))


def _newest(home: Path) -> store.Run:
    return store.load_run(store.find_run(home / "results", "latest"))


def test_a_report_of_eighty_trials_is_made_within_three_seconds(benchmark: Benchmark, home: Path, report: Path) -> None:
    """In a process of its own, from the stored run to the page and the index; the script lies there already.

    What is not in it is the start of Python and of the command line, 0.4 s here.
    """
    found = []

    def make() -> None:
        ended = subprocess.run([sys.executable, "-c", REPORT, str(home)], check=True, capture_output=True, text=True)
        found.append(float(ended.stdout))

    benchmark.pedantic(make, rounds=5, warmup_rounds=1)  # type: ignore[attr-defined]
    print(f"from the stored run to the page and the index: {statistics.median(found[1:]):.2f} s")
    assert statistics.median(found[1:]) <= 3.0


def test_the_page_and_its_script_are_small(home: Path, report: Path, tmp_path: Path) -> None:
    (script,) = report.parents[1].glob("charts-*.js")
    whole = render(_newest(home), None, Home(home / "results", tmp_path), inline=True)
    sizes = {name: path.stat().st_size for name, path in (("page", report), ("script", script), ("inlined", whole))}
    print(sizes)
    assert sizes["page"] <= 1.5 * MEGABYTE
    assert sizes["script"] <= 1.0 * MEGABYTE


def test_the_page_opens_within_a_second(benchmark: Benchmark, report: Path) -> None:
    """Until everything is loaded: the page, its script, and every drawing."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no Chromium is on the PATH")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found)
        pages = []

        def empty() -> None:
            pages.append(browser.new_context().new_page())

        def opened() -> None:
            pages[-1].goto(report.as_uri())

        benchmark.pedantic(opened, setup=empty, rounds=5, warmup_rounds=1)  # type: ignore[attr-defined]
        browser.close()
    assert benchmark.stats.stats.median <= 1.0  # type: ignore[attr-defined]


def test_the_index_over_a_hundred_runs_takes_twenty_seconds_and_two_gigabytes_at_most(hundred_runs: Path) -> None:
    answer = subprocess.run(
        [sys.executable, "-c", INDEX, str(hundred_runs)], check=True, capture_output=True, text=True
    ).stdout.split()
    seconds, peak = float(answer[0]), float(answer[1])
    print(f"{seconds:.1f} s, {peak / 2**20:.0f} MiB")
    assert seconds <= 20.0
    assert peak <= 2 * 2**30
