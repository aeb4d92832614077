from __future__ import annotations

import getpass
import json
import platform
from pathlib import Path
from typing import Any

import pytest

from suite.checks import Status, okay, unavailable
from suite.cli import main
from suite.decode import encode
from suite.doctor import (
    can_measure,
    compiler_check,
    disk_checks,
    memory_checks,
    nvml_package_check,
    variable_checks,
    worker_checks,
)
from suite.errors import JobFailed
from suite.home import Home


def test_this_machine_is_examined_without_naming_anybody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ending:
        main(["doctor", "--json", "--device", "cpu", "--home", str(tmp_path)])
    assert ending.value.code == 0
    printed = capsys.readouterr().out
    document = json.loads(printed)
    assert document["can_measure"] is True
    checks = {check["name"]: check for check in document["checks"]}
    assert checks["torch"]["status"] == "ok"
    assert checks["fp32 arithmetic"]["finding"] == "for fp32: in hardware"
    assert checks["tf32 arithmetic"]["status"] == "unavailable"
    assert {"NVML", "foreign load", "CPU energy", "BERT weights", "C++ compiler", "results folder"} <= set(checks)
    assert all(check["remedy"] for check in checks.values() if check["status"] == "warning")
    for secret in {platform.node(), str(tmp_path), str(Path.home()), getpass.getuser()} - {"", "/", "root"}:
        assert secret not in printed
    assert list(tmp_path.iterdir()) == [], "an examination leaves nothing behind"


def test_a_table_for_people_has_every_check_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ending:
        main(["doctor", "--device", "cpu", "--home", str(tmp_path)])
    assert ending.value.code == 0
    printed = capsys.readouterr().out
    assert printed.count("foreign load") == 1
    assert printed.rstrip().endswith("Trials can be measured here.")


def test_a_machine_on_which_torch_cannot_be_loaded_cannot_measure() -> None:
    def fails(*arguments: object) -> dict[str, Any]:
        raise JobFailed("its process ended without a result (exit status 1): Traceback\nNo module named 'torch'.")

    checks = worker_checks(None, fails)
    assert [check.finding for check in checks] == ["none can be started: No module named 'torch'."]
    assert not can_measure(checks)


def test_what_the_process_with_torch_found_is_passed_on() -> None:
    found = [okay("torch", "2.14"), unavailable("NVML", "no driver")]
    checks = worker_checks("cpu", lambda *arguments: {"checks": [encode(check) for check in found]})
    assert checks[1:] == found
    assert can_measure(checks)


def test_a_variable_behind_torchs_back_is_named_and_no_other() -> None:
    (check,) = variable_checks({"NVIDIA_TF32_OVERRIDE": "1", "TOKEN": "secret"})
    assert (check.name, check.status) == ("variable NVIDIA_TF32_OVERRIDE", Status.WARNING)
    assert "secret" not in str(check)
    assert [check.status for check in variable_checks({"TOKEN": "secret"})] == [Status.OK]


@pytest.mark.parametrize(
    ("owners", "version", "status"),
    [
        (["nvidia-ml-py"], "13.1", Status.OK),
        (["nvidia-ml-py", "nvidia-ml-py"], "13.1", Status.OK),
        (["nvidia-ml-py", "pynvml"], "13.1", Status.WARNING),
        (["pynvml"], None, Status.UNAVAILABLE),
    ],
)
def test_two_packages_that_own_one_module_are_found(owners: list[str], version: str | None, status: Status) -> None:
    assert nvml_package_check(owners, version).status is status


@pytest.mark.parametrize(
    ("chosen", "installed", "status"),
    [
        (None, {"g++"}, Status.OK),
        (None, {"clang++"}, Status.OK),
        (None, set(), Status.UNAVAILABLE),
        ("icpx", {"g++"}, Status.UNAVAILABLE),
    ],
)
def test_a_compiler_is_the_one_that_would_be_used(chosen: str | None, installed: set[str], status: Status) -> None:
    assert compiler_check(chosen, lambda name: name if name in installed else None).status is status


def test_memory_is_judged_by_what_a_trial_needs(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 9999999 kB\nMemAvailable:  1048576 kB\n", encoding="ascii")
    (check,) = memory_checks(meminfo, tmp_path / "absent")
    assert (check.status, check.finding) == (Status.WARNING, "1.0 GiB free")
    meminfo.write_text("MemAvailable:  4194304 kB\n", encoding="ascii")
    assert memory_checks(meminfo, tmp_path / "absent")[0].status is Status.OK
    assert memory_checks(tmp_path / "absent", tmp_path / "absent")[0].status is Status.UNAVAILABLE


def test_a_folder_that_cannot_be_written_to_ends_the_examination_badly(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    checks = disk_checks(Home.at(tmp_path / "file"))
    assert [check.finding for check in checks] == ["cannot be written to: Not a directory"] * 2
    assert not can_measure(checks)
    assert "file" not in str(checks[0].finding)
