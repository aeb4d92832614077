"""The price file: what it says, and what is refused in one sentence that names the place."""

from __future__ import annotations

from pathlib import Path

import pytest

from suite.errors import UsageError
from suite.purchase.prices import Amount, MachinePrice, Prices, read_prices

RENTED = 'currency = "EUR"\n[[machine]]\ndevice = "A"\nhourly_price = 2.5\n'
BOUGHT = (
    'currency = "USD"\npower_price_per_kwh = 0.3\npower_overhead = 1.2\n'
    '[[machine]]\ndevice = "B"\npurchase_price = 8766.0\nlife_years = 2.0\nutilisation = 0.5\n'
    '[[amount]]\nworkload = "gpt"\nsamples = 1_000_000\n'
)


def _file(folder: Path, text: str) -> Path:
    path = folder / "prices.toml"
    path.write_text(text, encoding="utf-8")
    return path


def _refusal(folder: Path, text: str) -> str:
    with pytest.raises(UsageError) as caught:
        read_prices(_file(folder, text))
    return str(caught.value).removeprefix(str(folder / "prices.toml")).lstrip(": ")


def test_a_machine_that_is_rented(tmp_path: Path) -> None:
    prices = read_prices(_file(tmp_path, RENTED))
    assert prices == Prices("EUR", (MachinePrice("A", hourly_price=2.5),))
    machine = prices.of("A")
    assert machine is not None
    assert (machine.bought, machine.price, machine.hours, machine.per_hour) == (False, 2.5, 1.0, 2.5)
    assert prices.of("B") is None


def test_a_machine_that_is_bought_costs_its_price_over_the_hours_that_it_trains(tmp_path: Path) -> None:
    """8766 for two years of 8766 hours, half of them training: 8766 hours, so 1 an hour."""
    prices = read_prices(_file(tmp_path, BOUGHT))
    machine = prices.of("B")
    assert machine is not None
    assert (machine.bought, machine.hours, machine.per_hour) == (True, 8766.0, 1.0)
    assert (prices.power_price_per_kwh, prices.power_overhead) == (0.3, 1.2)
    assert prices.amount == (Amount("gpt", 1e6),)
    assert (prices.samples("gpt"), prices.samples("bert")) == (1e6, None)


def test_the_example_in_the_documentation_is_read() -> None:
    prices = read_prices(Path(__file__).parents[2] / "docs" / "prices.toml")
    assert [machine.bought for machine in prices.machine] == [False, True]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("currency", "is not valid TOML"),
        ('currency = "EUR"\nmachine = []', "there is no [[machine]]; give the price of at least one."),
        (RENTED.replace("EUR", " "), "currency is ' '; give a short one such as 'EUR'."),
        (RENTED.replace("hourly_price", "hourly_prise"), "did you mean 'hourly_price'?"),
        (RENTED.replace("2.5", "0"), "hourly_price is 0.0; give a number from 1e-6 to 1e12."),
        (RENTED.replace("2.5", "-1"), "hourly_price is -1.0; give a number from 1e-6 to 1e12."),
        (RENTED.replace("2.5", "nan"), "hourly_price is nan; give a number from 1e-6 to 1e12."),
        (RENTED.replace("2.5", "inf"), "hourly_price is inf; give a number from 1e-6 to 1e12."),
        (RENTED.replace("2.5", '"2.5"'), "hourly_price"),
        (RENTED.replace("2.5", "1e308"), "hourly_price is 1e+308; give a number from 1e-6 to 1e12."),
        (RENTED.replace("2.5", "1e-320"), "hourly_price is 1e-320; give a number from 1e-6 to 1e12."),
        (RENTED.replace("2.5", "9" * 400), "hourly_price: the integer has too many digits; give a number below 1e308."),
        (RENTED.replace("2.5", "9" * 5000), "has a number of too many digits; give numbers from 1e-6 to 1e12."),
        (RENTED.replace("EUR", "\\u0000"), "currency is '\\x00'; give printable characters only."),
        (RENTED.replace("EUR", "a\\nb"), "currency is 'a\\nb'; give printable characters only."),
        ("a = " + "[" * 20_000, "is nested too deeply; give one such as docs/prices.toml."),
        (BOUGHT.replace("= 2.0", "= 1e-320"), "life_years is 1e-320; give a number from 1e-6 to 1e12."),
        (BOUGHT.replace("= 0.3", "= 1e308"), "power_price_per_kwh is 1e+308; give 0, or a number from 1e-6 to 1e12."),
        (BOUGHT.replace("= 1.2", "= 1e308"), "power_overhead is 1e+308; give a number from 1 to 1e12 (PUE)."),
        (BOUGHT.replace("1_000_000", "1e308"), "samples is 1e+308; give a number from 1e-6 to 1e12."),
        (RENTED.replace("hourly_price = 2.5", ""), "needs either hourly_price, or purchase_price, life_years and"),
        (RENTED + "purchase_price = 9.0\n", "needs either hourly_price, or purchase_price, life_years and"),
        (RENTED + '[[machine]]\ndevice = "A"\nhourly_price = 3\n', "there are several [[machine]] for 'A'; keep one."),
        (RENTED.replace('"A"', '" "'), "device is empty; give the name that `ampmark list` shows."),
        (BOUGHT.replace("utilisation = 0.5\n", ""), "has purchase_price, life_years and lacks utilisation; add it."),
        (BOUGHT.replace("= 0.5", "= 70"), "utilisation is 70.0; give a share, 0.7 for 70 % of the time."),
        (BOUGHT.replace("power_price_per_kwh = 0.3\n", ""), "power_price_per_kwh is not given; add it (0 where power"),
        (BOUGHT.replace("= 0.3", "= -0.3"), "power_price_per_kwh is -0.3; give 0, or a number from 1e-6 to 1e12."),
        (BOUGHT.replace("= 1.2", "= 0.8"), "power_overhead is 0.8; give a number from 1 to 1e12 (PUE)."),
        (BOUGHT.replace("1_000_000", "0"), "amount of 'gpt': samples is 0.0; give a number from 1e-6 to 1e12."),
    ],
)
def test_a_file_that_cannot_be_right_is_refused(tmp_path: Path, text: str, said: str) -> None:
    assert said in _refusal(tmp_path, text)


def test_a_byte_order_mark_is_read_over(tmp_path: Path) -> None:
    (tmp_path / "prices.toml").write_bytes(b"\xef\xbb\xbf" + RENTED.encode())
    assert read_prices(tmp_path / "prices.toml").currency == "EUR"


def test_what_is_of_nothing_that_was_run_is_named() -> None:
    prices = Prices("EUR", (MachinePrice("A", hourly_price=1.0),), amount=(Amount("gqt", 1e6),))
    assert list(prices.unused(["A"], ["gqt"])) == []
    assert list(prices.unused(["B"], ["gpt"])) == [
        "The price of the device 'A' is not used: no run that is compared has it; known are: B.",
        "The amount of the workload 'gqt' is not used: no run that is compared has it; did you mean 'gpt'?",
    ]


def test_the_first_name_that_has_a_price_counts() -> None:
    prices = Prices("EUR", (MachinePrice("A", hourly_price=1.0), MachinePrice("A (Xeon)", hourly_price=2.0)))
    found = [prices.of("A (Xeon)", "A"), prices.of("A (EPYC)", "A"), prices.of("B")]
    assert [each and each.hourly_price for each in found] == [2.0, 1.0, None]


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_prices(tmp_path / "none.toml")
