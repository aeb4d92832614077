"""Contrast of the page's colours (WCAG 2.2: 4.5 for text, 3 for lines of charts), in light and in dark."""

from __future__ import annotations

import re
from importlib import resources

import pytest

CSS = resources.files("suite.report").joinpath("templates/style.css").read_text(encoding="utf-8")
LIGHT, DARK = (dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6})", block)) for block in CSS.split("@media screen")[:2])
TONES = ("bad", "good", "warn", "info", "quiet")


def luminance(colour: str) -> float:
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_text_can_be_read(theme: dict[str, str]) -> None:
    for ink in ("ink", "quiet", "link"):
        for back in ("paper", "card"):
            assert contrast(theme[ink], theme[back]) >= 4.5, (ink, back)
    for tone in TONES:
        assert contrast(theme[tone], theme[f"{tone}-back"]) >= 4.5, tone
    # Series colour the names at the ends of the lines, so that they are text as well.
    for place in range(1, 9):
        assert contrast(theme[f"series-{place}"], theme["paper"]) >= 4.5, place


def test_dark_defines_every_colour_that_light_does() -> None:
    assert LIGHT.keys() == DARK.keys()


def test_the_pictures_use_only_colours_that_the_page_defines_and_outside_it_the_same() -> None:
    from suite.report import charts, drawing, forest

    pictures = repr([drawing.CONFIG, drawing.BAND, drawing.PAPER, charts.COLOURS, forest.TONES])
    used = re.findall(r"var\(--([a-z0-9-]+), (#[0-9a-f]{6})\)", pictures)
    assert len(used) == pictures.count("var(") > 10
    assert [(name, LIGHT.get(name)) for name, _ in used] == used


def test_paper_has_sizes_of_its_own_and_unfolds_what_is_loud_alone() -> None:
    paper = CSS[CSS.index("@media print") :]
    for heading in ("h1", "h2"):
        assert re.search(rf"^  {heading} {{[^}}]*font-size: [0-9.]+pt", paper, flags=re.MULTILINE), heading
    unfolded = re.findall(r"^\s*([^{}\n]*)::details-content", paper, flags=re.MULTILINE)
    assert unfolded == [".detail.loud"]
