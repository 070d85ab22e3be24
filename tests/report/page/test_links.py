"""Addresses lead below the run directory, to plain files, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.report.attachments import RunFiles
from harness.report.page import links
from tests import records
from tests.report.page.examples import HOSTILE, write_logs


def test_a_page_is_named_by_its_case():
    assert links.page_of(records.case("one")) == "tf1-tfkeras.keras_saveload.one.html"


@pytest.mark.parametrize("scenario", [*HOSTILE, "../../x", "a/b", "x" * 300, "a b", "#", "?x"])
def test_an_id_that_is_no_file_name_gets_another(scenario):
    page = links.page_of(records.case(scenario))
    assert page.startswith("case-")
    assert set(page) <= set("case-0123456789abcdef.html")
    assert page != links.page_of(records.case(scenario + "x"))


def test_what_a_phase_left_is_found(tmp_path: Path):
    record = records.green()
    write_logs(record, tmp_path)
    phase = record.phases[0]
    (tmp_path / phase.directory / "stdout.log").write_text("")
    found = dict(links.files_of(phase, RunFiles(tmp_path), "../"))
    place = f"../{phase.directory}"
    assert found == {
        "stderr.log": f"{place}/stderr.log",
        "samples.csv": f"{place}/samples.csv",
        "details.json": f"{place}/details.json",
    }


@pytest.mark.parametrize("directory", ["../outside", "/etc", "phases/../../outside", "link"])
def test_nothing_outside_the_run_is_named(directory, tmp_path):
    run = tmp_path / "run"
    outside = tmp_path / "outside"
    for path in (run, outside):
        path.mkdir()
    (outside / "stdout.log").write_text("secret")
    (run / "link").symlink_to(outside)
    phase = records.phase("x", directory=directory)
    assert links.files_of(phase, RunFiles(run), "") == []


def test_a_link_in_the_place_of_a_log_is_not_named(tmp_path):
    phase = records.phase("x")
    place = tmp_path / phase.directory
    place.mkdir(parents=True)
    (place / "details.json").symlink_to("/etc/passwd")
    (place / "stdout.log").symlink_to("/etc/passwd")
    assert links.files_of(phase, RunFiles(tmp_path), "") == []


def test_an_address_is_quoted(tmp_path):
    phase = records.phase("x", directory="phases/a#b?c %41")
    (tmp_path / phase.directory).mkdir(parents=True)
    (tmp_path / phase.directory / "stdout.log").write_text("x")
    assert links.files_of(phase, RunFiles(tmp_path), "") == [
        ("stdout.log", "phases/a%23b%3Fc%20%2541/stdout.log")
    ]
