"""The base of every model of the record."""

from __future__ import annotations

from enum import Enum
from typing import Any

from pydantic import BaseModel, ConfigDict

from harness.base.text import clean


class Model(BaseModel):
    """Base of every record model: immutable, and strict about unknown fields."""

    # A number that is not finite is written as a string, so that the document stays JSON.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    def to_json(self, indent: int | None = None) -> str:
        """The model as JSON, with what is not Unicode cleaned, such as half of a surrogate pair."""
        try:
            return self.model_dump_json(indent=indent)
        except ValueError:
            cleaned = type(self).model_validate(_plain(self.model_dump()))
            return cleaned.model_dump_json(indent=indent)


def _plain(value: Any) -> Any:
    """The value with every text in it cleaned, so that it can be encoded as JSON."""
    if isinstance(value, str) and not isinstance(value, Enum):
        return clean(value)
    if isinstance(value, dict):
        return {
            key if isinstance(key, Enum) else clean(str(key)): _plain(entry)
            for key, entry in value.items()
        }
    if isinstance(value, (list, tuple, set)):
        return [_plain(entry) for entry in value]
    if value is None or isinstance(value, (bool, int, float, Enum)):
        return value
    return clean(str(value))
