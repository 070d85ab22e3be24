"""The checks of a case, in order: what each module found becomes a verdict.

`failed` means that the product under test is broken, `error` that it could not be judged,
`skipped` that the check does not apply. When a phase did not complete, what comes after it cannot
pass: a later check still fails where the log proves it, and is an error otherwise.
"""

from __future__ import annotations

from collections.abc import Callable

from harness.catalog.scenarios import Scenario
from harness.checks import (
    edit_took_effect,
    lms_edited_graph,
    phases_complete,
    result_unchanged,
    resume_equal,
    state_restored,
    swapping_as_before,
    swapping_confirmed,
)
from harness.checks.evidence import Evidence
from harness.checks.finding import (
    Finding,
    check,
    unjudged,
)
from harness.record.checks import Check, CheckId, Status


def judge(evidence: Evidence) -> list[Check]:
    """The checks of a case, in order. Reads records only; never raises on their content."""
    findings = phases_complete.findings(evidence)
    complete = check(CheckId.PHASES_COMPLETE, findings)
    # A marker that cannot be read leaves the rest to be judged on what could be read.
    broken = next((finding.message for finding in findings if finding.blocking), None)
    judges: list[tuple[CheckId, Callable[[Evidence], list[Finding]]]] = [
        (CheckId.LMS_EDITED_GRAPH, lms_edited_graph.findings),
        (CheckId.EDIT_TOOK_EFFECT, edit_took_effect.findings),
        (CheckId.STATE_RESTORED, state_restored.findings),
        (CheckId.SWAPPING_CONFIRMED, swapping_confirmed.findings),
        (CheckId.RESULT_UNCHANGED, result_unchanged.findings),
        (CheckId.SWAPPING_AS_BEFORE, swapping_as_before.findings),
        (CheckId.RESUME_EQUAL, resume_equal.findings),
    ]
    checks = [complete]
    for check_id, findings_of in judges:
        judged = check(check_id, findings_of(evidence))
        if broken is not None and judged.status in (Status.PASSED, Status.ERROR):
            judged = check(check_id, [unjudged(f"not judged: {broken}")])
        checks.append(judged)
    return checks


def caught(scenario: Scenario, checks: list[Check]) -> Check:
    """The verdict of a canary: passed when the check that has to fail did fail.

    Args:
        scenario: a scenario with `expects`.
        checks: its checks.
    """
    found = next((entry for entry in checks if entry.id is scenario.expects), None)
    if found is None:
        wanted = scenario.expects.value if scenario.expects else "nothing"
        return check(CheckId.CAUGHT, [unjudged(f"expects {wanted}, which is no check of a case")])
    name = f"'{found.id.label}'"
    status, verb = {
        Status.FAILED: (Status.PASSED, f"caught: {name} failed as it has to"),
        Status.PASSED: (Status.FAILED, f"not caught: {name} passed and has to fail"),
    }.get(
        found.status, (Status.ERROR, f"not judged: {name} has to fail and was {found.status.value}")
    )
    return check(
        CheckId.CAUGHT, [Finding(status, f"{verb}: {found.message}", found.numbers, found.lines)]
    )
