"""What both pictures of a timeline share: its span of time, round numbers, and its words. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.base.text import mib, one_line
from harness.report.timeline.model import SWAPPED, Mark, Timeline

_ROUND = (1.0, 2.0, 2.5, 5.0, 10.0)  # steps, times a power of ten
_LARGEST = 3  # tensors that are named


@dataclass(frozen=True)
class Span:
    """The span of time that is drawn.

    Attributes:
        unit: of the numbers that are shown: "ms", "s" or "operations".
        factor: from the timeline's times to those numbers.
    """

    begin: float
    end: float
    unit: str
    factor: float

    @classmethod
    def of(cls, timeline: Timeline) -> Span:
        """From the first point of any series to the last."""
        times = [at for drawn in timeline.series for at in (*drawn.t[:1], *drawn.t[-1:])]
        begin, end = min(times, default=0.0), max(times, default=0.0)
        end = end if end > begin else begin + max(1.0, abs(begin))
        if timeline.axis == "operations":
            return cls(begin, end, "operations", 1)
        return cls(begin, end, "ms", 1000) if end - begin < 1 else cls(begin, end, "s", 1)

    def share(self, t: float) -> float:
        """Where a time is in the span, 0 to 1; one outside of it is at its edge."""
        return min(max((t - self.begin) / (self.end - self.begin), 0.0), 1.0)

    def holds(self, t: float) -> bool:
        """Whether a time is in the span."""
        return self.begin <= t <= self.end

    def words(self, t: float) -> str:
        """A time in words."""
        return f"{number(t * self.factor)} {self.unit}"


def ticks(begin: float, end: float, wanted: int, unit: float = 1) -> list[float]:
    """Round multiples of a unit from begin to end, about as many as are wanted."""
    step = (end - begin) / unit / wanted
    if not 0 < step < math.inf:
        return []
    power = 10.0 ** math.floor(math.log10(step))
    step = unit * power * next(nice for nice in _ROUND if nice * power >= step * 0.999)
    first = math.ceil(begin / step)
    return [place * step for place in range(first, math.floor(end / step) + 1)]


def number(value: float) -> str:
    """A number as it is read on an axis."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def words(timeline: Timeline, span: Span) -> list[str]:
    """What a picture cannot show, in sentences."""
    told = [f"{timeline.phase}: {timeline.meter}"]
    before = [f"{mark.label} {_when(mark.t)} the step begins" for mark in outside(timeline, span)]
    if before:
        told.append("; ".join(before))
    if timeline.largest:
        named = [f"{tensor.name} {mib(tensor.bytes)}" for tensor in timeline.largest[:_LARGEST]]
        told.append(f"largest that were swapped out: {', '.join(named)}")
    return [one_line(line, 300) for line in told]


def outside(timeline: Timeline, span: Span) -> list[Mark]:
    """The first load and edit of the swapped execution where they are not in the span."""
    first: dict[str, Mark] = {}
    for mark in timeline.marks:
        if mark.series == SWAPPED and mark.kind in ("load", "edit"):
            first.setdefault(mark.kind, mark)
    found = [mark for mark in first.values() if not span.holds(mark.t)]
    return sorted(found, key=lambda mark: mark.t)


def _when(t: float) -> str:
    return f"{number(abs(t))} s {'before' if t < 0 else 'after'}"
