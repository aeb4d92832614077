from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from literal_runs import diverged, measured, plan_of, run_of, steps_of
from read_back import drawing, texts

from suite.judge.findings import Finding, Verdict
from suite.report.cells import Cell, Grid
from suite.report.charts import loss_chart, scale_chart, time_axis, time_chart
from suite.report.drawing import Spec, draw
from suite.report.forest import forest_chart
from suite.report.traces import Series, Traces

HOSTILE = '<script>alert(1)</script>{{7*7}}"></svg>\u202e\x00&amp;'


def cells_of(folder: Path, *records) -> tuple[Traces, list[Cell]]:
    plan = plan_of(("gpt",), tuple(dict.fromkeys(record.spec.precision for record in records)), repeats=9)
    run = run_of(folder, plan, records, seal=False)
    return Traces(run.steps), list(Grid.of(run))


def test_a_loss_curve_is_the_median_of_the_processes(tmp_path: Path) -> None:
    specs = plan_of(("gpt",), ("fp32",), repeats=3).trials
    curves = [(3.0, 1.0), (4.0, 2.0), (9.0, 1.5)]
    records = [
        measured(spec, steps=steps_of(losses=curve, count=2, warmup=1))
        for spec, curve in zip(specs, curves, strict=True)
    ]
    traces, (cell,) = cells_of(tmp_path, *records)
    (line,) = traces.losses(cell, 0)
    assert line.points == ((0, 4.0), (1, 1.5))
    assert line.processes == 3


def test_a_difference_is_taken_seed_by_seed(tmp_path: Path) -> None:
    plan = plan_of(("gpt",), ("fp32", "bf16"), seeds=(0, 1))
    curves = {("fp32", 0): (3.0, 2.0), ("fp32", 1): (5.0, 4.0), ("bf16", 0): (3.0, 2.5), ("bf16", 1): (5.0, 4.25)}
    records = [
        measured(spec, steps=steps_of(losses=curves[spec.precision, spec.seed], count=2, warmup=1))
        for spec in plan.trials
    ]
    run = run_of(tmp_path, plan, records, seal=False)
    fp32, bf16 = Grid.of(run)
    (line,) = Traces(run.steps).loss_differences(bf16, fp32, 1)
    assert line.points == ((0, 0.0), (1, 0.375))
    assert (line.precision, line.place) == ("bf16", 1)


def test_a_seed_that_the_reference_lacks_has_no_difference(tmp_path: Path) -> None:
    plan = plan_of(("gpt",), ("fp32", "bf16"), seeds=(0, 1))
    run = run_of(tmp_path, plan, [measured(plan.trials[0]), measured(plan.trials[3])], seal=False)
    fp32, bf16 = Grid.of(run)
    assert list(Traces(run.steps).loss_differences(bf16, fp32, 1)) == []


@pytest.mark.parametrize(
    ("size", "title", "drawn"),
    [(0.0, "loss − fp32’s", 0.0), (2.0, "loss − fp32’s", 2.0), (0.002, "loss − fp32’s, in 1e-3", 2.0)],
)
def test_small_differences_are_drawn_in_thousandths_below_the_losses(size: float, title: str, drawn: float) -> None:
    losses = [Series("fp32", 0, ((0, 3.0), (9, 1.0))), Series("bf16", 1, ((0, 3.0), (9, 1.0 + size)))]
    spec = loss_chart(losses, [Series("bf16", 1, ((0, 0.0), (9, size)))], "fp32")
    above, below = spec["vconcat"]
    assert above["encoding"]["x"]["scale"] == below["encoding"]["x"]["scale"]
    assert below["layer"][0]["data"]["values"][-1]["value"] == pytest.approx(drawn)
    assert {title, "loss", "bf16"} <= set(texts(draw(spec, "losses")))


def told(panel: Spec) -> list[tuple[str, str, str, str]]:
    """Of every curve of a panel: its mode, the words for step and value, and the last point's text."""
    curves = [part for part in panel["layer"] if part["mark"]["type"] == "line" and "description" in part]
    found = []
    for curve in curves:
        mode, step, value = curve["encoding"]["tooltip"]
        assert (mode, step["field"], value["field"]) == ({"field": "mode", "title": "mode"}, "step", "told")
        found.append((curve["description"], step["title"], value["title"], curve["data"]["values"][-1]["told"]))
    return found


def test_hovering_over_a_difference_tells_the_true_one_whatever_the_axis_is_in() -> None:
    losses = [Series("fp32", 0, ((0, 3.0), (9, 1.23456)))]
    above, below = loss_chart(losses, [Series("bf16", 1, ((0, 0.0), (9, -0.000345692)))], "fp32")["vconcat"]
    assert below["encoding"]["y"]["axis"]["title"] == "loss − fp32’s, in 1e-6"
    assert told(below) == [("bf16", "step", "loss − fp32’s", "−0.000346")]
    assert told(above) == [("fp32", "step", "loss", "1.235")]


