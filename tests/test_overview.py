"""The index over stored runs: which commands write it, what it holds, and that nothing stored keeps it away."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import records
from test_cli import ampmark

from suite.companions import AnchorNote, anchor_folder, write_note
from suite.files import sha256
from suite.home import Home
from suite.judge.baseline import approve
from suite.judge.verdict_file import write_refusal
from suite.overview import write_index
from suite.store import create_run, list_runs

Capture = pytest.CaptureFixture[str]
NIGHTS = 12
STEADY = (0.1000, 0.1001, 0.0999, 0.1002, 0.0998)
XEON = records.environment(device_name="Xeon & <sons>")


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve nights of one machine, whose last is 20 % slower, and then one of another."""
    home = tmp_path_factory.mktemp("stored")
    for number in range(NIGHTS):
        slower = 1.2 if number == NIGHTS - 1 else 1 + 0.001 * (number % 3)
        records.stored(home / "results", records.cell([0.1 * slower], "gpt"))
    records.stored(home / "results", records.cell([0.05] * 2, "lstm"), XEON)
    return home


@pytest.fixture
def home(stored: Path, tmp_path: Path) -> Path:
    """A copy of it to change."""
    return Path(shutil.copytree(stored, tmp_path / "home"))


def runs_of(home: Path) -> list[str]:
    return [info.run for info in list_runs(home / "results")]


def index_of(home: Path) -> str:
    page = write_index(Home.at(home))
    assert page == home / "reports" / "index.html"
    return page.read_text(encoding="utf-8")


def headline(html: str) -> str:
    return str(re.findall("<h1>(.*?)</h1>", html)[0])


def row_of(html: str, run: str) -> str:
    """Text of the run's row in the list of runs."""
    rows = re.findall(r"<tr>(.*?)</tr>", html[html.index('id="runs"') :], re.S)
    (row,) = (row for row in rows if re.search(rf"<th .*{re.escape(run)}", row))
    return " ".join(re.sub(r"<[^>]+>", " ", row).split())


def test_every_machine_has_its_series_and_every_run_its_row_newest_first(home: Path) -> None:
    html = index_of(home)
    assert headline(html) == "13 runs on 2 machines; 2 series over the nights: 1 suspect, 1 too short."
    assert re.findall("<h3>.*?</h3>", html) == [
        "<h3><bdi>Xeon &amp; &lt;sons&gt;</bdi></h3>",
        "<h3><bdi>Test CPU</bdi></h3>",
    ]
    assert html.count("<svg") == 3  # the suspect twice: it needs attention
    assert re.findall(r'<th scope="row"><bdi>(20.*?)</bdi>', html) == runs_of(home)[::-1]
    assert " Test CPU test 1 of 1 – not judged No gate has looked at it; " in row_of(html, runs_of(home)[0])


def test_the_verdict_the_refusal_and_the_baseline_are_said_and_files_that_exist_are_linked(home: Path) -> None:
    results = home / "results"
    base = records.stored(results, records.cell(STEADY))
    approve(results, base, "main", "trusted")
    slower = records.stored(results, records.cell([1.2 * value for value in STEADY]))
    assert ampmark("gate", "--home", home) == 1
    write_refusal(home / "reports", runs_of(home)[0], "no baseline 'main' is approved.")
    html = index_of(home)
    assert " 5 of 5 ▲ regressed 1 regressed, 0 improved, " in row_of(html, slower.info.run)
    assert " – not judged It is baseline &#39;main&#39;, which later runs " in row_of(html, base.info.run)
    assert " – not judged no baseline &#39;main&#39; is approved. " in row_of(html, runs_of(home)[0])
    links = re.findall(rf'href="({slower.info.run}/[^"]+)"', html)
    assert {f"{slower.info.run}/{name}" for name in ("index.html", "verdict.json", "summary.md")} <= set(links)
    assert all((home / "reports" / link).is_file() for link in links)
    assert "hardware/index.html" not in html


