"""The vendored data sets: small, checksummed, offline. A data card (`<set>.md`) beside each says where it came from.

Files are xz-compressed plain text, CSV or raw bytes, never a pickle. :mod:`workloads.data.build` regenerates them.
"""

from __future__ import annotations

import hashlib
import json
import lzma
from pathlib import Path

from workloads.base import DataDamaged

FOLDER = Path(__file__).parent


def load(name: str, folder: Path = FOLDER) -> bytes:
    """Content of the vendored file ``name`` (`"weather.csv"`), decompressed and checked against `checksums.json`.

    The content is what is hashed: another liblzma may compress the same content to other bytes.
    """
    pinned = json.loads((folder / "checksums.json").read_text(encoding="utf-8"))["files"]
    if name not in pinned:
        raise ValueError(f"no vendored file {name!r}: choose one of {', '.join(pinned)}")
    path, expected = folder / f"{name}.xz", pinned[name]["content_sha256"]
    try:
        content = lzma.decompress(path.read_bytes())
    except (OSError, lzma.LZMAError, EOFError) as error:
        raise DataDamaged(_message(path, expected, f"nothing readable ({error})")) from error
    got = hashlib.sha256(content).hexdigest()
    if got != expected:
        raise DataDamaged(_message(path, expected, got))
    return content


def _message(path: Path, expected: str, got: str) -> str:
    remedy = "restore it from version control or run `python -m workloads.data.build`"
    return f"{path.name}: expected content with SHA-256 {expected}, got {got}; {remedy}"
