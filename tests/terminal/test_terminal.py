"""Tables and progress lines as they are printed where there is no terminal (200 columns, no colour)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import records
from rich.console import Console

from suite.api import Planned
from suite.judge.baseline import Approval
from suite.judge.findings import Finding, Verdict, Verdicts
from suite.readings import Ceiling, Energy, Memory
from suite.record import Caution, Outcome, Quality, TrialRecord
from suite.runner import Finished, Machine, Phase, Started
from suite.store import Run
from suite.terminal.progress import RunDisplay
from suite.terminal.runs import print_baselines, print_list, print_run
from suite.terminal.verdicts import print_verdicts

Capture = pytest.CaptureFixture[str]

#: Text that rich would take for a tag, a closing tag without an opening one, an emoji, and a link.
TRICKY = ["[red]x[/red]", "[/]", "[/usr/lib]", ":fire:", "[link=x]y", "a[bold]b", "\\[x]"]


def _cells(line: str) -> list[str]:
    """The columns of a table's row."""
    return [part.strip() for part in line.strip()[1:-1].replace("┃", "│").split("│")]


def _rows(printed: str) -> list[list[str]]:
    """The rows of the tables printed, heads included."""
    return [_cells(line) for line in printed.splitlines() if line.startswith(("│", "┃"))]


def _printed_run(capsys: Capture, trials: list[TrialRecord], **info: Any) -> str:
    run = records.run(trials)
    print_run(Run(run.folder, replace(run.info, **info), run.trials, run.steps))
    return capsys.readouterr().out


# --- the table of a run ---------------------------------------------------------------------------------------------


def test_a_run_has_one_row_per_cell_with_its_numbers(capsys: Capture) -> None:
    quality = Quality({"accuracy": 0.85}, "accuracy", True, 0.5, "majority class")
    fast = records.trace(0.05, overflow_steps=(0, 5), skips_overflow=True)
    trials = [
        *records.cell([0.1, 0.3, 0.2], "gpt", "fp32"),
        records.record(
            spec=records.spec("gpt", "bf16"),
            steps=fast,
            memory=Memory(peak_allocated_bytes=5 * 2**20, peak_rss_bytes=9 * 2**20),
            quality=quality,
        ),
    ]
    printed = _printed_run(capsys, trials)
    assert printed.splitlines()[0].strip() == "run base on Test CPU"
    head, fp32, bf16 = _rows(printed)
    assert head == [
        "workload",
        "precision",
        "outcome",
        "step",
        "samples/s",
        "× fp32",
        "peak allocated",
        "overflows",
        "loss",
        "quality",
    ]
    assert fp32 == [
        "gpt", "fp32", "ok", "200 ms", "20", "1.00", "", "0", "12 → 1", "0.75"
    ]  # fmt: skip
    assert bf16 == [
        "gpt", "bf16", "ok", "50 ms", "80", "4.00", "5 MiB", "2", "12 → 1", "0.85"
    ]  # fmt: skip


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if not outcome.measured])
def test_a_cell_without_numbers_has_its_outcome_and_below_the_table_the_reason(
    capsys: Capture, outcome: Outcome
) -> None:
    printed = _printed_run(capsys, [records.record(outcome, reason="because of this")])
    assert _rows(printed)[1] == ["gpt", "fp32", outcome.value, "", "", "", "", "", "", ""]
    assert "gpt × fp32: because of this" in printed.splitlines()


def test_utilisation_and_energy_have_a_column_where_a_cell_knows_them(capsys: Capture) -> None:
    known = records.record(
        spec=records.spec("gpt", "bf16"),
        ceiling=Ceiling(peak_flops_per_second=40_000.0, peak_source="a table"),
        energy=Energy(joules=80.0, steps=10, source="a counter"),
    )
    head, fp32, bf16 = _rows(_printed_run(capsys, [records.record(), known]))
    # 10 steps of 1000 FLOPs in 1 s are a quarter of 40,000 a second; 80 J are 2 J for each of 40 samples.
    assert [text for name, text in zip(head, bf16, strict=True) if name in ("MFU", "J/sample")] == ["25.0%", "2"]
    assert [text for name, text in zip(head, fp32, strict=True) if name in ("MFU", "J/sample")] == ["", ""]


def test_cautions_mark_their_cells_and_are_said_below_the_table(capsys: Capture) -> None:
    loaded = Caution("foreign_load", "Other processes took 23 %.")
    trials = [
        *records.cell([0.1, 0.1], "gpt", "fp32"),
        *records.cell([0.1], "gpt", "bf16", cautions=(loaded, Caution("cpu_steal", "9 % were stolen."))),
        *records.cell([0.1, 0.1], "lstm", "bf16", cautions=(replace(loaded, message="Other processes took 31 %."),)),
    ]
    printed = _printed_run(capsys, trials)
    assert [row[2] for row in _rows(printed)[1:]] == ["ok", "ok !", "ok !"]
    assert printed.splitlines()[-2:] == [
        "! foreign_load in gpt × bf16 (1 of 1), lstm × bf16 (2 of 2), for example: Other processes took 23 %.",
        "! cpu_steal in gpt × bf16 (1 of 1): 9 % were stolen.",
    ]


