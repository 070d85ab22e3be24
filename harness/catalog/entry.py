"""What every entry of the catalog is made of: strict, immutable models, and names that are safe."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, ValidationError

from harness.base import plain_file
from harness.base.error import UsageError
from harness.base.text import one_line

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def printable(text: str) -> str:
    """The text; raises ValueError where it could do something to a terminal."""
    if not text.isprintable():
        raise ValueError("holds a control character")
    return text


Words = Annotated[str, StringConstraints(min_length=1), AfterValidator(printable)]
# Jenkins keys its history on ids, and a dot in one would be read as a package.
Id = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,64}$")]
# What the driver itself tells a phase: no file may say otherwise (docs/contract.md).
_OF_THE_DRIVER = frozenset(
    {
        "ACCELERATOR",
        "BATCH_SCALE",
        "DATA_DIR",
        "INPUT_DIR",
        "LMS_FAULT",
        "LMS_PARAMS",
        "LMS_PATH",
        "LMS_PROVIDER",
        "LMS_REFERENCE",
        "OUTPUT_DIR",
        "PYTHONPATH",
    }
)


def _own(name: str) -> str:
    if name in _OF_THE_DRIVER:
        raise ValueError(f"{name} is set by the harness alone")
    return name


def _of_a_variable(text: str) -> str:
    if "\0" in text:  # which ends a variable for the system
        raise ValueError("holds a NUL character")
    return text


Variable = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]*$"), AfterValidator(_own)]
Value = Annotated[str, StringConstraints(max_length=32_768), AfterValidator(_of_a_variable)]
Fault = Annotated[str, StringConstraints(pattern=r"^[a-z_]+(:\d+:[a-z]+)?$")]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]
ModuleName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][\w.]*$")]
Index = Annotated[str, StringConstraints(pattern=r"^https://[\w.-]+(/[\w./+-]*)?$")]
Version = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,4}\.[0-9]{1,4}$")]
Accelerator = Literal["gpu", "virtual"]
Mode = Literal["session", "function", "eager"]
Script = Annotated[
    str, StringConstraints(pattern=r"^([a-z0-9_-]+/)?[A-Za-z0-9_][A-Za-z0-9_-]*\.py$")
]


class Entry(BaseModel):
    """Base of every catalog model: immutable, and strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


_EntryT = TypeVar("_EntryT", bound=Entry)


def read(path: Path) -> dict[str, Any]:
    """What a file of TOML holds.

    Raises:
        UsageError: it cannot be read, or is not TOML.
    """
    try:
        content: dict[str, Any] = tomllib.loads(plain_file.read_text(path))
    except (ValueError, RecursionError) as problem:  # no UTF-8, no TOML, or no end of brackets
        raise UsageError(one_line(f"{path}: not TOML: {problem}")) from problem
    except OSError as problem:
        raise UsageError(f"{path}: {problem.strerror}") from problem
    return content


def validated(
    model: type[_EntryT], content: dict[str, Any], path: Path, unnamed: str = ""
) -> _EntryT:
    """The entry of a file.

    Args:
        unnamed: what the entry is called where it has no id.

    Raises:
        UsageError: it does not say what it must; one line has the file, the entry and the field.
    """
    try:
        return model.model_validate(content)
    except ValidationError as problem:
        first = problem.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "(top level)"
        name = content.get("id")
        name = name if isinstance(name, str) and name else unnamed
        entry = f" {one_line(name, 80)}:" if name else ""
        raise UsageError(one_line(f"{path}:{entry} {where}: {first['msg']}")) from problem
