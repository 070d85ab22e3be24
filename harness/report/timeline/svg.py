"""A timeline as SVG: a pure function from the data to the picture's text.

The picture stands for itself as a file (Markdown, Jenkins): styles are within it, it loads nothing
and runs nothing, and it follows the reader's choice of light or dark.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import jinja2

from harness.base.text import MIB, clean, mib, one_line
from harness.report.timeline.axis import Span, number, ticks, words
from harness.report.timeline.model import CONTROL, SWAPPED, Series, Timeline, Track

WIDTH = 720
_LEFT, _RIGHT = 78, 708  # columns of the panels
_TOP, _BETWEEN = 44, 40
_HEIGHTS: dict[Track, int] = {"accelerator": 170, "host": 70, "bus": 70}
_TITLES: dict[Track, str] = {
    "accelerator": "memory of the accelerator",
    "host": "memory of the host",
    "bus": "PCIe (dashed: to the GPU)",
}
_LINE, _LINES, _CHARACTERS = 15, 5, 108  # the words below it
_MOMENTS = 20  # lines for moments
_ROOM = 1.1  # of a panel, over the greatest value


@dataclass(frozen=True)
class _Label:
    """A text; y or x where it is, by its use."""

    at: float
    text: str


@dataclass(frozen=True)
class _Line:
    """A series as a path, and its peak."""

    style: str
    path: str
    peak: tuple[float, float]
    words: str
    anchor: str


@dataclass(frozen=True)
class _Panel:
    """What is drawn over one another."""

    title: str
    top: float
    bottom: float
    ticks: list[_Label]
    lines: list[_Line]
    ceiling: _Label | None


def render(timeline: Timeline) -> str:
    """The SVG document of a timeline; the same text for the same timeline."""
    span = Span.of(timeline)
    panels = list(_panels(timeline, span))
    bottom = panels[-1].bottom if panels else float(_TOP)
    told = words(timeline, span)
    lines = [line for part in told for line in textwrap.wrap(part, _CHARACTERS)][:_LINES]
    moments = [mark for mark in timeline.marks if not mark.kind.startswith("swap_")]
    text = _template().render(
        width=WIDTH,
        height=round(bottom + (3 + len(lines)) * _LINE),
        left=_LEFT,
        right=_RIGHT,
        panels=panels,
        bottom=bottom,
        names=[name for name in (CONTROL, SWAPPED) if name in _names(timeline)],
        ticks=[
            _Label(_x(span, at / span.factor), number(at))
            for at in ticks(span.begin * span.factor, span.end * span.factor, 6)
        ],
        unit=span.unit,
        words=[_Label(bottom + (3 + n) * _LINE, line) for n, line in enumerate(lines)],
        moments=[
            (_x(span, mark.t), mark.kind, mark.series, one_line(mark.label, 80))
            for mark in moments
            if span.holds(mark.t)
        ][:_MOMENTS],
        swaps=_swaps(timeline, span, panels[0].bottom) if panels else [],
        gaps=[
            (_x(span, begin), max(_x(span, end) - _x(span, begin), 1.0))
            for begin, end in timeline.gaps
            if end >= span.begin and begin <= span.end
        ],
        title=f"memory over time, phase {one_line(timeline.phase, 100)}",
        description=one_line("; ".join([*_peaks(timeline, span), *told])),
    )
    return clean(text)


def _x(span: Span, t: float) -> float:
    return round(_LEFT + span.share(t) * (_RIGHT - _LEFT), 1)


def _names(timeline: Timeline) -> set[str]:
    return {_execution(series) for series in timeline.series}


def _execution(series: Series) -> str:
    """ "swapped" or "control": also the style of its line."""
    return CONTROL if series.name.startswith(CONTROL) else SWAPPED


def _peaks(timeline: Timeline, span: Span) -> list[str]:
    return [f"{peak.series}: peak {peak.label} at {span.words(peak.t)}" for peak in timeline.peaks]


def _panels(timeline: Timeline, span: Span) -> Iterator[_Panel]:
    top = float(_TOP)
    for track, height in _HEIGHTS.items():
        drawn = [series for series in timeline.series if series.track == track and series.t]
        if not drawn:
            continue
        ceiling = timeline.ceiling if track == "accelerator" else None
        yield _panel(track, top, drawn, ceiling, span)
        top += height + _BETWEEN


def _panel(
    track: Track, top: float, drawn: Sequence[Series], ceiling: int | None, span: Span
) -> _Panel:
    height = _HEIGHTS[track]
    most = _ROOM * max([max(series.value) for series in drawn] + [ceiling or 0]) or 1.0

    def y(value: float) -> float:
        return round(top + height * (1 - value / most), 1)

    a_second = drawn[0].unit.removeprefix("B")
    unit = MIB if most > MIB / 10 else 1024
    return _Panel(
        title=_TITLES[track],
        top=top,
        bottom=top + height,
        ticks=[
            _Label(y(at), mib(at) + a_second if at else "0")
            for at in ticks(0, most, max(height // 40, 2), unit)
        ],
        # The control is drawn first: it lies behind.
        lines=[_line(series, span, y) for series in sorted(drawn, key=_execution)],
        ceiling=None if ceiling is None else _Label(y(ceiling), f"ceiling {mib(ceiling)}"),
    )


def _line(series: Series, span: Span, y: Callable[[float], float]) -> _Line:
    points = [(_x(span, t), y(value)) for t, value in zip(series.t, series.value, strict=True)]
    x, first = points[0]
    path = [f"M{x:g} {first:g}"]
    for (_, before), (x, now) in pairwise(points):
        path.append(f"H{x:g}")
        if now != before:
            path.append(f"V{now:g}")
    place = max(range(len(points)), key=series.value.__getitem__)
    x, at = points[place]
    dashed = " dashed" if series.name.endswith("to GPU") else ""
    return _Line(
        style=_execution(series) + dashed,
        path="".join(path),
        peak=(x, at),
        words=mib(series.value[place]) + series.unit.removeprefix("B"),
        anchor="end" if x > (_LEFT + _RIGHT) / 2 else "start",
    )


def _swaps(timeline: Timeline, span: Span, bottom: float) -> list[tuple[str, str]]:
    """Rows of ticks below the first panel: swap-outs, then swap-ins."""
    found = []
    for row, kind in enumerate(("swap_out", "swap_in")):
        columns = {
            _x(span, mark.t)
            for mark in timeline.marks
            if mark.kind == kind and mark.series == SWAPPED and span.holds(mark.t)
        }
        y = bottom + 8 + 9 * row
        if columns:
            found.append((kind, "".join(f"M{x:g} {y:g}v5" for x in sorted(columns))))
    return found


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent.parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("timeline.svg.j2")