def test_a_run_that_lasts_or_was_cut_short_is_marked(home: Path) -> None:
    trials = records.cell([0.1] * 3)
    writer = create_run(home / "results", records.plan(trials), records.environment(), "ampmark run")
    writer.append(trials[0], "")
    row = row_of(index_of(home), writer.info.run)
    assert f" 1 of 3 … unfinished It was cut short, or lasts still; `ampmark run --resume {writer.info.run}`" in row


def _break_description(run: Path) -> None:
    (run / "run.json").write_text("{", encoding="utf-8")


def _break_trials(run: Path) -> None:
    (run / "trials.parquet").write_bytes(b"PAR1")


def _lose_trials(run: Path) -> None:
    (run / "trials.parquet").unlink()


def _break_anchor(run: Path) -> None:
    block = records.stored(anchor_folder(run), records.cell([0.1], "gpt"))
    write_note(run, AnchorNote("main", "base"))
    _break_trials(block.folder)


def _break_note(run: Path) -> None:
    (run / "anchor.json").write_text("{", encoding="utf-8")


def _make_newer(run: Path) -> None:
    info = json.loads((run / "run.json").read_text(encoding="utf-8"))
    (run / "run.json").write_text(json.dumps(info | {"schema": 99}), encoding="utf-8")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_break_description, "run.json is damaged ("),
        (_break_trials, "trials.parquet is not the file that was sealed"),
        (_lose_trials, "trials.parquet is missing from a sealed run"),
        (_break_anchor, "trials.parquet is not the file that was sealed"),
        (_break_note, "anchor.json is damaged ("),
        (_make_newer, "run.json has schema 99, but this ampmark reads up to"),
    ],
)
def test_a_run_that_cannot_be_read_is_a_row_and_the_history_goes_on_without_it(
    home: Path, spoil: Callable[[Path], None], said: str
) -> None:
    spoilt = runs_of(home)[0]
    spoil(home / "results" / "runs" / spoilt)
    html = index_of(home)
    row = row_of(html, spoilt)
    assert "✗ damaged" in row
    assert said in row
    assert f"1 of 13 runs is damaged and no part of the history: {spoilt}." in html
    assert headline(html) == "13 runs on 2 machines; 2 series over the nights: 1 suspect, 1 too short."
    assert '<td class="number">11</td>' in html


def test_a_copy_of_a_run_is_damage_and_not_one_more_night(home: Path) -> None:
    runs = home / "results" / "runs"
    shutil.copytree(runs / runs_of(home)[0], runs / "copy")
    html = index_of(home)
    assert "under another name; remove the copy." in row_of(html, "copy")
    assert headline(html).endswith("2 series over the nights: 1 suspect, 1 too short.")


def test_a_damaged_verdict_costs_its_row_and_nothing_else(home: Path) -> None:
    run = runs_of(home)[-1]
    folder = home / "reports" / run
    folder.mkdir(parents=True)
    (folder / "verdict.json").write_text("{", encoding="utf-8")
    html = index_of(home)
    assert "– not judged" in row_of(html, run)
    assert "verdict.json is damaged (" in row_of(html, run)
    assert headline(html).startswith("13 runs on 2 machines; 2 series")


def test_where_what_was_accepted_is_damaged_there_is_no_history_and_every_run_has_its_row(home: Path) -> None:
    (home / "results" / "acknowledged.jsonl").write_text("{", encoding="utf-8")
    html = index_of(home)
    assert headline(html) == "13 runs on 2 machines; what the nights say cannot be judged."
    assert "acknowledged.jsonl is damaged (" in html
    assert "✗ damaged" not in html


def test_a_damaged_baseline_does_not_concern_the_index(home: Path) -> None:
    approved = home / "results" / "baselines" / "main" / "x" / "baseline.json"
    approved.parent.mkdir(parents=True)
    approved.write_text("{", encoding="utf-8")
    assert headline(index_of(home)).startswith("13 runs on 2 machines; 2 series")


