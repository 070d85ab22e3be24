"""The checks as far as a log alone allows, with no run around it."""

from __future__ import annotations

from harness.checks import (
    edit_took_effect,
    lms_edited_graph,
    phases_complete,
)
from harness.checks.finding import (
    Finding,
    check,
    skipped,
)
from harness.record.checks import Check, CheckId, Status
from harness.record.facts import LogFacts


def judge_log(facts: LogFacts, provider_expected: bool = True) -> list[Check]:
    """The checks as far as a log alone allows: 1 to 3, the rest is skipped.

    Args:
        facts: of a log from anywhere; its exit code, its control and its artifacts are unknown.
        provider_expected: whether LMS should have been at work.
    """
    edits: list[Finding]
    effects: list[Finding]
    if provider_expected:
        edits = [lms_edited_graph.of_log("log", facts)]
        effects = [edit_took_effect.of_log("log", facts)]
        if effects[0].status is Status.ERROR:
            effects = [skipped(effects[0].message)]
    else:
        edits = [skipped("LMS was not expected to be on")]
        effects = [skipped("LMS was not expected to be on")]
    return [
        check(CheckId.PHASES_COMPLETE, [phases_complete.of_log(facts)]),
        check(CheckId.LMS_EDITED_GRAPH, edits),
        check(CheckId.EDIT_TOOK_EFFECT, effects),
        check(CheckId.STATE_RESTORED, [skipped("a log alone does not show the phase that saved")]),
        check(
            CheckId.SWAPPING_CONFIRMED, [skipped("a log alone has no control to measure against")]
        ),
        check(CheckId.RESULT_UNCHANGED, [skipped("a log alone has no control to compare with")]),
        check(CheckId.SWAPPING_AS_BEFORE, [skipped("a log alone shows no other phase")]),
    ]
