"""Artifacts: what a phase leaves for the next one. Whatever a phase wrote is hostile input."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from harness.base import directory as directories
from harness.base.error import EngineError
from harness.base.trees import walk
from harness.base.trees.copy import copy
from harness.base.trees.walk import TreeError
from harness.engine.protocol import Exit, Launch
from harness.record.models import Outcome

_SPECIAL_BITS = stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX


def copy_read_only(source: Path, target: Path) -> None:
    """Copies an artifact directory and takes away the right to write.

    Only plain files and directories are copied: a link could point anywhere, and reading a FIFO
    would hang. Of a file its content, its holes and its time go on, and nothing else. Where the
    copy fails, nothing of it is left.

    Raises:
        EngineError: a file or directory cannot be read, the artifacts are no directory, larger
            than 32 GiB or nested deeper than 100 directories, or the copy cannot be written.
    """
    with _whole(target, source.parent.name):
        copy(source, target)
        for directory, _, files in os.walk(target, topdown=False):
            for name in files:
                Path(directory, name).chmod(0o444)
            Path(directory).chmod(0o555)


def take_over(source: Path, target: Path, owner: str) -> None:
    """Copies an artifact directory from where other phases could write too, by the same rules.

    Args:
        owner: key of the phase that it is of.

    Raises:
        EngineError: as for `copy_read_only`.
    """
    with _whole(target, owner):
        copy(source, target)


def settle(directory: Path) -> str:
    """Makes what an ended phase has left fit to lie among reports, which others read and archive.

    Links and special files are removed, and no file stays one that runs as its owner. What is no
    directory any more, or has no end, is replaced by an empty one.

    Returns:
        What is wrong with it, "" for nothing.

    Raises:
        OSError: it cannot be changed.
    """
    problem = "it left no directory in the place of its OUTPUT_DIR"
    if directory.is_dir() and not directory.is_symlink():
        try:
            with walk.opened(str(directory)) as descriptor:
                _settle(descriptor)
            return ""
        except TreeError as deep:  # nobody could copy it anyway
            problem = f"its artifacts {deep}"
            directories.remove(directory)
    else:
        directory.unlink(missing_ok=True)
    directory.mkdir(exist_ok=True)
    return problem


def settled(ended: Exit, launch: Launch) -> Exit:
    """The exit of a phase whose artifacts have been made fit to lie among reports.

    Raises:
        OSError: they cannot be.
    """
    problems = [settle(launch.output)]
    if launch.client is not None and os.path.lexists(launch.client.output):
        problems.append(settle(launch.client.output))
    reason = next(filter(None, problems), "")
    if reason and ended.outcome is Outcome.COMPLETED:
        return replace(ended, outcome=Outcome.ENGINE_ERROR, reason=reason)
    return ended


def remove(directory: Path) -> None:
    """Removes a directory that may be read-only, or worse; one that is not there is fine.

    Of a link in its place the link itself is removed.
    """
    if directory.is_symlink():
        directory.unlink()
    directories.remove(directory)


def _settle(directory: int, depth: int = 0) -> None:
    for name in walk.names(directory, "", depth):
        mode = os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            _unlink(name, directory)
            continue
        if mode & _SPECIAL_BITS:
            os.chmod(name, stat.S_IMODE(mode) & ~_SPECIAL_BITS, dir_fd=directory)
        if stat.S_ISDIR(mode):
            try:
                below = os.open(name, walk.READ, dir_fd=directory)
            except PermissionError:
                continue  # what nobody may enter nobody archives
            try:
                _settle(below, depth + 1)
            finally:
                os.close(below)


def _unlink(name: str, directory: int) -> None:
    try:
        os.unlink(name, dir_fd=directory)
    except PermissionError:  # of a directory that was made read-only
        os.fchmod(directory, stat.S_IMODE(os.fstat(directory).st_mode) | stat.S_IRWXU)
        os.unlink(name, dir_fd=directory)


def discard(directory: Path) -> None:
    """Removes the artifacts of a phase: they are whole, or there are none.

    A removal that a kill cuts short leaves a part under another name, which the next run removes.

    Args:
        directory: the phase's.
    """
    artifacts, gone = directory / "artifacts", directory / "removed"
    with contextlib.suppress(OSError):
        artifacts.rename(gone)
    for path in (gone, artifacts):
        remove(path)


@contextlib.contextmanager
def _whole(target: Path, owner: str) -> Iterator[None]:
    """Where the copy fails, nothing of it is left, and one line says why."""
    try:
        yield
    except (OSError, TreeError) as problem:
        directories.remove(target)
        told = f"artifacts {problem}"
        if isinstance(problem, OSError):
            told = f"{problem.filename}: {problem.strerror}"
            if problem.errno in (errno.ELOOP, errno.ENOTDIR):  # a link, or something else
                told = "it left no directory"
        raise EngineError(f"could not copy artifacts of {owner}: {told}") from None
