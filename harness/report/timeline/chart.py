"""A timeline for a terminal: bars for each execution with rich, plain sentences elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from harness.base.text import clip, one_line
from harness.report.timeline.axis import Span, words
from harness.report.timeline.model import CONTROL, SWAPPED, Mark, Series, Timeline

_ROWS = {"accelerator": 4, "host": 3}  # of a series, by its track
_EIGHTHS = " ▁▂▃▄▅▆▇█"
_LABEL = 10  # columns before the bars
_MOST = 100  # columns in all
_STYLES = {CONTROL: "yellow", SWAPPED: "blue"}


def show(timeline: Timeline, console: Console) -> None:
    """Prints a timeline: bars where a terminal can show them, else its peaks in words."""
    for line in lines(timeline, console.width) if _can_show(console) else plain(timeline):
        console.print(line, soft_wrap=True, markup=False, highlight=False)


def plain(timeline: Timeline) -> list[str]:
    """The timeline in words, a line for each peak; of a log's text nothing is markup."""
    span = Span.of(timeline)
    told = [one_line(f"{timeline.phase}: memory over time, {timeline.meter}")]
    for peak in timeline.peaks:
        told.append(f"  {one_line(peak.series)}: peak {peak.label} at {span.words(peak.t)}")
    for kind, name in (("swap_out", "swap-outs"), ("swap_in", "swap-ins")):
        moments = [mark.t for mark in timeline.marks if _is_swap(mark, kind)]
        if moments:
            first, last = span.words(min(moments)), span.words(max(moments))
            told.append(f"  {name}: the first at {first}, the last at {last}")
    told += [f"  {line}" for line in words(timeline, span)[1:]]
    if timeline.ceiling is not None:
        told.append(f"  ceiling: {timeline.ceiling:,} bytes")
    return told


def lines(timeline: Timeline, width: int) -> Iterator[Text]:
    """The timeline as bars.

    Args:
        width: columns of the terminal.
    """
    span = Span.of(timeline)
    columns = max(min(width, _MOST) - _LABEL - 1, 10)
    yield Text(clip(one_line(f"{timeline.phase}: {timeline.meter}"), width), "bold")
    for track in _ROWS:
        drawn = [series for series in timeline.series if series.track == track and series.t]
        most = max((value for series in drawn for value in series.value), default=0.0)
        for series in drawn:
            yield from _bars(series, span, columns, most, timeline)
        if drawn and track == "accelerator":
            yield from _swaps(timeline, span, columns)
    last = span.words(span.end)
    first = span.words(span.begin)
    yield Text(f"{'':{_LABEL}}{first}{last:>{max(columns - len(first), 0)}}", "dim")
    for line in words(timeline, span)[1:]:
        yield Text(clip(line, width), "dim")


def heights(series: Series, span: Span, columns: int) -> list[float]:
    """The greatest value of a series in each column; what holds until the next point counts too."""
    found = [0.0] * columns
    t, value = series.t, series.value
    for place, at in enumerate(t):
        until = t[place + 1] if place + 1 < len(t) else span.end
        first, last = (min(int(span.share(x) * columns), columns - 1) for x in (at, until))
        for column in range(first, last + 1):
            found[column] = max(found[column], value[place])
    return found


def _bars(
    series: Series, span: Span, columns: int, most: float, timeline: Timeline
) -> Iterator[Text]:
    style = _STYLES[CONTROL if series.name.startswith(CONTROL) else SWAPPED]
    rows = _ROWS[series.track]
    eighths = [round(value / (most or 1) * 8 * rows) for value in heights(series, span, columns)]
    peak = next((peak.label for peak in timeline.peaks if peak.series == series.name), "")
    labels = [*_label(series), peak]
    labels = [""] * (rows - len(labels)) + labels
    for row in range(rows):
        floor = 8 * (rows - 1 - row)
        bars = "".join(_EIGHTHS[min(max(eighth - floor, 0), 8)] for eighth in eighths)
        yield Text(f"{labels[row]:<{_LABEL}}").append(bars.rstrip(), style)


def _label(series: Series) -> list[str]:
    name, _, track = series.name.partition(", ")
    return [name, track] if track else [name]


def _swaps(timeline: Timeline, span: Span, columns: int) -> Iterator[Text]:
    for kind, name in (("swap_out", "out"), ("swap_in", "in")):
        row = [" "] * columns
        for mark in timeline.marks:
            if _is_swap(mark, kind) and span.holds(mark.t):
                row[min(int(span.share(mark.t) * columns), columns - 1)] = "·"
        if "·" in row:
            yield Text(f"{name:<{_LABEL}}").append("".join(row).rstrip(), _STYLES[SWAPPED])


def _is_swap(mark: Mark, kind: str) -> bool:
    return mark.kind == kind and mark.series == SWAPPED


def _can_show(console: Console) -> bool:
    if not console.is_terminal:
        return False
    try:
        _EIGHTHS.encode(console.encoding)
    except UnicodeEncodeError:
        return False
    return True
