"""`explain`, `history`, `calibrate` and `gate --top-up` on stored runs: what they print, keep and exit with."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
import records

from suite.cli import main
from suite.companions import AnchorNote, anchor_folder, write_note
from suite.judge.baseline import approve
from suite.judge.calibration import calibration_for
from suite.judge.history import acknowledgements
from suite.record import Quality, TrialRecord
from suite.store import Run, create_run

STEADY = (0.1000, 0.1001, 0.0999, 0.1002, 0.0998)
UNSTEADY = (0.100, 0.102, 0.098, 0.1015, 0.0985)
Capture = pytest.CaptureFixture[str]


def ampmark(*arguments: object) -> int:
    """Run a command line; the exit status."""
    with pytest.raises(SystemExit) as ending:
        main([str(argument) for argument in arguments])
    code = ending.value.code
    return code if isinstance(code, int) else 0


def _refused(capsys: Capture, home: Path, *arguments: object) -> str:
    """The one sentence on stderr of a command that ends with status 2."""
    capsys.readouterr()
    assert ampmark(*arguments, "--home", home) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("ampmark: ")
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    return captured.err.removeprefix("ampmark: ").rstrip("\n")


def _stored(home: Path, trials: Sequence[TrialRecord]) -> Run:
    return records.stored(home / "results", trials)


def _slower(seconds: Sequence[float], factor: float) -> list[float]:
    return [value * factor for value in seconds]


# --- explain --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def judged_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose latest run was gated: gpt is 10 % slower, lstm is as it was."""
    home = tmp_path_factory.mktemp("home")
    base = _stored(home, [*records.cell(STEADY), *records.cell(STEADY, "lstm", "bf16")])
    approve(home / "results", base, "main", "trusted")
    _stored(home, [*records.cell(_slower(STEADY, 1.1)), *records.cell(STEADY, "lstm", "bf16")])
    assert ampmark("gate", "--home", home) == 1
    return home


@pytest.fixture
def judged(judged_once: Path, tmp_path: Path) -> Path:
    """A copy of it to spoil."""
    return Path(shutil.copytree(judged_once, tmp_path / "home"))


def test_explain_says_the_numbers_the_rule_and_the_command(judged: Path, capsys: Capture) -> None:
    assert ampmark("explain", "gpt/fp32", "--home", judged) == 0
    printed = capsys.readouterr().out
    assert "step_seconds: regressed\n  test: Welch of the median per process\n" in printed
    assert "105 ms" not in printed
    assert "= 110 ms / 100 ms − 1 = +10.00%" in printed
    assert "change ≥ 2.0% or ≤ -1.96% (yes)" in printed
    assert "lstm" not in printed
    newest = max(path.name for path in (judged / "results" / "runs").iterdir())
    assert printed.rstrip().endswith(f"again: ampmark gate {newest} --baseline main")


def test_explain_as_json_is_the_findings_of_the_cell(judged: Path, capsys: Capture) -> None:
    assert ampmark("explain", "lstm × bf16", "latest", "--json", "--home", judged) == 0
    findings = json.loads(capsys.readouterr().out)
    assert {(finding["workload"], finding["precision"]) for finding in findings} == {("lstm", "bf16")}
    time = next(finding for finding in findings if finding["metric"] == "step_seconds")
    assert (time["verdict"], time["metric_class"], len(time["values_base"])) == ("unchanged", "stochastic", 5)


def test_explain_of_an_unknown_cell_names_those_there_are(judged: Path, capsys: Capture) -> None:
    assert _refused(capsys, judged, "explain", "gpt/fp61") == (
        "the comparison has no cell 'gpt/fp61'; it has gpt/fp32, lstm/bf16."
    )


def test_explain_of_a_run_that_was_not_judged_says_how_to(judged: Path, capsys: Capture) -> None:
    oldest = min(path.name for path in (judged / "results" / "runs").iterdir())
    assert _refused(capsys, judged, "explain", "gpt/fp32", oldest) == (
        f"run {oldest} was not judged yet; `ampmark gate {oldest}` does, against an approved baseline."
    )


@pytest.mark.parametrize("text", ["{", "[]", '{"base_run": 3}'])
def test_explain_of_a_damaged_verdict_says_how_to_have_it_again(judged: Path, capsys: Capture, text: str) -> None:
    (path,) = (judged / "reports").glob("*/verdict.json")
    path.write_text(text, encoding="utf-8")
    message = _refused(capsys, judged, "explain", "gpt/fp32")
    assert message.startswith(f"{path} is damaged (")
    assert message.endswith(f"); `ampmark gate {path.parent.name}` writes it again.")


# --- history --------------------------------------------------------------------------------------------------------

NIGHTS = 12


