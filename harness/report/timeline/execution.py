"""One execution of a judged phase, as its files show it: `timeline.json` and `samples.csv`.

Anything may be in a run's directory: what is no such file, or not what it should be, is as if it
were not there, and no more of it is read than a picture can need.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from harness.base import plain_file
from harness.measure.samples import HEADER
from harness.record import times
from harness.record.fields import NUMBER_LIMIT
from harness.record.models import PhaseRecord
from harness.record.times import Moment, StepSeries

SAMPLES = "samples.csv"
SAMPLES_LIMIT = 2**25  # bytes that are read: a phase of a day and a half
_SLACK_S = 1.0  # between two readings of one clock


@dataclass(frozen=True)
class Execution:
    """A phase that was executed, and where its files are.

    Attributes:
        name: "swapped" or "control".
        directory: its own, or None where the record names one outside of the run's.
    """

    name: str
    record: PhaseRecord
    directory: Path | None

    @cached_property
    def times(self) -> times.Times:
        """What its log says about time."""
        return times.Times() if self.directory is None else times.read(self.directory)

    @cached_property
    def step(self) -> StepSeries | None:
        """The step that was traced: of the phase's role, the last one."""
        told = self.times.series
        own = [step for step in told if step.function == self.record.role]
        return next(reversed(own or told), None)

    @cached_property
    def step_began(self) -> float | None:
        """When the traced step began, by the monotonic clock, as far as the log tells."""
        if self.step is not None and self.step.began is not None:
            return self.step.began
        told = [moment.t for moment in self.times.moments if moment.event == "trace"]
        return told[-1] if told else None

    @property
    def edits(self) -> list[Moment]:
        """When LMS edited a graph."""
        return [moment for moment in self.times.moments if moment.event == "lms_edited"]

    @property
    def loads(self) -> list[Moment]:
        """The first moment when what was loaded was looked at."""
        told = self.times.moments
        return [
            moment
            for moment in told
            if moment.event == "digest" and moment.detail.startswith("restored ")
        ][:1]

    @property
    def sampled_from(self) -> float | None:
        """When the sampler began, by the monotonic clock of the driver."""
        return self.number("began_s")

    def number(self, name: str) -> float | None:
        """A number of the summary of its samples."""
        value = (self.record.samples or {}).get(name)
        if not isinstance(value, int | float) or abs(value) > NUMBER_LIMIT:
            return None
        return float(value) if math.isfinite(value) else None

    @cached_property
    def begin(self) -> float | None:
        """When the traced step began, in seconds since the sampler began.

        None where it is not known: on another machine than the driver's the clock is another one.
        """
        duration = self.number("duration_s")
        if self.step_began is None or self.sampled_from is None or duration is None:
            return None
        begin = self.step_began - self.sampled_from
        return begin if -_SLACK_S <= begin <= duration + _SLACK_S else None

    @cached_property
    def samples(self) -> Samples:
        """What was sampled beside it."""
        text = "" if self.directory is None else _text(self.directory / SAMPLES)
        return Samples.read(text)


@dataclass(frozen=True)
class Samples:
    """The columns of `samples.csv`; None for a cell that is empty or no number.

    Attributes:
        t: seconds since the sampler began, ascending.
    """

    t: list[float]
    columns: dict[str, list[float | None]]

    @classmethod
    def read(cls, text: str) -> Samples:
        """The samples in the text of a file; lines that are none are left out."""
        names = HEADER.rstrip().split(",")
        t: list[float] = []
        columns: dict[str, list[float | None]] = {name: [] for name in names}
        if not text.startswith(HEADER):
            return cls(t, columns)
        for line in text[len(HEADER) :].splitlines():
            row = line.split(",")  # no cell ever needs quotes
            at = _number(row[0]) if len(row) == len(names) else None
            if at is None or (t and at < t[-1]):
                continue
            t.append(at)
            for name, cell in zip(names, row, strict=True):
                columns[name].append(_number(cell))
        return cls(t, columns)

    def known(self, *names: str) -> tuple[list[float], list[float]]:
        """Times and values of the first of these columns that has a value anywhere."""
        for name in names:
            pairs = zip(self.t, self.columns[name], strict=True)
            found = [(at, value) for at, value in pairs if value is not None]
            if found:
                return [at for at, _ in found], [value for _, value in found]
        return [], []


def _text(path: Path) -> str:
    """The text of a file as far as it is read; without a last line that was cut off."""
    try:
        with plain_file.open_to_read(path) as file:
            text = file.read(SAMPLES_LIMIT).decode("ascii", "replace")
    except (OSError, ValueError):
        return ""
    return text[: text.rfind("\n") + 1]


def _number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if 0 <= value <= NUMBER_LIMIT else None
