"""What a run that was killed has left, and whoever reads it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.record import journal, store
from harness.record.checks import Status
from harness.record.journal import FILE, Journal
from harness.report.files import reports
from tests import records
from tests.paths import ROOT


def killed(directory: Path) -> Path:
    """A run whose driver is gone: its record holds nothing of what its journal does."""
    directory.mkdir(parents=True)
    whole = records.record([records.case("one"), records.case("two")], state="running")
    store.write(whole.model_copy(update={"cases": [], "phases": []}), directory)
    kept = Journal(directory)
    for phase in whole.phases:
        kept.phase(phase)
    for case in whole.cases:
        kept.case(case)
    kept.close(whole=False)
    return directory


def test_what_the_record_lacks_is_folded_in(tmp_path: Path) -> None:
    whole = records.record([records.case("one"), records.case("two")], state="running")
    read = store.load(killed(tmp_path / "run"))
    assert read.cases == whole.cases
    assert read.phases == whole.phases


def test_the_record_itself_comes_first(tmp_path: Path) -> None:
    directory = killed(tmp_path / "run")
    case = records.case("one").model_copy(update={"description": "as recorded"})
    store.write(records.record([case]), directory)
    read = store.load(directory)
    assert read.cases[0].description == "as recorded"
    assert [entry.scenario for entry in read.cases] == ["one", "two"]


@pytest.mark.parametrize("rest", ["", "{", '{"phase": {"key": 1}}\n', "\xff\x00\n", "[" * 10_000])
def test_a_line_that_was_cut_is_none(tmp_path: Path, rest: str) -> None:
    directory = killed(tmp_path / "run")
    content = (directory / FILE).read_bytes()
    (directory / FILE).write_bytes(content + rest.encode("latin-1"))
    assert len(store.load(directory).cases) == 2
    (directory / FILE).write_bytes(content[:-10])
    assert len(store.load(directory).cases) == 1


@pytest.mark.parametrize("kind", ["fifo", "link", "directory"])
def test_what_is_no_journal_is_not_read(tmp_path: Path, kind: str) -> None:
    store.write(records.run(), tmp_path)
    path = tmp_path / FILE
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    assert store.load(tmp_path) == records.run()


def test_a_driver_lives_as_long_as_its_lock(tmp_path: Path) -> None:
    assert not journal.alive(tmp_path)
    code = (
        "import sys, pathlib; from harness.record.journal import Journal;"
        "kept = Journal(pathlib.Path(sys.argv[1])); print('there', flush=True); input()"
    )
    driver = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert driver.stdout is not None
    driver.stdout.readline()
    assert journal.alive(tmp_path)
    driver.kill()
    driver.wait()
    assert not journal.alive(tmp_path)
    assert (tmp_path / FILE).exists()


def test_reports_of_a_killed_run_are_made_again(tmp_path: Path) -> None:
    directory = killed(tmp_path / "run")
    assert [line.partition(":")[0] for line in reports.settle_killed(tmp_path)] == ["run"]
    record = store.load(directory)
    assert record.state == "aborted"
    assert "killed" in record.notes[-1]
    assert {case.status for case in record.cases} == {Status.PASSED}
    assert "killed" in (directory / "summary.md").read_text()
    assert not (directory / FILE).exists()
    assert list(reports.settle_killed(tmp_path)) == []


def test_reports_of_a_run_that_goes_on_are_its_own(tmp_path: Path) -> None:
    directory = killed(tmp_path / "run")
    kept = Journal(directory)
    before = (directory / store.FILE).read_bytes()
    assert list(reports.settle_killed(tmp_path)) == []
    assert len(reports.rebuild(directory).cases) == 2
    assert (directory / store.FILE).read_bytes() == before
    kept.close(whole=True)
    assert not (directory / FILE).exists()


def test_a_full_disk_is_told_once(tmp_path: Path) -> None:
    (tmp_path / FILE).symlink_to("/dev/full")
    kept = Journal(tmp_path)
    with pytest.raises(OSError, match="No space left"):
        kept.case(records.case("one"))
    kept.case(records.case("two"))
