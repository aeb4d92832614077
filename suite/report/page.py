"""The page: every section's view model, put through the templates and written at once."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import quote

from markupsafe import Markup

from suite.files import unwritable, write_atomically
from suite.home import Home
from suite.judge.error_rates import CHANGE_INTERVAL, CHANGE_LEVEL, EQUIVALENCE_LEVEL, RATIO_LEVEL
from suite.judge.findings import Finding, PrecisionQuality, Verdict, Verdicts
from suite.profiles import available, batch_scale_of
from suite.report import numbers
from suite.report.cell_section import cell_section
from suite.report.cells import Cell, Grid
from suite.report.data_files import DataFile, data_files
from suite.report.drawing import draw
from suite.report.forest import forest_chart
from suite.report.gaps import gap_table
from suite.report.headline import headline, incomplete
from suite.report.history_section import history_anchor, history_section
from suite.report.machine import difference_words, environment_table, plan_table
from suite.report.matrix import build_matrix
from suite.report.recommendation_section import recommendation_section
from suite.report.regressions import (
    HEAD,
    FindingRow,
    alarm_sentence,
    finding_rows,
    quality_sentences,
    thresholds,
    worst_first,
)
from suite.report.script import NO_SCRIPT, Script, inlined, placed
from suite.report.series_rows import HEAD as SERIES_HEAD
from suite.report.sparkline import FLATTEST
from suite.report.summary import summary_markdown
from suite.report.templating import templates
from suite.report.text import clean, shorten
from suite.report.traces import Traces
from suite.report.trust import trust
from suite.report.workload_section import workload_section
from suite.store import Run

if TYPE_CHECKING:
    from suite.judge.calibration import Calibration
    from suite.judge.followed import Past

__all__ = ["page_html", "render"]

_NO_PAGES: Mapping[str, str] = MappingProxyType({})
_QUIET = (Verdict.UNCHANGED, Verdict.NOT_MEASURED)
MOST_INTERVALS = 40
"""Rows of the forest plot, the worst ones; the table below it has all."""


@dataclass(frozen=True)
class Comparison:
    """The section about what changed."""

    sentence: str
    warnings: tuple[str, ...]
    differences: str
    """What else differs between the two sides."""
    thresholds: str
    head: tuple[str, ...]
    loud: tuple[FindingRow, ...]
    """Everything that somebody should read."""
    quiet: tuple[FindingRow, ...]
    """Unchanged, and what neither side measured."""
    forest: Markup | None
    cut: str
    """What the plot leaves out."""


def render(
    run: Run,
    verdicts: Verdicts | None,
    home: Home,
    notice: str | None = None,
    *,
    inline: bool = False,
    beside: Mapping[str, bytes] | None = None,
    calibration: Calibration | None = None,
    past: Past | None = None,
) -> Path:
    """Write `index.html` and `summary.md` into the run's folder in the reports; returns the path of the page.

    Its script lies beside all pages, or with `inline` in this one. `beside` are more files for the folder, by name.

    `verdicts` is None where there is nothing to compare with, and `notice` then says why in one sentence; the margins
    that qualities are judged by are then those of `calibration`, what is frozen for the run's machine.
    `past` is what the nights up to it say.

    Raises:
        UnwritableResults: the folder cannot be made or written to.
    """
    folder = home.reports / run.info.run
    script = inlined() if inline else placed(home.reports, folder / "index.html")
    written = {"summary.md": summary_markdown(run, verdicts, notice).encode(), **(beside or {})}
    there = (*written, *(["verdict.json"] if (folder / "verdict.json").exists() else []))
    # A page that is sent by itself has no other pages beside it.
    index = None if inline else "../index.html"
    pages = {} if inline or past is None else _pages(past, home.reports)
    page = page_html(run, verdicts, notice, script, data_files(run, home, there), calibration, index, past, pages)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error
    for name, content in written.items():
        write_atomically(folder / name, content)
    write_atomically(folder / "index.html", page.encode())
    return folder / "index.html"


def page_html(
    run: Run,
    verdicts: Verdicts | None,
    notice: str | None = None,
    script: Script = NO_SCRIPT,
    files: Sequence[DataFile] | None = None,
    calibration: Calibration | None = None,
    index: str | None = None,
    past: Past | None = None,
    pages: Mapping[str, str] = _NO_PAGES,
) -> str:
    """The whole page as text; without `files` the run's are named and none is linked.

    `index` leads to all runs, and `pages` to those that the history names.
    """
    grid, findings = Grid.of(run), worst_first(verdicts.findings) if verdicts else []
    qualities = verdicts.against_fp32 if verdicts else _qualities(run, calibration)
    traces, history = Traces(run.steps), history_section(past, pages)
    shown = {row.anchor for row in history.rows}
    scale = batch_scale_of(run.info.plan, run.folder / "profile.toml")
    template = templates().get_template("page.html.j2")
    return template.render(
        run=run.info.run,
        device=run.info.environment.device_name,
        profile=run.info.plan.profile,
        created_at=run.info.created_at,
        ampmark=run.info.environment.ampmark,
        headline=headline(run, verdicts, notice),
        incomplete=incomplete(run),
        notice=notice,
        precisions=grid.precisions,
        matrix=build_matrix(grid, findings, qualities),
        recommendation=recommendation_section(run, qualities),
        comparison=_comparison(grid, verdicts, findings) if verdicts else None,
        trust=trust(verdicts),
        history=history,
        series_head=SERIES_HEAD,
        flattest=numbers.percent(FLATTEST / 100),
        workloads=[workload_section(grid, traces, workload) for workload in grid.workloads],
        cells=[cell_section(cell, findings, _own_profile(run), _nights(cell, shown), scale) for cell in grid],
        gaps=gap_table(grid, findings, None if verdicts else notice or "it was not compared with a baseline"),
        environment=environment_table(run),
        plan=plan_table(run, grid),
        index=index,
        levels={
            name: numbers.percent(level)
            for name, level in (("change", CHANGE_LEVEL), ("ratio", RATIO_LEVEL), ("equivalence", EQUIVALENCE_LEVEL))
        },
        files=data_files(run) if files is None else files,
        script=script,
    )


def _qualities(run: Run, calibration: Calibration | None) -> list[PrecisionQuality]:
    from suite.judge.calibration import Calibration as Frozen
    from suite.judge.recommendation import qualities_of

    return qualities_of(run, calibration or Frozen())


def _nights(cell: Cell, shown: Container[str | None]) -> str | None:
    """Where the history has the cell; None where it does not."""
    place = history_anchor(cell.workload, cell.precision)
    return place if place in shown else None


def _pages(past: Past, reports: Path) -> dict[str, str]:
    """Addresses, seen from a run's page, of the pages that exist of runs which the history names."""
    named = {run for _, trend in past.judged for run in (trend.first_run, trend.last_run) if run is not None}
    return {run: f"../{quote(run)}/index.html" for run in sorted(named) if (reports / run / "index.html").is_file()}


