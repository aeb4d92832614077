"""What a run's page says of the nights before it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import records
from literal_nights import HOSTILE, REGRESSED, SHORT, STEADY, rows_of, series_of, trend_of

from suite import api
from suite.home import Home
from suite.judge.followed import Past
from suite.judge.trends import State
from suite.report.history_section import MOST_FIGURES, history_section
from suite.report.nights_chart import nights_chart
from suite.report.page import page_html

Read = Callable[[str], Any]
RUN = records.run([*records.cell([0.1], "gpt", "bf16"), *records.cell([0.1], "lstm", "bf16")], "run-3")
PAST = Past((STEADY, REGRESSED))


@pytest.mark.parametrize(
    ("past", "said"),
    [
        (None, "The nights before this run are not shown: this page was made without them."),
        (Past(unknown="the run is not finished"), "The nights before this run are not shown: the run is not finished."),
        (Past(), "No cell of this run was timed, now or in an earlier run on this machine."),
        (Past((SHORT,)), "This is the first night of all its cells on this machine: no earlier run has the same setup"),
    ],
)
def test_without_earlier_nights_one_sentence_says_so(past: Past | None, said: str, read: Read) -> None:
    section = history_section(past, {})
    assert section.sentence.startswith(said)
    assert (section.rows, section.figures) == ((), ())
    assert said in read(page_html(RUN, None, past=past)).words


def test_the_sentence_counts_states_and_the_table_has_the_worst_first() -> None:
    html = page_html(RUN, None, past=PAST, pages={"run-2": "../run-2/index.html"})
    assert "2 cells over 4 nights: 1 regressed, 1 steady." in html
    assert rows_of(html, "Cells of this run over the nights") == [
        "gpt × bf16 ▲ regressed +12.0 % p 0.0012 3 of 4 yes 11.2 ms +5.8 % run-1 to run-2 "
        "slower since run run-2, most likely, and confirmed; partly recovered",
        "lstm × bf16 = steady – 4 no 10.0 ms 0 %",
    ]
    assert html.count('<a href="../run-2/index.html">run-2</a>') == 1
    assert "../run-1" not in html


def test_cells_lead_to_their_rows_and_only_those_that_have_one(read: Read) -> None:
    page = read(page_html(RUN, None, past=Past((STEADY,))))
    assert [href for href in page.attributes("href") if "nights" in href] == ["#nights-cell--lstm--bf16"]
    assert "nights-cell--lstm--bf16" in page.ids


def test_what_is_not_steady_has_a_chart_and_of_many_the_worst() -> None:
    assert [figure.sign.word for figure in history_section(PAST, {}).figures] == ["regressed"]
    many = tuple((REGRESSED[0], replace(REGRESSED[1], change=0.01 * place)) for place in range(20))
    section = history_section(Past(many), {})
    assert len(section.figures) == MOST_FIGURES
    assert [row.change for row in section.rows[:2]] == ["+19.0\u00a0%", "+18.0\u00a0%"]
    assert "The 6 worst of 20 have a chart." in section.sentence


def _layers(past: Past) -> list[dict[str, Any]]:
    """What the script of the section's first chart draws."""
    (picture,) = [figure.picture for figure in history_section(past, {}).figures]
    text = str(picture).partition('<script type="application/json">')[2].removesuffix("</script>")
    layers: list[dict[str, Any]] = json.loads(text)["layer"]
    return layers


def test_the_chart_has_every_night_the_runs_of_the_change_and_the_median() -> None:
    band, median, anchors, _, line, nights, last = _layers(Past((REGRESSED,)))
    assert band["data"]["values"] == [{"night": 1.5, "end": 3.5}]
    assert median["data"]["values"] == [{"value": 10.6}]
    assert anchors["data"]["values"] == []
    assert [(row["night"], row["value"]) for row in line["data"]["values"]] == [
        (1, 10.0),
        (2, 10.0),
        (3, 11.2),
        (4, 11.2),
    ]
    assert [row["run"] for row in nights["data"]["values"]] == ["run-0", "run-1", "run-2"]
    assert last["data"]["values"] == [
        {"night": 4, "value": 11.2, "run": "run-3", "at": "2026-01-01 00:00", "told": "11.2 ms"}
    ]


