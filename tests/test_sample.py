"""The committed sample is what its command makes of the committed runs, and of nothing else."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from suite.home import Home
from suite.store import list_runs
from tools.sample import REFERENCE, SAMPLE, make


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample, made again from a copy: the command approves a baseline among the results."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(REFERENCE, folder / "results" / "reference", ignore=shutil.ignore_patterns("baselines"))
    make(Home(folder / "results" / "reference", folder / "reports" / "sample"))
    return folder / "reports" / "sample"


def _files(folder: Path) -> dict[str, bytes]:
    """Without the drawings, in which letters are as wide as this machine's fonts; their specifications remain."""
    return {
        path.relative_to(folder).as_posix(): re.sub(rb"<svg.*?</svg>", b"", path.read_bytes(), flags=re.DOTALL)
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_sample_is_up_to_date(made: Path) -> None:
    committed, again = _files(SAMPLE), _files(made)
    assert sorted(committed) == sorted(again)
    stale = [name for name, content in again.items() if committed[name] != content]
    assert stale == [], "make it again: python -m nox -s sample"


def test_every_link_of_the_sample_leads_to_a_file() -> None:
    pages = list(SAMPLE.rglob("*.html"))
    assert len(pages) == len(list_runs(REFERENCE)) + 2
    for page in pages:
        for href in re.findall(r'(?:href|src)="([^"#:]+)(?:#[^"]*)?"', page.read_text(encoding="utf-8")):
            assert (page.parent / href).exists(), f"{page}: {href}"


def test_nothing_of_the_machine_but_its_description_is_committed() -> None:
    for path in (*REFERENCE.rglob("*"), *SAMPLE.rglob("*")):
        if path.is_file() and "baselines" not in path.parts:
            text = pd.read_parquet(path).to_csv() if path.suffix == ".parquet" else path.read_text(encoding="utf-8")
            found = re.findall(r"(?<![\w.])/(?:home|root|tmp|work|Users)/[\w.]+", text)
            assert found == [], path
