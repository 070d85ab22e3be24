"""Directories: those that a phase wrote are removed whatever it did to them; room in others."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

_PROBE = 2**16  # bytes


def remove(directory: Path) -> None:
    """Removes a directory with all that is in it; a link, or nothing at all, is left as it is.

    What another user owns may stay: nobody has to be told, since nothing reads it again.
    """
    if directory.is_symlink() or not directory.is_dir():
        return
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


def require_room(directory: Path) -> None:
    """Raises OSError where a small file cannot be written into a directory, as on a full disk."""
    with tempfile.TemporaryFile(dir=directory) as file:
        file.write(bytes(_PROBE))
        file.flush()
        os.fsync(file.fileno())
