"""Expected failures: what becomes of a case's checks where known defects apply to it. Pure.

A failure that an entry states is known; a pass where one states a failure is a failure. Where a
phase breaks for a known defect nobody can judge what comes behind it, and the defect says why. A
check that an entry states as one that cannot be judged, as its reference breaks, is skipped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.catalog.defects import Sighting
from harness.record.checks import Check, CheckId, Status
from harness.record.models import PhaseRecord


def expected(
    checks: Sequence[Check],
    known: Iterable[Sighting],
    accelerator: str,
    phases: Iterable[PhaseRecord],
) -> list[Check]:
    """The checks of a case after the known defects.

    Args:
        checks: as they were judged.
        known: where known defects are to be seen in the case.
        accelerator: "gpu" or "virtual".
        phases: the case's own executions, without controls and references.
    """
    reported = [versions(phase) for phase in phases]
    applying = [
        sighting
        for sighting in known
        if sighting.defect.accelerator in (None, accelerator) and sighting.defect.holds(reported)
    ]
    found = [
        _expected(check, [sighting for sighting in applying if sighting.check is check.id])
        for check in checks
    ]
    broken = [
        check
        for check in found
        if check.id is CheckId.PHASES_COMPLETE and check.status is Status.KNOWN
    ]
    return [_behind(check, broken[0]) for check in found] if broken else found


def versions(phase: PhaseRecord) -> dict[str, str]:
    """The versions that a phase told of, by package; a script may have told anything."""
    told = phase.facts.environment.get("versions")
    if not isinstance(told, dict):
        return {}
    return {name: version for name, version in told.items() if isinstance(version, str)}


def _expected(check: Check, sightings: Sequence[Sighting]) -> Check:
    stated = next((entry.defect for entry in sightings if entry.matches(check.message)), None)
    if stated is not None and check.status is Status.FAILED:
        return check.model_copy(update={"status": Status.KNOWN, "defect": stated.shown})
    if stated is not None and check.status is Status.ERROR:
        return _skipped(check, f"known defect {stated.id}: {check.message}")
    if check.status is Status.PASSED and sightings:
        names = dict.fromkeys(sighting.defect.id for sighting in sightings)
        message = (
            f"known defect {', '.join(names)} is no longer"
            f" there: remove the entry (it passed: {check.message})"
        )
        return check.model_copy(update={"status": Status.FAILED, "message": message})
    return check


def _behind(check: Check, broken: Check) -> Check:
    """What cannot be judged because a phase broke is skipped where the defect is known."""
    if check.status is not Status.ERROR or broken.defect is None:
        return check
    return _skipped(check, f"known defect {broken.defect.id} breaks a phase: {check.message}")


def _skipped(check: Check, message: str) -> Check:
    return check.model_copy(update={"status": Status.SKIPPED, "message": message})
