"""The history as lines of text: each case in one, or one case in full. Pure."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping, Sequence

from harness.base.text import duration, mib, one_line, plural
from harness.history import series
from harness.history.series import Point
from harness.record.checks import Status

_GLYPHS = {
    Status.PASSED: ".",
    Status.FAILED: "F",
    Status.ERROR: "E",
    Status.KNOWN: "k",
    Status.SKIPPED: "s",
}
LEGEND = ". passed, F failed, E not judged, k known"


def matching(found: Mapping[str, list[Point]], case: str | None) -> dict[str, list[Point]]:
    """Returns the cases whose id is the given one, or matches it as a shell pattern; None: all."""
    if case is None:
        return dict(found)
    if case in found:
        return {case: found[case]}
    return {name: points for name, points in found.items() if fnmatch.fnmatchcase(name, case)}


def lines(found: Mapping[str, Sequence[Point]], full: bool) -> Iterator[str]:
    """Yields the lines.

    Args:
        full: each run of each case, and its numbers; otherwise a line for each case.
    """
    if not found:
        yield "no run is in the history"
        return
    if full:
        for number, (case, points) in enumerate(found.items()):
            if number:
                yield ""
            yield from _case(case, points)
        return
    width = max(len(one_line(case, 120)) for case in found)
    runs = max(len(points) for points in found.values())
    yield f"{'case':<{width}}  oldest to newest of {plural(runs, 'run')} at most: {LEGEND}"
    for case, points in found.items():
        glyphs = "".join(_GLYPHS[point.status] for point in points)
        peak = _lead(points)
        yield f"{one_line(case, 120):<{width}}  {glyphs:<{runs}}  {peak}".rstrip()


def _lead(points: Sequence[Point]) -> str:
    """The first number as a line, over the points that compare with the last one."""
    alike = [point for point in points if point.setting == points[-1].setting]
    return next((f"{line}  {name} {last}" for name, line, _, last in numbers(alike)), "")


def _case(case: str, points: Sequence[Point]) -> Iterator[str]:
    yield one_line(case, 300)
    for point in points:
        seconds = "" if point.seconds is None else duration(point.seconds)
        words = "" if point.check is None else f"{point.check.label}: {one_line(point.message)}"
        moment = one_line(point.started, 40)[:16].replace("T", " ")
        run = one_line(point.run, 40)
        yield f"  {moment}  {run}  {point.status.value:<7} {seconds:>12}  {words}".rstrip()
    for setting in dict.fromkeys(point.setting for point in points):
        alike = [point for point in points if point.setting == setting]
        rows = list(numbers(alike))
        if rows:
            yield f"  {plural(len(alike), 'run')} with {one_line(setting, 200)}"
        width = max((len(name) for name, *_ in rows), default=0)
        for name, line, bounds, last in rows:
            yield f"    {name:<{width}}  {line}  {bounds}, last {last}"


def numbers(points: Sequence[Point]) -> Iterator[tuple[str, str, str, str]]:
    """Yields each number of points that compare: name, line, bounds, and last value."""
    for name in series.names(points):
        values = series.values(points, name)
        known = [value for value in values if value is not None]
        bounds = f"{amount(name, min(known))} to {amount(name, max(known))}"
        yield one_line(name, 60), series.sparkline(values), bounds, amount(name, known[-1])


def amount(name: str, value: float) -> str:
    """Returns a number with its unit, which its name tells."""
    if name.endswith("_bytes"):
        return mib(value)
    return f"{value:,.1f} ms" if name.endswith("_ms") else f"{value:,.0f}"
