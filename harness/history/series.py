"""What one case was in each of several runs, and its numbers as a line. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pydantic import Field

from harness.base.text import flat, one_line
from harness.record.checks import Check, CheckId, Status, finite
from harness.record.model import Model
from harness.record.models import CaseRecord, RunRecord

NAMES = (
    *("peak_bytes", "nvml_peak_bytes", "moved_out_bytes", "moved_in_bytes"),
    *("executed_swap_out", "executed_swap_in", "step_ms"),
)
"""The numbers of a step that are kept, in the order in which they are shown."""

_BARS = "▁▂▃▄▅▆▇█"
_FLAT = 0.01  # of the highest number: peaks differ by single tensors from run to run
_MESSAGE = 300  # characters of a message that are kept


class Point(Model):
    """A case in one run.

    Attributes:
        run: id of the run.
        started: of the run, in UTC and ISO 8601.
        setting: accelerator and parameters: numbers of two settings do not compare.
        check: the first one that has the case's status, where that is not passed.
        message: of that check.
        numbers: of the step whose swapping was measured, by name, such as `load.peak_bytes`.
        seconds: that its phases took.
    """

    run: str
    started: str
    setting: str = ""
    status: Status
    check: CheckId | None = None
    message: str = ""
    numbers: dict[str, float] = Field(default_factory=dict)
    seconds: float | None = None


def points(record: RunRecord) -> Iterator[tuple[str, Point]]:
    """Yields each case of a run by its id; one that was skipped, or has no verdict, is none."""
    for case in record.cases:
        if case.checks and case.status is not Status.SKIPPED:
            yield case.id, _point(record, case)


def setting(record: RunRecord) -> str:
    """Returns that on which the numbers of a run depend, as one text."""
    parameters = ", ".join(f"{name}={flat(value)}" for name, value in record.parameters.items())
    return f"{record.accelerator}, {parameters}"


def last(entries: Iterable[Point], n: int) -> list[Point]:
    """Returns the last `n` points by the start of their runs, the oldest first."""
    ordered = sorted(entries, key=lambda point: (point.started, point.run))
    return ordered[-n:] if n > 0 else []


def names(entries: Iterable[Point]) -> list[str]:
    """Returns the names of all numbers that the points have, in the order of `NAMES`."""
    found = {name for point in entries for name in point.numbers}
    return sorted(found, key=lambda name: (_rank(name), name))


def values(entries: Iterable[Point], name: str) -> list[float | None]:
    """Returns a number over the points; None where a run does not have it."""
    return [point.numbers.get(name) for point in entries]


def sparkline(numbers: Sequence[float | None]) -> str:
    """Returns numbers as bars from the lowest to the highest; a blank where one is not known.

    Numbers that are all within a hundredth of the highest are as good as one: they are flat.
    """
    known = [number for number in numbers if number is not None]
    if not known:
        return " " * len(numbers)
    low, high = min(known), max(known)
    top = len(_BARS) - 1
    flat_line = high - low <= _FLAT * abs(high)
    return "".join(
        " "
        if number is None
        else _BARS[0 if flat_line else round((number - low) / (high - low) * top)]
        for number in numbers
    )


def _rank(name: str) -> int:
    own = name.rpartition(".")[2]
    return NAMES.index(own) if own in NAMES else len(NAMES)


def _point(record: RunRecord, case: CaseRecord) -> Point:
    status = case.status
    of_status = (check for check in case.checks if check.status is status)
    worst = None if status is Status.PASSED else next(of_status, None)
    measured = next((c for c in case.checks if c.id is CheckId.SWAPPING_CONFIRMED), None)
    return Point(
        run=record.id,
        started=record.started,
        setting=setting(record),
        status=status,
        check=None if worst is None else worst.id,
        message="" if worst is None else one_line(worst.message, _MESSAGE),
        numbers={} if measured is None else _numbers(measured),
        seconds=_seconds(case),
    )


def _numbers(check: Check) -> dict[str, float]:
    return {
        name: number
        for name, value in check.numbers.items()
        if name.rpartition(".")[2] in NAMES and (number := finite(value)) is not None
    }


def _seconds(case: CaseRecord) -> float | None:
    for check in case.checks:
        if check.id is CheckId.PHASES_COMPLETE:
            return finite(check.numbers.get("seconds"))
    return None
