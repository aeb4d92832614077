"""Grams of CO2e from measured energy, by a factor that the user gives: no default would be true everywhere."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from suite.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["check_factor", "emission_lines", "with_emissions"]

JOULES_PER_KWH = 3.6e6


def check_factor(grams_per_kwh: float) -> None:
    """Refuse what is no factor.

    Raises:
        UsageError: it is negative or not finite.
    """
    if not (math.isfinite(grams_per_kwh) and grams_per_kwh >= 0):
        raise UsageError(
            f"--grams-co2e-per-kwh {grams_per_kwh:g} is no factor; give the grams of CO2e per kWh of your electricity."
        )


def with_emissions(trials: pd.DataFrame, grams_per_kwh: float) -> pd.DataFrame:
    """The trials with a column `grams_co2e_per_sample`, missing where the energy is."""
    return trials.assign(grams_co2e_per_sample=trials["energy_joules_per_sample"] * (grams_per_kwh / JOULES_PER_KWH))


def emission_lines(trials: pd.DataFrame, grams_per_kwh: float) -> list[str]:
    """One line per cell (the median of its trials), one per reason for which cells have none, and the factor."""
    lines, gaps = [], dict[str, list[str]]()
    for (workload, precision), rows in with_emissions(trials, grams_per_kwh).groupby(
        ["workload", "precision"], sort=False
    ):
        cell = f"{workload} × {precision}"
        known = rows.dropna(subset=["grams_co2e_per_sample"])
        if known.empty:
            gaps.setdefault(_reason(rows), []).append(cell)
        else:
            joules, grams = known["energy_joules_per_sample"].median(), known["grams_co2e_per_sample"].median()
            sources = ", ".join(known["energy_source"].unique())
            lines.append(f"{cell}: {joules:.4g} J and {grams:.4g} g CO2e per sample ({sources})")
    lines += [f"{', '.join(cells)}: no energy, so no CO2e: {reason}" for reason, cells in gaps.items()]
    return [*lines, f"CO2e at {grams_per_kwh:g} g per kWh, the factor given on the command line"]


def _reason(rows: Any) -> str:
    reasons = rows["energy_reason"].dropna().unique()
    return "; ".join(reasons) or "the trials were not measured"
