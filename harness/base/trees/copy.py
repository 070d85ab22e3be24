"""Copies of directory trees: of plain files and directories alone, whatever else is there."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Collection
from pathlib import Path

from harness.base.trees import walk
from harness.base.trees.walk import Entry, TreeError

LIMIT = 32 * 2**30
_CHUNK = 2**20
# A file system without hard links, one that has no more for a file, another user's file.
_NO_LINK = (errno.EPERM, errno.EXDEV, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EACCES)


def copy(source: Path, target: Path, skip: Collection[str] = (), link: bool = False) -> None:
    """Copies a directory. Of a file its content, its holes and its time go on, and nothing else.

    Args:
        target: it must not be there.
        skip: paths below the source that are left out.
        link: a file that nobody changes any more becomes a hard link where that is possible: the
            same content under another name, which stays when the source is removed.

    Raises:
        OSError: something cannot be read or written; its filename is the path below the source.
        TreeError: its files are larger than 32 GiB, or it is nested too deep.
    """
    # Of the source and of what it is in neither is a link: both were directories that we made.
    with walk.opened(str(source.parent)) as parent, walk.opened(source.name, parent) as directory:
        files = (entry for entry in walk.entries(directory, skip) if not entry.is_directory)
        if sum(entry.facts.st_size for entry in files) > LIMIT:
            raise TreeError(f"are larger than {LIMIT // 2**30} GiB")
        target.mkdir(parents=True)
        for entry in walk.entries(directory, skip):
            with walk.named(entry.path):
                if entry.is_directory:
                    (target / entry.path).mkdir()
                elif not (link and _linked(entry, target / entry.path)):
                    with walk.opened(entry.name, entry.parent, entry.path) as file:
                        _copy_file(file, target / entry.path)


def _linked(entry: Entry, path: Path) -> bool:
    """Makes a hard link; whether the file system has them."""
    try:
        os.link(entry.name, path, src_dir_fd=entry.parent, follow_symlinks=False)
    except OSError as problem:
        if problem.errno in _NO_LINK:
            return False
        raise
    made = path.lstat()
    if (made.st_ino, made.st_mode) != (entry.facts.st_ino, entry.facts.st_mode):
        path.unlink()  # it was changed for something else meanwhile
        raise OSError(errno.ELOOP, "is another file than it was")
    return True


def _copy_file(source: int, path: Path) -> None:
    """Copies the data of a file and not its holes, and of its modes what makes it a program."""
    facts = os.fstat(source)
    mode = 0o644 | facts.st_mode & 0o111
    target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        end = 0
        while end < facts.st_size:
            try:
                at = os.lseek(source, end, os.SEEK_DATA)
            except OSError as problem:
                if problem.errno == errno.ENXIO:  # the rest is a hole
                    break
                raise
            end = os.lseek(source, at, os.SEEK_HOLE)
            while at < end and (data := os.pread(source, min(_CHUNK, end - at), at)):
                at += os.pwrite(target, data, at)
        os.ftruncate(target, facts.st_size)
        os.utime(target, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    finally:
        os.close(target)


def whole(directory: Path, *files: str) -> bool:
    """Whether a directory is there, no link, and these files of it are plain ones."""
    with (
        contextlib.suppress(OSError, TreeError),
        walk.opened(str(directory.parent)) as parent,
        walk.opened(directory.name, parent) as descriptor,
    ):
        found = {entry.path for entry in walk.entries(descriptor) if not entry.is_directory}
        return found.issuperset(files)
    return False
