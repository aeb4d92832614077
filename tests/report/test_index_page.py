"""The page over all runs: what it says of literal series and runs, and that nothing in them can do harm."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import records
from literal_nights import HOSTILE, REGRESSED, SHORT, SLOWER, STEADY, rows_of, series_of, trend_of

from suite.errors import UnwritableResults
from suite.judge.findings import Verdict
from suite.judge.followed import MachineHistory
from suite.judge.nights import Series
from suite.judge.trends import State, Trend
from suite.report.index_page import Index, StoredRun, index_html, write_index_page
from suite.report.signs import state_sign
from suite.report.sparkline import sparkline

NEWEST = records.run([records.record()], "newest").info
Read = Callable[[str], Any]


RUNS = (
    StoredRun(
        run="run-2",
        created_at="2026-01-03T04:05:06+00:00",
        machine="Example GPU",
        profile="quick",
        measured=23,
        planned=24,
        verdict=Verdict.REGRESSED,
        headline="1 regressed, 0 improved on Example GPU",
        links={name: f"run-2/{name}" for name in ("index.html", "verdict.json", "summary.md", "junit.xml")},
    ),
    StoredRun(
        "run-1", "2026-01-02T03:04:05+00:00", "Example GPU", "quick", 24, 24, headline="No gate has looked at it."
    ),
)


def index_of(*judged: tuple[Series, Trend], **fields: Any) -> Index:
    made = Index(runs=RUNS, machines=1, histories=(MachineHistory(NEWEST, "Example GPU", judged),))
    return replace(made, **fields)


def test_the_headline_counts_runs_machines_and_states_worst_first(read: Read) -> None:
    html = index_html(index_of(STEADY, REGRESSED, SLOWER, SHORT))
    assert "<h1>2 runs on 1 machine; 4 series over the nights: 2 regressed, 1 steady, 1 too short.</h1>" in html
    assert "2026-01-02 03:04 to 2026-01-03 04:05 UTC" in read(html).words


def test_series_stand_worst_first_with_change_runs_and_reasons() -> None:
    rows = rows_of(index_html(index_of(SHORT, STEADY, REGRESSED, SLOWER)), "Series of Example GPU")
    assert [row.split(" × ")[0] for row in rows] == ["bert", "gpt", "lstm", "resnet"]
    assert rows[1] == (
        "gpt × bf16 ▲ regressed +12.0 % p 0.0012 3 of 4 yes 11.2 ms +5.8 % run-1 to run-2 "
        "slower since run run-2, most likely, and confirmed; partly recovered"
    )
    assert rows[2] == "lstm × bf16 = steady – 4 no 10.0 ms 0 %"


def test_a_series_that_is_too_short_has_its_row_its_reason_and_its_picture(read: Read) -> None:
    html = index_html(index_of(SHORT))
    assert rows_of(html, "Series of Example GPU") == [
        "resnet × bf16 … too short – 1 no 10.0 ms 0 % 1 night; a change needs 8 before"
    ]
    (picture,) = read(html).pictures
    assert "over 1 night: first 10.0\u00a0ms" in picture


def test_runs_of_a_change_lead_to_their_pages_where_those_exist(read: Read) -> None:
    links = read(index_html(index_of(REGRESSED))).attributes("href")
    # Its own row, its series, and the same among what needs attention.
    assert links.count("run-2/index.html") == 3
    assert not [link for link in links if link.startswith("run-1")]


def test_what_needs_attention_stands_first_whichever_machine_it_is_of(read: Read) -> None:
    quiet, loud = index_of(STEADY), index_of(REGRESSED)
    both = replace(quiet, histories=(*quiet.histories, *loud.histories), machines=2)
    rows = rows_of(index_html(both), "Series of all machines that need attention")
    assert len(rows) == 1
    assert "▲ regressed" in rows[0]
    assert "No series is regressed, suspect, drifting or without numbers." in read(index_html(quiet)).words


def test_series_of_one_cell_are_told_apart_by_setup_and_seeds() -> None:
    first, trend = STEADY
    other_setup, other_seed = replace(first, setup_sha256="b" * 64), replace(first, seeds=(1, 2))
    rows = rows_of(index_html(index_of((first, trend), (other_setup, trend), (other_seed, trend))), "Series of")
    assert [row.partition(" = ")[0] for row in rows] == [
        "lstm × bf16 setup aaaaaaaa, seeds 0",
        "lstm × bf16 setup bbbbbbbb",
        "lstm × bf16 setup aaaaaaaa, seeds 1, 2",
    ]


def test_every_run_has_its_verdict_or_why_there_is_none_and_its_files(read: Read) -> None:
    unfinished = replace(RUNS[1], run="run-3", finished=False, headline="It was cut short.")
    damaged = StoredRun("run-0", damage="run.json is damaged; restore it.")
    html = index_html(index_of(STEADY, runs=(unfinished, *RUNS, damaged)))
    assert rows_of(html, "Newest first") == [
        "run-3 2026-01-02 03:04 Example GPU quick 24 of 24 … unfinished It was cut short.",
        "run-2 2026-01-03 04:05 Example GPU quick 23 of 24 ▲ regressed 1 regressed, 0 improved on Example GPU "
        "verdict.json summary.md junit.xml",
        "run-1 2026-01-02 03:04 Example GPU quick 24 of 24 – not judged No gate has looked at it.",
        "run-0 – – – – of – ✗ damaged run.json is damaged; restore it.",
    ]
    assert "! 1 of 4 runs is damaged and no part of the history: run-0." in read(html).words
    relative = [link for link in read(html).attributes("href") if not link.startswith(("#", "data:"))]
    assert relative == ["run-2/index.html", "run-2/verdict.json", "run-2/summary.md", "run-2/junit.xml"]


def test_the_page_of_machines_is_linked_where_it_exists(read: Read) -> None:
    assert "hardware/index.html" in read(index_html(index_of(hardware="hardware/index.html"))).attributes("href")
    assert "Machines side by side" not in read(index_html(index_of())).words


@pytest.mark.parametrize(
    ("index", "said"),
    [
        (Index(), "No runs are stored yet."),
        (
            Index(runs=RUNS, machines=2),
            "2 runs on 2 machines; none has timed a cell and finished, so there is no history",
        ),
        (
            index_of(no_history="acknowledged.jsonl is damaged."),
            "2 runs on 1 machine; what the nights say cannot be judged",
        ),
        (Index(runs=(StoredRun("run-0", damage="gone"),)), "1 run; none has timed a cell and finished, so there is no"),
    ],
)
def test_without_a_history_the_headline_says_so(index: Index, said: str) -> None:
    assert f"<h1>{said}" in index_html(index)


def test_without_runs_the_page_says_what_to_do(read: Read) -> None:
    page = read(index_html(Index()))
    assert "`" not in page.text
    assert "ampmark run trains each workload in each precision" in page.words
    assert "table" not in {tag for tag, _ in page.tags}


def test_why_there_is_no_history_is_on_the_page(read: Read) -> None:
    page = read(index_html(index_of(histories=(), no_history="acknowledged.jsonl is damaged; restore it.")))
    assert "! acknowledged.jsonl is damaged; restore it." in page.words


def test_a_machine_that_has_timed_nothing_says_so(read: Read) -> None:
    assert "No finished run of it has timed a cell." in read(index_html(index_of())).words


# --- pictures -------------------------------------------------------------------------------------------------------


def test_a_sparkline_can_be_heard() -> None:
    root = ElementTree.fromstring(sparkline(*REGRESSED))
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"].replace("\u00a0", " ") == (
        "Step time of gpt × bf16 over 4 nights: first 10.0 ms, last 11.2 ms (+5.8 % from the median), "
        "lowest 10.0 ms, highest 11.2 ms; changed between runs run-1 and run-2."
    )


def test_a_change_with_one_run_is_said_of_that_run() -> None:
    series, trend = REGRESSED
    assert "; changed with run run-2." in sparkline(series, replace(trend, first_run="run-2"))


def _marks(svg: str, kind: str) -> list[str]:
    """Outlines of the marks of one kind, in the order in which they are drawn."""
    groups = ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}g")
    return [path.get("d", "") for group in groups if f"mark-{kind} " in group.get("class", "") for path in group]


def test_the_runs_of_the_change_are_shaded_and_every_night_is_a_point_of_the_line() -> None:
    # Four nights over 150 pixels, half a night before the first: run-1 to run-2 is the middle half.
    (band,), (line,) = _marks(sparkline(*REGRESSED), "rect"), _marks(sparkline(*REGRESSED), "line")
    assert band.startswith("M37.5,0h75v30")
    assert len(re.findall("[ML]", line)) == 4
    assert _marks(sparkline(*STEADY), "rect") == []


def test_noise_below_what_matters_looks_small_and_a_doubling_fills_the_height() -> None:
    def heights(*seconds: float) -> list[float]:
        (line,) = _marks(sparkline(series_of(seconds), trend_of(State.STEADY)), "line")
        return [float(y) for y in re.findall(r",([0-9.]+)", line)]

    noise = heights(0.01000, 0.01005, 0.00995, 0.01000)
    assert max(noise) - min(noise) < 30 / 6
    assert min(heights(0.01, 0.01, 0.01, 0.02)) == 0


def test_runs_that_are_no_nights_of_the_series_shade_nothing() -> None:
    series, trend = STEADY
    assert _marks(sparkline(series, replace(trend, first_run="elsewhere", last_run="run-1")), "rect") == []


@pytest.mark.parametrize("state", State)
def test_every_state_has_a_glyph_a_word_and_a_dot_in_its_colour(state: State) -> None:
    sign = state_sign(state)
    assert sign.word == state.value
    assert sign.glyph.strip()
    assert f'fill="var(--{sign.tone}, ' in sparkline(STEADY[0], trend_of(state, "lstm"))


def test_no_two_states_look_alike_without_colour() -> None:
    assert len({state_sign(state).glyph for state in State}) == len(State)


# --- the page as a document -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def full() -> str:
    return index_html(index_of(STEADY, REGRESSED, SLOWER, SHORT, hardware="hardware/index.html"))


def test_nothing_is_fetched_and_nothing_runs(full: str, read: Read) -> None:
    page = read(full)
    assert not {tag for tag, _ in page.tags} & {"script", "iframe", "object", "embed", "img", "form", "base"}
    assert not [name for _, found in page.tags for name in found if name.startswith("on") or name == "src"]
    assert "url(" not in full
    assert not [link for link in page.attributes("href") if ":" in link and link != "data:,"]


def test_tables_and_headings_can_be_heard(full: str, read: Read) -> None:
    page = read(full)
    names = [tag for tag, _ in page.tags]
    assert names.count("caption") == names.count("table") == 3
    assert all("scope" in found for tag, found in page.tags if tag == "th")
    levels = [int(tag[1]) for tag in names if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    regions = [found for _, found in page.tags if found.get("role") == "region"]
    assert all(found.get("aria-label") and found.get("tabindex") == "0" for found in regions)
    targets = {href.removeprefix("#") for href in page.attributes("href") if href.startswith("#")}
    assert targets <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))


@pytest.mark.parametrize("name", [HOSTILE, "x" * 10_000, "\x00\ud800", "a\nb"])
def test_hostile_names_are_text_and_stay_in_their_place(name: str, read: Read) -> None:
    series, trend = REGRESSED
    judged = (
        replace(series, workload=name, precision=name),
        replace(trend, workload=name, precision=name, reasons=(name,), first_run=name),
    )
    runs = (
        replace(RUNS[0], machine=name, profile=name, headline=name),
        StoredRun(name, damage=name),
    )
    made = Index(runs=runs, machines=1, histories=(MachineHistory(NEWEST, name, (judged,)),), no_history=None)
    for index in (made, replace(made, no_history=name)):
        html = index_html(index)
        html.encode()
        page = read(html)
        assert "script" not in {tag for tag, _ in page.tags}
        assert "\u202e" not in html
        assert "49" not in page.text
        assert len(html) < 40_000
        for svg in page.pictures:
            ElementTree.fromstring(svg)


def test_the_page_is_written_where_it_is_looked_for(tmp_path: Path) -> None:
    page = write_index_page(index_of(STEADY), tmp_path / "reports")
    assert page == tmp_path / "reports" / "index.html"
    assert page.read_text(encoding="utf-8") == index_html(index_of(STEADY))


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("a file")
    with pytest.raises(UnwritableResults, match="cannot be written to"):
        write_index_page(Index(), tmp_path / "reports")
