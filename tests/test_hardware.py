"""`report --hardware`: which runs stand for the machines, and what a buyer reads on the page."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import records

from suite.cli import main
from suite.hardware import newest_of_each_machine
from suite.home import Home
from suite.judge.calibration import Calibration, CellCalibration, freeze
from suite.purchase.machines import labels_of
from suite.record import Quality
from suite.store import Run, create_run

PRICES = """
currency = "EUR"
power_price_per_kwh = 0.0

[[machine]]
device = "slow & <old>"
hourly_price = 3.6

[[machine]]
device = "fast"
purchase_price = 8766.0
life_years = 2.0
utilisation = 0.5

[[amount]]
workload = "gpt"
samples = 1_000_000
"""
PROFILE = """
name = "{}"
summary = "what the runs here are made of"
precisions = ["fp32", "bf16"]

[workloads.gpt]
steps = 12
warmup_steps = 2
batch_size = 4
optimizer = {{ name = "sgd", learning_rate = 0.1 }}
"""
Capture = pytest.CaptureFixture[str]


def ampmark(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(ended.value.code or 0)


def _stored(
    home: Path, device: str, seconds: float, profile: str = "test", batch_scale: int = 1, **machine: Any
) -> Run:
    """Five seeds of fp32 and, twice as fast, of bf16, whose qualities differ by nothing."""
    setup = records.setup(batch_size=4 * batch_scale)
    trials = [
        records.record(
            spec=records.spec("gpt", precision, seed=seed, profile=profile, setup=setup),
            samples_per_step=setup.batch_size,
            steps=records.trace(seconds / factor),
            quality=Quality({"accuracy": 0.75 + 0.01 * seed}, "accuracy", True, 0.5, "majority class"),
        )
        for precision, factor in (("fp32", 1.0), ("bf16", 2.0))
        for seed in range(5)
    ]
    plan = replace(records.plan(trials), profile=profile)
    environment = records.environment(device_name=device, **machine)
    writer = create_run(home / "results", plan, environment, "ampmark run", PROFILE.format(profile))
    for trial in trials:
        writer.append(trial, log="")
    return writer.seal()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    _stored(tmp_path, "slow & <old>", 0.5)
    _stored(tmp_path, "slow & <old>", 0.04)
    _stored(tmp_path, "fast", 0.02)
    (tmp_path / "prices.toml").write_text(PRICES, encoding="utf-8")
    return tmp_path


def _runs(home: Path) -> list[str]:
    return sorted(path.name for path in (home / "results" / "runs").iterdir())


def _page(home: Path, capsys: Capture, *arguments: object) -> str:
    capsys.readouterr()
    assert ampmark("report", "--hardware", *arguments, "--home", home) == 0
    path = Path(capsys.readouterr().out.strip())
    assert path == home / "reports" / "hardware" / "index.html"
    return path.read_text(encoding="utf-8")


def _words(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", re.sub(r"<(style|svg).*?</\1>", " ", page, flags=re.S)))


def test_the_newest_run_of_each_machine_is_priced_and_the_cheapest_is_the_headline(home: Path, capsys: Capture) -> None:
    """bf16: 200 samples a second for 3.6 an hour, or 400 for 1 an hour: 5e-6 and 6.9e-7 a sample."""
    page = _page(home, capsys, "--prices", home / "prices.toml")
    words = _words(page)
    assert (
        "<h1>Cheapest to train: gpt on fast (bf16), while slow &amp; &lt;old&gt; (bf16) costs "
        "7.20×\u00a0[7.20,\u00a07.20] as much.</h1>" in page
    )
    assert "slow &amp; &lt;old&gt; · bf16 200 [200, 200]" in words
    assert "200,000 [200,000, 200,000] 5.00 [5.00, 5.00]" in words
    assert "1,440,000 [1,440,000, 1,440,000] 0.694 [0.694, 0.694]" in words
    # 400 × 5e-6 a second, over 8766 hours of 3600 seconds.
    below = "below 63,115 [63,115, 63,115] to buy"
    assert f"gpt fast (bf16) 0.694 [0.694, 0.694] 7.20× [7.20, 7.20]: slow &amp; &lt;old&gt; (bf16) {below} –" in words
    assert f"fast (bf16) slow &amp; &lt;old&gt; (bf16) at 3.60 an hour {below} 8,766 to buy" in words
    assert "<old>" not in page


def test_the_answer_comes_first_then_what_was_compared_and_the_terms_last(home: Path, capsys: Capture) -> None:
    page = _page(home, capsys, "--prices", home / "prices.toml")
    heads = re.findall(r"<(h1|h2|caption)[^>]*>(.*?)</\1>", page, re.S)
    places = [re.sub("<[^>]+>", "", text) for kind, text in heads if kind != "h1"]
    assert places == [
        "The answer, by workload",
        *["What was compared"] * 2,
        *["Break-even prices"] * 2,
        "How the answer is found",
        "gpt",
        "gpt on each machine",
        "What these costs contain",
        "Conditions",
        "Prices, as given",
        f"What differs from slow &amp; &lt;old&gt; (run {_runs(home)[1]})",
    ]


def test_the_page_says_what_was_run_what_is_in_the_costs_and_how_to_make_it_again(home: Path, capsys: Capture) -> None:
    page = _page(home, capsys, "--prices", home / "prices.toml")
    words, (_, slow, fast) = _words(page), _runs(home)
    assert f"fast {fast} {datetime.now(UTC):%Y-%m-%d} test gpt 4 × 12 5 0, 1, 2, 3, 4 2.14.1 – – –" in words
    assert "An hour of fast costs 1.00 EUR (without power)." in words
    assert "An hour of slow &amp; &lt;old&gt; costs 3.60 EUR (rent, power included)." in words
    assert f"<code>ampmark report {slow} {fast} --hardware --prices prices.toml</code>" in page
    assert str(home) not in page


def test_what_differs_is_said_in_words(tmp_path: Path, capsys: Capture) -> None:
    _stored(tmp_path, "one", 0.04)
    _stored(tmp_path, "two", 0.04, power_limit_watts=700.0)
    words = _words(_page(tmp_path, capsys))
    assert "two device name: one → two" in words
    assert "two power limit watts: none → 700.0" in words
    assert "device_name" not in words


def test_without_prices_the_fastest_is_the_headline_and_the_page_says_how_to_give_them(
    home: Path, capsys: Capture
) -> None:
    page = _page(home, capsys)
    said = "Fastest: gpt on fast (bf16), 2.00× [2.00, 2.00] as fast as slow &amp; &lt;old&gt; (bf16)."
    assert said in _words(page).replace("\u00a0", " ")
    assert "`ampmark report --hardware --prices FILE`" in _words(page)
    assert "What these numbers contain" in page
    assert "EUR" not in page


def test_a_single_machine_is_a_page_too(home: Path, capsys: Capture) -> None:
    words = _words(_page(home, capsys, "latest", "--prices", home / "prices.toml"))
    assert "gpt: only fast (bf16) is ranked and priced." in words
    assert "Break-even prices: no two machines are ranked and priced" in words


def test_where_one_seed_shows_no_quality_the_machine_stands_in_fp32(tmp_path: Path, capsys: Capture) -> None:
    worse = Quality({"accuracy": 0.74}, "accuracy", True, 0.5, "majority class")
    trials = [*records.cell([0.1] * 3), *records.cell([0.05] * 3, precision="bf16", quality=worse)]
    records.stored(tmp_path / "results", trials)
    page = _page(tmp_path, capsys)
    assert "<h1>gpt: only Test CPU (fp32) is ranked.</h1>" in page
    assert "compared in this mode; bf16 not counted: its quality is undecided" in _words(page)
    assert "does not qualify: its quality is undecided" in _words(page)


def test_a_profile_that_is_too_small_is_warned_of(tmp_path: Path, capsys: Capture) -> None:
    _stored(tmp_path, "one", 0.04, "quick")
    _stored(tmp_path, "two", 0.04, "standard")
    words = _words(_page(tmp_path, capsys))
    assert "! The networks of the profile quick are far too small to rank hardware: one ran it." in words
    assert "profile standard are" not in words


@pytest.mark.parametrize(
    ("stored", "chosen"),
    [
        ([("A", "standard"), ("B", "standard"), ("A", "smoke")], ["standard", "standard"]),
        ([("A", "standard"), ("A", "quick"), ("B", "quick"), ("B", "smoke")], ["quick", "quick"]),
        ([("A", "quick"), ("B", "quick"), ("A", "standard"), ("B", "standard"), ("A", "quick")], ["standard"] * 2),
        ([("A", "mine"), ("B", "mine"), ("A", "theirs"), ("B", "theirs"), ("A", "mine")], ["mine", "mine"]),
        (
            [("A", "quick"), ("B", "quick"), ("C", "smoke"), ("C", "standard"), ("C", "smoke")],
            ["quick"] * 2 + ["standard"],
        ),
    ],
    ids=["smaller later", "shared", "larger", "newest of unknown size", "without the shared one"],
)
def test_a_later_smaller_run_does_not_stand_for_a_machine(
    tmp_path: Path, stored: list[tuple[str, str]], chosen: list[str]
) -> None:
    for device, profile in stored:
        _stored(tmp_path, device, 0.04, profile)
    assert [run.info.plan.profile for run in newest_of_each_machine(Home.at(tmp_path)).runs] == chosen


def test_the_frozen_margins_of_the_machine_decide_what_is_recommended(tmp_path: Path, capsys: Capture) -> None:
    """0.01 lost under each of five seeds that reach the same: too much for their own margin, not for one of 0.1."""
    trials = [
        records.record(
            spec=records.spec("gpt", precision, seed=seed),
            steps=records.trace(seconds),
            quality=Quality({"accuracy": accuracy}, "accuracy", True, 0.5, "majority class"),
        )
        for precision, seconds, accuracy in (("fp32", 0.04, 0.75), ("bf16", 0.02, 0.74))
        for seed in range(5)
    ]
    run = records.stored(tmp_path / "results", trials)
    assert "only Test CPU (fp32) is ranked" in _words(_page(tmp_path, capsys))
    setup = next(spec.setup_sha256 for spec in run.info.plan.trials if spec.precision == "fp32")
    cell = CellCalibration("gpt", "fp32", setup, 20, quality_metric="accuracy", seeds=20, quality_margin=0.1)
    freeze(tmp_path / "results", Calibration(run.info.fingerprint, run.info.run, "2026-01-01", "A/A", (cell,)))
    assert "only Test CPU (bf16) is ranked" in _words(_page(tmp_path, capsys))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--prices", "prices.toml"), "--prices belongs to --hardware; add that."),
        (("--hardware", "--baseline", "main"), "--hardware compares machines and no baseline; leave out --baseline."),
        (("--hardware", "--prices", "none.toml"), "price file none.toml cannot be read"),
    ],
)
def test_bad_input_is_one_sentence(home: Path, capsys: Capture, arguments: tuple[str, ...], said: str) -> None:
    assert ampmark("report", *arguments, "--home", home) == 2
    assert said in capsys.readouterr().err


def test_two_runs_of_one_machine_are_refused(home: Path, capsys: Capture) -> None:
    slow, other, fast = _runs(home)
    assert ampmark("report", slow, other, fast, "--hardware", "--home", home) == 2
    said = capsys.readouterr().err.replace("\n", " ")
    assert f"runs {slow}, {other} are all of one machine (slow & <old>); give only one of these runs, or such" in said


def test_two_hosts_with_one_device_are_two_machines_each_with_its_own_price(tmp_path: Path, capsys: Capture) -> None:
    """bf16 of 400 and 200 samples/s for 3.6 and 0.9 an hour: 2.5 and 1.25 per million."""
    _stored(tmp_path, "H100", 0.02, cpu="EPYC")
    _stored(tmp_path, "H100", 0.04, cpu="Xeon")
    entries = (("H100", 3.6), ("H100 (Xeon, 2 threads)", 0.9))
    machines = "".join(f'[[machine]]\ndevice = "{name}"\nhourly_price = {price}\n' for name, price in entries)
    (tmp_path / "prices.toml").write_text(f'currency = "EUR"\n{machines}', encoding="utf-8")
    for runs in ((), _runs(tmp_path)):
        words = _words(_page(tmp_path, capsys, *runs)).replace("\u00a0", " ")
        assert "2 machines" in words
        said = (
            "Fastest: gpt on H100 (EPYC, 2 threads) (bf16), 2.00× [2.00, 2.00] as fast as H100 (Xeon, 2 threads) (bf16)"
        )
        assert said in words
    words = _words(_page(tmp_path, capsys, "--prices", tmp_path / "prices.toml")).replace("\u00a0", " ")
    assert (
        "Cheapest to train: gpt on H100 (Xeon, 2 threads) (bf16), while H100 (EPYC, 2 threads) (bf16) costs 2.00×"
        in words
    )
    assert "An hour of H100 (EPYC, 2 threads) costs 3.60 EUR" in words


def test_machines_whose_names_do_not_tell_them_apart_are_told_apart_by_what_differs(tmp_path: Path) -> None:
    stored = [_stored(tmp_path, "A", 0.02, mig=part) for part in ("1g.10gb", "2g.20gb", None)]
    assert list(labels_of(stored).values()) == [
        "A (Test CPU, 2 threads) (mig 1g.10gb)",
        "A (Test CPU, 2 threads) (mig 2g.20gb)",
        "A (Test CPU, 2 threads) (mig None)",
    ]
    assert list(labels_of(stored[:1]).values()) == ["A"]


def _cells(home: Path, *cells: tuple[str, str]) -> Run:
    """One process of each workload and precision."""
    return records.stored(home / "results", [records.record(spec=records.spec(*cell)) for cell in cells])


def test_a_run_of_few_cells_does_not_stand_for_a_machine_that_has_a_fuller_one(tmp_path: Path) -> None:
    whole = [("gpt", "fp32"), ("gpt", "bf16"), ("lstm", "fp32")]
    _cells(tmp_path, *whole)
    newest = _cells(tmp_path, *whole)
    _cells(tmp_path, ("gpt", "bf16"))
    _cells(tmp_path, ("gpt", "bf16"), ("lstm", "fp32"))
    choice = newest_of_each_machine(Home.at(tmp_path))
    assert [run.info.run for run in choice.runs] == [newest.info.run]
    assert choice.remarks == ()


def test_neither_fewer_seeds_nor_a_run_that_is_not_timed_nor_a_compiled_one_stands_for_a_machine(
    tmp_path: Path,
) -> None:
    whole = _stored(tmp_path, "slow", 0.04)
    results = tmp_path / "results"
    records.stored(results, records.cell([0.04], "gpt") + records.cell([0.02], "gpt", "bf16"), whole.info.environment)
    for changes in ({"deterministic": True}, {"setup": records.setup(compile=True)}):
        trials = [
            records.record(spec=replace(spec, **changes), steps=records.trace(0.02)) for spec in whole.info.plan.trials
        ]
        records.stored(results, trials, whole.info.environment)
    assert [run.info.run for run in newest_of_each_machine(Home.at(tmp_path)).runs] == [whole.info.run]


def test_machines_that_ran_other_software_are_warned_of(tmp_path: Path, capsys: Capture) -> None:
    _stored(tmp_path, "slow", 0.04, torch="2.9.0")
    _stored(tmp_path, "fast", 0.02, torch="2.14.1")
    said = (
        "The machines ran other software (torch 2.9.0, 2.14.1): what differs between them is not the machines' alone."
    )
    assert f"! {said}" in html.unescape(_words(_page(tmp_path, capsys)))


def test_a_workload_that_only_another_run_has_is_named(tmp_path: Path, capsys: Capture) -> None:
    older = _cells(tmp_path, ("gpt", "fp32"), ("lstm", "fp32"))
    newer = _cells(tmp_path, ("gpt", "fp32"), ("bert", "fp32"))
    words = _words(_page(tmp_path, capsys))
    said = (
        f"Test CPU: run {newer.info.run} does not have lstm, which run {older.info.run} of the same machine and profile"
    )
    assert f"! {said} has." in words
    assert ampmark("report", "--hardware", "--home", tmp_path) == 0
    assert f"! {said} has." in capsys.readouterr().err


def test_every_run_with_a_larger_batch_comes_beside_the_common_one(tmp_path: Path, capsys: Capture) -> None:
    """The slow machine makes 200 samples/s of bf16 from 4 and 400 from 16; the fast one 400 of 4, and was not asked."""
    older = _stored(tmp_path, "slow", 0.05, batch_scale=2)
    common = _stored(tmp_path, "slow", 0.04)
    twice, four = (_stored(tmp_path, "slow", seconds, batch_scale=scale) for seconds, scale in ((0.05, 2), (0.08, 4)))
    fast = _stored(tmp_path, "fast", 0.02)
    choice = newest_of_each_machine(Home.at(tmp_path))
    assert [run.info.run for run in choice.runs] == [common.info.run, fast.info.run]
    assert [run.info.run for run in choice.larger] == [older.info.run, twice.info.run, four.info.run]
    page = _page(tmp_path, capsys)
    words = _words(page)
    assert "The answer at the largest batch of each machine" in words
    assert "gpt slow (bf16) 4 200 [200, 200] 16 400 [400, 400] 2.00× [2.00, 2.00] – larger ones were not tried" in words
    assert "fast left out: larger ones were not tried" in words
    assert "Not measured: larger batches" not in words
    named = [run.info.run for run in (common, fast, older, twice, four)]
    assert f"ampmark report {' '.join(named)} --hardware" in words
    again = _words(_page(tmp_path, capsys, *reversed(named)))
    assert "gpt slow (bf16) 4 200 [200, 200] 16 400 [400, 400]" in again


def test_a_run_with_a_larger_batch_never_stands_for_a_machine_that_has_one_without(tmp_path: Path) -> None:
    common = _stored(tmp_path, "slow", 0.04)
    _stored(tmp_path, "slow", 0.05, batch_scale=2, torch="9.9")
    choice = newest_of_each_machine(Home.at(tmp_path))
    assert [run.info.run for run in choice.runs] == [common.info.run]
    assert choice.larger == ()  # on other software it is another thing
    (remark,) = choice.remarks
    assert remark.startswith(f"slow: run {_runs(tmp_path)[1]} has a larger batch than run {common.info.run}")


def test_without_larger_batches_the_page_says_how_to_measure_them(home: Path, capsys: Capture) -> None:
    words = _words(_page(home, capsys))
    assert "Not measured: larger batches." in words
    assert "largest batch of each machine" not in words


def test_prices_of_nothing_that_was_run_are_named_on_the_page_and_on_the_terminal(home: Path, capsys: Capture) -> None:
    entries = '[[machine]]\ndevice = "fasd"\nhourly_price = 1.0\n[[amount]]\nworkload = "gqt"\nsamples = 10\n'
    (home / "more.toml").write_text(PRICES + entries, encoding="utf-8")
    assert ampmark("report", "--hardware", "--prices", home / "more.toml", "--home", home) == 0
    ended = capsys.readouterr()
    page = html.unescape(Path(ended.out.strip()).read_text(encoding="utf-8"))
    for kind, name, near in (("price of the device", "fasd", "fast"), ("amount of the workload", "gqt", "gpt")):
        said = f"The {kind} {name!r} is not used: no run that is compared has it; did you mean {near!r}?"
        assert f"! {said}\n" in ended.err
        assert said in page
