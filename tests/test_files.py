"""Writing so that no file is ever half there, also where two write the same one."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from suite.errors import UnwritableResults
from suite.files import locked, write_atomically

A, B = b"a" * 200_000, b"b" * 300_000


@pytest.fixture
def umask() -> Iterator[None]:
    """Files are readable for the group and for nobody else."""
    former = os.umask(0o027)
    yield
    os.umask(former)


def _together(*calls: Callable[[], object]) -> None:
    """Run these at the same time; the first error of any of them is raised."""
    errors: list[Exception] = []

    def run(call: Callable[[], object]) -> None:
        try:
            call()
        except Exception as error:  # noqa: BLE001 - it is raised below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_a_file_is_replaced_whole_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_atomically(path, b"old")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_two_that_write_the_same_file_do_not_break_each_other(tmp_path: Path) -> None:
    path = tmp_path / "a.json"

    def write(data: bytes) -> None:
        for _ in range(20):
            write_atomically(path, data)
            assert path.read_bytes() in (A, B)

    _together(lambda: write(A), lambda: write(B))
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.usefixtures("umask")
def test_a_file_has_the_permissions_that_the_user_gives_to_new_ones(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a.json", b"text")
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == 0o640


def test_where_it_cannot_be_put_in_place_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "a.json").mkdir()
    with pytest.raises(UnwritableResults, match="Is a directory"):
        write_atomically(tmp_path / "a.json", b"text")
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_in_a_folder_that_is_not_there_it_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UnwritableResults) as caught:
        write_atomically(tmp_path / "none" / "a.json", b"text")
    assert str(caught.value) == (
        f"{tmp_path / 'none'} cannot be written to (No such file or directory); give another folder with --out."
    )


def test_a_folder_that_is_held_is_waited_for(tmp_path: Path) -> None:
    seen: list[str] = []

    def second() -> None:
        with locked(tmp_path):
            seen.append("second")

    with locked(tmp_path):
        waiting = threading.Thread(target=second)
        waiting.start()
        waiting.join(timeout=0.2)
        seen.append("first")
    waiting.join()
    assert seen == ["first", "second"]
