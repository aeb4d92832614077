from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from literal_runs import ENVIRONMENT, caution, emulated, measured, plan_of, run_of, stopped

from suite.judge.findings import Finding, Verdict, Verdicts
from suite.record import Outcome
from suite.report import summary_markdown


def rows(text: str) -> list[str]:
    return [line.replace("\u00a0", " ") for line in text.splitlines() if line.startswith("|")][2:]


def test_without_a_comparison_the_cells_stand_worst_first(tmp_path: Path) -> None:
    plan = plan_of(precisions=("fp32", "bf16", "tf32", "fp16-static"))
    fp32, bf16, tf32, static = plan.trials
    run = run_of(
        tmp_path,
        plan,
        [
            measured(fp32, 0.010),
            emulated(bf16, 0.050),
            stopped(tf32, Outcome.UNSUPPORTED, "no tensor cores"),
            stopped(static, Outcome.CRASHED, "SIGKILL"),
        ],
    )
    text = summary_markdown(run, None)
    assert text.startswith(
        "**2 of 4 trials measured on Example GPU: 1 ok, 1 emulated, 1 unsupported, 1 crashed; "
        "not compared with a baseline.**\n"
    )
    assert rows(text) == [
        "| ✗ crashed | gpt × fp16-static | – | – | crashed: SIGKILL |",
        "| ⊘ unsupported | gpt × tf32 | – | – | unsupported: no tensor cores |",
        "| ✓ ok | gpt × fp32 | 10.0 ms | – |  |",
        "| ≈ emulated | gpt × bf16 | 50.0 ms | 0.200× as fast \\(emulated, not ranked\\) |  |",
    ]


def test_a_cell_of_which_a_trial_crashed_has_no_tick(tmp_path: Path) -> None:
    plan = plan_of(precisions=("fp32",), repeats=2)
    run = run_of(tmp_path, plan, [measured(plan.trials[0]), stopped(plan.trials[1], Outcome.CRASHED, "SIGKILL")])
    assert rows(summary_markdown(run, None)) == ["| ! 1 of 2 ok | gpt × fp32 | 10.0 ms | – | crashed: SIGKILL |"]


def test_a_comparison_has_at_most_twenty_rows_worst_first(tmp_path: Path) -> None:
    plan = plan_of()
    run = run_of(tmp_path, plan, [measured(spec) for spec in plan.trials])
    findings = [Finding("gpt", f"mode-{n}", "step_seconds", Verdict.UNCHANGED) for n in range(30)]
    findings.append(Finding("gpt", "bf16", "step_seconds", Verdict.REGRESSED, change=0.05, low=0.03, high=0.07))
    verdicts = Verdicts("base", "candidate", "main", "f", "Example GPU", 0.01, 0.05, 0.02, tuple(findings))
    text = summary_markdown(run, verdicts)
    assert len(rows(text)) == 20
    assert rows(text)[0] == "| ▲ regressed | gpt × bf16 | step time | – | +5.0 % \\[+3.0, +7.0\\] |  |"
    assert "11 more rows are in the report." in text
    assert text.startswith("**1 regressed, 0 improved, 30 unchanged, 0 inconclusive on Example GPU")


def test_names_cannot_leave_their_cell(tmp_path: Path) -> None:
    plan = plan_of(precisions=("fp32",))
    run = run_of(
        tmp_path,
        plan,
        [stopped(plan.trials[0], Outcome.FAILED, "a | b\n| <img src=x> [x](http://y) `c` **d**")],
        environment=replace(ENVIRONMENT, device_name="GPU | <b>"),
    )
    (row,) = rows(summary_markdown(run, None))
    assert "<" not in row
    assert row.count(" | ") == 4
    assert "\\[x\\]\\(" in row
    assert "GPU \\| &lt;b&gt;" in summary_markdown(run, None)


def test_a_run_cut_short_says_so(tmp_path: Path) -> None:
    plan = plan_of()
    run = run_of(tmp_path, plan, [measured(plan.trials[0])], seal=False)
    assert "Incomplete: 1 of 2 trials has a record." in summary_markdown(run, None)


def test_what_weakens_a_cell_stands_beside_it(tmp_path: Path) -> None:
    plan = plan_of(precisions=("fp32",))
    run = run_of(tmp_path, plan, [measured(plan.trials[0], cautions=(caution("cpu_steal", "9 % were stolen."),))])
    assert rows(summary_markdown(run, None)) == [
        "| ✓ ok | gpt × fp32 | 10.0 ms | – | caution cpu\\_steal in 1 of 1 trial: 9 % were stolen. |"
    ]
