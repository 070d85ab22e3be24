"""The base of every model of the record."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """Base of every record model: immutable, and strict about unknown fields."""

    # A number that is not finite is written as a string, so that the document stays JSON.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")
