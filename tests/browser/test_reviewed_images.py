"""The matrix of every state looks as it did when somebody looked at it; README.md says how to renew the images.

Two measures that other fonts hardly move: the images at an eighth of their size, and how much of each colour there is.
"""

from __future__ import annotations

import io
import os
import re
from importlib import resources
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageStat
from visits import Open, Scheme

IMAGES = Path(__file__).with_name("images")
CSS = resources.files("suite.report").joinpath("templates/style.css").read_text(encoding="utf-8")
LIGHT, DARK = (dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6})", block)) for block in CSS.split("@media screen")[:2])
#: Of the states' words, of the edges of their cells, of the heads and of the lines between the cells.
TOLD = ("bad", "bad-back", "good-back", "warn", "warn-back", "info-back", "quiet-back", "card", "grid")

SMALLER = 8
DIFFERENCE = 10.0
"""Mean over all pixels and channels, of 255: fonts make up to 8.5, a row more or less 10 to 15."""
SIZE = 0.12
"""Of width and height: other fonts break lines elsewhere."""
AREA = 0.3
"""Of the pixels of a colour: fonts make up to a quarter, one lost column or the lost edges of the cells more."""


def _difference(one: Image.Image, other: Image.Image) -> float:
    size = (max(1, other.width // SMALLER), max(1, other.height // SMALLER))
    small = [image.convert("RGB").resize(size, Image.Resampling.BOX) for image in (one, other)]
    return sum(ImageStat.Stat(ImageChops.difference(*small)).mean) / 3


def _areas(image: Image.Image, colours: dict[str, str]) -> dict[str, int]:
    """Pixels of each colour; an image of few colours keeps them to a shade or two."""
    counted = image.convert("RGB").getcolors(image.width * image.height) or []
    wanted = {name: tuple(bytes.fromhex(colours[name][1:])) for name in TOLD}
    return {
        name: sum(n for n, found in counted if max(abs(a - b) for a, b in zip(found, colour, strict=True)) <= 2)
        for name, colour in wanted.items()
    }


def _unlike(taken: Image.Image, reviewed: Image.Image, colours: dict[str, str]) -> list[str]:
    """What tells the two apart."""
    said = [
        f"{side} {ours} and not {theirs}"
        for side, ours, theirs in zip(("width", "height"), taken.size, reviewed.size, strict=True)
        if abs(ours / theirs - 1) > SIZE
    ]
    difference, areas = _difference(taken, reviewed), _areas(taken, colours)
    said += [f"difference {difference:.1f}"] if difference > DIFFERENCE else []
    said += [
        f"{areas[name]} pixels of {name} and not {before}"
        for name, before in _areas(reviewed, colours).items()
        if abs(areas[name] - before) > AREA * before
    ]
    return said


@pytest.mark.parametrize(
    ("name", "scheme", "width", "colours"),
    [("light", "light", 1440, LIGHT), ("dark", "dark", 1440, DARK), ("print", "dark", 1032, LIGHT)],
    ids=["light", "dark", "print"],
)
def test_the_matrix_of_every_state_is_the_reviewed_one(
    open_page: Open, name: str, scheme: Scheme, width: int, colours: dict[str, str]
) -> None:
    page = open_page("run", scheme=scheme, width=width).page
    page.emulate_media(media="print" if name == "print" else "screen")
    taken = Image.open(io.BytesIO(page.locator(".matrix").screenshot(animations="disabled")))
    path = IMAGES / f"matrix-{name}.png"
    if os.environ.get("RENEW_IMAGES"):
        taken.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)
    assert _unlike(taken, Image.open(path), colours) == []


@pytest.mark.parametrize(("name", "colours"), [("light", LIGHT), ("dark", DARK), ("print", LIGHT)])
def test_a_lost_column_row_or_colour_is_a_difference_that_counts(name: str, colours: dict[str, str]) -> None:
    reviewed = Image.open(IMAGES / f"matrix-{name}.png").convert("RGB")
    wide, high = reviewed.size
    assert min(_areas(reviewed, colours).values()) > 300
    assert _unlike(reviewed, reviewed, colours) == []
    column, row = reviewed.copy(), reviewed.crop((0, 0, wide, high * 3 // 4))
    column.paste(colours["paper"], (wide * 5 // 7, 0, wide * 6 // 7, high))
    assert _unlike(column, reviewed, colours)
    assert _unlike(row, reviewed, colours)
    assert len(_unlike(reviewed.convert("L"), reviewed, colours)) >= 5
    assert _unlike(ImageChops.invert(reviewed), reviewed, colours)
