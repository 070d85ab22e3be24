"""The database of a directory of runs: `history.sqlite`, made again from the records at any time.

The journal mode is SQLite's default, a rollback journal. A write-ahead log would let readers go on
while a run is added, and needs memory that all processes share: it does not work on NFS
(https://www.sqlite.org/wal.html), where reports may well be. A run is added once, in one short
transaction; whoever comes at the same moment waits.

Whatever is wrong with the file is one line for the user, and changes no verdict.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from harness.base import plain_file
from harness.base.error import HarnessError
from harness.base.text import one_line
from harness.history import series
from harness.history.series import Point
from harness.record.models import RunRecord

FILE = "history.sqlite"
REBUILD = "`harness history --rebuild` makes it again from the records"

_VERSION = 1  # of the tables; SQLite keeps it as user_version
_WAIT_S = 5.0  # for another run that is adding itself
_TABLES = (
    """CREATE TABLE IF NOT EXISTS runs (
        id TEXT PRIMARY KEY, started TEXT NOT NULL, state TEXT NOT NULL,
        setting TEXT NOT NULL
    )""",
    """CREATE TABLE IF NOT EXISTS points (
        "case" TEXT NOT NULL, run TEXT NOT NULL, point TEXT NOT NULL,
        PRIMARY KEY ("case", run)
    ) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS points_of_run ON points (run)",
)


class HistoryError(HarnessError):
    """The history cannot be read or written: what is wrong, and what to do."""


def add(record: RunRecord, reports: Path) -> None:
    """Adds a run; one that is there already is replaced.

    Args:
        reports: the directory that holds the runs.

    Raises:
        HistoryError: it cannot be written.
    """
    with _told(reports):
        rows = _rows(record)
        with _opened(reports, write=True) as database, _transaction(database):
            _insert(database, rows)


def note_of(record: RunRecord, reports: Path) -> str | None:
    """Adds a run; returns why it could not be, as a note for its reports, or None.

    A shard is none: the run that is merged of all is added.
    """
    if record.shard is not None:
        return None
    try:
        add(record, reports)
    except HistoryError as problem:
        return f"this run is not in the history: {problem}"
    return None


def recent(reports: Path, limit: int = 20, like: RunRecord | None = None) -> dict[str, list[Point]]:
    """Returns the last points of each case, the oldest first; nothing where it cannot be read.

    Args:
        reports: the directory that holds the runs.
        limit: points of a case at most.
        like: only runs of the same accelerator and parameters; their numbers compare.
    """
    try:
        return load(reports, limit, like=like)
    except HistoryError:
        return {}


def load(
    reports: Path, limit: int, case: str | None = None, like: RunRecord | None = None
) -> dict[str, list[Point]]:
    """Returns the last points of each case, or of one, by id, the oldest first.

    Args:
        like: as for `recent`.

    Raises:
        HistoryError: it cannot be read; one that is not there is empty.
    """
    if not os.path.lexists(reports / FILE):
        return {}
    wanted: list[str] = []
    where = ""
    if case is not None:
        where, wanted = ' AND points."case" = ?', [case]
    if like is not None:
        where += " AND setting = ?"
        wanted.append(series.setting(like))
    # `where` holds nothing that a user or a record has named.
    query = (
        'SELECT "case", point FROM (SELECT points."case", point, started, run, row_number() OVER'
        ' (PARTITION BY points."case" ORDER BY started DESC, run DESC) AS place'
        f" FROM points JOIN runs ON runs.id = points.run WHERE 1{where})"
        ' WHERE place <= ? ORDER BY "case", started, run'
    )
    found: dict[str, list[Point]] = {}
    with _told(reports), _opened(reports, write=False) as database:
        for name, text in database.execute(query, [*wanted, limit]):
            with contextlib.suppress(ValidationError):  # a row of somebody else's making
                point = Point.model_validate_json(text)
                found.setdefault(str(name), []).append(point)
    return found


def rebuild(records: Iterable[RunRecord], reports: Path) -> int:
    """Makes the database again; returns how many of the runs are in it.

    One that is sound is changed in place, in one step: a run which adds itself while the records
    are read stays. One that is damaged is replaced.

    Raises:
        HistoryError: it cannot be written.
    """
    path = reports / FILE
    with _told(reports):
        if os.path.lexists(path) and not _sound(path):
            _remove(path)
        with _opened(reports, write=True) as database:
            there = [row[0] for row in database.execute("SELECT id FROM runs")]
            rows = [_rows(record) for record in records if record.shard is None]
            with _transaction(database):
                for run in there:
                    _forget(database, run)
                for row in rows:
                    _insert(database, row)
    return len(rows)


