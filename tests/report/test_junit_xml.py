"""The documents that are made with `junit-xml`, and what that library would do."""

from __future__ import annotations

import math
from xml.etree import ElementTree as ET

import pytest

from harness.report import junit_xml
from harness.report.junit_xml import Entry


def suite_of(*entries: Entry, **values: str) -> ET.Element:
    made = junit_xml.document(
        "flavor",
        entries,
        **{"hostname": "host", "started": "2025-03-01T10:00:00Z", **values},
        properties={"a\x00": "b\nc"},
    )
    suite = ET.fromstring(made).find("testsuite")
    assert suite is not None
    return suite


@pytest.mark.parametrize("kind", ["failure", "error", "skipped"])
def test_an_entry_without_a_message_still_has_its_element(kind):
    suite = suite_of(Entry("c", "n", kind))
    element = suite.find(f"testcase/{kind}")
    assert element is not None
    assert element.get("message") == "(no message)"
    counts = {name: suite.get(name) for name in ("failures", "errors", "skipped")}
    plural = {"failure": "failures", "error": "errors", "skipped": "skipped"}[kind]
    assert counts == {**dict.fromkeys(counts, "0"), plural: "1"}


def test_what_passed_has_no_element_and_the_schema_s_attributes_alone():
    suite = suite_of(Entry("c", "n", message="all well", text="all well"))
    (case,) = suite.findall("testcase")
    assert case.attrib == {"classname": "c", "name": "n", "time": "0.000"}
    assert list(case) == []
    assert set(suite.attrib) == {
        *("name", "tests", "failures", "errors", "skipped", "time", "timestamp", "hostname")
    }
    assert suite.get("timestamp") == "2025-03-01T10:00:00"
    assert [entry.attrib for entry in suite.iter("property")] == [{"name": "a#x00", "value": "b c"}]


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "0.000"),
        (math.nan, "0.000"),
        (math.inf, "0.000"),
        (-1.0, "0.000"),
        (1.23456, "1.235"),
        (1e12, "31536000.000"),
    ],
)
def test_a_time_is_one_that_jenkins_reads(seconds, shown):
    suite = suite_of(Entry("c", "n", seconds=seconds))
    assert suite.get("time") == shown
    assert suite.find("testcase").get("time") == shown


def test_the_document_of_one_error_takes_any_text():
    root = ET.fromstring(junit_xml.one_error("\x1b[31mf", "rendered", "\udc80", "a\x00b"))
    assert root.find("testsuite").get("name") == "f"
    assert root.find(".//error").get("message") == "#xDC80"
    assert root.find(".//system-out").text == "a#x00b"
