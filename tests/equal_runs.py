"""Two runs of one plan, compared as a reader of their reports would: all but times and origins."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

from harness.record import store
from harness.record.models import RunRecord
from harness.run.soak.extract import extract

# Of a record, what is another one in each run.
_OF_RUN = {
    *("id", "started", "finished", "duration_s", "command", "notes", "options"),
    *("sources", "resumes"),
}
_OF_PHASE = {"started", "duration_s", "taken_from", "samples", "details"}
_TIME = re.compile(r"\d[\d,.]* (ms|s|min|h)\b( \d+ (s|min)\b)?")


def findings(record: RunRecord) -> dict[str, Any]:
    """The record without times, and without what says which run executed a phase."""
    found = record.model_dump(mode="json", exclude=_OF_RUN)
    found["phases"] = [
        {name: value for name, value in phase.items() if name not in _OF_PHASE}
        for phase in found["phases"]
    ]
    return _timeless(found)


def junit(directory: Path) -> list[tuple[str, ...]]:
    """Each test case of all suites: its names, its verdict and the message."""
    found = []
    for path in sorted((directory / "junit").glob("*.xml")):
        for case in ET.parse(path).getroot().iter("testcase"):
            verdicts = [
                (child.tag, _TIME.sub("", child.get("message", "")))
                for child in case
                if child.tag in ("failure", "error", "skipped")
            ]
            names = (path.name, case.get("classname", ""), case.get("name", ""))
            found.append((*names, *(word for verdict in verdicts for word in verdict)))
    return found


def require_equal(one: Path, other: Path, exact: bool = True) -> None:
    """Fails where the reports of two runs differ in more than times and origins.

    Args:
        exact: nor in any fact of a phase; else in what a soak compares.
    """
    records = store.load(one), store.load(other)
    if exact:
        assert findings(records[0]) == findings(records[1])
    for name in ("verdicts", "numbers"):
        assert getattr(extract(records[0]), name) == getattr(extract(records[1]), name)
    assert junit(one) == junit(other)
    pages = [
        sorted(path.name for path in (place / "cases").glob("*.html")) for place in (one, other)
    ]
    assert pages[0] == pages[1]


def _timeless(value: Any) -> Any:
    if isinstance(value, str):
        return _TIME.sub("", value)
    if isinstance(value, dict):
        return {name: _timeless(entry) for name, entry in value.items() if name != "seconds"}
    return [_timeless(entry) for entry in value] if isinstance(value, list) else value