@pytest.mark.parametrize("unit", ["s", "ms", "µs"])
def test_hovering_over_a_step_time_tells_its_unit(unit: str) -> None:
    line = Series("fp32", 0, ((0, 30.0), (1, 12.34567)), first_timed=1)
    assert told(time_chart([line], unit)) == [("fp32", "step", "step time", f"12.35 {unit}")] * 2


def test_hovering_over_a_loss_scale_tells_what_stands_at_the_axis() -> None:
    (panel,) = scale_chart([Series("fp16-dynamic", 0, ((0, 65536.0), (9, 16384.0)))])["vconcat"]
    assert told(panel) == [("fp16-dynamic", "step", "loss scale", "2^14")]


def test_the_axis_of_the_times_is_that_of_the_timed_steps_and_the_warm_up_is_cut_at_its_edge() -> None:
    lines = [
        Series("fp32", 0, ((0, 900.0), (1, 10.0), (2, 11.0)), first_timed=1),
        Series("bf16", 1, ((0, 500.0), (1, 8.0), (2, 8.5)), first_timed=1),
    ]
    axis = time_axis(lines)
    assert (axis.base, 7.0 < axis.low < 8.0, 11.0 < axis.high < 12.0) == (None, True, True)
    chart = time_chart(lines, "ms")
    assert chart["encoding"]["y"]["scale"]["domain"] == [axis.low, axis.high]
    # Also where nothing can be zoomed, and Vega would cut nothing by itself.
    curves = [part["mark"] for part in chart["layer"] if "description" in part]
    assert [mark["clip"] for mark in curves] == [True] * 4


def test_a_diverged_curve_stops_before_its_bad_step_and_is_marked(tmp_path: Path) -> None:
    (spec,) = plan_of(("gpt",), ("bf16",)).trials
    traces, (cell,) = cells_of(tmp_path, diverged(spec, step=6))
    (line,) = traces.losses(cell, 0)
    assert [step for step, _ in line.points] == [0, 1, 2, 3, 4, 5]
    assert line.diverged_at == 6
    assert "bf16 ✕ 6" in texts(draw(loss_chart([line]), "loss"))
    assert list(traces.times(cell, 0)) == []


def test_losses_that_are_not_finite_leave_a_gap(tmp_path: Path) -> None:
    (spec,) = plan_of(("gpt",), ("bf16",)).trials
    losses = (3.0, math.nan, math.inf, 2.0)
    traces, (cell,) = cells_of(tmp_path, measured(spec, steps=steps_of(losses=losses, count=4)))
    (line,) = traces.losses(cell, 0)
    assert line.points == ((0, 3.0), (3, 2.0))


def test_a_long_curve_is_thinned_by_medians(tmp_path: Path) -> None:
    (spec,) = plan_of(("gpt",), ("fp32",)).trials
    losses = tuple(float(step) for step in range(1000))
    traces, (cell,) = cells_of(tmp_path, measured(spec, steps=steps_of(losses=losses, count=1000)))
    (line,) = traces.losses(cell, 0)
    assert len(line.points) == 143
    assert line.points[0] == (3, 3.0)


def test_a_scale_is_kept_where_it_changes(tmp_path: Path) -> None:
    (spec,) = plan_of(("gpt",), ("fp16-dynamic",)).trials
    scales = (16.0, 16.0, 8.0, 8.0, 8.0, 16.0)
    trace = steps_of(count=6, scales=scales, overflowed=(1,))
    traces, (cell,) = cells_of(tmp_path, measured(spec, steps=trace))
    (line,) = traces.scales(cell, 0)
    assert line.points == ((0, 16.0), (2, 8.0), (5, 16.0))
    assert line.overflows == (1,)
    assert {"2^3", "2^4", "overflow"} <= set(texts(draw(scale_chart([line]), "scale")))


def test_a_mode_that_neither_scales_nor_overflows_has_no_scale_line(tmp_path: Path) -> None:
    (spec,) = plan_of(("gpt",), ("fp32",)).trials
    traces, (cell,) = cells_of(tmp_path, measured(spec))
    assert list(traces.scales(cell, 0)) == []


def test_the_warm_up_is_cut_where_the_trial_cut_it(tmp_path: Path) -> None:
    (spec,) = plan_of(("gpt",), ("fp32",)).trials
    traces, (cell,) = cells_of(tmp_path, measured(spec, steps=steps_of(warmup=4)))
    (line,) = traces.times(cell, 0)
    assert line.first_timed == 4
    layers = time_chart([line], "s")["layer"]
    assert [len(layer["data"]["values"]) for layer in layers[:2]] == [5, 6]
    assert layers[0]["mark"]["opacity"] < layers[1]["mark"]["opacity"]


def test_a_cross_marks_every_step_that_overflowed_in_the_first_process(tmp_path: Path) -> None:
    first, second = plan_of(("gpt",), ("fp16-dynamic",), repeats=2).trials
    scales = (16.0,) * 10
    records = [
        measured(first, steps=steps_of(scales=scales, overflowed=(1, 6))),
        measured(second, steps=steps_of(scales=scales, overflowed=(3,))),
    ]
    traces, (cell,) = cells_of(tmp_path, *records)
    (line,) = traces.times(cell, 0)
    assert line.overflows == (1, 6)
    crosses = [part for part in time_chart([line], "s")["layer"] if part["mark"].get("shape", "").startswith("M")]
    assert [value["step"] for part in crosses for value in part["data"]["values"]] == [1, 6]


