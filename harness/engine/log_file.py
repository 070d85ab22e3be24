"""Log files of phases: there while a phase writes on, complete after its end, bounded on disk.

The rule is one for all phases, whatever runs them: of a log that is longer than the limit the
beginning and the end are kept, and the phase goes on.
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO

LIMIT = 256 * 2**20  # bytes of one log that are kept
LEFT_OUT = "\n[lms-harness] %d bytes of this log are left out here\n"


class LogFile:
    """A file that keeps the beginning and the end of what is written to it.

    The beginning is on disk at once, for whoever follows the file; where the limit is exceeded the
    end comes with `close`, after a line that says how much is left out. Where the disk takes no
    more, all that comes is dropped: who writes the log must not be kept waiting.

    Attributes:
        total: bytes that were written, kept or not.
        problem: why it is not whole on disk, e.g. that this is full.
    """

    def __init__(self, path: Path, limit: int = LIMIT) -> None:
        self.path = path
        self.total = 0
        self.problem: OSError | None = None
        self._head = limit // 2
        self._room = limit - self._head
        self._digest = hashlib.blake2b()
        self._file = path.open("wb", buffering=0)
        self._tail: IO[bytes] | None = None
        self._tail_total = 0

    def write(self, data: bytes) -> None:
        """Appends, or drops it."""
        self._digest.update(data)
        head = max(self._head - self.total, 0)
        self.total += len(data)
        if self.problem is not None:
            return
        try:
            if head:
                _write_all(self._file, data[:head])
            if len(data) > head:
                self._keep(data[head:])
        except OSError as problem:
            self.problem = problem

    @property
    def dropped(self) -> int:
        """Bytes that are left out."""
        return max(self._tail_total - self._room, 0)

    def same_as(self, other: LogFile) -> bool:
        """Whether both were given the same bytes."""
        return self._digest.digest() == other._digest.digest()

    def close(self) -> None:
        """Writes the end, if it is not there yet; again, does nothing."""
        if self._file.closed:
            return
        try:
            with self._file:
                if self._tail is not None:
                    with self._tail as tail:
                        self._append(tail)
        except OSError as problem:
            self.problem = self.problem or problem

    def __enter__(self) -> LogFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _keep(self, data: bytes) -> None:
        """Writes to the ring that holds the end."""
        if self._tail is None:
            self._tail = tempfile.TemporaryFile(dir=self.path.parent)  # noqa: SIM115 - closed by close
        data_start = max(len(data) - self._room, 0)
        position = (self._tail_total + data_start) % self._room
        self._tail_total += len(data)
        rest = data[data_start:]
        first = rest[: self._room - position]
        self._tail.seek(position)
        self._tail.write(first)
        if len(rest) > len(first):
            self._tail.seek(0)
            self._tail.write(rest[len(first) :])

    def _append(self, tail: IO[bytes]) -> None:
        start = 0
        if self.dropped:
            _write_all(self._file, (LEFT_OUT % self.dropped).encode("ascii"))
            start = self._tail_total % self._room
        size = min(self._tail_total, self._room)
        for begin, end in ((start, size), (0, start)):
            tail.seek(begin)
            while begin < end and (chunk := tail.read(min(end - begin, 2**20))):
                _write_all(self._file, chunk)
                begin += len(chunk)


def _write_all(file: IO[bytes], data: bytes) -> None:
    """Writes to a file without a buffer, which may take a part only."""
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]
