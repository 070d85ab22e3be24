"""JUnit documents: the one module that knows `junit-xml`, and where it leaves the schema.

`junit-xml` builds the elements and counts them. Its traps, each handled here and nowhere else:

- It writes attributes that junit-10.xsd, the schema of Jenkins' xunit plugin, does not have.
- It leaves out an element that has neither message nor text, so that a failure counts as passed.
- It leaves the time out where it is 0, and takes any number for one.
- Its own output drops what XML forbids and cannot be indented without being read again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Literal
from xml.etree import ElementTree as ET

import junit_xml

from harness.base.text import clean, one_line

_SUITE_ATTRIBUTES = frozenset(
    ("name", "tests", "failures", "errors", "skipped", "time", "timestamp", "hostname")
)
_CASE_ATTRIBUTES = frozenset(("name", "classname", "time"))
_ROOT_ATTRIBUTES = ("tests", "failures", "errors", "time")
_DECLARATION = "<?xml version='1.0' encoding='utf-8'?>"
_YEAR_S = 31_536_000.0  # the longest that Jenkins takes
_HOST_CHARACTERS = 255


@dataclass
class Entry:
    """A test case.

    Attributes:
        kind: the element that it gets.
        message: of that element; one line.
        text: below that element, for a failure or an error.
        output: its standard output.
        seconds: any number; what is no time counts as 0.
    """

    classname: str
    name: str
    kind: Literal["passed", "failure", "error", "skipped"] = "passed"
    message: str = ""
    text: str = ""
    output: str = ""
    seconds: float | None = None


def document(
    name: str,
    entries: Iterable[Entry],
    *,
    hostname: str,
    started: str,
    properties: Mapping[str, str],
) -> bytes:
    """A document with one suite, valid under junit-10.xsd whatever the texts hold.

    Args:
        started: in ISO 8601.
    """
    suite = junit_xml.TestSuite(
        one_line(name),
        [_case(entry) for entry in entries],
        hostname=one_line(hostname, _HOST_CHARACTERS),
        timestamp=_timestamp(started),
        properties={one_line(key): one_line(value, 10_000) for key, value in properties.items()},
    ).build_xml_doc()
    total = 0.0
    for element in suite.iterfind("testcase"):
        seconds = duration(float(element.get("time", "0")))
        total += seconds
        element.set("time", f"{seconds:.3f}")
        _keep(element, _CASE_ATTRIBUTES)
    suite.set("time", f"{total:.3f}")
    _keep(suite, _SUITE_ATTRIBUTES)
    root = ET.Element("testsuites", {key: suite.get(key, "0") for key in _ROOT_ATTRIBUTES})
    root.append(suite)
    ET.indent(root, " ")
    return _serialised(root)


def one_error(suite: str, case: str, message: str, output: str) -> bytes:
    """A document of one error, made with as little code as can break again."""
    name, problem = one_line(suite), one_line(message)
    root = ET.Element("testsuites")
    counts = {"tests": "1", "failures": "0", "errors": "1"}
    element = ET.SubElement(root, "testsuite", {"name": name, **counts})
    test = ET.SubElement(element, "testcase", {"classname": name, "name": case})
    ET.SubElement(test, "error", {"message": problem, "type": "report"}).text = problem
    ET.SubElement(test, "system-out").text = clean(output)
    return _serialised(root)


def duration(value: float | None) -> float:
    """Seconds as JUnit may hold them: finite, not negative, at most a year."""
    if value is None or not math.isfinite(value):
        return 0.0
    return min(max(value, 0.0), _YEAR_S)


def _case(entry: Entry) -> junit_xml.TestCase:
    case = junit_xml.TestCase(
        one_line(entry.name),
        one_line(entry.classname),
        elapsed_sec=duration(entry.seconds),
        stdout=clean(entry.output),
    )
    message, text = one_line(entry.message), clean(entry.text)
    if entry.kind == "failure":
        case.add_failure_info(message, text, "failed")
    elif entry.kind == "error":
        case.add_error_info(message, text, "not judged")
    elif entry.kind == "skipped":
        case.add_skipped_info(message, message)  # GitLab reads the text alone
    return case


def _keep(element: ET.Element, allowed: frozenset[str]) -> None:
    for name in element.attrib.keys() - allowed:
        del element.attrib[name]


def _serialised(root: ET.Element) -> bytes:
    # As bytes ElementTree would encode each piece of it by itself, which takes twice as long.
    content: str = ET.tostring(root, encoding="unicode")
    return f"{_DECLARATION}\n{content}\n".encode("utf-8", "xmlcharrefreplace")


def _timestamp(started: str) -> str | None:
    """The time in UTC without a zone: Jenkins takes it as UTC, other readers allow no zone."""
    with suppress(ValueError, OverflowError):
        moment = datetime.fromisoformat(started.replace("Z", "+00:00"))
        if moment.tzinfo is not None:
            moment = moment.astimezone(timezone.utc)
        return moment.strftime("%Y-%m-%dT%H:%M:%S")
    return None
