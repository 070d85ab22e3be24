"""The timeline of a traced step, by the framework's own records of it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.record.times import Points, StepSeries
from harness.report.timeline.execution import Execution
from harness.report.timeline.model import (
    Axis,
    Kind,
    Mark,
    Moved,
    Series,
    Timeline,
    Track,
    peak_of,
    series_of,
)

_MICROSECONDS = 1e6  # of a second
_METERS = {
    "seconds": "the framework's own records of one step",
    "operations": "the compiled program of one step, operation by operation: it has no times",
}


def timeline(phase: str, executions: Sequence[Execution]) -> Timeline | None:
    """The timeline of a phase's step and of its control's; None where no series was recorded.

    One whose times count something else than those of the first is left out.
    """
    told = [(execution, execution.step) for execution in executions]
    steps = [(execution, step) for execution, step in told if step is not None and _drawn(step)]
    if not steps:
        return None
    axis = _axis(steps[0][1])
    steps = [(execution, step) for execution, step in steps if _axis(step) == axis]
    series = [drawn for execution, step in steps for drawn in _series(execution.name, step)]
    largest = steps[0][1].largest
    return Timeline(
        phase=phase,
        meter=f"{_METERS[axis]} (meter {steps[0][1].meter or 'allocations'})",
        axis=axis,
        series=series,
        marks=[mark for execution, step in steps for mark in _marks(execution, step)],
        peaks=[peak_of(drawn) for drawn in series],
        largest=[Moved(name=tensor.name, bytes=tensor.bytes) for tensor in largest],
    )


def _drawn(step: StepSeries) -> bool:
    return bool((step.accelerator and step.accelerator.at) or (step.host and step.host.at))


def _axis(step: StepSeries) -> Axis:
    return "seconds" if step.unit == "microseconds" else "operations"


def _scale(step: StepSeries) -> float:
    return _MICROSECONDS if step.unit == "microseconds" else 1


def _series(name: str, step: StepSeries) -> Iterator[Series]:
    tracks: tuple[tuple[Track, Points | None], ...] = (
        ("accelerator", step.accelerator),
        ("host", step.host),
    )
    for track, points in tracks:
        if points is None or not points.at:
            continue
        t = [at / _scale(step) for at in points.at]
        value = [float(size) for size in points.bytes]
        end = None if step.end is None else step.end / _scale(step)
        if end is not None and end > t[-1]:  # what is alive at the last change is until the end
            t, value = [*t, end], [*value, value[-1]]
        yield series_of(name, track, "B", t, value)


def _marks(execution: Execution, step: StepSeries) -> Iterator[Mark]:
    name, scale = execution.name, _scale(step)

    def mark(t: float, kind: Kind, label: str) -> Mark:
        return Mark(t=t, kind=kind, label=label, series=name)

    yield mark(0.0, "step_begin", f"{step.function} step begins")
    if step.end is not None:
        yield mark(step.end / scale, "step_end", f"{step.function} step ends")
    for at in step.swap_out:
        yield mark(at / scale, "swap_out", "swap-out")
    for at in step.swap_in:
        yield mark(at / scale, "swap_in", "swap-in")
    if step.began is not None and step.unit == "microseconds":
        for moment in execution.loads:
            yield mark(moment.t - step.began, "load", "loaded")
        for moment in execution.edits:
            yield mark(moment.t - step.began, "edit", "LMS edited")
