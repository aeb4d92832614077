"""Names of workloads and precisions, built-in and from installed packages, without importing any of them.

A package adds its own through the entry-point groups `ampmark.workloads` (a class with the members of
`workloads.base.Workload`) and `ampmark.precisions` (an object with the members of `suite.measure.precision.Precision`).
"""

from __future__ import annotations

import importlib
import re
from importlib.metadata import entry_points
from typing import Any

from suite.decode import nearest
from suite.errors import UsageError

__all__ = ["load", "precisions", "require", "workloads"]

_WORKLOADS = {
    "gpt": "workloads.gpt:Gpt",
    "bert": "workloads.bert:Bert",
    "resnet": "workloads.resnet:ResNet",
    "lstm": "workloads.lstm:Lstm",
    "markov": "workloads.markov:Markov",
}
_PRECISIONS = {
    "fp32": "suite.measure.precision:FP32",
    "tf32": "suite.measure.precision:TF32",
    "fp16-static": "suite.measure.precision:FP16_STATIC",
    "fp16-dynamic": "suite.measure.precision:FP16_DYNAMIC",
    "bf16": "suite.measure.precision:BF16",
    "fp16-unscaled": "suite.measure.precision:FP16_UNSCALED",
    "bf16-pure": "suite.measure.precision:BF16_PURE",
    "fp16-pure": "suite.measure.precision:FP16_PURE",
    "fp8": "suite.measure.float8:FP8",
    "int8-qat": "suite.measure.int8:INT8_QAT",
}


def workloads() -> dict[str, str]:
    """Name -> `module:attribute` of every workload on this machine."""
    return _with_installed(_WORKLOADS, "ampmark.workloads")


def precisions() -> dict[str, str]:
    """Name -> `module:attribute` of every precision on this machine."""
    return _with_installed(_PRECISIONS, "ampmark.precisions")


def require(kind: str, name: str, known: dict[str, str]) -> str:
    """The target of a known name.

    Raises:
        UsageError: the name is unknown; the message names the nearest.
    """
    if name not in known:
        raise UsageError(f"{kind} {name!r} is not known; {nearest(name, known)}")
    return known[name]


def load(target: str) -> Any:
    """Import `module:attribute`."""
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _with_installed(builtin: dict[str, str], group: str) -> dict[str, str]:
    found = dict(builtin)
    for point in entry_points(group=group):
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", point.name):
            raise UsageError(
                f"{group}: {point.name!r} ({point.value}) is no usable name; use letters, digits, . _ and -."
            )
        if found.setdefault(point.name, point.value) != point.value:
            raise UsageError(
                f"{group}: {point.name!r} is both {found[point.name]} and {point.value}; rename or uninstall one."
            )
    return found
