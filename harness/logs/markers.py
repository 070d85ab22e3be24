"""Marker lines: `:::LMS ` and one JSON object, validated into facts.

The fields are documented in docs/contract.md, their types are those of the record. A marker comes
from a script that anybody may have written, so every field is checked for its type, its sign and
its size, and every text is made safe to store: valid Unicode, no control characters, bounded.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from harness.base.text import bounded
from harness.record.facts import (
    Claim,
    ClaimFields,
    Digest,
    DigestFields,
    Edit,
    EditFields,
    Metric,
    MetricFields,
    Trace,
    TraceFields,
)
from harness.record.fields import (
    Clock,
    Duration,
    Number,
    OptionalCount,
    Port,
    Text,
    bounded_value,
)
from harness.record.times import Moment, SeriesFields, StepSeries

PREFIX = b":::LMS"
VALUES_LIMIT = 16_384  # numbers of one predictions digest that are kept


class MalformedError(ValueError):
    """A marker that does not say what it must; the text says why."""


@dataclass(frozen=True)
class Note:
    """Something the reader of the report should know."""

    text: str


@dataclass(frozen=True)
class EnvironmentFacts:
    """What the phase ran in: `versions`, `devices`, `python`, `data`."""

    facts: Mapping[str, Any]


@dataclass(frozen=True)
class Done:
    """The script reached its end."""


@dataclass(frozen=True)
class Ready:
    """A phase that serves accepts connections."""

    port: int


Fact = Edit | Metric | Digest | Trace | StepSeries | Claim | Note | EnvironmentFacts | Ready | Done


class Read(NamedTuple):
    """What a marker says.

    Attributes:
        problem: what in it is not a finite number (a loss, predictions), else None.
        moment: when it was written, where it tells.
    """

    fact: Fact
    problem: str | None = None
    moment: Moment | None = None


class _Marker(BaseModel):
    """A marker as a script wrote it; fields that the harness does not know are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    t: Clock = None

    def read(self, line: int) -> Read:
        """The fact that the marker states in this line."""
        raise NotImplementedError

    def detail(self) -> str:
        """What it is about, for the moment when it was written."""
        return ""

    def _shared(self, fields: type[BaseModel]) -> dict[str, Any]:
        """The fields that the marker has in common with its fact."""
        return {name: getattr(self, name) for name in fields.model_fields}


class _Edited(_Marker, EditFields):
    model_config = ConfigDict(extra="ignore")
    event: Literal["lms_edited"]
    operations: OptionalCount = None
    ms: Duration = None

    def read(self, line: int) -> Read:
        operations = self.swap_out + self.swap_in if self.operations is None else self.operations
        return Read(
            Edit(
                **self._shared(EditFields),
                source="marker",
                operations=min(operations, 2**63 - 1),
                milliseconds=self.ms,
                line=line,
                text="",
            )
        )


class _Measured(_Marker, MetricFields):
    model_config = ConfigDict(extra="ignore")
    event: Literal["metric"]

    def read(self, line: int) -> Read:
        metric = Metric(**self._shared(MetricFields), line=line)
        if metric.value is None and "loss" in metric.name.lower():
            # JSON has no NaN: many writers say null.
            return Read(metric, f"{metric.name} is not a finite number")
        return Read(metric)


class _Digested(_Marker, DigestFields):
    model_config = ConfigDict(extra="ignore")
    event: Literal["digest"]
    values: Annotated[list[Number] | None, Field(description="an array of numbers")] = None

    def read(self, line: int) -> Read:
        numbers = [number for number in self.values or () if number is not None]
        problem = None
        values: list[float] | None = None
        if self.values is not None and len(numbers) < len(self.values):
            problem = f"{self.stage} {self.of} hold a number that is not finite"
        elif self.values is not None and len(numbers) <= VALUES_LIMIT:
            values = numbers
        return Read(Digest(**self._shared(DigestFields), values=values, line=line), problem)

    def detail(self) -> str:
        return f"{self.stage} {self.of}"


class _Traced(_Marker, TraceFields):
    model_config = ConfigDict(extra="ignore")
    event: Literal["trace"]

    def read(self, line: int) -> Read:
        fields = self._shared(TraceFields)
        fields["meter"] = "allocations" if self.meter is None else self.meter
        return Read(Trace(**fields, line=line))

    def detail(self) -> str:
        return self.function


