"""Files that are either whole or not there: a reader never sees half a report."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from harness.base import plain_file

# O_EXCL: never through a link that somebody left there.
_MAKE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


def write(path: Path, content: str | bytes, durable: bool = True) -> Path:
    """Writes a file under a temporary name beside it and renames it; makes the directory.

    The temporary name has no suffix that a report's glob would match. Text is written as UTF-8.

    Args:
        durable: whole even after the machine itself went down. For ten thousand files that can be
            made again, waiting for the disk would be most of the time.

    Raises:
        OSError: the file could not be written; nothing is left behind.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    temporary = _temporary(path)
    try:
        descriptor = os.open(temporary, _MAKE, 0o644)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(temporary, _MAKE, 0o644)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    return path


def update(path: Path, content: str | bytes, durable: bool = True) -> Path:
    """Writes a file as `write` does, unless it is there with that content already.

    Reports are written many times while a run goes on, and most of their files do not change.

    Raises:
        OSError: the file could not be written; nothing is left behind.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    with contextlib.suppress(OSError):
        if not path.is_symlink() and plain_file.read(path) == data:
            return path
    return write(path, data, durable)


def link(path: Path, target: str) -> Path:
    """Makes `path` a symbolic link to `target`, in one step where a link is there already.

    Raises:
        OSError: `path` is a directory, or links cannot be made here; what was there stays.
    """
    temporary = _temporary(path)
    temporary.symlink_to(target)
    try:
        temporary.replace(path)  # replaces the link itself, wherever it points
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    return path


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
