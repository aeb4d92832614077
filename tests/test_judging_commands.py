"""`explain`, `history`, `calibrate` and `gate --top-up` on stored runs: what they print, keep and exit with."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
import records
from fake_runner import MACHINE, FakeRunner
from test_cli import ampmark

from suite import runner
from suite.companions import AnchorNote, anchor_folder, write_note
from suite.judge.acknowledged import acknowledgements
from suite.judge.baseline import approve, list_approvals
from suite.judge.calibration import calibration_for
from suite.readings import Hardware, HardwareState
from suite.record import Caution, Quality, TrialRecord
from suite.store import Run, create_run, load_run

STEADY = (0.1000, 0.1001, 0.0999, 0.1002, 0.0998)
UNSTEADY = (0.100, 0.102, 0.098, 0.1015, 0.0985)
Capture = pytest.CaptureFixture[str]


def _refused(capsys: Capture, home: Path, *arguments: object, after: tuple[str, ...] = ()) -> str:
    """The one sentence on stderr of a command that ends with status 2, after these lines of progress."""
    capsys.readouterr()
    assert ampmark(*arguments, "--home", home) == 2
    captured = capsys.readouterr()
    *progress, said = captured.err.splitlines()
    assert (captured.out, tuple(progress)) == ("", after)
    assert said.startswith("ampmark: ")
    return said.removeprefix("ampmark: ")


def _stored(home: Path, trials: Sequence[TrialRecord]) -> Run:
    return records.stored(home / "results", trials)


def _slower(seconds: Sequence[float], factor: float) -> list[float]:
    return [value * factor for value in seconds]


# --- baseline approve -----------------------------------------------------------------------------------------------


def test_what_weakens_a_baseline_is_said_and_it_is_approved_all_the_same(tmp_path: Path, capsys: Capture) -> None:
    trials = records.cell(STEADY[:2])
    _stored(tmp_path, [trials[0], replace(trials[1], cautions=(Caution("foreign_load", "somebody else"),))])
    assert ampmark("baseline", "approve", "latest", "--reason", "r", "--home", tmp_path) == 0
    captured = capsys.readouterr()
    (approval,) = list_approvals(tmp_path / "results")
    assert captured.out == f"baseline 'main' for Test CPU is now run {approval.run}.\n"
    assert captured.err.splitlines() == [
        "! 1 cell has fewer than 3 processes, so without --anchor its time will always be inconclusive; "
        "run with --repeats 5.",
        "! 1 of 2 trials were disturbed (foreign_load); verdicts that rest on them will be inconclusive, "
        "so approve a run of a quiet machine.",
    ]


def test_of_a_baseline_that_nothing_weakens_nothing_is_said(tmp_path: Path, capsys: Capture) -> None:
    _stored(tmp_path, records.cell(STEADY))
    assert ampmark("baseline", "approve", "latest", "--reason", "r", "--home", tmp_path) == 0
    assert capsys.readouterr().err == ""


def test_a_baseline_of_another_stack_ends_a_gate_and_not_a_report(tmp_path: Path, capsys: Capture) -> None:
    old = records.stored(tmp_path / "results", records.cell(STEADY), records.environment(torch="2.13.0"))
    approve(tmp_path / "results", old, "main", "trusted")
    _stored(tmp_path, records.cell(STEADY))
    differs = "on Test CPU: torch: 2.13.0 → 2.14.1. Approve a baseline for this stack with "
    assert differs in _refused(capsys, tmp_path, "gate")
    assert ampmark("report", "--home", tmp_path) == 0
    page = Path(capsys.readouterr().out.splitlines()[-1])
    assert "torch: 2.13.0 → 2.14.1" in page.read_text(encoding="utf-8")


def test_a_refused_gate_is_an_error_of_junit_and_a_run_that_none_has_looked_at_is_not(
    tmp_path: Path, capsys: Capture
) -> None:
    run = _stored(tmp_path, records.cell(STEADY))
    assert ampmark("report", "--home", tmp_path) == 0
    path = tmp_path / "reports" / run.info.run / "junit.xml"

    def errors() -> list[str | None]:
        return [error.get("message") for error in ElementTree.parse(path).iter("error")]

    assert errors() == []
    said = _refused(capsys, tmp_path, "gate", "--baseline", "n" * 300)
    assert said.endswith("has 300 characters; give one of at most 255.")
    assert errors() == [said]
    # It stays one until a gate can judge the run.
    assert ampmark("report", "--home", tmp_path) == 0
    assert errors() == [said]
    assert ampmark("export", "--format", "junit", "--to", tmp_path / "j.xml", "--home", tmp_path) == 0
    assert [e.get("message") for e in ElementTree.parse(tmp_path / "j.xml").iter("error")] == [said]
    approve(tmp_path / "results", _stored(tmp_path, records.cell(STEADY)), "main", "trusted")
    assert ampmark("gate", run.info.run, "--home", tmp_path) == 0
    assert errors() == []


def test_a_cell_that_vanished_is_seen_wherever_the_run_is(tmp_path: Path, capsys: Capture) -> None:
    """Also behind more findings than the summary has rows."""
    kept = [trial for number in range(5) for trial in records.cell(STEADY, f"w{number}")]
    approve(tmp_path / "results", _stored(tmp_path, [*kept, *records.cell(STEADY, "lost")]), "main", "trusted")
    run = _stored(tmp_path, kept)
    assert ampmark("gate", "--home", tmp_path) == 2
    folder = tmp_path / "reports" / run.info.run
    summary = (folder / "summary.md").read_text(encoding="utf-8")
    first = next(line for line in summary.splitlines() if line.startswith("| ") and "×" in line)
    assert first.startswith("| ≠ incomparable | lost × fp32 | outcome |")
    (error,) = ElementTree.parse(folder / "junit.xml").iter("error")
    assert error.get("message") == "incomparable; the candidate has no trial of this cell."
    said = "1 cell cannot be compared with the base, which may hide anything: "
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert said in page
    assert "Nothing regressed" not in page
    assert "≠ incomparable" in re.sub(r"<[^>]+>", "", (tmp_path / "reports" / "index.html").read_text(encoding="utf-8"))


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
            "gpt × fp32 is steady; only a regression, a suspect or a drift is accepted.",
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


def test_without_a_suspect_nothing_is_measured_and_the_series_are_judged_all_the_same(
    tmp_path: Path, capsys: Capture
) -> None:
    for night in range(NIGHTS):
        run = _stored(tmp_path, records.cell([0.12 if night >= 8 else 0.1]))
        write_note(run.folder, AnchorNote("main", "the-base"))
        records.stored(anchor_folder(run.folder), records.cell([0.1]))
    said = "no series is suspect, and none is worth a fresh run."
    assert ampmark("history", "--confirm", "--home", tmp_path) == 1
    assert capsys.readouterr().out.splitlines()[:2] == [said, "1 regressed on Test CPU"]
    assert ampmark("history", "--confirm", "--json", "--home", tmp_path) == 1
    captured = capsys.readouterr()
    assert [series["state"] for series in json.loads(captured.out)["series"]] == ["regressed"]
    assert captured.err.splitlines() == [said]


PROFILE = """
name = "test"
summary = "the trials of tests/records.py"
precisions = ["fp32", "bf16"]
[workloads.gpt]
steps = 12
warmup_steps = 2
batch_size = 4
[workloads.gpt.optimizer]
name = "sgd"
learning_rate = 0.1
[workloads.lstm]
steps = 12
warmup_steps = 2
batch_size = 4
[workloads.lstm.optimizer]
name = "sgd"
learning_rate = 0.1
"""


def _profiled(home: Path, trials: Sequence[TrialRecord]) -> Run:
    """A stored run that was made from the profile."""
    writer = create_run(home / "results", records.plan(trials), records.environment(), "ampmark run", PROFILE)
    for trial in trials:
        writer.append(trial, log="")
    return writer.seal()


@pytest.fixture
def trials(monkeypatch: pytest.MonkeyPatch) -> FakeRunner:
    """Nothing is measured: trials and the survey of the machine are stand-ins."""
    fake = FakeRunner()
    monkeypatch.setattr(runner, "run_plan", fake)
    monkeypatch.setattr(runner, "survey", lambda device: MACHINE)
    return fake


def test_confirming_measures_the_suspects_again_and_judges_with_them(
    tmp_path: Path, trials: FakeRunner, capsys: Capture
) -> None:
    for night in range(11):
        slow = 1.2 if night == 10 else 1.0
        _profiled(tmp_path, [*records.cell([0.1]), *records.cell([0.1 * slow], "lstm", "bf16")])
    assert ampmark("history", "--confirm", "--json", "--home", tmp_path) == 0
    assert trials.started == [f"lstm-bf16-s0-r{repeat}" for repeat in range(5)]
    newest = max(path.name for path in (tmp_path / "results" / "runs").iterdir())
    run = load_run(tmp_path / "results" / "runs" / newest)
    assert (run.info.command, len(run.trials)) == ("ampmark history --confirm", 5)
    assert (run.folder / "profile.toml").read_text(encoding="utf-8") == PROFILE
    # The fresh run is a night of the same series, and an ordinary one: the suspect was a spike.
    series = json.loads(capsys.readouterr().out)["series"]
    assert {item["workload"]: (item["state"], item["nights"]) for item in series} == {
        "gpt": ("steady", 11),
        "lstm": ("steady", 12),
    }


def test_a_suspect_is_measured_again_as_its_own_newest_run_was(tmp_path: Path, trials: FakeRunner) -> None:
    """Compiled nights, the last one slow, and then an eager run that must not be taken for one of them."""
    for night in range(12):
        spec = records.spec(setup=records.setup(compile=True))
        slow = 0.12 if night == 11 else 0.1
        _profiled(tmp_path, [records.record(spec=spec, steps=records.trace(slow))])
    _profiled(tmp_path, records.cell([0.1]))
    assert ampmark("history", "--confirm", "--json", "--home", tmp_path) == 0
    newest = max(path.name for path in (tmp_path / "results" / "runs").iterdir())
    again = load_run(tmp_path / "results" / "runs" / newest).info.plan.trials
    assert len(again) == 5
    assert {spec.setup_sha256 for spec in again} == {spec.setup_sha256}


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
    equal = [*records.cell(STEADY * 2), *_seeds(12)[1:]]
    run = _stored(tmp_path, equal)
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
    _stored(tmp_path, equal)
    assert ampmark("gate", "--json", "--home", tmp_path) == 0


def test_compare_and_gate_agree_by_what_is_frozen(tmp_path: Path, capsys: Capture) -> None:
    """The minimum varies least between processes, so it is frozen; the median is 8 % slower, and the minimum is not."""

    def trials(medians: Sequence[float]) -> list[TrialRecord]:
        steps = [records.trace(seconds=(median,) * 2 + (0.1,) * 2 + (median,) * 8) for median in medians]
        return [records.record(spec=records.spec(repeat=n), steps=each) for n, each in enumerate(steps)]

    _stored(tmp_path, trials([0.118, 0.121, 0.124, 0.119, 0.122] * 2))
    assert ampmark("calibrate", "latest", *WHY, "--home", tmp_path) == 0
    base = _stored(tmp_path, trials([0.1200, 0.1201, 0.1199, 0.1202, 0.1198]))
    approve(tmp_path / "results", base, "main", "trusted")
    run = _stored(tmp_path, trials([0.1300, 0.1301, 0.1299, 0.1302, 0.1298]))
    capsys.readouterr()
    found = []
    for command in (("gate",), ("compare", base.info.run, run.info.run)):
        ampmark(*command, "--json", "--home", tmp_path)
        document = json.loads(capsys.readouterr().out)
        found.append([(f["metric"], f["verdict"], f["estimator"], f["change"]) for f in document["findings"]])
    assert found[0] == found[1]
    assert ("step_seconds", "unchanged", "min", 0.0) in found[0]


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
        (("latest", *WHY), "has no cell with 10 processes or 10 seeds; run one with --repeats 2 --seeds 0,1,2,"),
        (("absent", *WHY), "no run under "),
    ],
)
def test_bad_input_to_calibrate_is_one_sentence(
    judged_once: Path, capsys: Capture, arguments: tuple[str, ...], message: str
) -> None:
    assert message in _refused(capsys, judged_once, "calibrate", *arguments)
    assert not (judged_once / "results" / "calibration").exists()


# --- gate --top-up --------------------------------------------------------------------------------------------------


UNDECIDED = ("1 cell is undecided; 5 more processes of each …",)


def _noisy(home: Path) -> Run:
    """A baseline and a candidate whose noise leaves the time undecided."""
    approve(home / "results", _stored(home, records.cell(UNSTEADY * 3)), "main", "trusted")
    return _stored(home, records.cell(_slower(UNSTEADY, 1.02)))


def test_where_everything_is_decided_nothing_more_is_measured(judged: Path, capsys: Capture) -> None:
    assert ampmark("gate", "--top-up", "--json", "--home", judged) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["looks"], document["alpha"]) == (1, 0.01)  # which are shared among looks only where there are any
    assert not list((judged / "results" / "runs").glob("*/topup"))


def test_more_processes_are_measured_only_on_the_ground_that_the_first_ones_were(
    tmp_path: Path, capsys: Capture
) -> None:
    """The stored run is of a made-up machine; this one describes itself and finds that it is another."""
    run = _noisy(tmp_path)
    message = _without_top_up(capsys, tmp_path)
    assert message.startswith(f"no top-up: run {run.info.run} was made on other ground (device_name: Test CPU → ")
    assert message.endswith("); start a new run instead.")
    assert not (run.folder / "topup").exists()


def _without_top_up(capsys: Capture, home: Path) -> str:
    """The warning of a gate whose top-up was refused: the verdict in hand stands, and so does its exit status."""
    capsys.readouterr()
    assert ampmark("gate", "--top-up", "--json", "--fail-on", "inconclusive", "--home", home) == 3
    document = json.loads(capsys.readouterr().out)
    assert document["findings"][0]["verdict"] == "inconclusive"
    return str(document["warnings"][-1])


def test_an_anchor_in_an_environment_of_its_own_cannot_be_topped_up(tmp_path: Path, capsys: Capture) -> None:
    run = _noisy(tmp_path)
    base = sorted(path.name for path in (tmp_path / "results" / "runs").iterdir())[0]
    write_note(run.folder, AnchorNote("main", base, own_python=True))
    for seconds in (0.09, 0.11, 0.095, 0.105, 0.1):
        records.stored(anchor_folder(run.folder), records.cell([seconds]))
    assert _without_top_up(capsys, tmp_path) == (
        "no top-up: the anchor's code was in an environment of its own, which a top-up does not know."
    )


def test_a_top_up_that_cannot_be_made_does_not_cost_the_error_rates_of_three_looks(
    tmp_path: Path, capsys: Capture
) -> None:
    """One-sided p = 0.007 is an alarm at 0.01 and none at a third of it."""
    approve(tmp_path / "results", _stored(tmp_path, records.cell([0.099, 0.1, 0.101])), "main", "trusted")
    _stored(tmp_path, records.cell([0.1024, 0.1034, 0.1044]))
    assert ampmark("gate", "--home", tmp_path) == 1
    assert ampmark("gate", "--top-up", "--home", tmp_path) == 1
    assert "no top-up: " not in capsys.readouterr().out  # nothing is inconclusive


def test_a_top_up_that_would_not_help_is_not_made_and_says_what_would(tmp_path: Path, capsys: Capture) -> None:
    """The base's own five processes are most of the noise, and ten more of the candidate do not lessen it."""
    approve(tmp_path / "results", _stored(tmp_path, records.cell(UNSTEADY)), "main", "trusted")
    run = _stored(tmp_path, records.cell(_slower(UNSTEADY, 1.02)))
    assert _without_top_up(capsys, tmp_path) == (
        "no top-up: more processes of the candidate alone would not decide what is inconclusive; "
        "run with --anchor, or approve a baseline with more repeats"
    )
    assert not (run.folder / "topup").exists()


