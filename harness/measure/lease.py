"""The host-wide lease on a GPU: one container at a time, whichever run it belongs to."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from harness.base.error import EngineError

_POLL_S = 0.1


@contextlib.contextmanager
def hold(
    uuid: str | None,
    cancel: threading.Event,
    waiting: Callable[[str], None],
    directory: Path = Path("/tmp"),  # shared by all users
) -> Iterator[None]:
    """Holds the GPU with this UUID; does nothing when there is none.

    The kernel frees the lease of a process that dies. Returns at once, without the lease, when
    the run is stopped: nothing starts after that.

    Raises:
        EngineError: the lease file cannot be opened.
    """
    if uuid is None:
        yield
        return
    name = re.sub(r"[^A-Za-z0-9-]", "_", uuid)
    path = directory / f"lms-harness-{name}.lock"
    try:
        # NOFOLLOW: the directory is world-writable, and a link there could name any file.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    except OSError as problem:
        raise EngineError(f"could not open the GPU's lease {path}: {problem.strerror}") from None
    try:
        told = False
        while not cancel.is_set():
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told:
                    waiting(f"GPU {uuid} is held by another run; waiting")
                    told = True
                cancel.wait(_POLL_S)
        yield
    finally:
        os.close(descriptor)
