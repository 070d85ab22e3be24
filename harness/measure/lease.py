"""The host-wide lease on a GPU: one container at a time, whichever run it belongs to.

A lock of the kernel (flock) on a file in a directory that all users share. `filelock` does not fit:
it opens the file for writing, which only the user who made it may, and the lease is every user's.
flock needs no more than a descriptor to read from.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from harness.base.error import EngineError

_POLL_S = 0.1
# NOFOLLOW: the directory is world-writable, and a link there could name any file. NONBLOCK: a FIFO
# that somebody left there would be waited for.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_MODE = 0o444


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
    told = False
    with contextlib.ExitStack() as opened:
        descriptor = _open(path, opened)
        while not cancel.is_set():
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not told:
                    waiting(f"GPU {uuid} is held by another run; waiting")
                    told = True
                cancel.wait(_POLL_S)
                continue
            if _names(path, descriptor):
                break
            # What cleans the directory up removed the file while its lock was waited for.
            opened.close()
            descriptor = _open(path, opened)
        yield


def _open(path: Path, opened: contextlib.ExitStack) -> int:
    """A descriptor of the lease file, which is made where it is not there.

    Raises:
        EngineError: it cannot be opened, or is no plain file.
    """
    try:
        try:
            descriptor = os.open(path, _READ)
        except FileNotFoundError:
            _make(path)
            descriptor = os.open(path, _READ)
    except OSError as problem:
        raise EngineError(
            f"could not open the GPU's lease {path}: {problem.strerror};"
            f" whoever owns it can remove it, or make it readable: chmod 444 {path}"
        ) from None
    opened.callback(os.close, descriptor)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise EngineError(f"could not open the GPU's lease {path}: it is no plain file")
    return descriptor


def _make(path: Path) -> None:
    """Makes the lease file, readable for everyone from its first moment on, unless it is there.

    Linked into place: a umask takes rights away from a file that is made under its own name, and
    where `fs.protected_regular` is set, O_CREAT is refused for a file that another user owns.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    descriptor = os.open(temporary, _READ | os.O_CREAT | os.O_EXCL, _MODE)
    try:
        os.fchmod(descriptor, _MODE)
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        os.close(descriptor)
        temporary.unlink()


def _names(path: Path, descriptor: int) -> bool:
    """Whether the path still names the file that was opened."""
    try:
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False
