"""The rules' own measured error rates, as every report quotes them."""

from __future__ import annotations

import json
from pathlib import Path

from suite.judge.rates import MeasuredRates, Rate, measured_rates


def test_what_the_programme_wrote_is_read_as_it_stands(tmp_path: Path) -> None:
    row = {"what": "two sides: false alarms", "wanted": "≤ 1 %", "measured": "0.0 % [0.0, 0.4]", "met": True}
    other = row | {"what": "nights", "met": None, "unknown to this version": 1}
    document = {
        "date": "2026-01-01",
        "commit": "abc",
        "cpu": "Test CPU",
        "replicates": 1000,
        "acceptance": [row, other],
    }
    path = tmp_path / "detectors.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    assert measured_rates(path) == MeasuredRates(
        date="2026-01-01",
        commit="abc",
        cpu="Test CPU",
        replicates=1000,
        rates=(
            Rate("two sides: false alarms", "≤ 1 %", "0.0 % [0.0, 0.4]", met=True),
            Rate("nights", "≤ 1 %", "0.0 % [0.0, 0.4]", met=None),
        ),
    )


def test_the_rates_that_are_shipped_can_be_read() -> None:
    shipped = measured_rates()
    assert shipped.replicates > 0
    assert len({rate.what for rate in shipped.rates}) == len(shipped.rates) > 5
    assert {rate.met for rate in shipped.rates} <= {True, False, None}
