"""What a timeline shows: the memory of a judged phase over time, beside that of its control.

Time 0 is where the measured step of an execution begins, so that the swapped execution and its
control lie over each other. Sizes are bytes.
"""

from __future__ import annotations

from typing import Literal

from harness.base.text import mib
from harness.record.model import Model
from harness.report.timeline.reduction import reduced

Track = Literal["accelerator", "host", "bus"]
Axis = Literal["seconds", "operations"]
Kind = Literal["load", "edit", "step_begin", "step_end", "swap_out", "swap_in"]

SWAPPED, CONTROL = "swapped", "control"


class Series(Model):
    """One quantity of one execution: it keeps each value until the next point.

    Attributes:
        name: "swapped", "control", "swapped, host", "control, host", or "swapped, PCIe to host".
        track: what is drawn over one another: memory of the accelerator, of the host, the bus.
        unit: "B", or "B/s".
        t: seconds, or numbers of operations; ascending.
        value: as many as `t`.
    """

    name: str
    track: Track
    unit: Literal["B", "B/s"]
    t: list[float]
    value: list[float]


class Mark(Model):
    """A moment of one execution.

    Attributes:
        t: it may lie before the first point, as of an edit before the step that was traced.
        label: in words; it may hold what a log said.
        series: "swapped" or "control".
    """

    t: float
    kind: Kind
    label: str
    series: str


class Peak(Model):
    """The greatest value of a series.

    Attributes:
        t: the first time that it is reached.
        series: name of the series.
        label: the value in words, e.g. "46.0 MiB".
    """

    t: float
    value: float
    series: str
    label: str


class Moved(Model):
    """A tensor that was swapped out in the step: its name, or type and shape, and bytes."""

    name: str
    bytes: int


class Timeline(Model):
    """The timeline of one judged phase by one meter.

    Attributes:
        phase: the phase's name in its case, e.g. "load".
        meter: what measured it, in words, for the caption.
        axis: what `t` counts everywhere: seconds, or operations in the order of a compiled program.
        gaps: between samples that are further apart than they should be, in `t`.
        ceiling: bytes that the framework was allowed to take, of a proof.
        largest: the largest tensors that were swapped out, the largest first; empty where their
            names are not known.
    """

    phase: str
    meter: str
    axis: Axis = "seconds"
    series: list[Series]
    marks: list[Mark] = []
    gaps: list[tuple[float, float]] = []
    peaks: list[Peak] = []
    ceiling: int | None = None
    largest: list[Moved] = []


def series_of(
    execution: str, track: Track, unit: Literal["B", "B/s"], t: list[float], value: list[float]
) -> Series:
    """A series by the name that it has on its track, with no more points than are drawn."""
    name = execution if track == "accelerator" else f"{execution}, {track}"
    t, value = reduced(t, value)
    return Series(name=name, track=track, unit=unit, t=t, value=value)


def peak_of(series: Series) -> Peak:
    """The peak of a series that has a point."""
    place = max(range(len(series.value)), key=series.value.__getitem__)
    value = series.value[place]
    return Peak(t=series.t[place], value=value, series=series.name, label=mib(value))
