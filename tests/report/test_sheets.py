"""The pages of `scan-scale` and `demo underflow`: whole, safe, and with every number that the terminal shows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import records
from loss_scales import MARKOV, outcome, point, scan
from read_back import Page, texts

from suite.errors import UnwritableResults
from suite.loss_scale.findings import judge
from suite.loss_scale.scan import ScaleScan, scale_window
from suite.record import Outcome, TrialRecord
from suite.report.drawing import draw
from suite.report.scan_sheet import profile_sentences, scan_chart, scan_sheet
from suite.report.script import inlined
from suite.report.sheet import Sheet, write_sheet
from suite.report.underflow_sheet import underflow_sheet
from suite.spec import ScalerSpec

MADE_AT = "2026-01-02 03:04 UTC"
HOSTILE = '<script>alert(1)</script>{{7*7}}"></svg>\u202e'


def good_scan() -> ScaleScan:
    return scan(point(flushed={0: 400, 4: 8, 8: 0}), point(step=6, flushed={0: 100, 6: 0}, largest=3.0))


def written(sheet: Sheet, folder: Path) -> Page:
    return Page(write_sheet(sheet, folder / "reports", "gpt/sheet.html").read_text(encoding="utf-8"))


def test_the_page_of_a_scan_has_window_table_and_conditions(tmp_path: Path) -> None:
    page = written(scan_sheet(good_scan(), records.environment(), MADE_AT), tmp_path)
    assert "gpt: Scales from 2^6 to 2^11 are safe" in page.text
    assert "The profile's static scale, 2^10, is inside that window; its dynamic scale starts at 2^16." in page.text
    for words in ("40 %", "50 %", "Test CPU", "torch 2.14.1", MADE_AT, "profile", "seed", "12 in float32"):
        assert words in page.text.replace("\u00a0", " "), words


def test_the_only_script_is_ours_beside_the_pages_or_inside_and_nothing_else_is_fetched(tmp_path: Path) -> None:
    sheet = scan_sheet(good_scan(), records.environment(), MADE_AT)
    page = written(sheet, tmp_path)
    ((attributes, content),) = page.scripts
    assert content == ""
    assert set(attributes) == {"src", "defer"}
    assert (tmp_path / "reports" / "gpt" / str(attributes["src"])).resolve().parent == tmp_path / "reports"
    assert page.attributes("src") == [attributes["src"]]
    assert all(link.startswith("#") or link == "data:," for link in page.attributes("href"))
    whole = Page(write_sheet(sheet, tmp_path, "one.html", inline=True).read_text(encoding="utf-8"))
    ((attributes, content),) = whole.scripts
    assert attributes == {"type": "module"}
    assert content.strip() == str(inlined().source).strip()
    assert whole.attributes("src") == []


def test_the_chart_shows_both_shares_the_window_and_the_profiles_scales() -> None:
    found = good_scan()
    shown = texts(draw(scan_chart(found, scale_window(found)), "scan"))
    words = {"become zero", "become infinite", "safe", "static", "dynamic starts", "2^0", "2^24", "1\u00a0%"}
    assert words <= set(shown)


def test_without_a_window_nothing_is_shaded_and_nothing_said_of_the_profile() -> None:
    found = scan(point(flushed={0: 500}, largest=9000.0))
    assert "safe" not in texts(draw(scan_chart(found, scale_window(found)), "scan"))
    assert profile_sentences(found) == ()


@pytest.mark.parametrize(("static", "where"), [(1.0, "below"), (64.0, "inside"), (2.0**20, "above")])
def test_where_the_profiles_static_scale_stands(static: float, where: str) -> None:
    found = good_scan()
    found = replace(found, spec=replace(found.spec, scaler=ScalerSpec(static_scale=static)))
    assert f" is {where} that window" in profile_sentences(found)[0]


def test_scales_outside_the_chart_are_not_marked() -> None:
    found = good_scan()
    found = replace(found, spec=replace(found.spec, scaler=ScalerSpec(static_scale=2.0**30, initial_scale=2.0**40)))
    shown = texts(draw(scan_chart(found, scale_window(found)), "scan"))
    assert not {"static", "dynamic starts"} & set(shown)


def test_names_are_text_on_the_page_and_nothing_else(tmp_path: Path) -> None:
    found = good_scan()
    found = replace(found, spec=replace(found.spec, workload=HOSTILE))
    page = written(scan_sheet(found, records.environment(device_name=HOSTILE), MADE_AT), tmp_path)
    assert page.html.count("<script") == len(page.scripts) + len(page.specifications) == 2
    assert "<script>alert(1)</script>{{7*7}}" in page.words
    assert "\u202e" not in page.html


def test_the_page_of_the_demo_has_a_curve_and_a_verdict_for_every_mode(tmp_path: Path) -> None:
    found = judge(outcome(3.0, 3.1, 6.0, 4.0, 2.9, 3.19), MARKOV)
    sheet = underflow_sheet(found, records.environment(), MADE_AT)
    shown = texts(sheet.figures[0].svg)
    for row in found[0].rows:
        assert row.title in shown
    page = written(sheet, tmp_path)
    assert "Loss scaling is required, as the papers say: found on markov." in page.text
    for words in ("falls short", "matches fp32", "fails", "75 %", "2^−13", "epsilon 1e-20", "Test CPU"):
        assert words in page.text.replace("\u00a0", " "), words


def test_a_trial_without_numbers_says_why_and_has_no_curve(tmp_path: Path) -> None:
    trials = outcome(3.0, 3.0, 6.0, 4.0, 3.0, 3.0)
    trials[4] = TrialRecord(spec=trials[4].spec, outcome=Outcome.TIMED_OUT, started_at="", reason="not finished.")
    sheet = underflow_sheet(judge(trials, MARKOV), records.environment(), MADE_AT)
    assert "fp16-static 2^16" not in texts(sheet.figures[0].svg)
    assert "not finished." in written(sheet, tmp_path).text


def test_a_curve_stops_where_training_broke_down() -> None:
    trials = outcome(3.0, 3.0, 6.0, 4.0, 3.0, 3.0)
    trials[2] = replace(trials[2], outcome=Outcome.DIVERGED, reason="broke down.", first_bad_step=6)
    sheet = underflow_sheet(judge(trials, MARKOV), records.environment(), MADE_AT)
    assert "fp16-unscaled ✕ 6" in texts(sheet.figures[0].svg)


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("a file", encoding="utf-8")
    with pytest.raises(UnwritableResults, match="reports"):
        written(scan_sheet(good_scan(), records.environment(), MADE_AT), tmp_path)