def test_a_folder_with_a_hostile_name_leads_nowhere_else(home: Path) -> None:
    name = 'javascript:"><b>{{ 7*7 }}'
    (home / "results" / "runs" / name).mkdir()
    (home / "results" / "runs" / name / "run.json").write_text("{", encoding="utf-8")
    (home / "reports" / name).mkdir(parents=True)
    (home / "reports" / name / "index.html").write_text("", encoding="utf-8")
    html = index_of(home)
    assert '<a href="javascript%3A%22%3E%3Cb%3E%7B%7B%207%2A7%20%7D%7D/index.html">' in html
    assert "<b>" not in html


def test_without_any_run_the_page_says_what_to_do(tmp_path: Path) -> None:
    html = index_of(tmp_path)
    assert headline(html) == "No runs are stored yet."
    assert "<code>ampmark run</code>" in html


# --- the commands ---------------------------------------------------------------------------------------------------


def test_reports_of_several_runs_end_with_one_index_and_print_what_they_printed(home: Path, capsys: Capture) -> None:
    runs = runs_of(home)[-2:]
    assert ampmark("report", *runs, "--home", home) == 0
    captured = capsys.readouterr()
    assert captured.out.split() == [str(home / "reports" / run / "index.html") for run in runs]
    assert captured.err == ""
    html = (home / "reports" / "index.html").read_text(encoding="utf-8")
    assert [f'href="{run}/index.html"' in html for run in runs] == [True, True]


def test_the_page_of_machines_is_linked_once_it_is_written(home: Path, capsys: Capture) -> None:
    assert ampmark("report", "--hardware", "--home", home) == 0
    assert capsys.readouterr().out.split() == [str(home / "reports" / "hardware" / "index.html")]
    assert 'href="hardware/index.html"' in (home / "reports" / "index.html").read_text(encoding="utf-8")


def test_a_gate_that_refuses_is_on_the_index_too(home: Path, capsys: Capture) -> None:
    assert ampmark("gate", "--home", home) == 2
    said = capsys.readouterr().err.removeprefix("ampmark: ").strip()
    row = row_of((home / "reports" / "index.html").read_text(encoding="utf-8"), runs_of(home)[-1])
    assert said.partition("'")[0] in row


def test_an_index_that_cannot_be_written_is_one_line_and_changes_no_exit_status(home: Path, capsys: Capture) -> None:
    results = home / "results"
    approve(results, records.stored(results, records.cell(STEADY)), "main", "trusted")
    records.stored(results, records.cell([1.2 * value for value in STEADY]))
    (home / "reports" / "index.html").mkdir(parents=True)
    assert ampmark("gate", "--home", home) == 1
    captured = capsys.readouterr()
    assert captured.out.splitlines()[-1].startswith("report: ")
    assert captured.err.startswith(f"the index was not written: {home / 'reports'} cannot be written to (")
    assert captured.err.count("\n") == 1
    assert ampmark("report", "--home", home) == 0
    assert capsys.readouterr().err.startswith("the index was not written: ")


def test_a_run_with_an_outcome_that_is_not_known_is_a_row_that_says_so(home: Path, capsys: Capture) -> None:
    """A sealed table with an outcome that this ampmark does not know."""
    run = home / "results" / "runs" / runs_of(home)[0]
    table = run / "trials.parquet"
    pd.read_parquet(table).assign(outcome="melted").to_parquet(table, index=False)
    info = json.loads((run / "run.json").read_text(encoding="utf-8"))
    info["files"]["trials.parquet"] = sha256(table)
    (run / "run.json").write_text(json.dumps(info), encoding="utf-8")
    assert ampmark("report", "--home", home) == 0
    assert capsys.readouterr().err == ""
    row = row_of((home / "reports" / "index.html").read_text(encoding="utf-8"), run.name)
    assert "damaged" in row
    assert "has an outcome that this version does not know (&#39;melted&#39; is not a valid Outcome)." in row
