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

_CAUGHT = {
    Status.PASSED: "caught",
    Status.FAILED: "not caught",
    Status.ERROR: "not judged",
}


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
    """The verdict of a canary: passed when the check that has to fail did, for what it has to.

    A check that fails for another phase than the one that is wrong on purpose shows nothing: a
    save that breaks by itself is no truncated file that was noticed.

    Args:
        scenario: a scenario with `expects` and `caught_in`.
        checks: its checks.
    """
    found = next((entry for entry in checks if entry.id is scenario.expects), None)
    if found is None:
        wanted = scenario.expects.value if scenario.expects else "nothing"
        return check(CheckId.CAUGHT, [unjudged(f"expects {wanted}, which is no check of a case")])
    name, phase = f"'{found.id.label}'", scenario.caught_in or "?"
    status, seen = _seen(found, phase)
    message = f"{_CAUGHT[status]}: {name} {seen}: {found.message}"
    return check(CheckId.CAUGHT, [Finding(status, message, found.numbers, found.lines)])


def _seen(found: Check, phase: str) -> tuple[Status, str]:
    """What a check that has to fail in a phase shows, and in words."""
    if found.status is Status.FAILED:
        own = found.phases.get(phase)
        if own is Status.FAILED:
            return Status.PASSED, f"failed in {phase} as it has to"
        failed = [name for name, entry in found.phases.items() if entry is Status.FAILED]
        where = f" in {' and '.join(failed)}" if failed else ""
        missed = own is Status.PASSED
        return (
            Status.FAILED if missed else Status.ERROR,
            f"failed{where} and has to fail in {phase}",
        )
    if found.status is Status.PASSED:
        return Status.FAILED, "passed and has to fail"
    return Status.ERROR, f"has to fail and was {found.status.value}"
