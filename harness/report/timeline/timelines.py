"""The timelines of a case's judged phases, from the files beside their logs."""

from __future__ import annotations

from pathlib import Path

from harness.record.models import CaseRecord, RunRecord
from harness.report.timeline.model import Timeline


def timelines(record: RunRecord, case: CaseRecord, run_directory: Path) -> list[Timeline]:
    """The timelines of a case, in the order of its phases; none of what was not measured.

    What the files of a run hold never raises: what cannot be used is left out.
    """
    return []
