"""`report --hardware`: which runs stand for the machines, and what a buyer reads on the page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import records

from suite.cli import main
from suite.record import Quality
from suite.store import Run

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
Capture = pytest.CaptureFixture[str]


def ampmark(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(ended.value.code or 0)


def _stored(home: Path, device: str, seconds: float) -> Run:
    """Five seeds of fp32 and, twice as fast, of bf16, whose qualities differ by nothing."""
    trials = [
        records.record(
            spec=records.spec("gpt", precision, seed=seed),
            steps=records.trace(seconds / factor),
            quality=Quality({"accuracy": 0.75 + 0.01 * seed}, "accuracy", True, 0.5, "majority class"),
        )
        for precision, factor in (("fp32", 1.0), ("bf16", 2.0))
        for seed in range(5)
    ]
    return records.stored(home / "results", trials, records.environment(device_name=device))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    _stored(tmp_path, "slow & <old>", 0.5)
    _stored(tmp_path, "slow & <old>", 0.04)
    _stored(tmp_path, "fast", 0.02)
    (tmp_path / "prices.toml").write_text(PRICES, encoding="utf-8")
    return tmp_path


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
    assert "<h1>Cheapest to train: gpt on fast (bf16).</h1>" in page
    assert "slow &amp; &lt;old&gt; · bf16 200 [200, 200]" in words
    assert "200,000 [200,000, 200,000] 5.00 [5.00, 5.00]" in words
    assert "1,440,000 [1,440,000, 1,440,000] 0.694 [0.694, 0.694]" in words
    # 400 × 5e-6 a second, over 8766 hours of 3600 seconds.
    assert "fast (bf16) slow &amp; &lt;old&gt; (bf16) below 63,115 [63,115, 63,115] 8,766 to buy" in words
    assert "<old>" not in page


def test_without_prices_the_fastest_is_the_headline_and_the_page_says_how_to_give_them(
    home: Path, capsys: Capture
) -> None:
    page = _page(home, capsys)
    assert "<h1>Fastest: gpt on fast (bf16).</h1>" in page
    assert "`ampmark report --hardware --prices FILE`" in _words(page)
    assert "EUR" not in page


def test_a_single_machine_is_a_page_too(home: Path, capsys: Capture) -> None:
    words = _words(_page(home, capsys, "latest", "--prices", home / "prices.toml"))
    assert "Break-even prices: no two machines are ranked and priced" in words


def test_where_one_seed_shows_no_quality_nothing_is_recommended_and_nothing_ranked(
    tmp_path: Path, capsys: Capture
) -> None:
    worse = Quality({"accuracy": 0.74}, "accuracy", True, 0.5, "majority class")
    trials = [*records.cell([0.1] * 3), *records.cell([0.05] * 3, precision="bf16", quality=worse)]
    records.stored(tmp_path / "results", trials)
    page = _page(tmp_path, capsys)
    assert "<h1>No machine is ranked: no workload has a recommended mode on any.</h1>" in page


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
    runs = sorted(path.name for path in (home / "results" / "runs").iterdir())
    assert ampmark("report", *runs, "--hardware", "--home", home) == 2
    assert "several of these runs are of slow & <old>; give one of each machine." in capsys.readouterr().err
