"""suite/judge/detectors.json: our own measured rates, small enough to be shipped and quoted by every report."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict

from suite.judge.stats import FEWEST
from tools.detectors import Call
from tools.detectors.acceptance import acceptance
from tools.detectors.cells import HIERARCHICAL, USUAL, cells, title_of
from tools.detectors.ours import GATES, WATCHES, WELCH
from tools.detectors.programme import SEED, Results
from tools.detectors.surroundings import Surroundings
from tools.detectors.tally import Share

__all__ = ["ABOUT", "SCHEMA", "document", "written"]

SCHEMA = 1
ABOUT = (
    "Measured error rates of ampmark's detectors; made by `nox -s detectors`, explained in docs/detectors.md. "
    "A share is [value, low, high, draws]: Wilson's 95 % interval. gate: verdicts on two sides of `processes` "
    "processes. history: 30 monitored nights; false_alarms is the share of series with at least one, found_within the "
    "share of series in which the change was named within so many nights. change: none, or percent of step time."
)
GATE_CHANGES = ("none", "+3")
HISTORY_CHANGES = ("none", "+3")


def document(results: Results, made: Surroundings, *, full: bool) -> dict[str, object]:
    """Everything the file holds."""
    return {
        "about": ABOUT,
        "schema": SCHEMA,
        "full": full,
        "seed": SEED,
        "replicates": results.replicates,
        "seconds": round(results.seconds),
        **asdict(made),
        "noises": {noise: title_of(noise) for noise in dict.fromkeys(cell.noise for cell in cells())},
        "acceptance": [asdict(row) for row in acceptance(results)],
        "gate": list(_gates(results)),
        "history": list(_histories(results)),
    }


def written(found: Mapping[str, object]) -> str:
    """JSON with one row a line, so that a new measurement is a readable difference."""
    parts = []
    for key, value in found.items():
        if isinstance(value, list):
            rows = ",\n".join(f"  {json.dumps(row, ensure_ascii=False)}" for row in value)
            parts.append(f' "{key}": [\n{rows}\n ]' if value else f' "{key}": []')
        else:
            parts.append(f' "{key}": {json.dumps(value, ensure_ascii=False)}')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _gates(results: Results) -> Iterator[dict[str, object]]:
    for cell in cells():
        if cell.processes < FEWEST or cell.change not in GATE_CHANGES:
            continue
        for gate in GATES:
            tally = results.gate(cell, gate.name)
            # Of the others one number of processes will do.
            if not tally.calls or (gate is not WELCH and cell.noise == HIERARCHICAL and cell.processes != USUAL):
                continue
            yield {
                "detector": gate.name,
                "noise": cell.noise,
                "processes": cell.processes,
                "change": cell.change,
                **{
                    ("inconclusive" if call is Call.NOTHING else call.value): _plain(tally.share(call)) for call in Call
                },
            }


def _histories(results: Results) -> Iterator[dict[str, object]]:
    for cell in cells():
        if cell.gate or cell.change not in HISTORY_CHANGES:
            continue
        for watch in WATCHES:
            tally = results.watch(cell, watch.name)
            if not tally.series:
                continue
            row = {"detector": watch.name, "noise": cell.noise, "change": cell.change}
            if cell.change == "none":
                yield {**row, "false_alarms": _plain(tally.false_alarms)}
            else:
                within = {str(nights): _plain(tally.found_within(nights)) for nights in (4, 14)}
                yield {**row, "found_within": within, "median_delay": tally.delay}


def _plain(share: Share) -> list[float]:
    return [*(round(number, 4) for number in (share.value, *share.interval)), share.of]
