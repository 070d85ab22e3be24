"""Where the results of a run come from, beside its own phases: the whole that a shard is a part of,
and the runs that phases were taken from."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from harness.record.checks import CheckId
from harness.record.model import Model


class ShardRecord(Model):
    """The part of a plan that a run is of.

    Attributes:
        number: from 1.
        count: of the shards.
        cases: by id of each case of the whole plan, in its order, the number of its shard.
        canaries: by id of each canary among them, the check that must fail.
    """

    number: int = Field(ge=1)
    count: int = Field(ge=1)
    cases: dict[str, int] = {}
    canaries: dict[str, CheckId] = {}

    @property
    def name(self) -> str:
        """`2/5`."""
        return f"{self.number}/{self.count}"


class SourceRecord(Model):
    """A run that phases were taken from, and where it ran.

    Attributes:
        shard: `2/5`, or "" for a whole run.
        flavors: by flavor, what of its provenance is another than in the run that took them.
    """

    id: str
    shard: str = ""
    state: str
    started: str
    finished: str | None = None
    command: str = ""
    engine: str
    gpu: dict[str, Any] | None = None
    host: dict[str, Any] = {}
    flavors: dict[str, dict[str, str]] = {}
