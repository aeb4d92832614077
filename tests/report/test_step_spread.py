"""The spread of the step times: pooled quantiles, one dot per process, and an axis that hides no box."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from literal_runs import emulated, measured, plan_of, run_of, steps_of
from read_back import texts

from suite.record import TrialRecord
from suite.report.cells import Grid
from suite.report.drawing import still
from suite.report.step_spread import Spread, spread_axis, spread_chart, spread_table, spreads
from suite.report.traces import Traces
from suite.report.workload_section import Figure, workload_section

HOSTILE = '<script>alert(1)</script>{{7*7}}"></svg>\u202e\x00&amp;'


def _of(precision: str, place: int, middle: float, *, is_emulated: bool = False) -> Spread:
    shares = (0.9, 0.95, 1.0, 1.1, 1.2)
    return Spread(precision, place, tuple(middle * share for share in shares), (middle,), 20, is_emulated)


def _timed(record: TrialRecord, *seconds: float) -> TrialRecord:
    """Two steps of warm-up that take a minute each, and then these."""
    trace = steps_of(count=2 + len(seconds), warmup=2)
    return replace(record, steps=replace(trace, seconds=(60.0, 60.0, *seconds)))


def _figure(folder: Path, *records: TrialRecord) -> Figure:
    precisions = tuple(dict.fromkeys(record.spec.precision for record in records))
    run = run_of(folder, plan_of(("gpt",), precisions, repeats=9), records, seal=False)
    return workload_section(Grid.of(run), Traces(run.steps), "gpt").figures[3]


def test_the_box_is_over_the_timed_steps_of_all_processes_and_each_has_its_median(tmp_path: Path) -> None:
    specs = plan_of(("gpt",), ("fp32",), repeats=2).trials
    records = [
        _timed(measured(specs[0]), 0.001, 0.003, 0.005),
        _timed(measured(specs[1]), 0.002, 0.004, 0.006, 0.007, 0.008, 0.009, 0.010, 0.011),
    ]
    run = run_of(tmp_path, plan_of(("gpt",), ("fp32",), repeats=2), records, seal=False)
    (cell,) = Grid.of(run)
    (found,) = spreads([(cell, 4)], Traces(run.steps))
    assert found.quantiles == pytest.approx((0.0015, 0.0035, 0.006, 0.0085, 0.0105))
    assert found.medians == pytest.approx((0.003, 0.0075))
    assert (found.precision, found.place, found.steps, found.emulated) == ("fp32", 4, 11, False)


def test_what_was_not_timed_has_no_box(tmp_path: Path) -> None:
    plan = plan_of(("gpt",), ("fp32",))
    spec = replace(plan.trials[0], deterministic=True)
    run = run_of(tmp_path, replace(plan, trials=(spec,)), [measured(spec)])
    figure = workload_section(Grid.of(run), Traces(run.steps), "gpt").figures[3]
    assert (figure.title, figure.svg, figure.table) == ("Step time, spread", None, None)
    assert figure.caption == "No trial of this workload finished with step times."


@pytest.mark.parametrize(("slow", "base"), [(7.9, None), (8.1, 10.0), (40.0, 10.0)])
def test_the_axis_is_logarithmic_where_a_slow_mode_would_flatten_the_others(slow: float, base: float | None) -> None:
    narrow = Spread("fp32", 0, (0.99, 1.0, 1.0, 1.0, 1.01), (1.0,), 20)
    other = Spread("bf16", 1, (slow,) * 5, (slow,), 20, True)
    assert spread_axis([narrow, other]).base == base


def test_the_axis_holds_every_number_that_is_drawn() -> None:
    axis = spread_axis([replace(_of("fp32", 0, 0.010), medians=(0.002, 0.0125))], 1e-3)
    assert axis.low < 2.0
    assert axis.high > 12.5


def test_emulated_modes_are_marked_and_the_caption_says_how_the_axis_runs(tmp_path: Path) -> None:
    fp32, bf16 = plan_of(("gpt",), ("fp32", "bf16")).trials
    figure = _figure(tmp_path, _timed(measured(fp32), 0.01, 0.01), _timed(emulated(bf16), 0.36, 0.36))
    assert "≈: emulated, not ranked. The axis is logarithmic" in figure.caption
    assert {"fp32", "bf16 ≈", "ms per step"} <= set(texts(figure.svg))


def _captions(folder: Path, *records: TrialRecord) -> dict[str, str]:
    precisions = tuple(dict.fromkeys(record.spec.precision for record in records))
    run = run_of(folder, plan_of(("gpt",), precisions, repeats=9), records, seal=False)
    return {figure.title: figure.caption for figure in workload_section(Grid.of(run), Traces(run.steps), "gpt").figures}


def test_the_caption_says_where_the_warm_up_is_cut_and_where_an_axis_is_logarithmic(tmp_path: Path) -> None:
    fp32, bf16 = plan_of(("gpt",), ("fp32", "bf16")).trials
    far = [_timed(measured(fp32), 0.01, 0.01), _timed(measured(bf16), 0.36, 0.36)]
    steep = replace(far[0], steps=replace(steps_of(losses=(9.0, 0.5), count=2, warmup=0), seconds=(0.01, 0.0101)))
    cut, bent = "at whose edge a slower warm-up is cut", "The axis is logarithmic, for the values lie far apart"
    captions = _captions(tmp_path / "far", *far)
    assert (cut in captions["Step time"], bent in captions["Step time"]) == (True, True)
    assert bent not in captions["Training loss"]
    captions = _captions(tmp_path / "steep", steep)
    assert (cut in captions["Step time"], bent in captions["Step time"]) == (False, False)
    assert bent in captions["Training loss"]


def test_modes_of_like_speed_stand_on_a_linear_axis_without_a_word(tmp_path: Path) -> None:
    fp32, bf16 = plan_of(("gpt",), ("fp32", "bf16")).trials
    figure = _figure(tmp_path, _timed(measured(fp32), 0.01, 0.012), _timed(measured(bf16), 0.02, 0.022))
    assert "logarithmic" not in figure.caption
    assert "≈" not in figure.caption


def test_every_drawn_number_is_in_the_table(tmp_path: Path) -> None:
    first, second = plan_of(("gpt",), ("fp32",), repeats=2).trials
    records = [_timed(measured(first), 0.010, 0.012, 0.014), _timed(measured(second), 0.011, 0.013, 0.015)]
    table = _figure(tmp_path, *records).table
    assert table is not None
    assert table.caption == "Timed steps of gpt in ms, all processes together: quantiles"
    shares = [f"{share}\u00a0%" for share in (5, 25, 50, 75, 95)]
    assert table.head == ("Precision", "Outcome", "Processes", "Timed steps", *shares, "Median of each process")
    assert table.rows == (("fp32", "ok", "2", "6", "10.25", "11.25", "12.50", "13.75", "14.75", "12.00, 13.00"),)


def test_rows_differ_by_dash_as_well_as_by_colour() -> None:
    spec = spread_chart([_of(f"mode-{place}", place, 1.0) for place in range(8)], 1.0, "s")
    boxes = [layer["mark"] for layer in spec["layer"] if layer["mark"]["type"] == "bar"]
    assert len({tuple(box["strokeDash"]) for box in boxes}) == len({box["stroke"] for box in boxes}) == 8


def test_hovering_tells_numbers_that_can_be_read_with_their_unit() -> None:
    third = Spread("fp32", 0, (0.01 / 3, 0.02 / 3, 0.01, 0.04 / 3, 0.05 / 3), (0.01 / 3,), 20)
    layers = spread_chart([third], 1e-3, "ms")["layer"]
    (box,) = [part for part in layers if part["mark"]["type"] == "bar"]
    (dot,) = [part for part in layers if part["mark"]["type"] == "point"]
    (row,), (point,) = box["data"]["values"], dot["data"]["values"]
    said = [(field["title"], row[field["field"]]) for field in box["encoding"]["tooltip"]]
    assert said == [
        ("precision", "fp32"),
        ("5 %", "3.333 ms"),
        ("25 %", "6.667 ms"),
        ("median", "10.00 ms"),
        ("75 %", "13.33 ms"),
        ("95 %", "16.67 ms"),
    ]
    said = [(field["title"], point[field["field"]]) for field in dot["encoding"]["tooltip"]]
    assert said == [("precision", "fp32"), ("median of a process", "3.333 ms")]
    assert max(len(f"{value}") for part in (row, point) for value in part.values()) <= 8


def test_rows_stand_in_the_order_of_the_plan() -> None:
    drawn = texts(still(spread_chart([_of("tf32", 10, 1.0), _of("bf16", 2, 2.0)], 1.0, "s"), "spread"))
    assert drawn.index("tf32") < drawn.index("bf16")


def test_names_are_text_in_the_picture_and_nothing_else() -> None:
    svg = still(spread_chart([_of(HOSTILE, 0, 1.0, is_emulated=True)], 1.0, "s"), HOSTILE)
    assert "<script" not in svg
    assert "\u202e" not in svg
    assert any(text.startswith("<script>alert") and text.endswith(" ≈") for text in texts(svg))
    assert spread_table([_of(HOSTILE, 0, 1.0)], 1.0, "s", "gpt").rows[0][0] == HOSTILE


@pytest.mark.parametrize("middle", [1e-9, 1.0, 1e6])
def test_odd_values_still_make_a_well_formed_picture(middle: float) -> None:
    svg = still(spread_chart([Spread("fp32", 0, (middle,) * 5, (middle,) * 3, 3)], 1.0, "s"), "odd")
    assert "fp32" in texts(svg)
    assert "NaN" not in svg
