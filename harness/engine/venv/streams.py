"""Standard output and error of a phase, followed into its log files.

The phase writes to pipes, as it does in a container, and a thread empties them: a file could not be
kept within a limit while the phase writes to it. The pipes have names, because a fork server opens
what its phases write to by itself.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from harness.engine.log_file import LIMIT, LogFile

_CHUNK = 2**16  # bytes; what a pipe holds
_LOOK_S = 0.2
# For what has been written before the end. Only where a process outlives its phase, which it does
# not on Linux, a pipe has no end.
_DRAIN_S = 5.0


class Streams:
    """The pipes of one phase, and the log files that they lead to.

    Attributes:
        pipes: paths of the pipes, in the order of the logs.
    """

    def __init__(self, directory: Path, logs: Sequence[Path]) -> None:
        """Makes the pipes below the directory, and the log files.

        Raises:
            OSError: the file system refuses.
        """
        self.pipes = tuple(directory / f".{number}.pipe" for number, _ in enumerate(logs))
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()
        self._selector = selectors.DefaultSelector()
        self._files: list[LogFile] = []
        self._descriptors: list[int] = []
        try:
            for pipe, log in zip(self.pipes, logs, strict=True):
                os.mkfifo(pipe, 0o600)
                # Open to be read before anybody opens it to write, who would wait for that.
                flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
                self._descriptors.append(os.open(pipe, flags))
                self._files.append(LogFile(log, LIMIT))
                self._selector.register(
                    self._descriptors[-1], selectors.EVENT_READ, self._files[-1]
                )
        except BaseException:
            self.close()
            raise

    def follow(self) -> None:
        """Begins to empty the pipes; their names are not needed any more."""
        self._forget()
        self._thread = threading.Thread(target=self._empty, name="logs", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Waits for what has been written, and completes the log files. Again, does nothing."""
        self._forget()
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        for file in self._files:
            file.close()
        self._selector.close()
        while self._descriptors:
            os.close(self._descriptors.pop())

    @property
    def problem(self) -> OSError | None:
        """Why a log file does not hold what was written, or None."""
        return next((file.problem for file in self._files if file.problem is not None), None)

    @property
    def facts(self) -> dict[str, Any]:
        """How long each log is, and how much of it was left out, in bytes."""
        return {
            file.path.name: {"bytes": file.total, "left out": file.dropped} for file in self._files
        }

    def __enter__(self) -> Streams:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _empty(self) -> None:
        late = None
        while self._selector.get_map():
            for key, _ in self._selector.select(_LOOK_S):
                data = os.read(key.fd, _CHUNK)
                if data:
                    key.data.write(data)
                else:
                    self._selector.unregister(key.fd)
            if self._ended.is_set():
                late = late or time.monotonic() + _DRAIN_S
                if time.monotonic() > late:
                    break

    def _forget(self) -> None:
        for pipe in self.pipes:
            with contextlib.suppress(OSError):
                pipe.unlink()
