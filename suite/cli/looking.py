"""`list`, `show` and `export`: what is stored and can be run, and taking it away."""

from __future__ import annotations

import enum
import sys
from pathlib import Path
from typing import Annotated

import typer

from suite import catalog, profiles, store
from suite.cli.options import HomeOption, JsonOption, load, print_json
from suite.decode import encode
from suite.emissions import check_factor, emission_lines, with_emissions
from suite.files import unwritable, write_atomically
from suite.home import Home
from suite.terminal.runs import print_list, print_run

__all__ = ["export", "list_", "show"]


class Format(enum.StrEnum):
    """What `export` can write."""

    CSV = "csv"
    JSON = "json"
    JUNIT = "junit"
    PARQUET = "parquet"
    PYTEST_BENCHMARK = "pytest-benchmark"


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
        from suite.interchange.tables import rows_of_frame

        given = {} if factor is None else {"grams_co2e_per_kwh": factor}
        print_json({"run": encode(loaded.info), **given, "trials": rows_of_frame(trials)})
        return
    print_run(loaded)
    for line in [] if factor is None else emission_lines(trials, factor):
        print(line)


def export(
    run: Annotated[str, typer.Argument(help="Run id, the beginning of one, a folder, or latest.")] = "latest",
    form: Annotated[Format, typer.Option("--format", help="For what kind of program.")] = Format.CSV,
    to: Annotated[Path | None, typer.Option("--to", "-o", help="File to write; without one, standard output.")] = None,
    home: HomeOption = None,
) -> None:
    """A stored run for other programs: a row per trial; for pytest-benchmark a cell, for JUnit a finding."""
    place = Home.choose(home)
    content = _content(place, load(place, run), form)
    if to is None:
        sys.stdout.buffer.write(content)
        return
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(to.parent, error) from error
    write_atomically(to, content)


def _content(place: Home, run: store.Run, form: Format) -> bytes:
    from suite.interchange import junit, pytest_benchmark, tables
    from suite.judge.verdict_file import read_refusal, read_verdicts

    match form:
        case Format.CSV:
            return tables.csv_of(run)
        case Format.JSON:
            return tables.json_of(run)
        case Format.PARQUET:
            return tables.parquet_of(run)
        case Format.PYTEST_BENCHMARK:
            return pytest_benchmark.pytest_benchmark_of(run)
        case Format.JUNIT:
            name = run.info.run
            return junit.junit_of(run, read_verdicts(place.reports, name), read_refusal(place.reports, name))