@dataclass(frozen=True)
class _Rows:
    """A run as the tables have it."""

    run: tuple[str, ...]
    points: list[tuple[str, str, str]]


def _rows(record: RunRecord) -> _Rows:
    return _Rows(
        (record.id, record.started, record.state, series.setting(record)),
        [(case, record.id, point.to_json()) for case, point in series.points(record)],
    )


def _insert(database: sqlite3.Connection, rows: _Rows) -> None:
    _forget(database, rows.run[0])
    database.execute("INSERT INTO runs VALUES (?, ?, ?, ?)", rows.run)
    database.executemany("INSERT OR REPLACE INTO points VALUES (?, ?, ?)", rows.points)


def _forget(database: sqlite3.Connection, run: str) -> None:
    database.execute("DELETE FROM points WHERE run = ?", (run,))
    database.execute("DELETE FROM runs WHERE id = ?", (run,))


@contextlib.contextmanager
def _opened(reports: Path, write: bool) -> Iterator[sqlite3.Connection]:
    """The database, open; one that is to be written is made where it is not there."""
    path = reports / FILE
    with contextlib.suppress(FileNotFoundError):
        problem = plain_file.other(os.lstat(path).st_mode, path)
        if problem is not None or stat.S_ISLNK(os.lstat(path).st_mode):
            raise problem or OSError(None, "is a link, and no file", str(path))
    # Whoever reads may have to undo first what a killed writer has left.
    mode = "rwc" if write else "rw"
    database = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=_WAIT_S, isolation_level=None
    )
    try:
        database.execute("PRAGMA trusted_schema = OFF")
        if write:
            with _transaction(database):
                _prepare(database)
        elif _version(database) != _VERSION:
            raise sqlite3.DatabaseError("it is of another version")
        yield database
    finally:
        database.close()


def _prepare(database: sqlite3.Connection) -> None:
    """Makes the tables; those of another version are nobody's to change."""
    version = _version(database)
    if version not in (0, _VERSION):
        raise sqlite3.DatabaseError(f"it is of version {version}, this harness has {_VERSION}")
    if version == 0:
        for table in _TABLES:
            database.execute(table)
        database.execute(f"PRAGMA user_version = {_VERSION}")


def _version(database: sqlite3.Connection) -> int:
    return int(database.execute("PRAGMA user_version").fetchone()[0])


@contextlib.contextmanager
def _transaction(database: sqlite3.Connection) -> Iterator[None]:
    """All or nothing. It begins as a writer: two that read first could only fail on each other."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        with contextlib.suppress(sqlite3.Error):  # a full disk has undone it already
            database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


def _sound(path: Path) -> bool:
    """Whether SQLite finds nothing wrong with a database, and its tables are of this version.

    Raises:
        sqlite3.OperationalError: it is locked for long, or cannot be opened.
    """
    try:
        with _opened(path.parent, write=False) as database:
            return bool(database.execute("PRAGMA quick_check").fetchone()[0] == "ok")
    except sqlite3.OperationalError:
        raise
    except (sqlite3.DatabaseError, OSError):
        return False


def _remove(path: Path) -> None:
    """Removes a database, and a journal that would be played into the next one."""
    for name in (path, path.with_name(f"{path.name}-journal"), path.with_name(f"{path.name}-wal")):
        with contextlib.suppress(FileNotFoundError):
            name.unlink()


@contextlib.contextmanager
def _told(reports: Path) -> Iterator[None]:
    """Turns what SQLite and the system raise into one line."""
    path = reports / FILE
    try:
        yield
    except sqlite3.OperationalError as problem:  # locked, read-only, a full disk: it may be sound
        raise HistoryError(one_line(f"{path}: {problem}")) from problem
    except (sqlite3.Error, OverflowError, UnicodeError) as problem:
        raise HistoryError(one_line(f"{path}: {problem}; {REBUILD}")) from problem
    except OSError as problem:
        raise HistoryError(one_line(f"{path}: {problem.strerror or problem}")) from problem
