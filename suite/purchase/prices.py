"""The user's price file: what an hour of each machine costs, or what it costs to buy and to feed it.

docs/prices.toml is an example. Everything is in one currency; a price is that of one device with its share of the host.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from suite.decode import DecodeError, decode, nearest
from suite.errors import UsageError, one_line

__all__ = ["HOURS_PER_YEAR", "Amount", "MachinePrice", "Prices", "read_prices"]

HOURS_PER_YEAR = 8766.0
"""365.25 days."""
LONGEST_CURRENCY = 8
LEAST, MOST = 1e-6, 1e12
"""Of money, years, power and samples: what is beyond is a slip, and would leave the numbers of a computer."""
RANGE = "from 1e-6 to 1e12"


@dataclass(frozen=True)
class MachinePrice:
    """Of one device with its share of the host: rented by the hour, or bought."""

    device: str
    hourly_price: float | None = None
    purchase_price: float | None = None
    life_years: float | None = None
    utilisation: float | None = None

    def __post_init__(self) -> None:
        bought = {name: getattr(self, name) for name in ("purchase_price", "life_years", "utilisation")}
        given = [name for name, value in bought.items() if value is not None]
        if not self.device.strip():
            raise ValueError("device is empty; give the name that `ampmark list` shows.")
        if (self.hourly_price is None) == (not given):
            raise ValueError(
                f"machine {self.device!r} needs either hourly_price, or purchase_price, life_years and utilisation."
            )
        if given and len(given) < len(bought):
            missing = ", ".join(name for name in bought if name not in given)
            raise ValueError(f"machine {self.device!r} has {', '.join(given)} and lacks {missing}; add it.")
        for name, value in {"hourly_price": self.hourly_price, **bought}.items():
            if value is not None and not LEAST <= value <= MOST:
                raise ValueError(f"machine {self.device!r}: {name} is {value}; give a number {RANGE}.")
        if self.utilisation is not None and self.utilisation > 1:
            raise ValueError(
                f"machine {self.device!r}: utilisation is {self.utilisation}; give a share, 0.7 for 70 % of the time."
            )

    @property
    def bought(self) -> bool:
        """Whether it was bought, so that its power is paid for besides."""
        return self.purchase_price is not None

    @property
    def hours(self) -> float:
        """Hours of training that the purchase price is spread over; 1 where an hour is what is paid for."""
        return (
            1.0 if self.hourly_price is not None else HOURS_PER_YEAR * (self.life_years or 0) * (self.utilisation or 0)
        )

    @property
    def price(self) -> float:
        """What is paid: for an hour, or for the machine."""
        return self.hourly_price or self.purchase_price or 0.0

    @property
    def per_hour(self) -> float:
        """What an hour of training costs without power: the rent, or price ÷ (life × hours in a year × utilisation)."""
        return self.price / self.hours


@dataclass(frozen=True)
class Amount:
    """How many samples of a workload "the cost to train" is stated for."""

    workload: str
    samples: float

    def __post_init__(self) -> None:
        if not LEAST <= self.samples <= MOST:
            raise ValueError(f"amount of {self.workload!r}: samples is {self.samples}; give a number {RANGE}.")


@dataclass(frozen=True)
class Prices:
    """The whole file, in one currency."""

    currency: str
    machine: tuple[MachinePrice, ...]
    power_price_per_kwh: float | None = None
    power_overhead: float = 1.0
    """Power drawn at the meter over power drawn by the device (PUE)."""
    amount: tuple[Amount, ...] = ()
    source: str | None = None
    """Where the prices are from: an offer and its date, say."""

    def __post_init__(self) -> None:
        if not self.currency.strip() or len(self.currency) > LONGEST_CURRENCY:
            raise ValueError(f"currency is {self.currency[:40]!r}; give a short one such as 'EUR'.")
        if not self.currency.isprintable():
            raise ValueError(f"currency is {self.currency!r}; give printable characters only.")
        if not self.machine:
            raise ValueError("there is no [[machine]]; give the price of at least one.")
        for kind, names in (
            ("machine", [each.device for each in self.machine]),
            ("amount", [each.workload for each in self.amount]),
        ):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"there are several [[{kind}]] for {twice[0]!r}; keep one.")
        power = self.power_price_per_kwh
        if power and not LEAST <= power <= MOST:
            raise ValueError(f"power_price_per_kwh is {power}; give 0, or a number {RANGE}.")
        if not 1 <= self.power_overhead <= MOST:
            raise ValueError(f"power_overhead is {self.power_overhead}; give a number from 1 to 1e12 (PUE).")
        if power is None and any(each.bought for each in self.machine):
            raise ValueError(
                "a machine is bought and power_price_per_kwh is not given; add it (0 where power is free)."
            )

    def of(self, *names: str) -> MachinePrice | None:
        """The price under the first of these names that the file has; None where it has none."""
        known = {each.device: each for each in self.machine}
        return next((known[name] for name in names if name in known), None)

    def unused(self, names: Collection[str], workloads: Collection[str]) -> Iterator[str]:
        """A sentence for each entry that is of nothing that was run: it may be misspelt."""
        for kind, given, known in (
            ("price of the device", [each.device for each in self.machine], names),
            ("amount of the workload", [each.workload for each in self.amount], workloads),
        ):
            for name in given:
                if name not in known:
                    yield f"The {kind} {name!r} is not used: no run that is compared has it; {nearest(name, known)}"

    def samples(self, workload: str) -> float | None:
        """The amount stated for this workload; None where there is none."""
        return next((each.samples for each in self.amount if each.workload == workload), None)


def read_prices(path: Path) -> Prices:
    """The price file.

    Raises:
        UsageError: it cannot be read, is not TOML, or says something that cannot be; the message names the place.
    """
    try:
        return decode(Prices, tomllib.loads(path.read_text(encoding="utf-8-sig")), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"price file {path} cannot be read ({error}); give a TOML file.") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"price file {path} is not valid TOML: {one_line(error)}.") from error
    except DecodeError as error:
        raise UsageError(one_line(error)) from error
    except RecursionError as error:
        raise UsageError(f"price file {path} is nested too deeply; give one such as docs/prices.toml.") from error
    except (ValueError, OverflowError) as error:
        raise UsageError(f"price file {path} has a number of too many digits; give numbers {RANGE}.") from error
