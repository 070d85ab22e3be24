"""Small file systems, for what becomes of a full disk."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def mounted(place: Path, size: str = "1m") -> Iterator[Path]:
    """A file system of this size at a new directory; skips where none can be mounted."""
    if os.geteuid() != 0:
        pytest.skip("mounting a file system needs root")
    place.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={size},mode=1777", "tmpfs", str(place)]
    done = subprocess.run(["mount", *options], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"a file system cannot be mounted here: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill(place: Path, leave: int = 0) -> Path:
    """Fills it but for some bytes; returns the file that does."""
    file = place / "filling"
    with file.open("wb", buffering=0) as stream, contextlib.suppress(OSError):
        while True:
            stream.write(bytes(4096))
    if leave:
        os.truncate(file, file.stat().st_size - leave)
    return file
