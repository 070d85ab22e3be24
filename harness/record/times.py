"""What a phase's log says about time: when markers were written, and its traced steps over time.

Reports draw timelines from it and no verdict rests on it, so it is a file of its own in the phase's
directory and no part of the record, which it would make many times as large.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from harness.base import atomic, plain_file
from harness.record.fields import (
    Clock,
    Count,
    Function,
    Name,
    OptionalCount,
    OptionalName,
)
from harness.record.model import Model

FILE = "timeline.json"
POINTS_LIMIT = 1_024  # points of one device in one step
MOVES_LIMIT = 1_024  # swaps of one direction
LARGEST_LIMIT = 100
FILE_LIMIT = 2**23  # bytes of the file that are read

_Numbers = Annotated[list[Count], Field(max_length=POINTS_LIMIT)]
_MOVES = f"an array of at most {MOVES_LIMIT} whole numbers"
_Moves = Annotated[list[Count], Field(max_length=MOVES_LIMIT, description=_MOVES)]


class Points(Model):
    """Bytes that were alive: each value holds until the next point.

    Attributes:
        at: ascending; several points may have one time.
        bytes: as many.
    """

    model_config = ConfigDict(extra="ignore")  # as of the marker that it is a part of
    at: _Numbers
    bytes: _Numbers

    @model_validator(mode="after")
    def _is_a_series(self) -> Points:
        if len(self.at) != len(self.bytes) or self.at != sorted(self.at):
            raise ValueError("no series")
        return self


class Swapped(Model):
    """A tensor that was swapped out."""

    model_config = ConfigDict(extra="ignore")
    name: Name
    bytes: Count


_Points = Annotated[Points | None, Field(description="points in the order of time")]
_Largest = Annotated[
    list[Swapped], Field(max_length=LARGEST_LIMIT, description="an array of tensors")
]
Unit = Annotated[
    Literal["microseconds", "operations"], Field(description="microseconds or operations")
]


class SeriesFields(Model):
    """One traced step over time.

    Attributes:
        unit: what its times count, from where the step begins: microseconds, or operations of a
            compiled program in its order.
        began: of the step, by the monotonic clock of the markers.
        end: when the step ended.
        swap_out, swap_in: when tensors were swapped.
        largest: the largest tensors that were swapped out.
    """

    function: Function
    meter: OptionalName = None
    unit: Unit
    began: Clock = None
    end: OptionalCount = None
    accelerator: _Points = None
    host: _Points = None
    swap_out: _Moves = []
    swap_in: _Moves = []
    largest: _Largest = []


class StepSeries(SeriesFields):
    """One traced step over time, and where the log says it."""

    line: int


class Moment(Model):
    """When a marker was written.

    Attributes:
        event: of the marker.
        detail: what it is about, such as "restored weights".
        t: seconds of the monotonic clock of the machine that the phase ran on.
    """

    event: str
    detail: str = ""
    t: float


class Times(Model):
    """What a phase's log says about time."""

    moments: list[Moment] = []
    series: list[StepSeries] = []


def keep(times: Times, directory: Path) -> None:
    """Writes the file into a phase's directory; none where there is nothing to write.

    A phase whose picture cannot be written is not worse for it: no error is raised.
    """
    if times == Times():
        return
    with suppress(OSError):
        atomic.write(directory / FILE, times.to_json())


def read(directory: Path) -> Times:
    """What a phase's directory holds; nothing where there is no such file, or it is no such."""
    try:
        with plain_file.open_to_read(directory / FILE) as file:
            return Times.model_validate_json(file.read(FILE_LIMIT))
    except (OSError, ValueError):  # of which a ValidationError is one
        return Times()
