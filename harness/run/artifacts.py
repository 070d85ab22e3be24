"""Artifacts: what a phase leaves for the next one. Whatever a phase wrote is hostile input."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from harness.base import directory as directories
from harness.base.error import EngineError
from harness.engine.protocol import Exit, Launch
from harness.record.models import Outcome

_LIMIT = 32 * 2**30
_DEPTH = 100  # directories within directories; copying recurses
_CHUNK = 2**20
# Never through a link, and never to wait for whoever opens the other end of a FIFO.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
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
        _copy(source, target)
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
        _copy(source, target)


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
            with _opened(str(directory)) as descriptor:
                _settle(descriptor)
            return ""
        except EngineError as deep:  # nobody could copy it anyway
            problem = f"its {deep}"
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


@dataclass(frozen=True)
class _Entry:
    """A plain file or a directory.

    Attributes:
        parent: descriptor of the directory that it is in, while it is walked.
        path: below the artifacts.
    """

    parent: int
    name: str
    path: str
    facts: os.stat_result

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.facts.st_mode)


def _entries(directory: int, above: str = "", depth: int = 0) -> Iterator[_Entry]:
    """What is below a directory, each directory before its content; links and the like are not.

    Raises:
        OSError: something cannot be read; its filename is the path below the artifacts.
        EngineError: they are nested deeper than 100 directories.
    """
    for name in _names(directory, above, depth):
        path = above + name
        with _named(path):
            facts = os.stat(name, dir_fd=directory, follow_symlinks=False)
        entry = _Entry(directory, name, path, facts)
        if entry.is_directory or stat.S_ISREG(facts.st_mode):
            yield entry
        if entry.is_directory:
            with _opened(name, directory, path) as below:
                yield from _entries(below, f"{path}/", depth + 1)


def _copy(source: Path, target: Path) -> None:
    # Of the source and of what it is in neither is a link: both were directories that we made.
    with _opened(str(source.parent)) as parent, _opened(source.name, parent) as directory:
        size = sum(entry.facts.st_size for entry in _entries(directory) if not entry.is_directory)
        if size > _LIMIT:
            raise EngineError(f"artifacts are larger than {_LIMIT // 2**30} GiB")
        target.mkdir(parents=True)
        for entry in _entries(directory):
            with _named(entry.path):
                if entry.is_directory:
                    (target / entry.path).mkdir()
                    continue
                with _opened(entry.name, entry.parent, entry.path) as file:
                    _copy_file(file, target / entry.path)


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


def _settle(directory: int, depth: int = 0) -> None:
    for name in _names(directory, "", depth):
        mode = os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            _unlink(name, directory)
            continue
        if mode & _SPECIAL_BITS:
            os.chmod(name, stat.S_IMODE(mode) & ~_SPECIAL_BITS, dir_fd=directory)
        if stat.S_ISDIR(mode):
            try:
                below = os.open(name, _READ, dir_fd=directory)
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


def _names(directory: int, path: str, depth: int) -> list[str]:
    if depth > _DEPTH:
        raise EngineError(f"artifacts are nested deeper than {_DEPTH} directories")
    with _named(path.rstrip("/") or "."):
        return os.listdir(directory)


@contextlib.contextmanager
def _opened(name: str, parent: int | None = None, path: str = "") -> Iterator[int]:
    """A descriptor of a file or directory, never that of a link's target.

    Raises:
        OSError: it cannot be opened.
    """
    with _named(path or name):
        descriptor = os.open(name, _READ, dir_fd=parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _named(path: str) -> Iterator[None]:
    """An error of the system's is of this path."""
    try:
        yield
    except OSError as problem:
        raise OSError(problem.errno, problem.strerror, path) from None


@contextlib.contextmanager
def _whole(target: Path, owner: str) -> Iterator[None]:
    """Where the copy fails, nothing of it is left, and one line says why."""
    try:
        yield
    except (OSError, EngineError) as problem:
        directories.remove(target)
        told = str(problem)
        if isinstance(problem, OSError):
            told = f"{problem.filename}: {problem.strerror}"
            if problem.errno in (errno.ELOOP, errno.ENOTDIR):  # a link, or something else
                told = "it left no directory"
        raise EngineError(f"could not copy artifacts of {owner}: {told}") from None
