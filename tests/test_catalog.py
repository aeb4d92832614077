"""Names of workloads and precisions, built-in and from an installed package (tests/plugin)."""

from __future__ import annotations

from pathlib import Path

import ampmark_tiny
import pytest

from suite import catalog
from suite.errors import UsageError


def test_the_built_in_names_come_first_and_in_this_order() -> None:
    assert list(catalog.workloads())[:5] == ["gpt", "bert", "resnet", "lstm", "markov"]
    assert list(catalog.precisions())[:6] == ["fp32", "tf32", "fp16-static", "fp16-dynamic", "bf16", "fp16-unscaled"]


def test_an_installed_package_adds_its_own() -> None:
    assert catalog.load(catalog.workloads()["tiny"]) is ampmark_tiny.Tiny
    assert catalog.load(catalog.precisions()["bf16-again"]) is ampmark_tiny.BF16_AGAIN


@pytest.mark.parametrize("name", ["gpt", "bert", "resnet", "lstm", "markov"])
def test_every_built_in_workload_has_the_members_of_a_workload(name: str) -> None:
    loaded = catalog.load(catalog.workloads()[name])
    missing = [
        member for member in ("Settings", "model", "batches", "loss", "evaluate", "cost") if not hasattr(loaded, member)
    ]
    assert missing == []


@pytest.mark.parametrize("name", list(catalog.precisions()))
def test_every_precision_knows_its_own_name(name: str) -> None:
    assert catalog.load(catalog.precisions()[name]).name == name


def test_a_known_name_gives_its_target() -> None:
    assert catalog.require("workload", "b", {"a": "m:A", "b": "m:B"}) == "m:B"


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        catalog.require("precision", "fp16-dinamic", catalog.precisions())
    assert str(caught.value) == "precision 'fp16-dinamic' is not known; did you mean 'fp16-dynamic'?"


def _install(folder: Path, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    metadata = folder / "other-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n", encoding="utf-8")
    (metadata / "entry_points.txt").write_text(f"[ampmark.workloads]\n{line}\n", encoding="utf-8")
    monkeypatch.syspath_prepend(folder)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "gpt = other:Gpt",
            "ampmark.workloads: 'gpt' is both workloads.gpt:Gpt and other:Gpt; rename or uninstall one.",
        ),
        ("a/b = other:Gpt", "ampmark.workloads: 'a/b' (other:Gpt) is no usable name; "),
    ],
)
def test_a_package_cannot_take_a_name_or_give_an_unusable_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, message: str
) -> None:
    _install(tmp_path, line, monkeypatch)
    with pytest.raises(UsageError) as caught:
        catalog.workloads()
    assert str(caught.value).startswith(message)
