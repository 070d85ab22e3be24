"""Digests of directory trees and files: equal where names and contents are."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from harness.base import plain_file

_CHUNK = 2**20
_LARGE = 2**28  # bytes of a file from which on not all of it is read


def of_tree(directory: Path, wanted: Callable[[str], bool] = lambda path: True) -> str:
    """SHA-256 over all files below a directory, "" where there is no directory.

    Files that links lead to count with their content, directories behind links do not. Of a file
    beyond 256 MiB its size, its first and its last MiB count: a data set of many GB would
    take longer to read than the run.

    Args:
        wanted: whether a path below the directory counts.

    Raises:
        OSError: a file cannot be read.
    """
    if not directory.is_dir():
        return ""
    found = hashlib.sha256()
    for path in sorted(_files(directory)):
        if wanted(path) and not path.endswith(".pyc"):
            found.update(f"{len(path.encode())} {path} {of_file(directory / path)}\n".encode())
    return found.hexdigest()


def of_file(path: Path, large: float = _LARGE) -> str:
    """SHA-256 of a file; see `of_tree`.

    Args:
        large: bytes from which on not all of it is read; `math.inf`: all of any file.

    Raises:
        OSError: it is no plain file, or cannot be read.
    """
    found = hashlib.sha256()
    with plain_file.open_to_read(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > large:
            found.update(f"{size} ".encode() + file.read(_CHUNK))
            file.seek(-_CHUNK, os.SEEK_END)
        while chunk := file.read(_CHUNK):
            found.update(chunk)
    return found.hexdigest()


def _files(directory: Path) -> list[str]:
    found = []
    for place, _, names in os.walk(directory):
        for name in names:
            path = Path(place, name)
            if path.is_file():  # what a broken link or a FIFO says nobody reads
                found.append(path.relative_to(directory).as_posix())
    return found