def test_emulated_numbers_are_shown_as_such(capsys: Capture) -> None:
    printed = _printed_run(capsys, [records.record(Outcome.EMULATED, reason="no AMX")])
    assert _rows(printed)[1][2:4] == ["emulated", "100 ms"]
    assert "gpt × fp32: no AMX" in printed.splitlines()


def test_a_cell_with_several_outcomes_names_all_of_them_and_counts_the_numbers_it_has(capsys: Capture) -> None:
    trials = [
        records.record(spec=records.spec(repeat=0), steps=records.trace(0.1)),
        records.record(Outcome.CRASHED, spec=records.spec(repeat=1), reason="signal 9"),
    ]
    assert _rows(_printed_run(capsys, trials))[1][2:4] == ["ok / crashed", "100 ms"]


def test_a_reason_shared_by_several_cells_is_said_once(capsys: Capture) -> None:
    trials = [
        records.record(Outcome.UNSUPPORTED, spec=records.spec(workload, "tf32"), reason="no TF32")
        for workload in ("gpt", "lstm")
    ]
    assert "gpt × tf32, lstm × tf32: no TF32" in _printed_run(capsys, trials).splitlines()


def test_without_fp32_there_is_no_ratio(capsys: Capture) -> None:
    assert _rows(_printed_run(capsys, records.cell([0.1], precision="bf16")))[1][5] == ""


def test_memory_and_loss_that_are_missing_are_left_out_or_dashed(capsys: Capture) -> None:
    losses = (float("nan"), *[1.0] * 10, float("inf"))
    row = _rows(_printed_run(capsys, records.cell([0.1], memory=Memory())))[1]
    assert row[6] == ""
    trial = records.record(steps=records.trace(losses=losses))
    assert _rows(_printed_run(capsys, [trial]))[1][8] == "– → –"


def test_a_run_that_was_cut_short_says_how_to_complete_it(capsys: Capture) -> None:
    three = records.plan(records.cell([0.1, 0.1, 0.1]))
    printed = _printed_run(capsys, records.cell([0.1]), plan=three, sealed_at=None)
    assert printed.splitlines()[-1] == "incomplete: 1 of 3 trials; --resume completes it."


def test_a_complete_run_says_nothing_of_that(capsys: Capture) -> None:
    assert "incomplete" not in _printed_run(capsys, records.cell([0.1]))


# --- verdicts -------------------------------------------------------------------------------------------------------


def _verdicts(*findings: Finding) -> Verdicts:
    return Verdicts("run-a", "run-b", "main", "f" * 64, "Test CPU", 0.01, 0.05, 0.02, findings)


def _printed_verdicts(capsys: Capture, *findings: Finding) -> str:
    print_verdicts(_verdicts(*findings))
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("verdict", "text"),
    [
        (Verdict.REGRESSED, "▲ regressed"),
        (Verdict.FAILED, "✖ failed"),
        (Verdict.INCONCLUSIVE, "? inconclusive"),
        (Verdict.IMPROVED, "▼ improved"),
        (Verdict.CHANGED, "~ changed"),
        (Verdict.UNCHANGED, "= unchanged"),
        (Verdict.INCOMPARABLE, "≠ incomparable"),
        (Verdict.NOT_MEASURED, "– not measured"),
    ],
)
def test_every_verdict_has_a_sign_and_a_word_and_no_colour_where_there_is_no_terminal(
    capsys: Capture, verdict: Verdict, text: str
) -> None:
    printed = _printed_verdicts(capsys, Finding("gpt", "bf16", "step_seconds", verdict))
    assert _rows(printed)[1] == ["gpt × bf16", "step_seconds", text, "", "", "", "", "0 / 0", ""]
    assert "\x1b" not in printed


def test_a_finding_is_shown_with_all_its_numbers(capsys: Capture) -> None:
    finding = Finding(
        "gpt",
        "bf16",
        "step_seconds",
        Verdict.INCONCLUSIVE,
        change=0.03,
        low=-0.012,
        high=0.0749,
        p_adjusted=0.0123,
        minimum_detectable=0.0456,
        runs_to_decide=12,
        processes_base=5,
        processes_candidate=4,
        reasons=("one", "two"),
    )
    head, row = _rows(_printed_verdicts(capsys, finding))
    assert head == [
        "cell",
        "metric",
        "verdict",
        "change",
        "98 % interval",
        "could have seen",
        "adjusted p",
        "processes",
        "why",
    ]
    assert row == [
        "gpt × bf16",
        "step_seconds",
        "? inconclusive",
        "+3.0%",
        "-1.2% … +7.5%",
        "≥ 4.6%",
        "0.012",
        "5 / 4",
        "one; two; 12 processes a side would decide",
    ]


