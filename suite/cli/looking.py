"""`list` and `show`: what is stored, and what can be run."""

from __future__ import annotations

from typing import Annotated

import typer

from suite import catalog, profiles, store
from suite.cli.options import HomeOption, JsonOption, load, print_json, rows
from suite.decode import encode
from suite.emissions import check_factor, emission_lines, with_emissions
from suite.home import Home
from suite.terminal.runs import print_list, print_run

__all__ = ["list_", "show"]


def list_(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Stored runs, oldest first; and what can be run here."""
    place = Home.choose(home)
    runs = store.list_runs(place.results)
    if as_json:
        keys = ("run", "created_at", "sealed_at", "command")
        listed = [{key: encode(info)[key] for key in keys} | {"fingerprint": info.fingerprint} for info in runs]
        print_json(
            {
                "runs": listed,
                "workloads": list(catalog.workloads()),
                "precisions": list(catalog.precisions()),
                "profiles": list(profiles.available()),
            }
        )
    else:
        print_list(runs, catalog.workloads(), catalog.precisions(), profiles.available())


def show(
    run: Annotated[str, typer.Argument(help="Run id, the beginning of one, a folder, or latest.")] = "latest",
    grams_co2e_per_kwh: Annotated[
        float | None, typer.Option(help="Also show CO2e of the measured energy, by this factor of your electricity.")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """The table of one stored run."""
    loaded = load(Home.choose(home), run)
    trials, factor = loaded.trials, grams_co2e_per_kwh
    if factor is not None:
        check_factor(factor)
        trials = with_emissions(trials, factor)
    if as_json:
        given = {} if factor is None else {"grams_co2e_per_kwh": factor}
        print_json({"run": encode(loaded.info), **given, "trials": rows(trials)})
        return
    print_run(loaded)
    for line in [] if factor is None else emission_lines(trials, factor):
        print(line)
