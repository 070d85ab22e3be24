"""What pages link to: relative addresses of what lies below the run directory, and nothing else.

A record may have been edited, and a phase may have left anything in its directory.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from urllib.parse import quote

from harness.record.models import Attempt, CaseRecord, PhaseRecord
from harness.report.attachments import RunFiles

CASES = "cases"  # the directory of the cases' pages, below the run directory

_SAFE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,199}\Z")


def page_of(case: CaseRecord) -> str:
    """The file name of a case's page; an id that is not safe as one is replaced by its hash."""
    if _SAFE.match(case.id):
        return f"{case.id}.html"
    digest = hashlib.sha256(case.id.encode("utf-8", "replace")).hexdigest()
    return f"case-{digest[:32]}.html"


def drawing_of(case: CaseRecord, number: int) -> str:
    """The file name of a timeline's picture, beside the case's page; timelines count from 1."""
    return f"{page_of(case).removesuffix('.html')}.{number}.svg"


def pages_of(cases: Iterable[CaseRecord]) -> dict[str, str]:
    """Id of a case → address of its page from the run directory."""
    return {case.id: f"{CASES}/{page_of(case)}" for case in cases}


def left_by(attempt: Attempt, phase: PhaseRecord) -> PhaseRecord:
    """The execution that an earlier attempt of a phase was, for what it left."""
    return phase.model_copy(update={"key": attempt.directory, "directory": attempt.directory})


def files_of(phase: PhaseRecord, files: RunFiles, up: str) -> list[tuple[str, str]]:
    """What an execution left: names, and addresses from a page.

    Args:
        up: the run directory as seen from the page, `""` or `"../"`.
    """
    return [(name, up + quote(path)) for name, path in files.of(phase)]
