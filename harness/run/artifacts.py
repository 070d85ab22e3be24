"""Artifacts: what a phase leaves for the next one. Whatever a phase wrote is hostile input."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from harness.base import directory as directories
from harness.base.error import EngineError

_LIMIT = 32 * 2**30
_DEPTH = 100  # directories within directories; copying recurses


def copy_read_only(source: Path, target: Path) -> None:
    """Copies an artifact directory and takes away the right to write.

    Only plain files and directories are copied: a link could point anywhere, and reading a FIFO
    would hang. Where the copy fails, nothing of it is left.

    Raises:
        EngineError: a file or directory cannot be read, the artifacts are larger than 32 GiB or
            nested deeper than 100 directories, or the copy cannot be written.
    """
    with _whole(target, source, source.parent.name):
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
        EngineError: it is no directory any more, or as for `copy_read_only`.
    """
    if source.is_symlink() or not source.is_dir():
        raise EngineError(f"could not copy artifacts of {owner}: it left no directory")
    with _whole(target, source, owner):
        _copy(source, target)


def remove(directory: Path) -> None:
    """Removes a directory that may be read-only, or worse; one that is not there is fine."""
    directories.remove(directory)


def size(directory: Path) -> int:
    """Bytes of the plain files below a directory.

    Raises:
        OSError: a directory cannot be read.
        EngineError: they are nested deeper than 100 directories.
    """
    total = 0
    base = len(directory.parts)
    for parent, _, files in os.walk(directory, onerror=_refuse):
        if len(Path(parent).parts) - base > _DEPTH:
            raise EngineError(f"{directory}: artifacts are nested deeper than {_DEPTH} directories")
        for name in files:
            entry = Path(parent, name).lstat()
            total += entry.st_size if stat.S_ISREG(entry.st_mode) else 0
    return total


def _copy(source: Path, target: Path) -> None:
    if size(source) > _LIMIT:
        raise EngineError(f"{source}: artifacts are larger than {_LIMIT // 2**30} GiB")
    shutil.copytree(source, target, ignore=_special)


@contextlib.contextmanager
def _whole(target: Path, source: Path, owner: str) -> Iterator[None]:
    """Where the copy fails, nothing of it is left, and one line says why."""
    try:
        yield
    except EngineError:
        directories.remove(target)
        raise
    except (OSError, shutil.Error) as problem:
        directories.remove(target)
        raise EngineError(
            f"could not copy artifacts of {owner}: {_told(problem, source)}"
        ) from None


def _refuse(problem: OSError) -> None:
    raise problem


def _told(problem: OSError | shutil.Error, source: Path) -> str:
    """One line of what could not be copied: the first of the causes, its path below the source."""
    if isinstance(problem, shutil.Error) and problem.args and problem.args[0]:
        path, _, reason = problem.args[0][0]
        # Its reason repeats the path.
        reason = str(reason).partition("] ")[2].partition(": ")[0] or str(reason)
    else:
        path, reason = problem.filename or source, problem.strerror or str(problem)
    with contextlib.suppress(ValueError):
        path = Path(str(path)).relative_to(source)
    return f"{path}: {reason}"


def _special(directory: str, names: list[str]) -> set[str]:
    """Names below a directory that are neither plain files nor directories."""
    modes = {name: Path(directory, name).lstat().st_mode for name in names}
    return {name for name, mode in modes.items() if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))}
