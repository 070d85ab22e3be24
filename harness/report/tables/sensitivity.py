"""The table of `harness sensitivity`: faults by flavors, and the checks that caught it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from harness.base import atomic, markdown
from harness.record.checks import Status
from harness.record.models import CaseRecord, RunRecord
from harness.report import totals

FILE = "sensitivity.md"
_NUMBERS = {check: str(number) for check, number in totals.NUMBERS.items()}


def write(record: RunRecord, faults: Mapping[str, str], run_directory: Path) -> Path:
    """Writes the table into the run directory.

    Raises:
        OSError: the file cannot be written.
    """
    return atomic.write(run_directory / FILE, "\n".join(lines(record, faults)) + "\n")


def lines(record: RunRecord, faults: Mapping[str, str]) -> Iterator[str]:
    """The table in Markdown, what its numbers mean, and a sum.

    Args:
        faults: what each scenario does wrong, in words, by the scenario's id; the order is that of
            the table. A scenario that is not in it does nothing wrong.
    """
    flavors = [flavor.id for flavor in record.flavors]
    cases = {(case.scenario, case.flavor): case for case in record.cases}
    rows = [["fault", *flavors]]
    sound = list(dict.fromkeys(case.scenario for case in record.cases if case.expects is None))
    for scenario in sound:
        rows.append(["none", *(_sound(cases.get((scenario, flavor))) for flavor in flavors)])
    for scenario, words in faults.items():
        rows.append([words, *(_caught(cases.get((scenario, flavor))) for flavor in flavors)])
    yield from markdown.table(rows)
    yield ""
    named = ", ".join(f"{number} {check.label}" for check, number in _NUMBERS.items())
    yield f"A number is a check that failed: {named}. Bold is the one that has to."
    canaries = [case for case in record.cases if case.expects is not None]
    caught = sum(case.status is Status.PASSED for case in canaries)
    others = [case for case in record.cases if case.expects is None]
    alarms = sum(case.status not in (Status.PASSED, Status.KNOWN) for case in others)
    yield (
        f"Caught {caught} of {len(canaries)} faults;"
        f" {alarms} of {len(others)} sound cases did not pass."
    )


def _sound(case: CaseRecord | None) -> str:
    if case is None or case.skip or not case.checks:
        return "not run"
    failed = [c for c in case.checks if c.status in (Status.FAILED, Status.ERROR)]
    if failed:
        return "ALARM " + " ".join(_NUMBERS[check.id] for check in failed)
    known = [_NUMBERS[check.id] for check in case.checks if check.status is Status.KNOWN]
    return f"known {' '.join(known)}" if known else "passed"


def _caught(case: CaseRecord | None) -> str:
    if case is None or case.skip or not case.behind:
        return "not run"
    failed = [check.id for check in case.behind if check.status is Status.FAILED]
    shown = [
        f"**{_NUMBERS[check]}**" if check is case.expects else _NUMBERS[check] for check in failed
    ]
    return " ".join(shown) or "MISSED"
