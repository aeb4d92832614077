from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from literal_runs import (
    ENVIRONMENT,
    caution,
    diverged,
    emulated,
    measured,
    plan_of,
    run_of,
    steps_of,
    stopped,
)

from suite.errors import UnwritableResults
from suite.home import Home
from suite.judge.comparison import Terms, compare_runs
from suite.judge.findings import Finding, MetricClass, Verdict
from suite.readings import Ceiling, Hardware, HardwareState
from suite.record import Outcome, TrialRecord
from suite.report import render
from suite.report.page import page_html
from suite.report.script import inlined, placed
from suite.store import Run

HOSTILE = '<script>alert(1)</script>{{7*7}}"></svg>\u202e'
MODES = ("fp32", "tf32", "fp16-dynamic", "bf16")
Read = Callable[[str], Any]


def everything(folder: Path, slower: float = 1.0) -> Run:
    """Two workloads, four modes, five repeats, and one of most outcomes."""
    plan = plan_of(("gpt", "lstm"), MODES, repeats=5)
    special: dict[tuple[str, str], Callable[..., TrialRecord]] = {
        ("gpt", "tf32"): lambda spec: stopped(spec, Outcome.UNSUPPORTED, "no tensor cores"),
        ("lstm", "tf32"): lambda spec: stopped(
            spec, Outcome.OUT_OF_MEMORY, "12 GiB asked for", log_tail="x\n" * 50_000
        ),
        ("lstm", "bf16"): diverged,
        ("lstm", "fp16-dynamic"): emulated,
    }
    records = []
    for spec in plan.trials:
        make = special.get((spec.workload, spec.precision), measured)
        record = make(spec)
        if record.outcome is Outcome.OK:
            seconds = 0.010 * (1 + 0.001 * spec.repeat) * (slower if spec.precision == "bf16" else 1.0)
            scales = (1024.0,) * 10 if spec.precision == "fp16-dynamic" else None
            record = replace(record, steps=steps_of(seconds, scales=scales, overflowed=(0, 4) if scales else ()))
        records.append(
            replace(record, cautions=(caution(),)) if spec.repeat == 3 and spec.precision == "fp16-dynamic" else record
        )
    return run_of(folder, plan, records)


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, str]:
    folder = tmp_path_factory.mktemp("runs")
    base, candidate = everything(folder), everything(folder, slower=1.2)
    return candidate, page_html(candidate, compare_runs(base, candidate, Terms(baseline="main")))


def test_the_page_is_well_formed_and_every_link_leads_somewhere(compared: tuple[Run, str], read: Read) -> None:
    page = read(compared[1])
    assert len(page.ids) == len(set(page.ids))
    targets = {href.removeprefix("#") for href in page.attributes("href") if href.startswith("#")}
    assert targets <= set(page.ids)
    assert {f"cell--{w}--{p}" for w in ("gpt", "lstm") for p in MODES} <= targets


def test_a_machine_wide_shift_has_no_section_and_no_link_to_one(tmp_path: Path, read: Read) -> None:
    run = everything(tmp_path)
    why = "machine-wide shift: 8 of 12 cells are slower, by 4.0% to 6.0%"
    shift = Finding(
        "all", "all", "step_seconds", Verdict.REGRESSED, MetricClass.STOCHASTIC, change=0.05, reasons=(why,)
    )
    verdicts = compare_runs(run, run)
    page = read(page_html(run, replace(verdicts, findings=(shift, *verdicts.findings))))
    targets = {href.removeprefix("#") for href in page.attributes("href") if href.startswith("#")}
    assert targets <= set(page.ids)
    assert "all × all step time ▲ regressed" in page.words
    assert f"M{why[1:]}.".replace("%", " %") in page.words


