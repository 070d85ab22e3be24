"""How long phases took the last time: what orders a run, and says nothing of its verdicts."""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.base import plain_file

_RUN = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")
_RUNS = 5  # the newest, each of which may be of a part of the matrix
_FILE = "record.json"


def last(reports: Path, engine: str, accelerator: str) -> dict[str, float]:
    """Seconds of each phase by its key, in the newest run that completed it in the same way.

    Records are read as plain JSON: nothing rests on them, and one that cannot be read is passed
    over.

    Args:
        reports: the directory that holds the runs; it need not be there.
    """
    found: dict[str, float] = {}
    with contextlib.suppress(OSError):
        names = sorted((entry.name for entry in reports.iterdir()), reverse=True)
        for name in [name for name in names if _RUN.fullmatch(name)][:_RUNS]:
            for key, seconds in _phases(reports / name / _FILE, engine, accelerator):
                found.setdefault(key, seconds)
    return found


def _phases(path: Path, engine: str, accelerator: str) -> Iterator[tuple[str, float]]:
    try:
        record = json.loads(plain_file.read(path))
    except (OSError, ValueError, RecursionError):
        return
    if not isinstance(record, dict) or not isinstance(record.get("phases"), list):
        return
    if (record.get("engine"), record.get("accelerator")) != (engine, accelerator):
        return
    for phase in record["phases"]:
        key, seconds = _completed(phase)
        if key is not None and seconds is not None:
            yield key, seconds


def _completed(phase: Any) -> tuple[str | None, float | None]:
    if not isinstance(phase, dict) or phase.get("outcome") != "completed":
        return None, None
    key, seconds = phase.get("key"), phase.get("duration_s")
    if not isinstance(key, str) or not isinstance(seconds, float) or not 0 <= seconds < math.inf:
        return None, None
    return key, seconds