@pytest.mark.parametrize(
    ("disturbed", "clocks", "remedies"),
    [
        (5, (1980.0, 1980.0), "approve a baseline that was measured on a quiet machine"),
        (0, (1980.0, 1200.0), "lock the GPU's clock alike on both sides"),
        (5, (1980.0, 1200.0), "lock the GPU's clock alike on both sides"),
        (0, (1980.0, 1980.0), "run with --anchor, or approve a baseline with more repeats"),
    ],
)
def test_what_would_help_fits_what_hides_the_answer(
    tmp_path: Path, capsys: Capture, disturbed: int, clocks: tuple[float, float], remedies: str
) -> None:
    base = _at_clock(records.cell(UNSTEADY), clocks[0])
    load = Caution("foreign_load", "somebody else")
    base = [*(replace(trial, cautions=(load,)) for trial in base[:disturbed]), *base[disturbed:]]
    approve(tmp_path / "results", _stored(tmp_path, base), "main", "trusted")
    _stored(tmp_path, _at_clock(records.cell(_slower(UNSTEADY, 1.02)), clocks[1]))
    said = "no top-up: more processes of the candidate alone would not decide what is inconclusive; "
    assert _without_top_up(capsys, tmp_path) == said + remedies


def _at_clock(trials: Sequence[TrialRecord], megahertz: float) -> list[TrialRecord]:
    state = HardwareState(sm_clock_mhz=megahertz)
    return [replace(trial, hardware=Hardware(state, state, state)) for trial in trials]


