"""The swapping parameters that the providers of a checkout know, each with its bounds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import StrictInt, TypeAdapter, ValidationError

from harness.base import plain_file
from harness.base.error import UsageError
from harness.base.text import one_line
from harness.catalog.entry import Entry

FILE = Path("scenarios", "providers", "parameters.json")


class Bounds(Entry):
    """The least and the greatest value, inclusive."""

    least: StrictInt
    greatest: StrictInt


def known(root: Path) -> Mapping[str, Bounds] | None:
    """The parameters by name; None where the checkout does not declare any.

    Raises:
        UsageError: the file does not say what it must.
    """
    path = root / FILE
    try:
        return TypeAdapter(dict[str, Bounds]).validate_json(plain_file.read(path))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as problem:
        raise UsageError(f"{path}: {problem.strerror}") from None
    except ValidationError as problem:
        first = problem.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(one_line(f"{path}: {where or '(top level)'}: {first['msg']}")) from None


def parse(root: Path, text: str) -> dict[str, int]:
    """Parameters from a JSON object.

    Raises:
        ValueError: it is none, or no provider of the checkout knows such a parameter or value; with
            one line that says what is wrong.
        UsageError: as for `known`.
    """
    try:
        given = TypeAdapter(dict[str, StrictInt]).validate_json(text)
    except ValidationError:
        raise ValueError("is not a JSON object of whole numbers") from None
    bounds = known(root)
    if bounds is None:
        return given
    for name, value in given.items():
        if name not in bounds:
            raise ValueError(one_line(f"has unknown {name!r}; known are {', '.join(bounds)}", 300))
        least, greatest = bounds[name].least, bounds[name].greatest
        if not least <= value <= greatest:
            raise ValueError(f"has {name} outside of {least} to {greatest}")
    return given