def test_without_an_overflow_there_is_no_cross(tmp_path: Path) -> None:
    (spec,) = plan_of(("gpt",), ("fp32",)).trials
    traces, (cell,) = cells_of(tmp_path, measured(spec))
    (line,) = traces.times(cell, 0)
    assert not [part for part in time_chart([line], "s")["layer"] if part["mark"].get("shape", "").startswith("M")]


def test_overflowing_steps_of_a_thinned_curve_are_marked_where_they_are_drawn(tmp_path: Path) -> None:
    (spec,) = plan_of(("gpt",), ("fp16-static",)).trials
    trace = steps_of(count=1000, scales=(16.0,) * 1000, overflowed=(0, 1, 700, 999))
    traces, (cell,) = cells_of(tmp_path, measured(spec, steps=trace))
    (line,) = traces.times(cell, 0)
    assert line.overflows == (3, 703, 997)
    assert set(line.overflows) <= {step for step, _ in line.points}


@pytest.mark.parametrize("count", [1, 2, 8, 12])
def test_lines_differ_by_dash_and_carry_their_names(count: int) -> None:
    lines = [Series(f"mode-{n}", n, ((0, 1.0 + n), (1, 2.0 + n))) for n in range(count)]
    spec = loss_chart(lines)
    dashes = [tuple(layer["mark"]["strokeDash"]) for layer in spec["layer"] if "strokeDash" in layer["mark"]]
    assert len(set(dashes)) == min(count, 8)
    assert {f"mode-{n}" for n in range(count)} <= set(texts(draw(spec, "losses")))


@pytest.mark.parametrize("points", [((0, 0.0),), ((0, -1.0), (1, 1.0)), ((0, 5.0), (1, 5.0)), ((0, 1e-30), (1, 1e30))])
def test_odd_values_still_make_a_well_formed_picture(points: tuple[tuple[int, float], ...]) -> None:
    chart = draw(loss_chart([Series("fp32", 0, points)]), "odd")
    assert "fp32" in texts(chart)
    assert "NaN" not in chart


def test_names_are_text_in_a_picture_and_nothing_else() -> None:
    finding = Finding(HOSTILE, HOSTILE, "step_seconds", Verdict.REGRESSED, change=0.1, low=0.0, high=0.2)
    pictures = [
        draw(loss_chart([Series(HOSTILE, 0, ((0, 1.0), (1, 2.0)))]), HOSTILE),
        draw(scale_chart([Series(HOSTILE, 0, ((0, 1.0), (1, 2.0)), overflows=(0,))]), HOSTILE),
        draw(forest_chart([finding], 0.02), HOSTILE),
    ]
    for chart in pictures:
        svg = drawing(chart)
        root = ElementTree.fromstring(svg)
        assert "<script" not in svg
        assert chart.count("<script") == chart.count("</script") == 1
        assert "\u202e" not in chart
        assert any(text.startswith("<script>alert") for text in texts(svg))
        assert root.attrib["aria-label"].startswith("<script>alert(1)</script>{{7*7}}")


def test_a_forest_marks_what_could_be_seen_and_hovering_tells_it_in_percent() -> None:
    seen = Finding("gpt", "bf16", "step_seconds", Verdict.UNCHANGED, change=0.00123456789, low=-0.004, high=0.006)
    spec = forest_chart([replace(seen, minimum_detectable=0.03456789), seen], 0.02)
    (tick,) = [part for part in spec["layer"] if part["mark"]["type"] == "tick"]
    assert [(row["cell"], row["seen"]) for row in tick["data"]["values"]] == [("0", 3.456789)]
    assert tick["encoding"]["x"]["scale"]["domain"][1] > 3.456789
    (point,) = [part for part in spec["layer"] if part["mark"]["type"] == "point"]
    first, second = spec["data"]["values"]
    assert [(field["title"], first[field["field"]]) for field in point["encoding"]["tooltip"]] == [
        ("cell", "gpt × bf16"),
        ("verdict", "unchanged"),
        ("change", "+0.1 %"),
        ("from", "−0.4 %"),
        ("to", "+0.6 %"),
        ("could be seen from", "3.5 %"),
    ]
    assert second["seen"] == "–"
    assert "NaN" not in draw(spec, "forest")


def test_a_forest_has_a_row_and_a_shape_for_every_verdict() -> None:
    findings = [
        Finding("gpt", f"mode-{verdict}", "step_seconds", verdict, change=0.01, low=-0.01, high=0.03)
        for verdict in Verdict
    ]
    spec = forest_chart(findings, 0.02)
    shapes = {row["cell"]: row["shape"] for row in spec["data"]["values"]}
    assert len(shapes) == len(Verdict)
    assert len(set(shapes.values())) == 5
    assert sum(text.startswith("gpt × mode-") for text in texts(draw(spec, "forest"))) == len(Verdict)
