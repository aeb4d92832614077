"""The one script of the pages: where it lies, what it is called, and that it cannot end its own element."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest

from suite.errors import UnwritableResults
from suite.report.script import LICENCE, NO_SCRIPT, harmless, inlined, name_of, placed

OURS = resources.files("suite.report").joinpath("templates/charts.js").read_text(encoding="utf-8")


def _file(reports: Path) -> Path:
    (found,) = reports.glob("charts-*.js")
    return found


def test_the_name_is_another_one_wherever_a_part_of_the_content_is() -> None:
    names = [name_of("1.9", "6.2", "ours"), name_of("1.9", "6.3", "ours"), name_of("1.9", "6.2", "ours;")]
    names += [name_of("1.96.2", "", "ours"), name_of("1.9", "6.2")]
    assert len(set(names)) == len(names)
    assert name_of("1.9", "6.2", "ours") == names[0]
    assert all(name.startswith("charts-") and name.endswith(".js") for name in names)


def test_it_holds_the_libraries_their_licence_and_what_is_ours(tmp_path: Path) -> None:
    placed(tmp_path, tmp_path / "index.html")
    text = _file(tmp_path).read_text(encoding="utf-8")
    assert text.startswith(f"/*! {LICENCE} */\n")
    assert text.endswith(OURS)
    assert "BSD-3-Clause" in LICENCE
    assert 500_000 < len(text.encode()) < 1_200_000


def test_it_is_written_once_and_serves_every_page(tmp_path: Path) -> None:
    first = placed(tmp_path, tmp_path / "a" / "index.html")
    written = _file(tmp_path).stat()
    assert placed(tmp_path, tmp_path / "b" / "index.html") == first
    again = _file(tmp_path).stat()
    assert (again.st_ino, again.st_mtime_ns) == (written.st_ino, written.st_mtime_ns)


@pytest.mark.parametrize(
    ("page", "up"), [("index.html", ""), ("run-1/index.html", "../"), ("a b/é/index.html", "../../")]
)
def test_its_address_is_relative_to_the_page(tmp_path: Path, page: str, up: str) -> None:
    script = placed(tmp_path, tmp_path / page)
    assert script.href == f"{up}{_file(tmp_path).name}"
    assert script.source is None


def test_a_folder_that_does_not_exist_is_made_and_one_that_cannot_be_is_named(tmp_path: Path) -> None:
    placed(tmp_path / "new" / "reports", tmp_path / "new" / "reports" / "index.html")
    assert _file(tmp_path / "new" / "reports").is_file()
    (tmp_path / "file").touch()
    with pytest.raises(UnwritableResults, match="file"):
        placed(tmp_path / "file", tmp_path / "file" / "index.html")


def test_inside_a_page_it_is_the_same_program_and_nothing_in_it_is_markup(tmp_path: Path) -> None:
    placed(tmp_path, tmp_path / "index.html")
    source = str(inlined().source)
    assert inlined().href is None
    assert source.replace("\\x3C", "<") == _file(tmp_path).read_text(encoding="utf-8").replace("\\x3C", "<")
    assert not any(word in source.lower() for word in ("</script", "<script", "<!--"))


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ('"</script>"', '"\\x3C/script>"'),
        ("'</SCRIPT >'", "'\\x3C/SCRIPT >'"),
        ("/<script/i", "/\\x3Cscript/i"),
        ("`<!--${a}-->`", "`\\x3C!--${a}-->`"),
        ("a < b && c</d/", "a < b && c</d/"),
    ],
)
def test_what_would_end_the_element_or_hide_its_end_is_escaped(source: str, shown: str) -> None:
    assert harmless(source) == shown


def test_a_page_may_have_none() -> None:
    assert (NO_SCRIPT.href, NO_SCRIPT.source) == (None, None)