class _Series(_Marker, SeriesFields):
    model_config = ConfigDict(extra="ignore")
    event: Literal["series"]

    def read(self, line: int) -> Read:
        return Read(StepSeries(**self._shared(SeriesFields), line=line))

    def detail(self) -> str:
        return self.function


class _Claimed(_Marker, ClaimFields):
    model_config = ConfigDict(extra="ignore")
    event: Literal["claim"]

    def read(self, line: int) -> Read:
        return Read(Claim(**self._shared(ClaimFields), line=line))


_Anything = Annotated[Any, BeforeValidator(bounded_value)]


class _Environment(_Marker):
    event: Literal["environment"]
    versions: _Anything = None
    devices: _Anything = None
    python: _Anything = None
    data: _Anything = None

    def read(self, line: int) -> Read:
        said = self.model_fields_set - {"event", "t"}
        return Read(
            EnvironmentFacts(
                {name: getattr(self, name) for name in type(self).model_fields if name in said}
            )
        )


class _Ready(_Marker):
    event: Literal["ready"]
    port: Port

    def read(self, line: int) -> Read:
        return Read(Ready(self.port))


class _Noted(_Marker):
    event: Literal["note"]
    text: Text

    def read(self, line: int) -> Read:
        return Read(Note(self.text))


class _Done(_Marker):
    event: Literal["done"]

    def read(self, line: int) -> Read:
        return Read(Done())


_Any = Annotated[
    _Edited
    | _Measured
    | _Digested
    | _Traced
    | _Series
    | _Claimed
    | _Environment
    | _Ready
    | _Noted
    | _Done,
    Field(discriminator="event"),
]
_MARKER: TypeAdapter[_Any] = TypeAdapter(_Any)
_MODELS: Mapping[str, type[_Marker]] = {
    model.model_fields["event"].annotation.__args__[0]: model  # type: ignore[union-attr]
    for model in _Marker.__subclasses__()
}
_DECODER = json.JSONDecoder()


def markers(line: bytes) -> Iterator[bytes]:
    """The text after each marker prefix on a line, up to the next one.

    Two markers share a line when two threads write at once or a newline got lost.
    """
    yield from line.split(PREFIX)[1:]


def fact(text: bytes, line: int) -> Read:
    """Reads what follows the prefix: one JSON object; anything after the object is ignored.

    Args:
        text: the line after the prefix.
        line: the line's number, for the fact.

    Raises:
        MalformedError: it is no JSON object, or a field is missing or wrong.
    """
    fields = _fields(text)
    marker = _validated(fields)
    read = marker.read(line)
    if isinstance(read.fact, Edit):
        said = {"text": bounded(PREFIX + b" " + text.lstrip())}
        read = read._replace(fact=read.fact.model_copy(update=said))
    if marker.t is None:
        return read
    return read._replace(moment=Moment(event=fields["event"], detail=marker.detail(), t=marker.t))


def ready_port(text: bytes) -> int | None:
    """The port of a marker `ready`; None for what is another marker, or none.

    Raises:
        MalformedError: it names no port.
    """
    try:
        fields = _fields(text)
    except MalformedError:
        return None
    if fields.get("event") != "ready":
        return None
    found = _validated(fields).read(0).fact
    assert isinstance(found, Ready)
    return found.port


def _validated(fields: dict[str, Any]) -> _Marker:
    event = fields.get("event")
    if not isinstance(event, str) or event not in _MODELS:
        raise MalformedError(f"event {bounded(repr(event), 60)} is not known")
    try:
        marker: _Marker = _MARKER.validate_python(fields)
    except ValidationError as problem:
        raise MalformedError(_words(event, problem)) from None
    return marker


def _words(event: str, problem: ValidationError) -> str:
    """The first thing that is wrong, in one short line that names the event and the field."""
    first = problem.errors(include_url=False, include_context=False, include_input=False)[0]
    field = str(first["loc"][1])
    if first["type"] == "missing" and len(first["loc"]) == 2:  # and not within the field
        return f"{event}: {field} is missing"
    return f"{event}: {field} is not {_MODELS[event].model_fields[field].description}"


def _fields(text: bytes) -> dict[str, Any]:
    try:
        fields, _ = _DECODER.raw_decode(text.decode("utf-8").lstrip())
    except (ValueError, RecursionError) as reason:
        raise MalformedError(f"not a JSON object: {bounded(str(reason), 200)}") from None
    if not isinstance(fields, dict):
        raise MalformedError("not a JSON object")
    return fields
