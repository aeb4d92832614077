"""Checks that end in every way there is; run by `tools.checks.inside` in processes of their own."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tools.checks import Conditions, Measurement, NotRun


def passes(conditions: Conditions) -> Iterator[Measurement]:
    Path(conditions.folder, "record.txt").write_text("kept", encoding="utf-8")
    yield Measurement("device", conditions.device)
    yield Measurement("ratio", "1.001", "≤ 1.005", True)


def misses(conditions: Conditions) -> Iterator[Measurement]:
    yield Measurement("ratio", "1.2", "≤ 1.005", False)
    yield Measurement("other", "no time was left", "≤ 1", None)


def has_no_time(conditions: Conditions) -> Iterator[Measurement]:
    yield Measurement("ratio", "no time was left", "≤ 1.005", None)


def refuses(conditions: Conditions) -> Iterator[Measurement]:
    yield Measurement("found", "something")
    raise NotRun("the driver does not tell")


def breaks(conditions: Conditions) -> Iterator[Measurement]:
    print("some words before")
    yield Measurement("first half", "3")
    raise RuntimeError("the second half broke")


def dies(conditions: Conditions) -> Iterator[Measurement]:
    os._exit(7)
    yield


def hangs(conditions: Conditions) -> Iterator[Measurement]:
    child = subprocess.Popen(["sleep", "600"])
    yield Measurement("child", str(child.pid))
    time.sleep(600)


def tells_its_time(conditions: Conditions) -> Iterator[Measurement]:
    yield Measurement("limit", f"{conditions.seconds:g}")
    yield Measurement("left", "some", met=0 < conditions.seconds_left <= 0.9 * conditions.seconds)
