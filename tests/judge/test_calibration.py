"""What an A/A run freezes until somebody ends it: the steadiest estimator of a series, the margin of a quality."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import records

from suite.errors import DamagedResults, UnwritableResults, UsageError
from suite.judge.calibration import Calibration, CellCalibration, calibrate, calibration_for, freeze
from suite.record import Outcome, Quality, TrialRecord

WHY = "20 processes of equal code"


def _process(
    repeat: int, *, fastest: float = 0.05, second: float = 0.06, usual: float = 0.1, seed: int = 0
) -> TrialRecord:
    """Ten timed steps: the fastest, the second, and eight of the usual time.

    Their minimum is `fastest`, their 10 % quantile 0.1 · fastest + 0.9 · second, and their median `usual`.
    """
    seconds = (1.0, 1.0, fastest, second, *[usual] * 8)
    return records.record(spec=records.spec(seed=seed, repeat=repeat), steps=records.trace(seconds=seconds))


def _only(trials: Sequence[TrialRecord]) -> CellCalibration:
    (cell,) = calibrate(records.run(trials), WHY).cells
    return cell


# --- the estimator --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("varying", "steadiest"),
    [
        (("second", "usual"), "min"),
        (("fastest", "usual"), "q10"),
        (("fastest", "second"), "median"),
        ((), "median"),
    ],
)
def test_the_estimator_that_varies_least_between_processes_is_chosen(varying: tuple[str, ...], steadiest: str) -> None:
    usual = {"fastest": 0.05, "second": 0.06, "usual": 0.1}
    trials = [
        _process(repeat, **{name: usual[name] * (1 + 0.001 * (repeat % 4) * (name in varying)) for name in usual})
        for repeat in range(12)
    ]
    cell = _only(trials)
    assert (cell.workload, cell.precision, cell.processes, cell.estimator) == ("gpt", "fp32", 12, steadiest)
    assert list(cell.variation) == ["median", "min", "q10"]
    assert cell.variation[steadiest] == pytest.approx(min(cell.variation.values()), abs=1e-12)


def test_the_variation_is_the_standard_deviation_of_the_logarithms() -> None:
    trials = [_process(repeat, usual=0.1 * (1.02 if repeat % 2 else 1.0)) for repeat in range(10)]
    # Half of ten logarithms are 0 and half ln 1.02: the standard deviation is ln 1.02 / 2 · √(10 / 9).
    assert _only(trials).variation["median"] == pytest.approx(0.0198026 / 2 * (10 / 9) ** 0.5, rel=1e-5)


def test_another_seed_is_other_work_and_no_noise() -> None:
    trials = [
        _process(repeat, seed=seed, usual=0.1 * (1 + seed), fastest=0.05 * (1 + 0.01 * (repeat % 2)))
        for seed in range(2)
        for repeat in range(6)
    ]
    assert _only(trials).variation["median"] == pytest.approx(0.0, abs=1e-12)
    assert _only(trials).estimator == "median"


def test_fewer_than_ten_processes_freeze_no_estimator() -> None:
    with pytest.raises(UsageError) as caught:
        calibrate(records.run([_process(repeat) for repeat in range(9)], "aa"), WHY)
    assert str(caught.value) == (
        "run aa has no cell with 10 processes or 10 seeds; run one with --repeats 2 --seeds 0,1,2,… up to 9, "
        "which is enough for both."
    )


def test_a_cell_with_too_few_beside_one_with_enough_keeps_the_median() -> None:
    few = [replace(item, spec=replace(item.spec, precision="bf16")) for item in (_process(0), _process(1))]
    enough = [_process(repeat) for repeat in range(10)]
    by_precision = {cell.precision: cell for cell in calibrate(records.run([*enough, *few]), WHY).cells}
    assert by_precision["fp32"].estimator == "median"
    assert (by_precision["bf16"].estimator, by_precision["bf16"].variation) == (None, {})
    assert by_precision["bf16"].processes == 2


def test_processes_without_numbers_do_not_count() -> None:
    crashed = records.record(Outcome.CRASHED, spec=records.spec(repeat=20))
    assert _only([*[_process(repeat) for repeat in range(10)], crashed]).processes == 10


def test_a_cell_that_ran_with_two_setups_is_left_out() -> None:
    mixed = [
        replace(item, spec=replace(item.spec, precision="bf16", setup=records.setup(batch_size=4 + repeat % 2)))
        for repeat, item in enumerate(map(_process, range(12)))
    ]
    chosen = calibrate(records.run([*map(_process, range(12)), *mixed]), WHY)
    assert [cell.precision for cell in chosen.cells] == ["fp32"]


# --- the margin -----------------------------------------------------------------------------------------------------


def _seeds(values: Sequence[float], repeats: int = 1) -> list[TrialRecord]:
    return [
        records.record(
            spec=records.spec(seed=seed, repeat=repeat),
            quality=Quality({"loss": value}, "loss", False, 9.0, "guessing"),
        )
        for seed, value in enumerate(values)
        for repeat in range(repeats)
    ]


def test_the_margin_is_one_and_a_half_standard_deviations_between_seeds() -> None:
    cell = _only(_seeds([float(value) for value in range(10)]))
    assert cell.quality_margin == pytest.approx(1.5 * 3.02765, rel=1e-5)
    assert (cell.quality_metric, cell.seeds) == ("loss", 10)
    # One process per seed says nothing of the noise between processes of one seed.
    assert cell.estimator is None


def test_processes_of_one_seed_are_one_value() -> None:
    values = [1.0, 1.1, 0.9, 1.05, 0.95, 1.2, 0.8, 1.0, 1.02, 0.98]
    cell = _only(_seeds(values, repeats=2))
    assert cell.quality_margin == pytest.approx(1.5 * statistics.stdev(values))
    assert (cell.seeds, cell.processes, cell.estimator) == (10, 20, "median")


def test_fewer_than_ten_seeds_freeze_no_margin() -> None:
    cell = _only([*_seeds([1.0, 2.0, 3.0], repeats=4)])
    assert (cell.quality_margin, cell.seeds, cell.estimator) == (None, 3, "median")


def test_seeds_that_all_reach_the_same_freeze_no_margin() -> None:
    cell = _only(_seeds([1.0] * 10, repeats=2))
    assert cell.quality_margin is None


# --- freezing -------------------------------------------------------------------------------------------------------


def _calibration(estimator: str = "min", fingerprint: str = "f" * 64) -> Calibration:
    cell = CellCalibration("gpt", "fp32", "s" * 64, 20, estimator, {"min": 0.001}, "loss", 10, 0.25)
    return Calibration(fingerprint, "run-1", "2026-01-01T00:00:00+00:00", WHY, (cell,))


def test_what_is_frozen_for_a_machine_is_found_again_for_it_and_no_other(tmp_path: Path) -> None:
    path = freeze(tmp_path, _calibration())
    assert path == tmp_path / "calibration" / f"{'f' * 12}.json"
    assert calibration_for(tmp_path, "f" * 64) == _calibration()
    assert calibration_for(tmp_path, "e" * 64) == Calibration()


def test_the_run_and_the_reason_are_kept() -> None:
    made = calibrate(records.run([_process(repeat) for repeat in range(10)], "aa"), WHY)
    assert (made.run, made.reason, made.fingerprint) == ("aa", WHY, records.environment().fingerprint)
    assert made.frozen_at.endswith("+00:00")
    assert made.cells[0].setup_sha256 == records.spec().setup_sha256


def test_a_frozen_choice_is_not_replaced_by_the_way(tmp_path: Path) -> None:
    freeze(tmp_path, _calibration("min"))
    with pytest.raises(UsageError) as caught:
        freeze(tmp_path, _calibration("q10"))
    assert str(caught.value) == (
        f"this machine has frozen choices since 2026-01-01T00:00:00+00:00 (run run-1, {WHY!r}); "
        "give --replace to end that series and begin another."
    )
    assert calibration_for(tmp_path, "f" * 64) == _calibration("min")


def test_it_is_replaced_where_that_was_asked_for(tmp_path: Path) -> None:
    freeze(tmp_path, _calibration("min"))
    freeze(tmp_path, _calibration("q10"), replace=True)
    assert calibration_for(tmp_path, "f" * 64) == _calibration("q10")


@pytest.mark.parametrize("text", ["{", "[]", '{"fingerprint": 3}', '{"unknown": 1}'])
def test_a_damaged_file_is_refused_by_name_and_can_be_replaced(tmp_path: Path, text: str) -> None:
    path = freeze(tmp_path, _calibration())
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DamagedResults) as caught:
        calibration_for(tmp_path, "f" * 64)
    assert str(caught.value).startswith(f"{path} is damaged (")
    assert str(caught.value).endswith("); calibrate again with --replace.")
    with pytest.raises(DamagedResults):
        freeze(tmp_path, _calibration())
    freeze(tmp_path, _calibration("q10"), replace=True)
    assert calibration_for(tmp_path, "f" * 64) == _calibration("q10")


def test_a_file_where_the_folder_should_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "calibration").write_text("not a folder", encoding="utf-8")
    with pytest.raises(UnwritableResults, match="cannot be written to"):
        freeze(tmp_path, _calibration())


@pytest.mark.parametrize("reason", ["", " \t"])
def test_a_calibration_without_a_reason_is_refused(reason: str) -> None:
    with pytest.raises(UsageError) as caught:
        calibrate(records.run([_process(repeat) for repeat in range(10)]), reason)
    assert str(caught.value) == "--reason is empty; say why these processes may be taken for equal."


# --- looking up -----------------------------------------------------------------------------------------------------


def test_the_choices_of_a_cell_are_looked_up_and_missing_ones_are_none() -> None:
    made = _calibration()
    assert (made.estimator_of(("gpt", "fp32")), made.margin_of(("gpt", "fp32"), "loss")) == ("min", 0.25)
    assert (made.estimator_of(("gpt", "bf16")), made.margin_of(("lstm", "fp32"), "loss")) == (None, None)


def test_a_margin_holds_for_the_metric_that_it_was_frozen_of() -> None:
    made = _calibration()
    assert made.margin_of(("gpt", "fp32"), "perplexity") is None
    assert [made.margin_metric_of((workload, "fp32")) for workload in ("gpt", "lstm")] == ["loss", None]


def test_a_choice_holds_for_its_setup_only() -> None:
    made = _calibration()
    assert made.fitting(["t" * 64, "s" * 64]) == made
    assert made.fitting(["t" * 64]).estimator_of(("gpt", "fp32")) is None
    assert made.fitting([]) == replace(made, cells=())


def test_a_frozen_file_is_plain_json(tmp_path: Path) -> None:
    document = json.loads(freeze(tmp_path, _calibration()).read_text(encoding="utf-8"))
    assert document["cells"][0]["estimator"] == "min"
    assert document["cells"][0]["variation"] == {"min": 0.001}
