"""`harness open`: the page of a run in a browser, or a line that says where it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.base.error import UsageError
from harness.cli import reporting
from harness.report.files import reports
from tests import records


@pytest.fixture
def root(tmp_path: Path) -> Path:
    reports.write_all(records.green(), tmp_path / "reports" / "one")
    return tmp_path


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    addresses: list[str] = []

    def browser(address: str) -> bool:
        addresses.append(address)
        return True

    monkeypatch.setattr(reporting.webbrowser, "open", browser)
    return addresses


def invoke(root: Path, *arguments: str):
    return CliRunner().invoke(
        reporting.open_command, arguments, obj=root, catch_exceptions=False, standalone_mode=False
    )


@pytest.mark.parametrize("named", [[], [""], ["one"]])
def test_the_newest_run_or_the_one_that_is_named(root, opened, named):
    page = root / "reports" / "one" / "index.html"
    assert invoke(root, *named).output == f"{page}\n"
    assert opened == [page.as_uri()]


def test_a_path_names_a_run_too(root, opened):
    invoke(root, str(root / "reports" / "one"))
    assert opened == [(root / "reports" / "one" / "index.html").as_uri()]


def test_without_a_browser_the_path_is_told(root, monkeypatch):
    monkeypatch.setattr(reporting.webbrowser, "open", lambda _: False)
    result = invoke(root)
    assert str(root / "reports" / "one" / "index.html") in result.output
    assert "no browser" in result.output
    assert result.exit_code == 0


def test_what_is_no_run_and_what_has_no_page(root, opened):
    with pytest.raises(UsageError, match="no run in"):
        invoke(root, "another")
    (root / "reports" / "one" / "index.html").unlink()
    with pytest.raises(UsageError, match="make report RUN="):
        invoke(root)
    assert opened == []
