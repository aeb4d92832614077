"""summary.md: at most twenty rows, worst first, for the summary page of a CI job."""

from __future__ import annotations

import re
from collections.abc import Sequence

from suite.judge.error_rates import CHANGE_INTERVAL
from suite.judge.findings import Verdicts
from suite.record import Outcome
from suite.report import numbers
from suite.report.cells import REFERENCE, Cell, Grid, speed_ratio
from suite.report.headline import headline, incomplete
from suite.report.regressions import finding_rows, worst_first
from suite.report.signs import cell_sign
from suite.report.statements import caution_words
from suite.report.text import shorten
from suite.store import Run

__all__ = ["MOST_ROWS", "summary_markdown"]

MOST_ROWS = 20


def summary_markdown(run: Run, verdicts: Verdicts | None, notice: str | None = None) -> str:
    """A headline and one table; names and reasons cannot break out of their cells."""
    head, rows = _finding_table(verdicts) if verdicts else _cell_table(Grid.of(run))
    lines = [f"**{_escape(headline(run, verdicts, notice), 1000)}**", ""]
    if cut := incomplete(run):
        lines += [_escape(cut, 200), ""]
    lines += [_line(head), _line(["---"] * len(head))]
    lines += [_line([_escape(text, 160) for text in row]) for row in rows[:MOST_ROWS]]
    if len(rows) > MOST_ROWS:
        lines += ["", f"{len(rows) - MOST_ROWS} more rows are in the report."]
    compiled = dict.fromkeys(spec.workload for spec in run.info.plan.trials if spec.setup.compile)
    through = f" Through torch.compile: {_escape(', '.join(compiled), 200)}." if compiled else ""
    return "\n".join([*lines, "", f"Run {_escape(run.info.run, 80)}.{through}"]) + "\n"


def _finding_table(verdicts: Verdicts) -> tuple[list[str], list[list[str]]]:
    head = ["Verdict", "Cell", "Metric", "Base → candidate", f"Change [{CHANGE_INTERVAL}]", "Why"]
    rows = [
        [
            f"{row.sign.glyph} {row.sign.word}",
            f"{shorten(row.workload, 40)} × {shorten(row.precision, 40)}",
            row.metric,
            row.values,
            row.change,
            row.why,
        ]
        for row in finding_rows(worst_first(verdicts.findings))
    ]
    return head, rows


def _cell_table(grid: Grid) -> tuple[list[str], list[list[str]]]:
    head = ["Outcome", "Cell", "Median step", f"Speed against {REFERENCE}", "Why"]
    ordered = sorted(grid, key=_badness, reverse=True)
    return head, [_cell_row(grid, cell) for cell in ordered]


def _badness(cell: Cell) -> tuple[int, int]:
    """Broken before diverged before gaps before numbers."""
    worst = max((_rank(row["outcome"]) for row in cell.trials), default=1)
    return worst, cell.absent


def _rank(outcome: str) -> int:
    end = Outcome(outcome)
    return 3 if end.broken else 2 if end is Outcome.DIVERGED else 0 if end.measured else 1


def _cell_row(grid: Grid, cell: Cell) -> list[str]:
    sign = cell_sign(cell.outcome, len(cell.measured), cell.whole)
    reference = grid.beside(cell, REFERENCE)
    found = speed_ratio(cell, reference) if reference else None
    speed = numbers.speed(found.value, found.low, found.high) if found else numbers.MISSING
    not_ranked = " (emulated, not ranked)" if cell.emulated and reference else ""
    reasons = [f"{row['outcome']}: {row['reason'] or 'no reason was recorded'}" for row in cell.stopped[:1]]
    reasons += [f"caution {code} {words}" for code, words in caution_words(cell)]
    return [
        f"{sign.glyph} {sign.word}",
        f"{shorten(cell.workload, 40)} × {shorten(cell.precision, 40)}",
        numbers.seconds(cell.median("step_seconds_median")),
        f"{speed}{not_ranked}",
        "; ".join(reasons),
    ]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escape(text: str, most: int) -> str:
    """Text as Markdown that shows it: entities for HTML, backslashes for everything that Markdown gives a meaning."""
    entities = shorten(text, most).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]()#|~])", r"\\\1", entities)