def test_nothing_is_fetched_and_nothing_runs_on_a_page_without_a_place(compared: tuple[Run, str], read: Read) -> None:
    page = read(compared[1])
    assert page.scripts == []
    names = {tag for tag, _ in page.tags}
    assert not names & {"iframe", "object", "embed", "img", "audio", "video", "form", "base"}
    loading = [*page.attributes("src"), *page.attributes("href"), *page.attributes("xlink:href")]
    assert all(value.startswith("#") or value == "data:," for value in loading)
    assert "@import" not in page.html
    assert not re.search(r"url\((?!#)", page.html)
    assert not [name for _, found in page.tags for name in found if name.startswith("on")]
    without_namespaces = re.sub(r'xmlns(:\w+)?="http://www\.w3\.org/[^"]*"', "", page.html)
    addresses = re.findall(r"https?:[^\"\s]*", without_namespaces)
    # Of the specifications: a name, which nothing follows.
    assert addresses == ["https://vega.github.io/schema/vega-lite/v6.json"] * len(page.specifications)
    assert not any("url" in spec.get("data", {}) for spec in page.specifications)


def test_every_chart_is_drawn_and_carries_its_specification(compared: tuple[Run, str], read: Read) -> None:
    page = read(compared[1])
    assert len(page.pictures) == len(page.specifications) == page.html.count("<script") == 9
    assert all({"layer", "vconcat"} & set(spec) for spec in page.specifications)


def test_the_only_script_is_ours_beside_the_pages_or_inside(tmp_path: Path, read: Read) -> None:
    run = run_of(tmp_path, plan_of(), [measured(spec) for spec in plan_of().trials])
    page = render(run, None, Home.at(tmp_path))
    html = read(page.read_text(encoding="utf-8"))
    ((attributes, content),) = html.scripts
    assert content == ""
    assert attributes == {"src": placed(tmp_path / "reports", page).href, "defer": None}
    assert (page.parent / str(attributes["src"])).resolve().parent == tmp_path / "reports"
    assert html.attributes("src") == [attributes["src"]]
    whole = read(render(run, None, Home.at(tmp_path), inline=True).read_text(encoding="utf-8"))
    ((attributes, content),) = whole.scripts
    assert attributes == {"type": "module"}
    assert content.strip() == str(inlined().source).strip()
    assert whole.attributes("src") == []


def test_every_picture_is_well_formed_and_described(compared: tuple[Run, str], read: Read) -> None:
    pictures = read(compared[1]).pictures
    assert len(pictures) == 9
    for svg in pictures:
        root = ElementTree.fromstring(svg)
        assert root.attrib["role"] == "img"
        assert len(root.attrib["aria-label"]) > 30
        assert not list(root.iter("{http://www.w3.org/2000/svg}script"))


