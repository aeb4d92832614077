"""The machine and the plan of a run, as tables."""

from __future__ import annotations

from suite.decode import encode
from suite.record import Environment
from suite.report import numbers
from suite.report.cells import Grid
from suite.report.tables import Table
from suite.report.text import first_of
from suite.store import Run

__all__ = ["difference_words", "environment_rows", "environment_table", "plan_table"]

_LABELS = {
    "mig": "MIG",
    "ecc": "ECC",
    "cuda": "CUDA",
    "cudnn": "cuDNN",
    "nccl": "NCCL",
    "os": "operating system",
    "cpu": "CPU",
    "cpu_count": "CPU count",
    "cpu_instructions": "CPU instructions",
    "python": "Python",
    "git_commit": "git commit",
    "git_dirty": "uncommitted changes",
}


def environment_table(run: Run) -> Table:
    """Every field of the environment; what could not be read says so."""
    rows = [*environment_rows(run.info.environment), ("fingerprint", run.info.fingerprint)]
    return Table.of("Environment of every trial", ("What", "Value"), rows)


def environment_rows(environment: Environment) -> list[tuple[str, str]]:
    """Name and value of every field; what could not be read says so."""
    fields = encode(environment)
    variables = fields.pop("variables")
    rows = [(_label(name), _shown(name, value)) for name, value in fields.items()]
    return rows + [(f"variable {name}", value) for name, value in variables.items()]


def difference_words(difference: str) -> str:
    """`git_commit: a → b`, as the judging half says it, in the words of the table of the environment."""
    name, _, sides = difference.partition(": ")
    plain = {"None": "none", "True": "yes", "False": "no"}
    return f"{_label(name)}: {' → '.join(plain.get(side, side) for side in sides.split(' → '))}"


def plan_table(run: Run, grid: Grid) -> Table:
    """What was asked for."""
    trials = run.info.plan.trials
    repeats = len({spec.repeat for spec in trials})
    limits = [spec.timeout_seconds for spec in trials]
    rows = [
        ("command, as typed", run.info.command),
        ("profile", run.info.plan.profile),
        ("device", run.info.plan.device),
        ("workloads", first_of(grid.workloads, most=40)),
        ("precisions", first_of(grid.precisions, most=40)),
        ("seeds", first_of([str(seed) for seed in dict.fromkeys(spec.seed for spec in trials)], most=40)),
        ("fresh processes per cell and seed", str(repeats)),
        ("trials planned", str(len(trials))),
        ("time limit of a trial", numbers.between(numbers.seconds, limits)),
        ("created (UTC)", run.info.created_at),
        ("sealed (UTC)", run.info.sealed_at or "never: the run was interrupted or is still going on"),
    ]
    return Table.of("Plan", ("What", "Value"), rows)


def _label(name: str) -> str:
    return _LABELS.get(name, name.replace("_", " "))


def _shown(name: str, value: object) -> str:
    if value is None:
        return "not there or not readable"
    if name.endswith("_bytes") and isinstance(value, int):
        return f"{numbers.memory(value)} ({value:,} bytes)"
    if name.endswith("_watts") and isinstance(value, float):
        return f"{numbers.number(value)}\u00a0W"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
