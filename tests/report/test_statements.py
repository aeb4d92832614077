"""Sentences of a cell's details, from literal trials."""

from __future__ import annotations

from pathlib import Path

from literal_runs import caution, diverged, instrumented, measured, plan_of, run_of, steps_of, stopped

from suite.readings import Ceiling, Compilation, FlushShare, Hardware, HardwareState
from suite.record import Attestation, Outcome, TrialRecord
from suite.report.cells import Cell, Grid
from suite.report.hardware import hardware_table
from suite.report.statements import caution_words, statements


def cell_of(folder: Path, *records: TrialRecord) -> Cell:
    plan = plan_of(precisions=("fp16-dynamic",), repeats=len(records))
    (cell,) = Grid.of(run_of(folder, plan, records, seal=False))
    return cell


def said(folder: Path, *records: TrialRecord) -> list[str]:
    return [statement.replace("\u00a0", " ") for statement in statements(cell_of(folder, *records))]


def specs(count: int = 1):
    return plan_of(precisions=("fp16-dynamic",), repeats=count).trials


def test_everything_that_was_read_is_said_once(tmp_path: Path) -> None:
    assert said(tmp_path, instrumented(specs()[0])) == [
        "Quality had to beat “majority class” (accuracy 0.5000, higher is better) and beat it: 0.8000.",
        "Loss scale: settled at 2^14 (first 2^16, lowest 2^14, highest 2^16, last 2^14); growths: 1, back-offs: 3.",
        "Overflow: 3 of 10 steps: 2 in calibration (before the first applied step), 1 in steady state; "
        "skipped: 3, at most 2 in a row.",
        "Gradients after training, multiplied by 2^14: 12.3 % of the non-zero values become zero in float16, "
        "0 % infinite.",
        # 7 of the 8 timed steps were applied: 7 × 4e12 FLOPs in 80 ms are 3.5e14 a second.
        "Utilisation: 35 % of the datasheet peak of 1.00 PFLOP/s (vendor's datasheet, dense), "
        "43.8 % of the 800 TFLOP/s of a large matrix product beside it.",
        "torch.compile: 12.3 s of compilation; graphs: 2, graph breaks: 1 (a call of print), "
        "compiled again inside the timed window: 0.",
        "Energy: 512 J over the window, 16.0 J per sample (NVML total energy counter).",
        "Hardware during the window: GPU clock at least 1,755 MHz, limited by software power cap, "
        "temperature at most 71.0 °C, 640 W on average, other processes took 3.1 % of the processors' time, "
        "other virtual machines took 0 %.",
        "Attested precision, from an operator census and a numerical probe: fp32 (1 of 1 trial).",
    ]


def test_what_was_not_read_says_why(tmp_path: Path) -> None:
    reasons = {"peak_flops_per_second": "not in the table", "matmul_flops_per_second": "no room for it"}
    found = said(tmp_path, measured(specs()[0], ceiling=Ceiling(reasons=reasons)))
    assert "Utilisation, share of the datasheet peak (MFU), is not known: not in the table" in found
    assert "Utilisation, share of a measured matrix product, is not known: no room for it" in found
    assert "Energy was not measured: the window is shorter than 2 s" in found
    assert not [line for line in found if line.startswith(("Hardware", "torch.compile", "Gradients", "Loss scale"))]


def test_processes_that_differ_are_said_as_a_range(tmp_path: Path) -> None:
    first, second = specs(2)
    low, high = (8.0,) * 10, (8.0,) * 5 + (16.0,) * 5
    found = said(
        tmp_path,
        measured(first, steps=steps_of(scales=low), flush=FlushShare(8.0, 10**6, 1, 0)),
        measured(second, steps=steps_of(scales=high, overflowed=(0,)), flush=FlushShare(16.0, 100, 2, 1)),
    )
    assert (
        "Loss scale: settled at 2^3–2^4 (first 2^3, lowest 2^3, highest 2^3–2^4, last 2^3–2^4); "
        "growths: 0–1, back-offs: 0." in found
    )
    assert (
        "Overflow: 0–1 of 10 steps: 0–1 in calibration (before the first applied step), 0 in steady state"
        in "".join(found)
    )
    assert (
        "Gradients after training, multiplied by 2^3–2^4: 0.000100–2 % of the non-zero values become zero in "
        "float16, 0–1 % infinite." in found
    )