def _own_profile(run: Run) -> str | None:
    """Where the run keeps a profile that was a file of the user's, seen from the folder that holds results/."""
    theirs = ".toml" in run.info.command or run.info.plan.profile not in available()
    return f"results/runs/{run.info.run}/profile.toml" if theirs else None


def _comparison(grid: Grid, verdicts: Verdicts, findings: Sequence[Finding]) -> Comparison:
    shown = {cell.anchor for cell in grid}
    return Comparison(
        sentence=alarm_sentence(verdicts),
        warnings=tuple(map(clean, (*verdicts.warnings, *quality_sentences(verdicts)))),
        differences=_difference_sentence(verdicts.differences),
        thresholds=thresholds(verdicts),
        head=HEAD,
        loud=tuple(finding_rows([f for f in findings if f.verdict not in _QUIET], shown)),
        quiet=tuple(finding_rows([f for f in findings if f.verdict in _QUIET], shown)),
        forest=_forest(verdicts, findings),
        cut=f"Only the {MOST_INTERVALS} worst are drawn. " if len(_with_interval(findings)) > MOST_INTERVALS else "",
    )


def _difference_sentence(differences: Sequence[str] | None) -> str:
    """Empty where nobody looked."""
    if differences is None:
        return ""
    if not differences:
        return "Nothing known differs between the two sides' machine, software and code."
    named = "; ".join(difference_words(difference) for difference in differences)
    return f"Beside the measured cells, these differ between the two sides: {named}."


def _with_interval(findings: Sequence[Finding]) -> list[Finding]:
    return [f for f in findings if f.metric == "step_seconds" and f.low is not None and f.high is not None]


def _forest(verdicts: Verdicts, findings: Sequence[Finding]) -> Markup | None:
    shown = _with_interval(findings)[:MOST_INTERVALS]
    if not shown:
        return None
    words = "; ".join(
        f"{shorten(f.cell, 60)} {f.verdict} {numbers.change(f.change)} {numbers.interval(f.low, f.high)}" for f in shown
    )
    return draw(forest_chart(shown, verdicts.delta), f"Change of the step time with its {CHANGE_INTERVAL}: {words}.")
