"""The list of raw data: what is linked from a page, and that every link leads to a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from literal_runs import measured, plan_of, run_of

from suite.home import Home
from suite.report import render
from suite.report.data_files import data_files
from suite.report.page import page_html
from suite.store import Run

Read = Callable[[str], Any]


def _run(home: Path, *, seal: bool = True) -> Run:
    plan = plan_of()
    return run_of(home / "results", plan, [measured(spec) for spec in plan.trials], seal=seal)


def _links(read: Read, page: Path) -> list[str]:
    """All but the way back to the index, which the commands write after the page."""
    first, *hrefs = read(page.read_text(encoding="utf-8")).attributes("href")[2:]
    assert first == "../index.html"
    return [href for href in hrefs if not href.startswith(("#", "data:"))]


def test_every_file_of_the_run_and_beside_the_page_is_linked_and_there(tmp_path: Path, read: Read) -> None:
    run = _run(tmp_path)
    page = render(run, None, Home.at(tmp_path), beside={"junit.xml": b"<testsuites/>"})
    results = f"../../results/runs/{run.info.run}"
    assert _links(read, page) == [
        *(f"{results}/{name}" for name in ("run.json", "trials.jsonl", "trials.parquet", "steps.parquet", "logs/")),
        "summary.md",
        "junit.xml",
    ]
    assert all((page.parent / href).exists() for href in _links(read, page))
    assert (page.parent / "junit.xml").read_bytes() == b"<testsuites/>"


def test_reports_may_lie_elsewhere_than_beside_the_results(tmp_path: Path, read: Read) -> None:
    run = _run(tmp_path)
    page = render(run, None, Home(tmp_path / "results", tmp_path / "public" / "reports" / "sample"))
    links = _links(read, page)
    assert links[0] == f"../../../../results/runs/{run.info.run}/run.json"
    assert all((page.parent / href).exists() for href in links)


def test_verdicts_are_linked_once_they_are_there(tmp_path: Path, read: Read) -> None:
    run = _run(tmp_path)
    folder = tmp_path / "reports" / run.info.run
    folder.mkdir(parents=True)
    (folder / "verdict.json").write_text("{}", encoding="utf-8")
    assert _links(read, render(run, None, Home.at(tmp_path)))[-2:] == ["summary.md", "verdict.json"]


def test_results_of_another_place_are_named_and_not_linked(tmp_path: Path, read: Read) -> None:
    run = _run(tmp_path / "elsewhere")
    page = render(run, None, Home.at(tmp_path))
    assert _links(read, page) == ["summary.md"]
    words = read(page.read_text(encoding="utf-8")).words
    assert "trials.parquet 2 rows, one per trial" in words
    assert str(tmp_path) not in words


def test_a_run_that_is_not_sealed_has_no_tables_yet(tmp_path: Path) -> None:
    found = data_files(_run(tmp_path, seal=False), Home.at(tmp_path))
    assert [file.name for file in found] == ["run.json", "trials.jsonl", "logs/"]
    assert {file.sha256 for file in found} == {"–"}


def test_a_page_without_a_place_links_nothing(tmp_path: Path, read: Read) -> None:
    hrefs = read(page_html(_run(tmp_path), None)).attributes("href")
    assert all(href.startswith(("#", "data:")) for href in hrefs)
