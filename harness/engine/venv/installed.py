"""What is installed in an environment, counted by the lists of files that come with packages."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Mapping
from pathlib import Path

Files = dict[str, tuple[int, int]]
"""Of each package, as `name==version`: how many of its files are there, and their bytes."""

_SUFFIX = ".dist-info"


def files(directory: Path) -> Files:
    """What is installed in an environment.

    Files are those that a package's RECORD lists, less compiled ones, which the interpreter makes
    again where they are missing.
    """
    found = {}
    for entry in sorted(directory.glob(f"lib/python*/site-packages/*{_SUFFIX}")):
        name, _, version = entry.name.removesuffix(_SUFFIX).rpartition("-")
        found[f"{re.sub('[-_.]+', '-', name).lower()}=={version}"] = _count(entry)
    return found


def damage(directory: Path, recorded: Mapping[str, tuple[int, int]]) -> str:
    """What of an environment is not as it was recorded, in a few words; "" where all is."""
    found = files(directory)
    for package in recorded:
        if package not in found:
            return f"{package} is gone"
        (count, size), (then, size_then) = found[package], recorded[package]
        if count != then:
            return f"{package} has {count} of its {then} files"
        if size != size_then:
            return f"{package} has {size} of its {size_then} bytes"
    added = sorted(found.keys() - recorded)
    return f"{added[0]} was added" if added else ""


def _count(entry: Path) -> tuple[int, int]:
    count = size = 0
    prefix = f"{entry.parent}/"
    try:
        with (entry / "RECORD").open(encoding="utf-8", errors="replace", newline="") as stream:
            names = [row[0] for row in csv.reader(stream) if row]
    except (OSError, csv.Error):
        return 0, 0
    for name in names:  # tens of thousands: a path is put together in a third of the time
        if not name.endswith(".pyc"):
            try:
                size += os.stat(prefix + name).st_size  # noqa: PTH116
            except OSError:
                continue
            count += 1
    return count, size
