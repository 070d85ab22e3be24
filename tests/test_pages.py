"""The pages for people: short where they have to be, no link to nowhere, and no other codes."""

from __future__ import annotations

import re

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


def test_every_exit_code_is_documented():
    codes = {value for name, value in vars(error).items() if name.startswith("EXIT_")}
    section = (ROOT / "docs" / "reports.md").read_text().split("## The exit code")[1]
    table = section.split("\n\n")[1]
    assert {int(number) for number in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)} == codes


def test_jenkins_takes_two_codes_for_unstable_and_fails_on_any_other():
    text = (ROOT / "Jenkinsfile").read_text()
    branches = re.findall(r"\(code (==|!=) (\d)\) \{\s*(\w+)\(", text)
    assert branches == [
        ("==", "1", "unstable"),
        ("==", "2", "unstable"),
        ("==", "3", "error"),
        ("!=", "0", "error"),
    ]
