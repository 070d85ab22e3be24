"""How long phases took, as a small file: what shards are balanced by."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path

from harness.base import plain_file
from harness.base.error import UsageError
from harness.base.text import one_line
from harness.record.models import Outcome, RunRecord

_BYTES = 2**28  # of a file that is read


def of(record: RunRecord) -> dict[str, float]:
    """Seconds of the phases of a run that completed, by key."""
    return {
        phase.key: phase.duration_s
        for phase in record.phases
        if phase.duration_s is not None and phase.outcome is Outcome.COMPLETED
    }


def render(durations: Mapping[str, float]) -> str:
    """The file: a line for each phase, in the order of their keys."""
    return json.dumps(dict(sorted(durations.items())), indent=0) + "\n"


def load(path: Path) -> dict[str, float]:
    """What a file holds.

    Raises:
        UsageError: it holds something else, or cannot be read.
    """
    try:
        document = json.loads(plain_file.read(path, _BYTES))
    except FileNotFoundError:
        raise UsageError(f"{path} is not there: durations are those of a run or a file") from None
    except OSError as problem:
        raise UsageError(f"cannot read {path}: {problem.strerror}") from problem
    except (ValueError, RecursionError) as problem:
        raise UsageError(one_line(f"{path} is no JSON: {problem}")) from None
    if not isinstance(document, dict) or not all(map(_seconds, document.values())):
        raise UsageError(
            f"{path} holds no durations: `harness report RUN --format durations` prints them"
        )
    return {key: float(seconds) for key, seconds in document.items()}


def digest(durations: Mapping[str, float]) -> str:
    """SHA-256 of durations."""
    return hashlib.sha256(render(durations).encode()).hexdigest()


def _seconds(value: object) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and math.isfinite(value) and 0 <= value < 1e9  # type: ignore[operator, arg-type]
