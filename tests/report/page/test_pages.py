"""The files of the pages: which there are, and what of a broken one."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given, settings

from harness.base import atomic
from harness.base.text import clean
from harness.record.checks import CheckId, Status
from harness.report.page import front_page, links, markup, pages
from tests import records
from tests.report.page import examples


def test_the_files_that_are_written(tmp_path):
    record = examples.run()
    assert pages.write(record, tmp_path) == tmp_path / "index.html"
    there = {
        path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()
    }
    assert there == {
        "index.html",
        *(f"page/{name}" for name in markup.STATIC_FILES),
        *links.pages_of(record.cases).values(),
    }


def test_pages_of_cases_that_are_no_longer_there_are_removed(tmp_path):
    pages.write(examples.run(), tmp_path)
    (tmp_path / "cases" / "mine.txt").write_text("")
    pages.write(records.green(), tmp_path)
    names = {path.name for path in (tmp_path / "cases").iterdir()}
    assert names == {"mine.txt", *(links.page_of(case) for case in records.green().cases)}


def test_timelines_are_pictures_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "timelines", lambda *_: [examples.timeline(), examples.timeline()])
    examples.write_logs(records.green(), tmp_path)
    pages.write(records.green(), tmp_path)
    page = f"{records.green().cases[0].id}"
    content = (tmp_path / "cases" / f"{page}.html").read_text()
    for number in (1, 2):
        assert f'<img src="{page}.{number}.svg"' in content
        assert (tmp_path / "cases" / f"{page}.{number}.svg").read_text().startswith("<svg ")
    used = [case for case in records.green().cases if case.phases]
    assert len(list((tmp_path / "cases").glob("*.svg"))) == 2 * len(used)
    monkeypatch.setattr(pages, "timelines", lambda *_: [])
    pages.write(records.green(), tmp_path)
    assert not list((tmp_path / "cases").glob("*.svg"))


def test_a_run_without_cases_has_a_page(tmp_path):
    text = pages.write(records.record([]), tmp_path).read_text()
    assert "No case was run." in text


def test_a_page_that_cannot_be_rendered_says_so_and_the_others_are_there(tmp_path, monkeypatch):
    def broken(*_):
        raise RuntimeError("<b>")

    monkeypatch.setattr(pages, "timelines", broken)
    examples.write_logs(examples.run(), tmp_path)
    assert "FAILED" in pages.write(examples.run(), tmp_path).read_text()
    case = tmp_path / "cases" / f"{examples.FAILED}.html"
    assert "RuntimeError(&#39;&lt;b&gt;&#39;)" in case.read_text()
    monkeypatch.undo()
    monkeypatch.setattr(front_page, "gather", broken)
    assert "could not be rendered" in pages.write(examples.run(), tmp_path).read_text()
    assert "37 operations" in case.read_text()


def test_a_full_disk_is_no_page_that_cannot_be_rendered(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic, "write", full)
    with pytest.raises(OSError, match="No space"):
        pages.write(examples.run(), tmp_path)


def test_the_data_of_plots_cannot_end_its_element(tmp_path, monkeypatch):
    text = " ".join(examples.HOSTILE)
    monkeypatch.setattr(pages, "timelines", lambda *_: [examples.timeline(text)])
    record = records.green()
    examples.write_logs(record, tmp_path)
    pages.write(record, tmp_path)
    content = (tmp_path / "cases" / f"{record.cases[0].id}.html").read_text()
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', content)
    assert not re.search(r"[<>&\u2028\u2029]", data)
    assert json.loads(data)[0]["marks"][1]["label"] == text


def test_one_that_did_not_pass_leads_to_the_next(tmp_path):
    pages.write(examples.run(), tmp_path)
    content = (tmp_path / "cases" / f"{examples.FAILED}.html").read_text()
    assert '<a href="../cases/' in content
    assert "next that did not pass" in content
    passed = (
        tmp_path / "cases" / "tf1-tfkeras.keras_saveload.trainsave-loadtrain.html"
    ).read_text()
    assert "next that did not pass" not in passed


@given(records.ANYTHING)
@settings(max_examples=25, deadline=None)
def test_any_text_is_written(tmp_path_factory, text):
    directory = tmp_path_factory.mktemp("run")
    check = records.check(CheckId.STATE_RESTORED, Status.FAILED, clean(text) or "x")
    case = records.case(text, text, family=text, reproduce=text, checks=[check])
    front = pages.write(records.record([case], id=text), directory).read_text("utf-8")
    (page,) = (directory / "cases").iterdir()
    for content in (front, page.read_text("utf-8")):
        assert "could not be rendered" not in content
        assert "<b>" not in re.sub(r"<b>[^<]*</b>", "", content)
