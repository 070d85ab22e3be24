"""The pages for people: short where they have to be, no link to nowhere, and no other codes."""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from harness.base import error
from tests.paths import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    prose = re.sub(r"^(`{3,}).*?^\1`*$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", prose)
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (page.parent / target).exists()] == []


def test_each_sentence_on_security_names_a_test_that_is_there():
    text = (ROOT / "docs" / "security.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| ") and "| test |" not in line]
    rows = [row for row in rows if not set(row) <= set("|- ")]
    assert len(rows) > 20
    for row in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", row.rpartition(" | ")[2])
        assert named, row
        for path, name in named:
            assert f"def {name}(" in (ROOT / path).read_text(), name


def test_every_exit_code_is_documented():
    codes = {value for name, value in vars(error).items() if name.startswith("EXIT_")}
    section = (ROOT / "docs" / "reports.md").read_text().split("## The exit code")[1]
    table = section.split("\n\n")[1]
    assert {int(number) for number in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)} == codes


def test_jenkins_archives_through_no_link(tmp_path):
    """What its step runs before it archives, on a run in which phases left links everywhere."""
    text = (ROOT / "Jenkinsfile").read_text()
    before, _, archive = text.partition("archiveArtifacts artifacts")
    command = re.findall(r"sh '(.*)'", before)[-1]
    run = tmp_path / "reports" / "run"
    places = [run, run / "phases" / "p" / "client" / "artifacts", run / "groups" / "g"]
    for place in places:
        place.mkdir(parents=True, exist_ok=True)
        (place / "kept").write_text("x")
        (place / "file").symlink_to("/etc/passwd")
        (place / "directory").symlink_to("/etc")
        os.mkfifo(place / "fifo")
    for _ in range(2):
        subprocess.run(["sh", "-ec", command], cwd=tmp_path, check=True)  # no reports yet
        (tmp_path / "reports" / "latest").unlink(missing_ok=True)
        (tmp_path / "reports" / "latest").symlink_to("run")
    left = [path for path in run.rglob("*") if not path.is_dir() or path.is_symlink()]
    assert {path.name for path in left} == {"kept"}
    assert len(left) == len(places)
    excluded = re.search(r"excludes: '([^']+)'", archive)[1].split(", ")
    assert {"reports/latest/**/artifacts/**", "reports/latest/**/input/**"} <= set(excluded)


def test_jenkins_takes_two_codes_for_unstable_and_fails_on_any_other():
    text = (ROOT / "Jenkinsfile").read_text()
    branches = re.findall(r"\(code (==|!=) (\d)\) \{\s*(\w+)\(", text)
    assert branches == [
        ("==", "1", "unstable"),
        ("==", "2", "unstable"),
        ("==", "3", "error"),
        ("!=", "0", "error"),
    ]