def test_a_constant_scale_and_gradients_without_a_value(tmp_path: Path) -> None:
    trial = measured(specs()[0], steps=steps_of(scales=(1024.0,) * 10), flush=FlushShare(1024.0, 0, 0, 0))
    found = said(tmp_path, trial)
    assert "Loss scale: 2^10 in every step." in found
    assert "Overflow: 0 of 10 steps had an infinite or NaN gradient." in found
    assert "Gradients after training, multiplied by 2^10: there was no finite non-zero value to look at." in found


def test_gradients_that_were_not_looked_at_say_why(tmp_path: Path) -> None:
    why = "the step overflowed at every scale"
    ran_in_float16 = Attestation("fp16", {"aten.mm/float16": 8}, {"matmul": 3e-4})
    line = f"Gradients were not looked at for float16: {why}"
    assert line in said(tmp_path, measured(specs()[0], flush_reason=why, attestation=ran_in_float16))
    # A cell that does not compute in float16 has nothing to be missed.
    assert line not in said(tmp_path, measured(specs()[0], flush_reason=why))


def test_a_diverged_trial_still_says_how_its_scale_moved(tmp_path: Path) -> None:
    found = said(tmp_path, diverged(specs()[0], step=6))
    assert "Overflow: 4 of 10 steps: 0 in calibration (before the first applied step), 4 in steady state" in found[1]
    assert not [line for line in found if line.startswith(("Utilisation", "Energy"))]


def test_a_trial_without_steps_has_only_its_outcome(tmp_path: Path) -> None:
    assert said(tmp_path, stopped(specs()[0], Outcome.CRASHED, "SIGKILL")) == ["Outcome crashed: SIGKILL"]


def test_graph_breaks_without_reasons_and_compilation_in_the_window(tmp_path: Path) -> None:
    found = said(tmp_path, measured(specs()[0], compilation=Compilation(0.5, 1, 0, 3)))
    assert (
        "torch.compile: 500 ms of compilation; graphs: 1, graph breaks: 0, compiled again inside the timed window: 3."
        in found
    )


def test_a_clock_that_nothing_limits_is_not_an_unknown_one(tmp_path: Path) -> None:
    free = Hardware(during=HardwareState(clock_reasons=()))
    assert "Hardware during the window: limited by nothing." in said(tmp_path, measured(specs()[0], hardware=free))


def test_cautions_are_counted_by_code_with_the_first_message(tmp_path: Path) -> None:
    first, second, third = specs(3)
    records = [
        measured(first, cautions=(caution("foreign_load", "23 %"), caution("cpu_steal", "9 %"))),
        measured(second, cautions=(caution("foreign_load", "31 %"),)),
        measured(third),
    ]
    cell = cell_of(tmp_path, *records)
    assert caution_words(cell) == [("foreign_load", "in 2 of 3 trials: 23 %"), ("cpu_steal", "in 1 of 3 trials: 9 %")]
    assert said(tmp_path, *records)[:3] == [
        "Caution foreign_load (1 of 3 trials): 23 %",
        "Caution cpu_steal (1 of 3 trials): 9 %",
        "Caution foreign_load (1 of 3 trials): 31 %",
    ]


def test_the_hardware_table_has_what_was_read_and_one_row_per_reason(tmp_path: Path) -> None:
    cooler = Hardware(during=HardwareState(temperature_celsius=69.0, clock_reasons=()))
    table = hardware_table(cell_of(tmp_path, instrumented(specs(2)[0]), measured(specs(2)[1], hardware=cooler)))
    assert [tuple(text.replace("\u00a0", " ") for text in row) for row in table.rows] == [
        ("GPU clock (during: lowest)", "1,200 MHz", "1,755 MHz", "1,200 MHz"),
        ("temperature (during: highest)", "41.0 °C", "69.0–71.0 °C", "41.0 °C"),
        ("power (during: mean)", "120 W", "640 W", "120 W"),
        ("power limit", "700 W", "700 W", "700 W"),
        ("processors' time taken by other processes", "–", "3.1 %", "–"),
        ("processors' time taken by other virtual machines", "–", "0 %", "–"),
        ("what limits the clock", "–", "software power cap", "–"),
        ("memory clock, runnable tasks", "not measured: not told", "", ""),
    ]


def test_a_cell_whose_machine_was_not_looked_at_has_no_hardware_table(tmp_path: Path) -> None:
    assert hardware_table(cell_of(tmp_path, measured(specs()[0]))).rows == ()
