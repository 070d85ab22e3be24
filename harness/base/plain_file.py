"""Files that are read as they are found: plain ones only, since others may have no end."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

_KINDS = (
    (stat.S_ISDIR, "directory"),
    (stat.S_ISFIFO, "FIFO"),
    (stat.S_ISSOCK, "socket"),
    (stat.S_ISCHR, "device"),
    (stat.S_ISBLK, "device"),
)


def open_to_read(path: Path) -> BinaryIO:
    """Opens a plain file, or one that a link leads to.

    Raises:
        OSError: it cannot be opened, or is a FIFO, a socket, a device or a directory.
    """
    # Without O_NONBLOCK the open itself waits for whoever writes to a FIFO.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        problem = other(os.fstat(descriptor).st_mode, path)
        if problem is not None:
            raise problem
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read(path: Path, limit: int | None = None) -> bytes:
    """The content of a plain file.

    Args:
        limit: bytes that it may have.

    Raises:
        OSError: as for `open_to_read`, or it cannot be read, or is larger.
    """
    with open_to_read(path) as file:
        if limit is not None and os.fstat(file.fileno()).st_size > limit:
            raise OSError(errno.EFBIG, f"is larger than {limit // 2**20:,} MiB", str(path))
        return file.read() if limit is None else file.read(limit)


def read_text(path: Path) -> str:
    """The text of a plain file in UTF-8, each line with the same end.

    Raises:
        OSError: as for `read`.
        UnicodeDecodeError: it is no UTF-8.
    """
    return read(path).decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")


def other(mode: int, path: Path) -> OSError | None:
    """The error that says what something is by its mode; None for a plain file."""
    kind = kind_of(mode)
    return None if kind is None else OSError(errno.EINVAL, f"is a {kind}, and no file", str(path))


def kind_of(mode: int) -> str | None:
    """What something is by its mode, in a word; None for a plain file."""
    if stat.S_ISREG(mode):
        return None
    return next((kind for is_kind, kind in _KINDS if is_kind(mode)), "special file")