def test_undecided_cells_are_measured_until_they_are_decided_and_no_others(
    tmp_path: Path, trials: FakeRunner, capsys: Capture
) -> None:
    base = [*records.cell(UNSTEADY * 3), *records.cell(STEADY, "lstm", "bf16")]
    approve(tmp_path / "results", _profiled(tmp_path, base), "main", "trusted")
    run = _profiled(tmp_path, [*records.cell(_slower(UNSTEADY, 1.03)), *records.cell(STEADY, "lstm", "bf16")])
    trials.seconds = _slower(UNSTEADY, 1.03)
    assert ampmark("gate", "--top-up", "--json", "--home", tmp_path) == 1
    assert trials.started == [f"gpt-fp32-s0-r{repeat}" for repeat in range(5, 10)]
    assert len(list((run.folder / "topup" / "runs").iterdir())) == 1
    document = json.loads(capsys.readouterr().out)
    decided = {(f["workload"], f["metric"]): (f["verdict"], f["look"]) for f in document["findings"]}
    assert decided["gpt", "step_seconds"] == ("regressed", 2)
    assert decided["lstm", "step_seconds"] == ("unchanged", 1)


def test_after_three_looks_it_is_enough(tmp_path: Path, trials: FakeRunner) -> None:
    approve(tmp_path / "results", _profiled(tmp_path, records.cell(UNSTEADY * 3)), "main", "trusted")
    run = _profiled(tmp_path, records.cell(_slower(UNSTEADY, 1.02)))
    trials.seconds = [0.09, 0.114] * 10
    assert ampmark("gate", "--top-up", "--fail-on", "inconclusive", "--home", tmp_path) == 3
    assert trials.started == [f"gpt-fp32-s0-r{repeat}" for repeat in range(5, 15)]
    # They are kept: asked again, it measures nothing more and says the same.
    assert ampmark("gate", "--top-up", "--fail-on", "inconclusive", "--home", tmp_path) == 3
    assert len(trials.started) == 10
    assert len(list((run.folder / "topup" / "runs").iterdir())) == 2


@pytest.mark.parametrize("top_up", [(), ("--top-up",)])
def test_a_gate_without_a_baseline_is_refused_with_and_without_topping_up(
    tmp_path: Path, capsys: Capture, top_up: tuple[str, ...]
) -> None:
    _stored(tmp_path, records.cell(STEADY))
    message = _refused(capsys, tmp_path, "gate", *top_up)
    assert message.startswith("no baseline 'main' is approved for this machine and software; run `ampmark baseline ")


def test_a_refused_gate_leaves_no_page_of_an_earlier_verdict(judged: Path, capsys: Capture) -> None:
    (before,) = (judged / "reports").glob("*/index.html")
    assert "was not compared with a baseline" not in before.read_text()
    message = _refused(capsys, judged, "gate", "--baseline", "absent")
    page = before.read_text()
    assert "was not compared with a baseline: no baseline &#39;absent&#39; is approved" in page
    assert json.loads(before.with_name("verdict.json").read_text())["headline"] == message


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