def test_the_headline_comes_first(capsys: Capture) -> None:
    printed = _printed_verdicts(capsys, Finding("gpt", "bf16", "outcome", Verdict.FAILED))
    assert printed.splitlines()[0] == (
        "0 regressed, 0 improved, 0 unchanged, 0 inconclusive, 1 failed on Test CPU, "
        "against baseline 'main' (run run-a)"
    )


# --- lists ----------------------------------------------------------------------------------------------------------


def test_the_list_shows_runs_and_what_can_be_run(capsys: Capture) -> None:
    complete = records.run(records.cell([0.1, 0.1]), "run-a").info
    cut_short = replace(complete, run="run-b", sealed_at=None)
    print_list([complete, cut_short], {"gpt": "", "lstm": ""}, {"fp32": ""}, ["quick", "smoke"])
    printed = capsys.readouterr().out
    assert _rows(printed) == [
        ["run", "created (UTC)", "trials", "profile", "device", "state"],
        ["run-a", "2026-01-01T00:00:00", "2", "test", "Test CPU", "complete"],
        ["run-b", "2026-01-01T00:00:00", "2", "test", "Test CPU", "cut short"],
    ]
    assert printed.splitlines()[-3:] == ["workloads: gpt, lstm", "precisions: fp32", "profiles: quick, smoke"]


def _approval(**fields: str) -> Approval:
    made = Approval("main", "run-a", "f" * 64, "Test CPU", "release 1.0", "2026-01-01T00:00:00+00:00")
    return replace(made, **fields)


def test_the_list_of_baselines(capsys: Capture) -> None:
    print_baselines([_approval()])
    assert _rows(capsys.readouterr().out) == [
        ["name", "run", "device", "approved (UTC)", "reason"],
        ["main", "run-a", "Test CPU", "2026-01-01T00:00:00", "release 1.0"],
    ]


# --- text that looks like markup ------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", TRICKY)
def test_a_runs_names_and_reasons_are_shown_literally(capsys: Capture, text: str) -> None:
    machine = records.environment(device_name=text)
    trials = [records.record(Outcome.FAILED, spec=records.spec(f"w{text}", f"p{text}"), reason=f"reason {text}")]
    print_run(records.run(trials, machine=machine))
    printed = capsys.readouterr().out
    assert printed.splitlines()[0].strip() == f"run base on {text}"
    assert _rows(printed)[1][:2] == [f"w{text}", f"p{text}"]
    assert f"w{text} × p{text}: reason {text}" in printed


@pytest.mark.parametrize("text", TRICKY)
def test_a_findings_names_and_reasons_are_shown_literally(capsys: Capture, text: str) -> None:
    finding = Finding(f"w{text}", "p", f"m{text}", Verdict.FAILED, reasons=(f"reason {text}",))
    print_verdicts(replace(_verdicts(finding), device=text))
    printed = capsys.readouterr().out
    assert f"on {text}, against" in printed
    row = _rows(printed)[1]
    assert (row[0], row[1], row[-1]) == (f"w{text} × p", f"m{text}", f"reason {text}")


@pytest.mark.parametrize("text", TRICKY)
def test_lists_show_names_and_reasons_literally(capsys: Capture, text: str) -> None:
    info = records.run(records.cell([0.1]), machine=records.environment(device_name=text)).info
    print_list([info], {text: ""}, {text: ""}, [text])
    print_baselines([_approval(device=text, reason=text)])
    printed = capsys.readouterr().out
    runs, baselines = _rows(printed)[1], _rows(printed)[3]
    assert runs[4] == text
    assert (baselines[2], baselines[4]) == (text, text)
    assert f"workloads: {text}" in printed.splitlines()


@pytest.mark.parametrize("text", TRICKY)
def test_progress_shows_names_and_reasons_literally(capsys: Capture, text: str) -> None:
    spec = records.spec(f"w{text}")
    record = records.record(Outcome.FAILED, spec=spec, reason=f"reason {text}")
    with RunDisplay() as display:
        display.planned(Planned(records.plan([record]), Machine(records.environment(device_name=text), None), ""))
        display.on_event(Started(0, 1, spec))
        display.on_event(Phase(spec, text))
        display.on_event(Finished(record, log=""))
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"1 trials, profile test, on {text} (2 CPU threads, torch 2.14.1)"
    assert second == f"{spec.trial_id:28} failed · reason {text}"


