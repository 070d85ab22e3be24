"""Artifacts: what a phase leaves for the next one. Whatever a phase wrote is hostile input."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from harness.base.error import EngineError

_LIMIT = 32 * 2**30


def copy_read_only(source: Path, target: Path) -> None:
    """Copies an artifact directory and takes away the right to write.

    Only plain files and directories are copied: a link could point anywhere, and reading a FIFO
    would hang.

    Raises:
        EngineError: the copy failed, or the artifacts are larger than 32 GiB.
    """
    try:
        if size(source) > _LIMIT:
            raise EngineError(f"{source}: artifacts are larger than {_LIMIT // 2**30} GiB")
        shutil.copytree(source, target, ignore=_special)
        for directory, _, files in os.walk(target, topdown=False):
            for name in files:
                Path(directory, name).chmod(0o444)
            Path(directory).chmod(0o555)
    except (OSError, shutil.Error) as problem:
        raise EngineError(f"could not copy artifacts of {source.parent.name}: {problem}") from None


def remove(directory: Path) -> None:
    """Removes a directory that may be read-only; one that is not there is fine."""
    if not directory.is_dir() or directory.is_symlink():
        return
    for parent, _, _ in os.walk(directory):
        Path(parent).chmod(0o700)
    shutil.rmtree(directory, ignore_errors=True)


def size(directory: Path) -> int:
    """Bytes of the plain files below a directory."""
    total = 0
    for parent, _, files in os.walk(directory):
        for name in files:
            entry = Path(parent, name).lstat()
            total += entry.st_size if stat.S_ISREG(entry.st_mode) else 0
    return total


def _special(directory: str, names: list[str]) -> set[str]:
    """Names below a directory that are neither plain files nor directories."""
    modes = {name: Path(directory, name).lstat().st_mode for name in names}
    return {name for name, mode in modes.items() if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))}