def test_the_anchor_is_drawn_where_it_was_run_and_explained(read: Read) -> None:
    series, trend = REGRESSED
    nights = tuple(
        replace(night, anchor=night.value if place != 1 else None) for place, night in enumerate(series.nights)
    )
    past = Past(((replace(series, nights=nights), trend),))
    assert [row["night"] for row in _layers(past)[2]["data"]["values"]] == [1, 3, 4]
    assert "the baseline’s code, run in turn with it as the anchor" in read(page_html(RUN, None, past=past)).words
    assert "run in turn with it as the anchor" not in read(page_html(RUN, None, past=PAST)).words


def test_a_year_of_nights_has_few_ticks_and_noise_looks_small() -> None:
    chart = nights_chart(series_of([0.1, 0.1001] * 180), trend_of(State.SUSPECT))
    assert len(chart["encoding"]["x"]["axis"]["values"]) == 12
    low, high = chart["encoding"]["y"]["scale"]["domain"]
    assert low < 96.1 < 104 < high


@pytest.mark.parametrize("name", [HOSTILE, "x" * 10_000, "\x00\ud800"])
def test_hostile_names_are_text(name: str, read: Read) -> None:
    series, trend = REGRESSED
    nights = tuple(replace(night, run=name, at=name) for night in series.nights)
    judged = (
        replace(series, workload=name, precision=name, nights=nights),
        replace(trend, workload=name, precision=name, reasons=(name,), first_run=name, last_run=name),
    )
    html = page_html(RUN, None, past=Past((judged,), None))
    html.encode()
    page = read(html)
    assert not [attributes for attributes, _ in page.scripts]
    assert "\u202e" not in html
    assert len(html) < 150_000
    for svg in page.pictures:
        ElementTree.fromstring(svg)


def test_a_run_shows_its_own_nights_and_none_that_came_later(tmp_path: Path, read: Read) -> None:
    runs = [records.stored(tmp_path / "results", records.cell([seconds], "gpt", "bf16")) for seconds in (0.1, 0.1, 0.3)]
    records.stored(tmp_path / "results", records.cell([0.1], "lstm"))
    home = Home.at(tmp_path)
    words = [read(api.report(run, home=home).read_text(encoding="utf-8")).words for run in runs]
    assert "This is the first night of all its cells on this machine" in words[0]
    assert "1 cell over 2 nights: 1 too short." in words[1]
    assert "1 cell over 3 nights: " in words[2]
    assert "300 ms" not in words[1]


def test_an_earlier_run_whose_description_is_damaged_is_left_out_and_named(tmp_path: Path, read: Read) -> None:
    runs = [records.stored(tmp_path / "results", records.cell([0.1])) for _ in range(4)]
    for run in (runs[0], runs[3]):
        (run.folder / "run.json").write_text("{", encoding="utf-8")
    words = read(api.report(runs[2], home=Home.at(tmp_path)).read_text(encoding="utf-8")).words
    assert f"1 cell over 2 nights: 1 too short. Left out, for they cannot be read: {runs[0].info.run}." in words


def test_a_run_that_is_never_timed_has_no_nights(tmp_path: Path, read: Read) -> None:
    records.stored(tmp_path / "results", records.cell([0.1]))
    trials = [records.record(spec=records.spec(deterministic=True))]
    run = records.stored(tmp_path / "results", trials)
    words = read(api.report(run, home=Home.at(tmp_path)).read_text(encoding="utf-8")).words
    assert "not shown: only deterministic kernels were allowed in this run, and such trials are not timed." in words


def test_an_earlier_run_whose_times_are_damaged_is_left_out_and_named(tmp_path: Path, read: Read) -> None:
    runs = [records.stored(tmp_path / "results", records.cell([0.1])) for _ in range(3)]
    (runs[0].folder / "trials.parquet").write_bytes(b"damaged")
    pages = [read(api.report(run, home=Home.at(tmp_path)).read_text(encoding="utf-8")).words for run in runs[1:]]
    lost = f"Left out, for they cannot be read: {runs[0].info.run}."
    assert f"no earlier run has the same setup and seeds. {lost}" in pages[0]
    assert f"1 cell over 2 nights: 1 too short. {lost}" in pages[1]


def test_what_cannot_be_judged_is_no_reason_for_no_page(tmp_path: Path, read: Read) -> None:
    run = records.stored(tmp_path / "results", records.cell([0.1]))
    (tmp_path / "results" / "acknowledged.jsonl").write_text("damaged", encoding="utf-8")
    words = read(api.report(run, home=Home.at(tmp_path)).read_text(encoding="utf-8")).words
    assert "The nights before this run are not shown:" in words
    assert "acknowledged.jsonl" in words
