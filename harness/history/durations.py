"""How long phases took the last time: what orders a run, and says nothing of its verdicts."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from harness.base import plain_file
from harness.record import store

_RUNS = 5  # the newest, each of which may be of a part of the matrix


def last(reports: Path, engine: str, accelerator: str, keys: Collection[str]) -> dict[str, float]:
    """Seconds of each phase by its key, in the newest run that completed it in the same way.

    Records are read as plain JSON: nothing rests on them, and one that cannot be read is passed
    over. None is read once all is known that is asked for: a record may have many MB.

    Args:
        reports: the directory that holds the runs; it need not be there.
        keys: of the phases that are asked for; there may be more in what is returned.
    """
    found: dict[str, float] = {}
    with contextlib.suppress(OSError):
        names = sorted((entry.name for entry in reports.iterdir()), reverse=True)
        for name in [name for name in names if store.ID.fullmatch(name)][:_RUNS]:
            if found.keys() >= set(keys):
                break
            for key, seconds in _phases(reports / name / store.FILE, engine, accelerator):
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
