"""A log of a phase that is a fork: what it writes to a pipe, within a limit.

Of a log that is longer than the limit the beginning and the end are kept, and the phase goes on.
"""

import os
import select
import typing

_CHUNK = 2**16


class Log:
    """A file, and the pipe that leads to it.

    problem: why the file does not hold what was written, or None.
    """

    def __init__(self, path: str, limit: int, left_out: str) -> None:
        """Makes the file, which must not be there.

        limit: bytes that are kept. left_out: the line for what is left out; `%d` is its bytes.
        """
        self.problem = None  # type: typing.Optional[OSError]
        self._path = path
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        self._head = limit // 2
        self._room = limit - self._head
        self._left_out = left_out
        self._ring = -1  # descriptor of a file that has the last bytes beyond the head
        self._beyond = 0  # bytes that were written to it
        self._from = self._to = -1  # the ends of the pipe

    def open(self) -> None:
        """Makes the pipe."""
        self._from, self._to = os.pipe()
        os.set_blocking(self._from, False)

    @property
    def end(self) -> int:
        """The descriptor to write to."""
        return self._to

    def release(self) -> int:
        """The descriptor to write to, which is the caller's to close from here on."""
        descriptor, self._to = self._to, -1
        return descriptor

    def take(self) -> bool:
        """Takes what is in the pipe, at most 1 MiB; whether there may be more at once."""
        for _ in range(16):
            try:
                data = os.read(self._from, _CHUNK)
            except BlockingIOError:
                return False
            if not data:
                os.close(self._from)
                self._from = -1
                return False
            # The pipe is emptied in any case: the phase must not wait for a disk that is full.
            try:
                if self.problem is None:
                    self._keep(data)
            except OSError as problem:
                self.problem = problem
        return True

    @property
    def open_to_read(self) -> bool:
        """Whether somebody may still write to the pipe."""
        return self._from >= 0

    def finish(self) -> None:
        """Takes what is left, and completes the file."""
        if self.open_to_read:
            self.take()  # more than is in a pipe
        try:
            if self.problem is None and self._ring >= 0:
                self._append()
        except OSError as problem:
            self.problem = problem
        self.close()

    def close(self) -> None:
        """Closes the file and the pipe, where they are open."""
        for descriptor in (self._file, self._ring, self._from, self._to):
            if descriptor >= 0:
                os.close(descriptor)
        self._file = self._ring = self._from = self._to = -1

    def _keep(self, data: bytes) -> None:
        head, data = data[: self._head], data[self._head :]
        self._head -= len(head)
        _write(self._file, head)
        if data and self._ring < 0:
            path = self._path + ".end"
            self._ring = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            os.unlink(path)
        while data:
            at = self._beyond % self._room
            written = os.pwrite(self._ring, data[: self._room - at], at)
            self._beyond += written
            data = data[written:]

    def _append(self) -> None:
        start = 0
        if self._beyond > self._room:
            _write(self._file, (self._left_out % (self._beyond - self._room)).encode())
            start = self._beyond % self._room
        size = min(self._beyond, self._room)
        for begin, end in ((start, size), (0, start)):
            while begin < end:
                data = os.pread(self._ring, min(end - begin, _CHUNK), begin)
                _write(self._file, data)
                begin += len(data)


def wait(logs: typing.Sequence[Log], seconds: float) -> None:
    """Takes what comes through the pipes; returns once something has come, or after the time."""
    written = {entry._from: entry for entry in logs if entry.open_to_read}
    poll = select.poll()
    for descriptor in written:
        poll.register(descriptor, select.POLLIN)
    for descriptor, _ in poll.poll(seconds * 1000):
        written[descriptor].take()


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
