"""Log files of a container: written while it runs, complete after it, and bounded on disk."""

from __future__ import annotations

import contextlib
import hashlib
import io
import struct
import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import IO, Any, BinaryIO

LIMIT = 256 * 2**20  # bytes of one log that are kept

# The daemon's framing of the two streams: one byte stream number, three of zero, four of length.
# https://docs.docker.com/reference/api/engine/version/v1.45/#tag/Container/operation/ContainerAttach
_HEADER = struct.Struct(">BxxxL")
STDOUT, STDERR = 1, 2
_BUFFER = 2**16


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
            note = f"\n[lms-harness] {self.dropped} bytes of this log are left out here\n"
            _write_all(self._file, note.encode("ascii"))
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


def buffered(attached: Any) -> BinaryIO:
    """What the library gives for an attached container as a stream to read from.

    That is a raw stream over a Unix socket or TCP, and a socket over TLS or ssh.
    """
    if isinstance(attached, io.RawIOBase):
        return io.BufferedReader(attached, _BUFFER)
    stream: BinaryIO = attached.makefile("rb", _BUFFER)
    return stream


def demultiplex(stream: BinaryIO, logs: dict[int, LogFile]) -> None:
    """Writes an attached container's streams to their files until the stream ends or breaks.

    `docker.utils.socket.frames_iter` would do it too, but it polls the socket before every read:
    over TLS a frame that has come together with its header is decrypted already and lies in the
    library's buffer, the socket has nothing, and the frame is not seen until the next one comes.
    The marker that a server is ready would never be.
    """
    while len(header := stream.read(_HEADER.size)) == _HEADER.size:
        number, length = _HEADER.unpack(header)
        while length:
            data = stream.read(min(length, _BUFFER))
            if not data:
                return
            length -= len(data)
            if number in logs:
                logs[number].write(data)


def replace(log: LogFile, chunks: Iterable[bytes], limit: int = LIMIT) -> LogFile:
    """Puts what was read again in the place of what was followed, unless that has no more.

    The connection that a running container is followed through may break unseen; what the daemon
    kept may have lost its beginning. The longer of the two is the log. Returns it, closed.
    """
    log.close()
    path = log.path
    temporary = path.with_name(f".{path.name}.again")
    again = LogFile(temporary, limit)
    try:
        with again:
            for chunk in chunks:
                again.write(chunk)
        if again.same_as(log) or again.total < log.total:
            return log
        if again.problem is not None:
            log.problem = log.problem or again.problem
            return log
        temporary.replace(path)
        again.path = path
        return again
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
