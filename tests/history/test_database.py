"""The history on disk: several processes at once, a damaged file, a locked one."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
import textwrap

import pytest

from harness.history import database
from harness.history.database import FILE, HistoryError
from harness.record.checks import CheckId, Status
from tests import records
from tests.paths import ROOT

CASE = "tf1-tfkeras.keras_saveload.one"


def run(number: int, status: Status = Status.PASSED, **values):
    check = records.check(CheckId.EDIT_TOOK_EFFECT, status, f"found in {number}")
    case = records.case("one", checks=records.checks(edit_took_effect=check))
    started = f"2025-03-{number:02}T10:00:00Z"
    return records.record([case], **{"id": f"run-{number}", "started": started, **values})


def ids(points):
    return [point.run for point in points]


def python(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
    )


def test_the_last_points_of_each_case_come_oldest_first(tmp_path):
    for number in (3, 1, 2):
        database.add(run(number), tmp_path)
    found = database.load(tmp_path, 20)
    assert {name: ids(points) for name, points in found.items()} == {
        CASE: ["run-1", "run-2", "run-3"]
    }
    assert ids(database.load(tmp_path, 2)[CASE]) == ["run-2", "run-3"]
    assert database.load(tmp_path, 2, case="another") == {}


def test_a_run_that_is_added_again_is_there_once_as_it_is_now(tmp_path):
    database.add(run(1), tmp_path)
    database.add(run(1, Status.FAILED), tmp_path)
    (point,) = database.load(tmp_path, 20)[CASE]
    assert (point.status, point.message) == (Status.FAILED, "found in 1")


def test_only_runs_whose_numbers_compare_are_recent(tmp_path):
    database.add(run(1), tmp_path)
    database.add(run(2, accelerator="gpu"), tmp_path)
    database.add(run(3, parameters={"swapout_threshold": 40}), tmp_path)
    database.add(run(4), tmp_path)
    assert ids(database.recent(tmp_path, like=run(9))[CASE]) == ["run-1", "run-4"]
    assert len(database.recent(tmp_path)[CASE]) == 4


def test_no_history_is_empty_and_is_not_made_by_looking(tmp_path):
    assert database.load(tmp_path, 20) == {}
    assert database.recent(tmp_path / "none") == {}
    assert list(tmp_path.iterdir()) == []


ADDER = """
    import sys
    from pathlib import Path
    from harness.history import database
    from tests.history.test_database import run
    sys.stdin.readline()  # all begin at once
    for number in range(1, 6):
        record = run(number, id=f"{sys.argv[2]}-{number}")
        print(database.note_of(record, Path(sys.argv[1])))
"""


def test_processes_that_add_runs_at_once_lose_none(tmp_path):
    processes = [python(ADDER, str(tmp_path), str(number)) for number in range(6)]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        out, _ = process.communicate(timeout=120)
        assert out.split() == ["None"] * 5
    points = database.load(tmp_path, 100)[CASE]
    assert sorted(ids(points)) == sorted(f"{p}-{n}" for p in range(6) for n in range(1, 6))
    assert not list(tmp_path.glob("*-wal"))  # a write-ahead log does not work on NFS


KILLED = """
    import sqlite3, sys, time
    connection = sqlite3.connect(sys.argv[1], isolation_level=None)
    connection.execute("PRAGMA cache_size = 1")  # so that pages are in the file before the end
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("DELETE FROM points")
    for n in range(2000):
        connection.execute("INSERT INTO points VALUES (?, 'run-1', ?)", (str(n), "x" * 500))
    print("now", flush=True)
    time.sleep(60)
"""


def test_what_a_killed_writer_has_left_is_undone(tmp_path):
    database.add(run(1), tmp_path)
    process = python(KILLED, str(tmp_path / FILE))
    assert process.stdout.readline() == "now\n"
    process.kill()
    process.communicate(timeout=60)
    assert (tmp_path / f"{FILE}-journal").stat().st_size > 0
    assert ids(database.load(tmp_path, 20)[CASE]) == ["run-1"]
    database.add(run(2), tmp_path)
    assert ids(database.load(tmp_path, 20)[CASE]) == ["run-1", "run-2"]


@contextlib.contextmanager
def locked(path):
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        connection.close()


def test_one_that_stays_locked_is_a_note(tmp_path, monkeypatch):
    database.add(run(1), tmp_path)
    monkeypatch.setattr(database, "_WAIT_S", 0.1)
    with locked(tmp_path / FILE):
        note = database.note_of(run(2), tmp_path)
        assert note.startswith("this run is not in the history: ")
        assert note.endswith(f"{FILE}: database is locked")
        assert database.recent(tmp_path) == {}
        with pytest.raises(HistoryError, match="is locked"):
            database.rebuild([run(1)], tmp_path)
    assert ids(database.load(tmp_path, 20)[CASE]) == ["run-1"]


def damaged(path, tmp_path):
    database.add(run(1), tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[:100] + b"\xff" * 3000 + content[3100:])


@pytest.mark.parametrize(
    "make",
    [
        lambda path, tmp_path: path.write_bytes(b"no database at all, and long enough" * 30),
        damaged,
        lambda path, tmp_path: path.mkdir(),
        lambda path, tmp_path: os.mkfifo(path),
        lambda path, tmp_path: path.symlink_to(tmp_path / "elsewhere"),
    ],
)
def test_one_that_is_none_is_a_note_and_made_again(tmp_path, make):
    make(tmp_path / FILE, tmp_path)
    note = database.note_of(run(2), tmp_path)
    assert note is not None
    assert "\n" not in note
    assert database.recent(tmp_path) == {}
    with pytest.raises(HistoryError):
        database.load(tmp_path, 20)
    if (tmp_path / FILE).is_dir():
        with pytest.raises(HistoryError):
            database.rebuild([run(1)], tmp_path)
        return
    assert database.rebuild([run(1), run(2)], tmp_path) == 2
    assert ids(database.load(tmp_path, 20)[CASE]) == ["run-1", "run-2"]
    assert not (tmp_path / "elsewhere").exists()


def test_one_of_another_version_is_left_alone_by_a_run(tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / FILE)) as other:
        other.execute("PRAGMA user_version = 9")
        other.commit()
    assert "of version 9" in database.note_of(run(1), tmp_path)
    assert database.recent(tmp_path) == {}


def test_a_rebuild_forgets_runs_without_a_record_and_keeps_one_that_ends_meanwhile(tmp_path):
    database.add(run(1), tmp_path)
    database.add(run(2), tmp_path)

    def records_read():
        yield run(2)
        database.add(run(3), tmp_path)  # in the meantime

    assert database.rebuild(records_read(), tmp_path) == 1
    assert ids(database.load(tmp_path, 20)[CASE]) == ["run-2", "run-3"]


def test_rows_of_somebody_else_are_passed_over(tmp_path):
    database.add(run(1), tmp_path)
    with contextlib.closing(sqlite3.connect(tmp_path / FILE)) as other:
        other.execute("INSERT INTO points VALUES ('evil', 'run-1', '{\"run\": 3}')")
        other.execute("INSERT INTO points VALUES ('worse', 'run-1', x'ff00')")
        other.commit()
    assert list(database.load(tmp_path, 20)) == [CASE]
