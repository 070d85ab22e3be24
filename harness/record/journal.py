"""The journal of a run: what ended, appended at once, so that no kill of the driver loses it.

`record.json` is written as a whole, and so not at each phase's end. Whoever reads it folds in what
the journal holds beyond it. There is a journal as long as there is no last record.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from harness.record.model import Model
from harness.record.models import CaseRecord, PhaseRecord, RunRecord

FILE = "journal.jsonl"

_BYTES = 2**28  # of a line; a phase with all its facts has some thousands
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class _Entry(Model):
    """A line of the journal; it holds one of these."""

    phase: PhaseRecord | None = None
    case: CaseRecord | None = None


class Journal:
    """The journal of a run that goes on. Its lock says so, and ends with this process."""

    def __init__(self, run_directory: Path) -> None:
        """Begins it.

        Raises:
            OSError: the file cannot be made.
        """
        self._path = run_directory / FILE
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(self._path, flags, 0o644)
        self._broken = False
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def phase(self, record: PhaseRecord) -> None:
        """Appends a phase that has ended.

        Raises:
            OSError: it cannot be written; after that nothing more is tried.
        """
        self._append(_Entry(phase=record))

    def case(self, record: CaseRecord) -> None:
        """Appends a case that was judged.

        Raises:
            OSError: it cannot be written; after that nothing more is tried.
        """
        self._append(_Entry(case=record))

    def close(self, whole: bool) -> None:
        """Ends it.

        Args:
            whole: `record.json` holds everything that is in it: it goes.
        """
        if whole:
            remove(self._path.parent)
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self._broken = -1, True

    def _append(self, entry: _Entry) -> None:
        if self._broken:
            return
        line = f"{entry.to_json()}\n".encode()
        try:
            while line:
                written = os.write(self._descriptor, line)
                line = line[written:]
        except OSError:
            self._broken = True  # a line may be cut, and none may follow it
            raise


def remove(run_directory: Path) -> None:
    """Removes the journal of a run whose record holds everything that is in it."""
    with contextlib.suppress(OSError):
        (run_directory / FILE).unlink()


def alive(run_directory: Path) -> bool:
    """Whether the driver of a run still lives, as far as its lock tells."""
    try:
        descriptor = os.open(run_directory / FILE, _READ)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as problem:
        return problem.errno not in (errno.ENOLCK, errno.EOPNOTSUPP)
    finally:
        os.close(descriptor)
    return False


def folded(record: RunRecord, run_directory: Path) -> RunRecord:
    """The record with what its journal holds beyond it."""
    phases = {phase.key: phase for phase in record.phases}
    cases = {case.id: case for case in record.cases}
    known = len(phases), len(cases)
    for entry in _entries(run_directory):
        if entry.phase is not None:
            phases.setdefault(entry.phase.key, entry.phase)
        if entry.case is not None:
            cases.setdefault(entry.case.id, entry.case)
    if (len(phases), len(cases)) == known:
        return record
    update = {"phases": list(phases.values()), "cases": list(cases.values())}
    return record.model_copy(update=update)


def _entries(run_directory: Path) -> Iterator[_Entry]:
    try:
        descriptor = os.open(run_directory / FILE, _READ)
    except OSError:
        return
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return
    with os.fdopen(descriptor, "rb") as stream, contextlib.suppress(OSError):
        while line := stream.readline(_BYTES):
            # One that was cut by a kill, or by a full disk, is none.
            with contextlib.suppress(ValidationError):
                yield _Entry.model_validate_json(line)
