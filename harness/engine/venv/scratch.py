"""Scratch directories of dead drivers, and the processes that are known by them."""

from __future__ import annotations

import contextlib
import signal
import time
from pathlib import Path

import psutil

from harness.base.claim import abandoned

_PATIENCE_S = 10.0  # for processes that the kernel does not let die, or that are another user's
_PAUSE_S = 0.02


def reap(root: Path) -> list[str]:
    """Removes the scratch directories of dead drivers, with what still runs in them.

    A supervisor ends with its driver, and all that it started with it. What is found here lost
    both at once.

    Returns:
        A line for each process.
    """
    return [
        f"process {pid} of a driver that is gone"
        for directory in abandoned(root)
        for pid in end_processes(directory)
    ]


def end_processes(directory: Path) -> list[int]:
    """Ends the processes that have their HOME or TMPDIR in a scratch directory; returns their pids.

    These variables are in the environment of whatever descends from a phase, but for what clears
    it on purpose. Another user's processes do not tell theirs.
    """
    ended: set[int] = set()
    deadline = time.monotonic() + _PATIENCE_S
    while found := _processes(directory):
        for pid in found:
            with contextlib.suppress(OSError):
                psutil.Process(pid).send_signal(signal.SIGKILL)
        ended |= found
        if time.monotonic() > deadline:
            break
        time.sleep(_PAUSE_S)
    return sorted(ended)


def _processes(directory: Path) -> set[int]:
    found = set()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            environ = process.environ()  # a zombie has none
            for name in ("HOME", "TMPDIR"):
                value = environ.get(name)
                if value and Path(value).is_relative_to(directory):
                    found.add(process.pid)
    return found
