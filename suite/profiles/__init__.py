"""Profiles: the built-in TOML files beside this module, or one of the user's own in the same form."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path

from suite.decode import DecodeError, decode, nearest
from suite.errors import UsageError
from suite.spec import Plan, Profile

__all__ = ["available", "batch_scale_of", "load", "text"]


def available() -> tuple[str, ...]:
    """Names of the built-in profiles."""
    files = (entry.name for entry in resources.files(__name__).iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in files if name.endswith(".toml")))


def load(name_or_path: str) -> Profile:
    """A built-in profile by name, or a TOML file by path (anything that ends in `.toml`).

    Raises:
        UsageError: no such profile or file, not TOML, or a key that does not belong; the message names the nearest.
    """
    try:
        return decode(Profile, tomllib.loads(text(name_or_path)), f"profile {name_or_path}")
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"profile {name_or_path} is not valid TOML: {error}.") from error
    except DecodeError as error:
        raise UsageError(str(error)) from error


def text(name_or_path: str) -> str:
    """The profile as it is written, comments and all.

    Raises:
        UsageError: no such profile or file.
    """
    if name_or_path.endswith(".toml"):
        try:
            return Path(name_or_path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"profile {name_or_path} cannot be read ({error}); give a TOML file.") from error
    if name_or_path not in available():
        raise UsageError(
            f"profile {name_or_path!r} is not known; {nearest(name_or_path, available())} "
            "A file of your own must end in .toml."
        )
    return resources.files(__name__).joinpath(f"{name_or_path}.toml").read_text(encoding="utf-8")


def batch_scale_of(plan: Plan, written: Path) -> int:
    """How many times the batch of the profile that was `written` the plan has; 1 where that cannot be read any more."""
    try:
        sizes = {name: setup.batch_size for name, setup in load(str(written)).workloads.items()}
    except UsageError:
        return 1
    return next((s.setup.batch_size // sizes[s.workload] for s in plan.trials if s.workload in sizes), 1)
