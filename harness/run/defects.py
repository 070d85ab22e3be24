"""Expected failures: what becomes of a case's checks where known defects apply to it. Pure.

A failure that an entry states is known; a pass where one states a failure is a failure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.catalog.defects import Defect
from harness.record.checks import Check, Status
from harness.record.models import PhaseRecord


def expected(
    checks: Sequence[Check],
    defects: Iterable[Defect],
    accelerator: str,
    phases: Iterable[PhaseRecord],
) -> list[Check]:
    """The checks of a case after the known defects.

    Args:
        checks: as they were judged.
        defects: those that cover the case.
        accelerator: "gpu" or "virtual".
        phases: the case's own executions, without controls and references.
    """
    reported = [versions(phase) for phase in phases]
    applying = [
        defect
        for defect in defects
        if defect.accelerator in (None, accelerator) and defect.holds(reported)
    ]
    return [
        _expected(check, [defect for defect in applying if defect.check is check.id])
        for check in checks
    ]


def versions(phase: PhaseRecord) -> dict[str, str]:
    """The versions that a phase told of, by package; a script may have told anything."""
    told = phase.facts.environment.get("versions")
    if not isinstance(told, dict):
        return {}
    return {name: version for name, version in told.items() if isinstance(version, str)}


def _expected(check: Check, defects: Sequence[Defect]) -> Check:
    if check.status is Status.FAILED:
        for defect in defects:
            if defect.matches(check.message):
                return check.model_copy(update={"status": Status.KNOWN, "defect": defect.shown})
    if check.status is Status.PASSED and defects:
        message = (
            f"known defect {', '.join(defect.id for defect in defects)} is no longer there:"
            f" remove the entry (it passed: {check.message})"
        )
        return check.model_copy(update={"status": Status.FAILED, "message": message})
    return check