def test_tables_and_headings_can_be_heard(compared: tuple[Run, str], read: Read) -> None:
    page = read(compared[1])
    names = [tag for tag, _ in page.tags]
    assert names.count("caption") == names.count("table")
    assert all("scope" in found for tag, found in page.tags if tag == "th")
    levels = [int(tag[1]) for tag in names if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert dict(page.tags)["html"] == {"lang": "en"}
    regions = [found for _, found in page.tags if found.get("role") == "region"]
    assert all(found.get("aria-label") and found.get("tabindex") == "0" for found in regions)
    assert any(found.get("class") == "skip" for _, found in page.tags)


def test_what_got_worse_is_said_first_and_in_its_place(compared: tuple[Run, str], read: Read) -> None:
    words = read(compared[1]).words
    assert "1 regressed, 0 improved" in words
    assert "1 finding in 1 cell got worse: gpt × bf16." in words
    assert "▲ regressed step time +20.0 % [" in words
    assert "δ = 2 %" in words


def test_every_part_of_a_cell_is_there(compared: tuple[Run, str], read: Read) -> None:
    words = read(compared[1]).words
    for part in (
        "Quality had to beat “majority class” (accuracy 0.5000, higher is better) and beat it: 0.8000.",
        "Energy was not measured: the window is shorter than 2 s",
        "Attested precision, from an operator census and a numerical probe: fp32 (5 of 5 trials).",
        "Caution clock_throttled (1 of 5 trials): The clock was held back.",
        "Outcome out of memory: 12 GiB asked for",
        "Outcome diverged: the loss was not finite at step 6, and the step was applied.",
        "Outcome emulated: this CPU has no arithmetic for it",
        "--workload gpt --precision bf16 --device cuda:0 --seeds 0 --repeats 5",
        "peak of this process on the device not measured: hidden by the container",
        "aten.mm/float32 8",
        "relative error 2.10e−7",
        "step time, median 12.0 ms 12.0 ms",
        "! caution clock_throttled in 1 of 5 trials: The clock was held back.",
        "Below: the median over processes of the loss minus fp32’s with the same seed, step by step.",
    ):
        assert part in words, part


def test_what_else_differs_between_the_two_sides_is_said_where_somebody_looked(tmp_path: Path, read: Read) -> None:
    base, candidate = (
        run_of(tmp_path, plan_of(), [measured(spec) for spec in plan_of().trials], environment=environment)
        for environment in (ENVIRONMENT, replace(ENVIRONMENT, git_commit=HOSTILE, git_dirty=True, container="docker"))
    )
    verdicts = compare_runs(base, candidate)
    page = read(page_html(candidate, verdicts))
    said = (
        "Beside the measured cells, these differ between the two sides: git commit: 0123abc → "
        '<script>alert(1)</script>{{7*7}}"></svg>; uncommitted changes: no → yes; container: none → docker.'
    )
    assert said in page.words
    assert "<script>alert" not in page.html
    words = read(page_html(base, compare_runs(base, base))).words
    assert "Nothing known differs between the two sides' machine, software and code." in words
    old = read(page_html(candidate, replace(verdicts, differences=None))).words
    assert not re.search("these differ|Nothing known differs", old)


def test_percent_signs_of_stored_sentences_stand_apart(tmp_path: Path, read: Read) -> None:
    plan = plan_of(precisions=("fp32",))
    run = run_of(tmp_path, plan, [measured(plan.trials[0], cautions=(caution(message="It took 5% or more."),))])
    assert "5%" not in page_html(run, None)
    assert "caution clock_throttled in 1 of 1 trial: It took 5 % or more." in read(page_html(run, None)).words


def test_gaps_are_listed_with_their_reasons(compared: tuple[Run, str], read: Read) -> None:
    words = read(compared[1]).words
    for part in (
        "trial unsupported: no tensor cores gpt × tf32",
        "ratio to tf32 tf32 has no numbers (unsupported) gpt × fp32, gpt × fp16-dynamic, gpt × bf16",
        "memory: peak of this process on the device hidden by the container all 5 measured cells",
        "energy the window is shorter than 2 s all 5 measured cells",
    ):
        assert part in words, part


def test_the_machine_the_plan_and_the_raw_data_are_named(compared: tuple[Run, str], read: Read) -> None:
    run, html = compared
    words = read(html).words
    for part in (
        "device name Example GPU",
        "device memory bytes 16.0 GiB (17,179,869,184 bytes)",
        "power limit watts 700 W",
        "NCCL not there or not readable",
        "variable OMP_NUM_THREADS 2",
        f"fingerprint {run.info.fingerprint}",
        "command, as typed ampmark run --profile tiny",
        "trials.parquet 40 rows, one per trial",
        f"Raw data: files of run {run.info.run}",
    ):
        assert part in words, part
    assert str(run.folder) not in html


def test_a_long_log_shows_its_end_only(compared: tuple[Run, str]) -> None:
    shown = re.findall(r"<pre[^>]*>(.*?)</pre>", compared[1], flags=re.DOTALL)
    assert len(shown) == 1
    assert shown[0].count("x") == 20


def test_the_page_stays_small(compared: tuple[Run, str]) -> None:
    assert len(compared[1].encode()) < 500_000


def test_without_a_baseline_the_headline_says_what_was_measured(tmp_path: Path, read: Read) -> None:
    plan = plan_of()
    run = run_of(tmp_path, plan, [measured(plan.trials[0]), emulated(plan.trials[1])])
    page = read(page_html(run, None, "no baseline is approved for this machine; approve one."))
    headline = (
        "2 of 2 trials measured on Example GPU: 1 ok, 1 emulated; not compared with a baseline: "
        "no baseline is approved for this machine."
    )
    assert headline in page.words
    why = "This run was not compared with a baseline: no baseline is approved for this machine; approve one."
    assert why in page.words
    assert f"ampmark baseline approve {run.info.run}" in page.words


def test_a_run_without_one_success_still_reports(tmp_path: Path, read: Read) -> None:
    plan = plan_of(("gpt",), MODES)
    ends = (Outcome.FAILED, Outcome.CRASHED, Outcome.TIMED_OUT, Outcome.UNAVAILABLE)
    run = run_of(tmp_path, plan, [stopped(s, end, "No.") for s, end in zip(plan.trials, ends, strict=True)])
    page = read(page_html(run, None))
    assert "0 of 4 trials measured" in page.words
    assert page.pictures == []
    assert "No trial of this workload has a loss to draw." in page.words


def test_an_interrupted_run_says_what_is_missing(tmp_path: Path, read: Read) -> None:
    plan = plan_of(("gpt",), MODES)
    run = run_of(tmp_path, plan, [measured(plan.trials[0])], seal=False)
    page = read(page_html(run, None))
    assert "Incomplete: 1 of 4 trials has a record." in page.words
    assert (
        "the run stopped before 1 of 1 planned trial could run gpt × tf32, gpt × fp16-dynamic, gpt × bf16" in page.words
    )
    assert "trials.parquet" not in page.words


def test_an_empty_run_is_a_page_too(tmp_path: Path, read: Read) -> None:
    run = run_of(tmp_path, plan_of(), [], seal=False)
    assert "0 of 2 trials measured on Example GPU; not compared with a baseline." in read(page_html(run, None)).words


def test_hostile_text_is_shown_and_never_obeyed(tmp_path: Path, read: Read) -> None:
    # A slash cannot stand in a trial's name on disk, so the frames carry the worst names.
    plan = plan_of(("gpt",), ("fp32", "bf16", "tf32"))
    fp32, bf16, tf32 = plan.trials
    attestation = replace(measured(fp32).attestation, effective=HOSTILE, operations={HOSTILE: 1})
    records = [
        measured(fp32, attestation=attestation, cautions=(caution(HOSTILE, HOSTILE),)),
        stopped(bf16, Outcome.FAILED, HOSTILE, log_tail=HOSTILE),
        measured(tf32),
    ]
    stored = run_of(tmp_path, plan, records, environment=replace(ENVIRONMENT, device_name=HOSTILE, container=HOSTILE))
    names = {"gpt": HOSTILE, "tf32": "n" * 5000, "bf16": 'x"></svg>'}
    info = replace(
        stored.info,
        command=HOSTILE,
        plan=replace(
            stored.info.plan,
            trials=tuple(
                replace(s, workload=names[s.workload], precision=names.get(s.precision, s.precision))
                for s in plan.trials
            ),
        ),
    )
    run = replace(stored, info=info, trials=stored.trials.replace({"workload": names, "precision": names}))
    page = read(page_html(run, compare_runs(run, run, Terms(baseline=HOSTILE)), HOSTILE))
    assert page.scripts == []
    assert page.html.count("<script") == page.html.count("</script") == len(page.specifications) == 3
    assert "{{7*7}}" in page.words
    # Not the minutes of a time, such as 10:49.
    assert not re.search(r"(?<![\w.,:-])49(?![\w.,:-])", page.words)
    assert "\u202e" not in page.html
    assert page.html.count("</svg>") == len(page.pictures) == 3
    assert "<script>alert(1)</script>" in page.words
    assert page.html.count("n" * 5000) == 1  # in the command that measures it again
    for svg in page.pictures:
        ElementTree.fromstring(svg)


def test_rendering_writes_both_files_and_leaves_nothing_else(tmp_path: Path) -> None:
    plan = plan_of()
    run = run_of(tmp_path, plan, [measured(spec) for spec in plan.trials])
    folder = tmp_path / "new" / "folder"
    path = render(run, None, Home(tmp_path, folder), "none is approved")
    assert path == folder / run.info.run / "index.html"
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["index.html", "summary.md"]
    script = Path(str(placed(folder, path).href)).name
    assert sorted(entry.name for entry in folder.iterdir()) == sorted([run.info.run, script])
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    first = path.read_bytes()
    assert render(run, None, Home(tmp_path, folder), "none is approved").read_bytes() == first


def test_a_page_leads_back_to_all_runs_unless_it_is_sent_alone(tmp_path: Path, read: Read) -> None:
    run = run_of(tmp_path, plan_of(), [measured(spec) for spec in plan_of().trials])
    beside, alone = (
        read(render(run, None, Home.at(tmp_path), inline=inline).read_text(encoding="utf-8"))
        for inline in (False, True)
    )
    assert "All runs Matrix" in beside.words
    assert ("../index.html" in beside.attributes("href"), "../index.html" in alone.attributes("href")) == (True, False)


def test_the_three_levels_of_intervals_are_said_with_what_each_is_for(compared: tuple[Run, str], read: Read) -> None:
    words = read(compared[1]).words
    for part in (
        "Change [98 % interval]",
        "Line: 98 % interval.",
        "Of a change against the base, 98 %:",
        "Of times, speed-ups and costs, 95 %:",
        "Of qualities and of equivalence, 90 %:",
    ):
        assert part in words, part
    loud = re.findall(r'<details class="detail( loud)?">.*?</summary>', compared[1], flags=re.DOTALL)
    assert loud.count(" loud") == 3  # slower, out of memory, diverged


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    plan = plan_of()
    run = run_of(tmp_path, plan, [])
    (tmp_path / "file").touch()
    with pytest.raises(UnwritableResults, match=r"file.*--out"):
        render(run, None, Home(tmp_path, tmp_path / "file" / "report"))


def test_importing_the_report_loads_nothing_heavy() -> None:
    code = (
        "import sys, suite.report; sys.exit(bool({'torch', 'scipy', 'statsmodels', 'vl_convert'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_quantities_missing_for_one_reason_are_one_gap(tmp_path: Path, read: Read) -> None:
    plan = plan_of(precisions=("fp32",))
    why = {"memory_clock_mhz": "no GPU", "power_watts": "no GPU", "steal_share": "no /proc/stat"}
    record = measured(
        plan.trials[0],
        hardware=Hardware(HardwareState(), HardwareState(), HardwareState(), why),
        ceiling=Ceiling(reasons={"peak_flops_per_second": "not in the table"}),
    )
    words = read(page_html(run_of(tmp_path, plan, [record]), None)).words
    for part in (
        "hardware: memory clock, power no GPU gpt × fp32",
        "hardware: processors' time taken by other virtual machines no /proc/stat gpt × fp32",
        "utilisation: share of the datasheet peak (MFU) not in the table gpt × fp32",
    ):
        assert part in words, part


def test_a_deterministic_run_shows_no_time_says_why_and_how_to_repeat_it(tmp_path: Path, read: Read) -> None:
    plan = plan_of(("gpt",), ("fp32",))
    spec = replace(plan.trials[0], deterministic=True)
    run = run_of(tmp_path, replace(plan, trials=(spec,)), [replace(measured(spec), cautions=(caution(),))])
    page = read(page_html(run, None))
    assert "– (not timed)" in page.words
    assert "No trial of this workload finished with step times." in page.words
    assert "--deterministic" in page.words