@pytest.fixture(scope="module")
def nights_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve nights with an anchor: gpt is steady, lstm slower since the ninth, bert out of line in the last."""
    home = tmp_path_factory.mktemp("home")
    for night in range(NIGHTS):
        cells = (("gpt", 1.0), ("lstm", 1.2 if night >= 8 else 1.0), ("bert", 1.2 if night == NIGHTS - 1 else 1.0))
        run = _stored(home, [item for name, factor in cells for item in records.cell([0.1 * factor], name)])
        write_note(run.folder, AnchorNote("main", "the-base"))
        records.stored(anchor_folder(run.folder), [item for name, _ in cells for item in records.cell([0.1], name)])
    return home


@pytest.fixture
def nights(nights_once: Path, tmp_path: Path) -> Path:
    """A copy of it to change."""
    return Path(shutil.copytree(nights_once, tmp_path / "home"))


def test_history_says_of_every_series_what_it_is_and_fails_on_a_regression(nights_once: Path, capsys: Capture) -> None:
    assert ampmark("history", "--home", nights_once) == 1
    printed = capsys.readouterr().out
    assert printed.splitlines()[0] == "1 regressed, 1 suspect, 1 steady on Test CPU"
    assert "lstm × fp32" in printed
    assert "+20.0%" in printed


def test_history_as_json(nights_once: Path, capsys: Capture) -> None:
    assert ampmark("history", "--json", "--home", nights_once) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["device"] == "Test CPU"
    states = {series["workload"]: (series["state"], series["anchored"]) for series in document["series"]}
    assert states == {"lstm": ("regressed", True), "bert": ("suspect", True), "gpt": ("steady", True)}


@pytest.mark.parametrize(("fail_on", "status"), [("regressed", 1), ("inconclusive", 3), ("regressed,inconclusive", 1)])
def test_history_fails_on_what_it_is_asked_to(nights_once: Path, fail_on: str, status: int) -> None:
    assert ampmark("history", "--fail-on", fail_on, "--home", nights_once) == status


def test_a_level_that_is_accepted_fails_no_more(nights: Path, capsys: Capture) -> None:
    assert ampmark("history", "--acknowledge", "lstm/fp32", "--reason", "more layers", "--home", nights) == 0
    assert capsys.readouterr().out.splitlines()[0] == "1 suspect, 1 acknowledged, 1 steady on Test CPU"
    (made,) = acknowledgements(nights / "results")
    assert (made.workload, made.precision, made.reason) == ("lstm", "fp32", "more layers")
    assert ampmark("history", "--home", nights) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--acknowledge", "lstm/fp61", "--reason", "r"), "there is no series 'lstm/fp61'; did you mean 'lstm/fp32'?"),
        (("--acknowledge", "lstm/fp32"), "--reason is empty; say why the new level is accepted."),
        (
            ("--acknowledge", "gpt/fp32", "--reason", "r"),
            "gpt × fp32 is steady; only a regression or a suspect with a beginning is accepted.",
        ),
        (("--fail-on", "suspect"), "--fail-on 'suspect' is not known; known are: inconclusive, regressed."),
    ],
)
def test_bad_input_to_history_is_one_sentence(
    nights_once: Path, capsys: Capture, arguments: tuple[str, ...], message: str
) -> None:
    assert _refused(capsys, nights_once, "history", *arguments) == message
    assert acknowledgements(nights_once / "results") == []


def test_history_of_nothing_says_what_to_do(tmp_path: Path, capsys: Capture) -> None:
    assert _refused(capsys, tmp_path, "history") == (
        f"no finished runs are stored under {tmp_path / 'results'}; run `ampmark run` first, or give --home."
    )


def test_without_a_suspect_there_is_nothing_to_confirm(tmp_path: Path, capsys: Capture) -> None:
    _stored(tmp_path, records.cell(STEADY))
    assert _refused(capsys, tmp_path, "history", "--confirm") == (
        "no series is suspect, so there is nothing to confirm; `ampmark history` shows them."
    )


# --- calibrate ------------------------------------------------------------------------------------------------------

WHY = ("--reason", "equal code")


def _seeds(count: int) -> list[TrialRecord]:
    return [
        records.record(
            spec=records.spec(seed=seed), quality=Quality({"loss": 1 + seed / 100}, "loss", False, 9.0, "guessing")
        )
        for seed in range(count)
    ]


def test_calibrate_freezes_and_shows_the_choices(tmp_path: Path, capsys: Capture) -> None:
    run = _stored(tmp_path, [*records.cell(STEADY * 2), *_seeds(12)[1:]])
    assert ampmark("calibrate", "latest", *WHY, "--home", tmp_path) == 0
    printed = capsys.readouterr().out
    assert "gpt × fp32" in printed
    assert "median 0." in printed
    frozen = calibration_for(tmp_path / "results", run.info.fingerprint)
    assert (frozen.run, frozen.reason) == (run.info.run, "equal code")
    assert (frozen.cells[0].estimator, frozen.cells[0].seeds) == ("median", 12)
    assert frozen.cells[0].quality_margin is not None
    # What was frozen can be used: a gate reads it.
    approve(tmp_path / "results", run, "main", "trusted")
    assert ampmark("gate", "--json", "--home", tmp_path) == 0


def test_calibrate_as_json(tmp_path: Path, capsys: Capture) -> None:
    _stored(tmp_path, _seeds(10))
    assert ampmark("calibrate", "latest", *WHY, "--json", "--home", tmp_path) == 0
    (cell,) = json.loads(capsys.readouterr().out)["cells"]
    assert (cell["workload"], cell["seeds"], cell["estimator"]) == ("gpt", 10, None)
    assert cell["quality_margin"] == pytest.approx(1.5 * 0.0302765, rel=1e-4)


def test_frozen_choices_are_replaced_only_where_that_is_asked_for(tmp_path: Path, capsys: Capture) -> None:
    _stored(tmp_path, _seeds(10))
    assert ampmark("calibrate", "latest", *WHY, "--home", tmp_path) == 0
    message = _refused(capsys, tmp_path, "calibrate", "latest", "--reason", "again")
    assert message.startswith("this machine has frozen choices since ")
    assert message.endswith("give --replace to end that series and begin another.")
    assert ampmark("calibrate", "latest", "--reason", "again", "--replace", "--home", tmp_path) == 0
    assert calibration_for(tmp_path / "results", records.environment().fingerprint).reason == "again"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("latest", "--reason", " "), "--reason is empty; say why these processes may be taken for equal."),
        (("latest", *WHY), "has no cell with 10 processes or 10 seeds; run one with --repeats 20, or with --seeds "),
        (("absent", *WHY), "no run under "),
    ],
)
def test_bad_input_to_calibrate_is_one_sentence(
    judged_once: Path, capsys: Capture, arguments: tuple[str, ...], message: str
) -> None:
    assert message in _refused(capsys, judged_once, "calibrate", *arguments)
    assert not (judged_once / "results" / "calibration").exists()


# --- gate --top-up --------------------------------------------------------------------------------------------------


def _noisy(home: Path) -> Run:
    """A baseline and a candidate whose noise leaves the time undecided."""
    approve(home / "results", _stored(home, records.cell(UNSTEADY)), "main", "trusted")
    return _stored(home, records.cell(_slower(UNSTEADY, 1.02)))


def test_where_everything_is_decided_nothing_more_is_measured(judged: Path, capsys: Capture) -> None:
    assert ampmark("gate", "--top-up", "--json", "--home", judged) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["looks"], document["alpha"]) == (3, pytest.approx(0.01 / 3))
    assert not list((judged / "results" / "runs").glob("*/topup"))


def test_more_processes_are_measured_only_on_the_ground_that_the_first_ones_were(
    tmp_path: Path, capsys: Capture
) -> None:
    """The stored run is of a made-up machine; this one describes itself and finds that it is another."""
    run = _noisy(tmp_path)
    message = _refused(capsys, tmp_path, "gate", "--top-up", "--json")
    assert message.startswith(f"run {run.info.run} was made on other ground (device_name: Test CPU → ")
    assert message.endswith("); start a new run instead.")
    assert not (run.folder / "topup").exists()


def test_an_anchor_in_an_environment_of_its_own_cannot_be_topped_up(tmp_path: Path, capsys: Capture) -> None:
    run = _noisy(tmp_path)
    base = sorted(path.name for path in (tmp_path / "results" / "runs").iterdir())[0]
    write_note(run.folder, AnchorNote("main", base, own_python=True))
    for seconds in UNSTEADY[::-1]:
        records.stored(anchor_folder(run.folder), records.cell([seconds]))
    assert _refused(capsys, tmp_path, "gate", "--top-up", "--json") == (
        "the anchor's code was in an environment of its own, which a top-up does not know."
    )


@pytest.mark.parametrize("top_up", [(), ("--top-up",)])
def test_a_gate_without_a_baseline_is_refused_with_and_without_topping_up(
    tmp_path: Path, capsys: Capture, top_up: tuple[str, ...]
) -> None:
    _stored(tmp_path, records.cell(STEADY))
    message = _refused(capsys, tmp_path, "gate", *top_up)
    assert message.startswith("no baseline 'main' is approved for this machine and software; run `ampmark baseline ")


def test_a_run_that_was_cut_short_is_not_topped_up(tmp_path: Path, capsys: Capture) -> None:
    two = records.cell(STEADY[:2])
    writer = create_run(tmp_path / "results", records.plan(two), records.environment(), "ampmark run")
    writer.append(two[0], "")
    message = _refused(capsys, tmp_path, "gate", "--top-up")
    assert message.startswith(f"run {writer.info.run} was cut short and may hide a regression; ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("absent",), "no run under "),
        (("--fail-on", "slower"), "--fail-on 'slower' is not known; "),
        (("--baseline", "absent"), "no baseline 'absent' is approved for this machine and software (approved so far: "),
    ],
)
def test_bad_input_to_a_gate_that_tops_up_is_one_sentence(
    judged_once: Path, capsys: Capture, arguments: tuple[str, ...], message: str
) -> None:
    assert message in _refused(capsys, judged_once, "gate", "--top-up", *arguments)
