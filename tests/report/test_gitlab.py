"""Our JUnit as GitLab reads it.

`cases` does what `lib/gitlab/ci/parsers/test/junit.rb` of GitLab does, which reads little: names,
the text of one element, and the first attachment of a test case that failed.
"""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks.report import build
from harness.report import junit
from harness.report.attachments import project_directory
from tests import records

FILE_BYTES, JOB_BYTES = 30 * 10**6, 100 * 10**6
ELEMENTS = 250_000  # of a file: "XML exceeds permitted complexity"
TEXT_BYTES = 10**7  # of a node, the limit of libxml2
# For an element with such a type ActiveSupport's `Hash.from_xml` has no text, or refuses the file.
TYPES = {
    *("symbol", "date", "datetime", "duration", "integer", "float", "decimal", "boolean"),
    *("string", "yaml", "base64Binary", "hexBinary", "file", "array"),
}
ATTACHMENT = re.compile(r"\[\[ATTACHMENT\|(?P<path>.+?)\]\]")


def cases(document: bytes):
    """Key, status, text and attachment of each test case."""
    for suite in ET.fromstring(document).iterfind("testsuite"):
        for case in suite.iterfind("testcase"):
            key = f"{suite.get('name')}_{case.get('classname')}_{case.get('name')}"
            status, text, path = "success", None, None
            for name in ("failure", "error", "skipped"):
                element = case.find(name)
                if element is not None:
                    assert element.get("type") not in TYPES
                    status, text = name, element.text
                    break
            if status == "failure":
                found = ATTACHMENT.search(case.findtext("system-out") or "")
                path = found["path"] if found else None
            yield key, status, text, path


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setenv("GITLAB_CI", "true")
    monkeypatch.setenv("CI_PROJECT_DIR", str(tmp_path))
    return tmp_path


def documents(record, place: Path) -> list[bytes]:
    return [path.read_bytes() for path in junit.write(record, records.logs(record, place))]


def test_each_test_case_is_told_apart_and_says_why(project):
    found = [
        case for text in documents(records.run(), project / "reports/run") for case in cases(text)
    ]
    keys = [key for key, *_ in found]
    assert len(keys) == len(set(keys))
    assert all(text for _, status, text, _ in found if status != "success")
    assert {status for _, status, *_ in found} == {"success", "failure", "error", "skipped"}


def test_the_attachment_of_a_failure_is_a_file_named_from_the_project(project):
    found = [
        case for text in documents(records.run(), project / "reports/run") for case in cases(text)
    ]
    paths = [path for _, status, _, path in found if status == "failure"]
    assert paths
    for path in paths:
        assert not Path(path).is_absolute()
        assert (project / path).is_file()


def test_elsewhere_attachments_are_absolute_as_jenkins_wants_them(tmp_path, monkeypatch):
    monkeypatch.delenv("GITLAB_CI", raising=False)
    monkeypatch.setenv("CI_PROJECT_DIR", str(tmp_path))
    assert project_directory() is None
    for text in documents(records.run(), tmp_path / "reports/run"):
        for path in ATTACHMENT.findall(text.decode()):
            assert Path(path).is_absolute()


def test_ten_thousand_cases_are_within_the_limits(project):
    record = build(10_000)
    written = [path.read_bytes() for path in junit.write(record, project / "reports/run")]
    assert sum(map(len, written)) < JOB_BYTES
    for content in written:
        assert len(content) < FILE_BYTES
        elements = list(ET.fromstring(content).iter())
        assert len(elements) < ELEMENTS
        assert max(len((element.text or "").encode()) for element in elements) < TEXT_BYTES
