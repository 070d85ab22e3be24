"""Standard output and standard error that never fail: a reader is no part of what is done.

A pipe whose reader has left (EPIPE), a terminal that went away (EIO), a full disk (ENOSPC), an
encoding that lacks a character: none is a reason to end a run of hours. What cannot be written is
lost, and `lost` says so for commands whose output is all that they make.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import sys
from typing import Any, TextIO

_PIECE = 4096  # bytes; a pipe that is ready takes as many at once
_PATIENCE_S = 1.0


class _Descriptor(io.RawIOBase):
    """A descriptor that takes whatever is written, and passes on what it can.

    Attributes:
        lost: the first reason why something was not passed on.
        patience_s: seconds to wait for a reader that reads no more, None for as long as it takes.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.lost: OSError | None = None
        self.patience_s: float | None = None
        self._number = number
        self._stuck = False
        self._poll = select.poll()
        self._poll.register(number, select.POLLOUT)

    def write(self, data: Any) -> int:
        left = memoryview(data).cast("B")
        size = len(left)
        try:
            while left and self._ready():
                with contextlib.suppress(BlockingIOError):  # another writer was faster
                    left = left[os.write(self._number, left[:_PIECE]) :]
            if left:
                self.lost = self.lost or TimeoutError("nobody reads the output")
        except OSError as problem:
            self.lost = self.lost or problem
        return size

    def _ready(self) -> bool:
        """Whether it takes more, or says by an error why not; waits once for each time that not."""
        wait_s = 0.0 if self._stuck else self.patience_s
        self._stuck = not self._poll.poll(None if wait_s is None else wait_s * 1000)
        return not self._stuck

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._number

    def isatty(self) -> bool:
        return os.isatty(self._number)


class Streams:
    """Both standard streams of this process, as long as it has them.

    Attributes:
        expendable: what is done is all that counts, and nobody has to read of it.
    """

    def __init__(self) -> None:
        self.expendable = False
        self._descriptors: list[_Descriptor] = []

    def install(self) -> None:
        """Puts streams that never fail in the place of the interpreter's own.

        What somebody else has put there stays.
        """
        _fill_standard_descriptors()
        if sys.stdout is sys.__stdout__:
            sys.stdout = self._of(1, sys.stdout)
        if sys.stderr is sys.__stderr__:
            sys.stderr = self._of(2, sys.stderr)

    def spare(self) -> None:
        """From here on what is done counts, and not who reads of it: no reader is waited for."""
        self.expendable = True
        for descriptor in self._descriptors:
            descriptor.patience_s = _PATIENCE_S

    def lost(self) -> OSError | None:
        """Why not all of standard output has come through; None where it has, or does not count."""
        if self.expendable:
            return None
        sys.stdout.flush()
        output = (entry.lost for entry in self._descriptors if entry.fileno() == 1)
        return next(output, None)

    def _of(self, number: int, stream: TextIO | None) -> TextIO:
        if stream is not None:
            stream.flush()
        descriptor = _Descriptor(number)
        self._descriptors.append(descriptor)
        return io.TextIOWrapper(
            io.BufferedWriter(descriptor),
            encoding=stream.encoding if stream is not None else "utf-8",
            errors="backslashreplace",
            line_buffering=stream is None or number == 2 or stream.isatty(),
        )


def _fill_standard_descriptors() -> None:
    """Opens what was closed: the next file would else be taken for a standard stream."""
    number = os.open(os.devnull, os.O_RDWR)
    while number <= 2:
        os.set_inheritable(number, True)
        number = os.dup(number)
    os.close(number)


standard = Streams()
"""Those of this process."""
