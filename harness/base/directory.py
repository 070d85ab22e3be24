"""Directories: room in them, and how they go whatever a phase did to them."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from harness.base.error import UsageError

_PROBE = 2**16  # bytes

# It is not where the user has pointed at that is wrong.
_OF_THE_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE)


def require_writable(directory: Path, advice: str = "") -> None:
    """Makes a directory, unless it is there, and tries whether files can be made in it.

    Modes do not tell: a file system may be read-only, or know other users than this machine.

    Args:
        advice: what else can be done, for the user.

    Raises:
        UsageError: they cannot.
        OSError: it is the machine that cannot, as with a full disk.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as problem:
        if problem.errno in _OF_THE_MACHINE:
            raise
        words = f"cannot write to {directory}: {problem.strerror or problem}"
        raise UsageError(f"{words}; {advice}" if advice else words) from None


def remove(directory: Path) -> bool:
    """Removes a directory with all that is in it; a link, or nothing at all, is left as it is.

    Returns:
        Whether no directory is there any more. What another user owns, or what is on read-only
        storage, may stay.
    """
    if directory.is_symlink() or not directory.is_dir():
        return True
    try:
        shutil.rmtree(directory)
    except (OSError, RecursionError):
        # A directory that its owner may not enter has to be opened up before its content is listed,
        # and Python's own removal recurses: 1,000 levels end it. The system's tools manage both.
        for command in (["chmod", "-R", "u+rwX"], ["rm", "-rf"]):
            subprocess.run(
                [*command, "--", str(directory)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
    return not directory.is_dir()


def require_room(directory: Path) -> None:
    """Raises OSError where a small file cannot be written into a directory, as on a full disk."""
    with tempfile.TemporaryFile(dir=directory) as file:
        file.write(bytes(_PROBE))
        file.flush()
        os.fsync(file.fileno())
