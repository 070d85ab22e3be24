"""A network of its own, for a daemon and what it talks to: the machine's is left alone."""

from __future__ import annotations

import ctypes
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


class Namespace:
    """A network namespace with a loopback interface, which goes with the last that is in it."""

    def __init__(self) -> None:
        """Makes it.

        Raises:
            OSError: this process may not.
        """
        self._descriptor = -1
        problem: list[Exception] = []

        def make() -> None:
            try:
                _checked(_libc.unshare(_CLONE_NEWNET))
                self._descriptor = _current()
                subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            except Exception as raised:
                problem.append(raised)

        thread = threading.Thread(target=make)  # a namespace is a thread's; this one's stays
        thread.start()
        thread.join()
        if problem:
            raise OSError(f"a network namespace cannot be made: {problem[0]}") from problem[0]

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Sockets and processes that this thread makes meanwhile are in it."""
        before = _current()
        try:
            _checked(_libc.setns(self._descriptor, _CLONE_NEWNET))
            try:
                yield
            finally:
                _checked(_libc.setns(before, _CLONE_NEWNET))
        finally:
            os.close(before)

    def close(self) -> None:
        """Leaves it to those that are in it."""
        os.close(self._descriptor)


def _current() -> int:
    return os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net", os.O_RDONLY)


def _checked(answer: int) -> None:
    if answer != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
