"""The modes that are in no built-in profile, on all four workloads, through the command line."""

from __future__ import annotations

import json
import math
from itertools import product
from pathlib import Path
from typing import Any

import pytest

import suite
from suite.cli import main
from suite.measure.float8 import FP8
from suite.measure.int8 import INT8_QAT

WORKLOADS = ("gpt", "bert", "resnet", "lstm")
MODES = ("bf16-pure", "fp16-pure", "fp8", "int8-qat")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run of the smallest profile in these modes."""
    home = tmp_path_factory.mktemp("home")
    modes = [word for mode in MODES for word in ("--precision", mode)]
    with pytest.raises(SystemExit) as ending:
        main(["run", "--profile", "smoke", "--device", "cpu", *modes, "--home", str(home)])
    assert ending.value.code == 0
    return home


@pytest.fixture(scope="module")
def cells(home: Path) -> dict[tuple[str, str], Any]:
    """Workload and mode -> row."""
    run = suite.load_run(suite.find_run(home / "results", "latest"))
    return {(row["workload"], row["precision"]): row for _, row in run.trials.iterrows()}


@pytest.mark.parametrize(
    ("workload", "mode", "kept", "effective"),
    [
        (workload, mode, kept, effective)
        for workload, (mode, kept, effective) in product(
            WORKLOADS, (("bf16-pure", "bfloat16", "bf16"), ("fp16-pure", "float16", "fp16"))
        )
    ],
)
def test_without_masters_everything_trains_and_says_what_it_kept(
    cells: dict[tuple[str, str], Any], workload: str, mode: str, kept: str, effective: str
) -> None:
    row = cells[workload, mode]
    assert row["outcome"] in ("ok", "emulated"), row["reason"]
    assert row["effective_precision"] == effective
    assert set(json.loads(row["attestation"])["parameter_types"]) == {kept}
    assert math.isfinite(row["quality"])
    assert math.isfinite(row["final_loss"])


@pytest.mark.parametrize("workload", WORKLOADS)
def test_fp8_is_unsupported_on_a_cpu(cells: dict[tuple[str, str], Any], workload: str) -> None:
    row = cells[workload, FP8.name]
    assert row["outcome"] == "unsupported"
    assert row["reason"].endswith("8.9 or later; this trial runs on a CPU.")


@pytest.mark.parametrize(
    ("workload", "layers"),
    [
        ("gpt", "FakeQuantizedLinear ×5"),
        ("bert", "FakeQuantizedLinear ×7"),
        ("resnet", "FakeQuantizedLinear ×1, QuantisedConv2d ×9"),
        ("lstm", None),
    ],
)
def test_int8_is_simulated_where_torchao_can(
    cells: dict[tuple[str, str], Any], workload: str, layers: str | None
) -> None:
    row = cells[workload, INT8_QAT.name]
    if layers is None:
        assert (row["outcome"], row["reason"]) == (
            "unsupported",
            "int8-qat simulates linear layers and 2-D convolutions; torchao has nothing for the LSTM of this model.",
        )
    else:
        assert row["outcome"] == "emulated"
        assert json.loads(row["attestation"])["settings"]["int8.layers"] == layers
        assert math.isfinite(row["quality"])


def test_what_was_measured_verifies_bit_for_bit(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ending:
        main(["verify", "latest", "--home", str(home), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert ending.value.code == 0, found
