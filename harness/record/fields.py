"""Field types of facts: what a marker may say and the record may hold, declared once.

A script that anybody may have written names the values, so every type bounds them. The
description of a type completes the sentence "the field is not ...".
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    StringConstraints,
)

from harness.base.text import bounded

NUMBER_LIMIT = 2**63 - 1  # sizes and counts beyond it are not real, and few readers hold them
NAME_LIMIT = 100  # characters of a name
TEXT_LIMIT = 1_000  # characters of any other text
ENTRIES_LIMIT = 200  # entries of an object or array in facts of an environment

_NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)


def finite(value: Any) -> Any:
    """A number as it is; None for one that is not finite, as a number or as a word."""
    if isinstance(value, str) and _NOT_FINITE.fullmatch(value):
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    try:
        return value if math.isfinite(float(value)) else None
    except OverflowError:
        return None


def bounded_value(value: Any, depth: int = 2) -> Any:
    """A JSON value cut to what a report can hold: flat, short, finite.

    Args:
        depth: levels of arrays and objects that are kept.
    """
    if isinstance(value, str):
        return bounded(value, 300)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        number = finite(value)
        return value if number is not None and abs(number) <= NUMBER_LIMIT else None
    if depth == 0:
        return None
    if isinstance(value, list):
        return [bounded_value(item, depth - 1) for item in value[:ENTRIES_LIMIT]]
    entries = list(value.items())[:ENTRIES_LIMIT]
    return {bounded(name, NAME_LIMIT): bounded_value(item, depth - 1) for name, item in entries}


def _whole(value: Any) -> Any:
    """Some writers know no integers: 12.0 is 12."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _name(value: Any) -> Any:
    return bounded(value, NAME_LIMIT) if isinstance(value, str) else value


def _text(value: Any) -> Any:
    return bounded(value, TEXT_LIMIT) if isinstance(value, str) else value


def _name_or_none(value: Any) -> Any:
    return bounded(value, NAME_LIMIT) if isinstance(value, str) else None


def _scalar(value: Any) -> Any:
    return bounded_value(value, 1)


_StrictCount = Annotated[int, Field(ge=0, le=NUMBER_LIMIT, strict=True)]
_StrictDuration = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]
_COUNT = Field(description="a whole number from 0 to 2^63-1")

Count = Annotated[_StrictCount, BeforeValidator(_whole), _COUNT]
OptionalCount = Annotated[_StrictCount | None, BeforeValidator(_whole), _COUNT]
Clock = Annotated[
    Annotated[_StrictDuration, Field(le=NUMBER_LIMIT)] | None,
    Field(description="seconds from 0 to 2^63-1"),
]
Duration = Annotated[_StrictDuration | None, Field(description="a finite number from 0")]
Number = Annotated[StrictFloat | None, BeforeValidator(finite), Field(description="a number")]
Name = Annotated[str, BeforeValidator(_name), Field(min_length=1, description="a text")]
OptionalName = Annotated[str | None, BeforeValidator(_name_or_none)]
Text = Annotated[str, BeforeValidator(_text), Field(min_length=1, description="a text")]
Sha256 = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9a-fA-F]{64}$", to_lower=True, strict=True),
    Field(description="64 hexadecimal digits"),
]
Shape = Annotated[list[_StrictCount], Field(max_length=32, description="an array of whole numbers")]
Projections = Annotated[
    list[Number] | None, Field(max_length=64, description="an array of numbers")
]
Port = Annotated[
    int, Field(ge=1, le=2**16 - 1, strict=True, description="a number from 1 to 65535")
]
_SCALAR = BeforeValidator(_scalar)
_SCALAR_WORDS = Field(description="a single value")
Scalar = Annotated[StrictBool | StrictInt | StrictFloat | StrictStr, _SCALAR, _SCALAR_WORDS]
OptionalScalar = Annotated[
    StrictBool | StrictInt | StrictFloat | StrictStr | None, _SCALAR, _SCALAR_WORDS
]
Digested = Annotated[
    Literal["weights", "optimizer", "predictions", "random"],
    Field(description="one of weights, optimizer, predictions, random"),
]
Stage = Annotated[
    Literal["saved", "restored", "final"], Field(description="one of saved, restored, final")
]
Function = Annotated[Literal["train", "predict"], Field(description="train or predict")]
