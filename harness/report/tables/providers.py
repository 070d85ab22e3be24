"""The tables of `harness report --format providers`: what each provider did on each flavor."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from harness.base.markdown import escape, table
from harness.base.text import mib, plural
from harness.record.checks import CheckId, Status
from harness.record.models import RunRecord
from harness.report.totals import CHECKS, NUMBERS, Judged, total

_SHOWN = {Status.FAILED: "failed", Status.ERROR: "not judged", Status.KNOWN: "known"}
_MEASURED = ("control_peak_bytes", "peak_bytes", "moved_out_bytes", "moved_in_bytes")
_Place = tuple[str, str]  # provider and flavor


def lines(records: Iterable[RunRecord]) -> Iterator[str]:
    """Two tables in Markdown: the checks of all cases, and the steps that were measured.

    Args:
        records: of runs; a case that several have is taken from the last of them.
    """
    cases = {judged.case.id: judged for record in records for judged in total(record).cases}
    places: dict[_Place, list[Judged]] = {}
    for judged in cases.values():
        places.setdefault((judged.case.provider, judged.case.flavor), []).append(judged)
    yield from table([_head(), *(_checks(place, found) for place, found in places.items())])
    yield ""
    named = ", ".join(f"{number} {check.label}" for check, number in NUMBERS.items())
    yield f"A number stands for cases in which the check passed: {named}."
    yield ""
    steps = [row for place, found in places.items() for row in _steps(place, found)]
    head = ["provider", "flavor", "scenario", "check 5", "check 7"]
    yield from table([[*head, "peak: control", "with it", "out", "in"], *steps])


def _head() -> list[str]:
    return ["provider", "flavor", "cases", *(str(NUMBERS[check]) for check in CHECKS), "canaries"]


def _checks(place: _Place, found: list[Judged]) -> list[str]:
    """The cases of a provider on a flavor: how many, and what became of each check."""
    sound = [judged for judged in found if not judged.canary]
    canaries = [judged for judged in found if judged.canary]
    caught = sum(judged.status is Status.PASSED for judged in canaries)
    cells = []
    for wanted in CHECKS:
        statuses = Counter(
            check.status for judged in sound for check in judged.checks if check.id is wanted
        )
        words = [
            f"{statuses[status]} {word}" for status, word in _SHOWN.items() if statuses[status]
        ]
        if statuses[Status.PASSED]:
            words.insert(0, str(statuses[Status.PASSED]))
        cells.append(", ".join(words) or "-")
    ratio = f"{caught} of {len(canaries)} caught" if canaries else "-"
    return [*(escape(name) for name in place), str(len(sound)), *cells, ratio]


def _steps(place: _Place, found: list[Judged]) -> Iterator[list[str]]:
    """A row for each step that differs in what is shown of it, with the scenarios that have it."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for judged in found:
        values = [judged.step.get(name) for name in _MEASURED]
        if judged.canary or not any(isinstance(value, int) for value in values):
            continue
        shown = (mib(value) if isinstance(value, int) else "-" for value in values)
        verdicts = (
            _verdict(judged, check)
            for check in (CheckId.SWAPPING_CONFIRMED, CheckId.SWAPPING_AS_BEFORE)
        )
        alike.setdefault((*verdicts, *shown), []).append(judged.case.scenario)
    for cells, (first, *others) in alike.items():
        more = f" and {plural(len(others), 'other')}" if others else ""
        yield [*(escape(name) for name in place), f"{escape(first)}{more}", *cells]


def _verdict(judged: Judged, wanted: CheckId) -> str:
    """The status of a check, and the known defect that explains it."""
    for check in judged.checks:
        if check.id is wanted:
            known = "" if check.defect is None else f" {escape(check.defect.id)}"
            return f"{check.status.value}{known}"
    return "-"
