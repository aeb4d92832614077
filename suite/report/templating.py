"""The templates, and how a value goes into them."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from suite.report.numbers import spaced
from suite.report.text import clean, shorten

__all__ = ["templates"]


def templates() -> Environment:
    """Of this package; every value is escaped, and a missing one is an error."""
    environment = Environment(
        loader=PackageLoader("suite.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_fit,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"short": shorten, "spaced": spaced}
    return environment


def _fit(value: Any) -> Any:
    """Every text on its way into the page loses what escaping does not touch; pictures are already safe."""
    return clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value
