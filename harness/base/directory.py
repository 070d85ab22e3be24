"""Directories that a phase wrote: removed whatever it did to their modes and their depth."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path


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