@pytest.mark.parametrize("text", TRICKY)
def test_the_live_bar_shows_names_literally(capsys: Capture, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then takes the stream for a terminal
    monkeypatch.setenv("COLUMNS", "200")
    spec = records.spec("w")
    with RunDisplay() as display:
        display.on_event(Started(0, 1, spec))
        display.on_event(Phase(spec, f"phase {text}"))
    assert f"w-fp32-s0-r0: phase {text}" in capsys.readouterr().out


# --- progress -------------------------------------------------------------------------------------------------------


def _line(capsys: Capture, record: TrialRecord) -> str:
    with RunDisplay() as display:
        display.on_event(Finished(record, log=""))
    (line,) = capsys.readouterr().out.splitlines()
    return line


def test_a_finished_trial_is_one_line(capsys: Capture) -> None:
    steps = records.trace(0.0125, overflow_steps=(0,), skips_overflow=True)
    expected = "gpt-fp32-s0-r0               ok · 12.5 ms a step · loss 12 → 1 · accuracy 0.75 · 1 overflows"
    assert _line(capsys, records.record(steps=steps)) == expected


def test_a_disturbed_trial_says_so_at_once(capsys: Capture) -> None:
    assert _line(capsys, records.record(cautions=(Caution("cpu_steal", "9 %"),))).endswith(
        " · 0 overflows · ! cpu_steal"
    )


def test_a_trial_that_did_not_finish_is_one_line_with_its_reason(capsys: Capture) -> None:
    record = records.record(Outcome.CRASHED, reason="killed by signal 9", energy=Energy())
    assert _line(capsys, record) == "gpt-fp32-s0-r0               crashed · killed by signal 9"
    assert _line(capsys, records.record(Outcome.TIMED_OUT)) == "gpt-fp32-s0-r0               timed out"


def test_a_first_loss_that_is_not_finite_does_not_stop_the_run(capsys: Capture) -> None:
    steps = records.trace(losses=(float("inf"), *[1.0] * 11), overflow_steps=(0,), skips_overflow=True)
    assert " · loss – → 1 · " in _line(capsys, records.record(steps=steps))


def test_a_quality_that_is_not_a_number_does_not_stop_the_run(capsys: Capture) -> None:
    quality = Quality({"loss": float("nan")}, "loss", False, 1.0, "mean")
    assert " · loss – · 0 overflows" in _line(capsys, records.record(quality=quality))


def test_messages_of_the_display(capsys: Capture) -> None:
    with RunDisplay() as display:
        display.surveying()
        display.interrupted("run-1")
    assert capsys.readouterr().out.splitlines() == [
        "loading torch and the model libraries (some seconds, once) …",
        "interrupted; every finished trial is kept. Complete with: ampmark run --resume run-1",
    ]


def test_a_quiet_display_leaves_stdout_to_the_document(capsys: Capture) -> None:
    with RunDisplay(quiet=True) as display:
        display.surveying()
        display.on_event(Finished(records.record(), log=""))
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 2


@pytest.mark.parametrize("width", [80, 100, 120, 160])
def test_a_narrow_terminal_sees_fewer_columns_and_whole_ones(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, width: int
) -> None:
    monkeypatch.setattr(
        "suite.terminal.runs.plain_console", lambda: Console(width=width, highlight=False, markup=False)
    )
    printed = _printed_run(capsys, records.cell([0.1, 0.3, 0.2], "gpt", "fp16-dynamic"))
    head, row = _rows(printed)
    assert max(map(len, printed.splitlines()[:6])) <= width
    assert {"workload", "precision", "outcome", "step", "quality"} <= set(head)
    assert ("loss" in head) == (width >= 120)
    assert row[:4] == ["gpt", "fp16-dynamic", "ok", "200 ms"]
    assert "gpt: quality is held-out accuracy, higher is better; majority class has 0.5" in printed
    assert "…" not in printed


def test_a_deterministic_run_is_not_timed_and_says_so(capsys: Capture) -> None:
    trials = [
        replace(item, spec=replace(item.spec, deterministic=True))
        for item in (
            *records.cell([0.1]),
            *records.cell([0.1], precision="bf16"),
            records.record(Outcome.UNSUPPORTED, reason="no TF32 here.", spec=records.spec(precision="tf32")),
        )
    ]
    printed = _printed_run(capsys, trials)
    for row in _rows(printed)[1:3]:
        assert row[3:6] == ["–", "–", ""]
    assert "gpt × fp32, gpt × bf16: only deterministic kernels were allowed, so the steps were not timed." in printed
    display = RunDisplay()
    display.on_event(Finished(trials[0], ""))
    assert "ok · not timed · loss" in capsys.readouterr().out
