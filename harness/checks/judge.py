"""The six checks of a case: pure functions from records to verdicts.

`failed` means that the product under test is broken, `error` that it could not be judged,
`skipped` that the check does not apply. When a phase did not complete, what comes after it cannot
pass: a later check still fails where the log proves it, and is an error otherwise.
"""

from __future__ import annotations

from collections.abc import Callable

from harness.base.text import mib, plural
from harness.catalog.scenarios import Phase, Scenario
from harness.checks import edit_took_effect as effect
from harness.checks import result_unchanged as result
from harness.checks import state_restored as restoring
from harness.checks import swapping_confirmed as swapping
from harness.checks.evidence import (
    Evidence,
    Finding,
    check,
    kinds,
    line,
    named,
    problem_lines,
    skipped,
    unjudged,
)
from harness.logs.native import no_gpu
from harness.record.checks import Check, CheckId, Status
from harness.record.facts import Edit, LogFacts, Problem
from harness.record.models import Outcome, PhaseRecord

__all__ = ["Evidence", "caught", "judge", "judge_log"]

_FATAL = ("traceback", "out_of_memory", "cuda_error", "nan_loss")
_WORDS = {
    "traceback": "exception",
    "out_of_memory": "out of memory",
    "cuda_error": "CUDA error",
    "nan_loss": "loss is not a number",
}
_MESSAGE_LIMIT = 200  # characters of a log line in a message


def judge(evidence: Evidence) -> list[Check]:
    """The six checks of a case, in order. Reads records only; never raises on their content."""
    findings = _complete(evidence)
    complete = check(CheckId.PHASES_COMPLETE, findings)
    # A marker that cannot be read leaves the rest to be judged on what could be read.
    broken = next((finding.message for finding in findings if finding.blocking), None)
    judges: list[tuple[CheckId, Callable[[Evidence], list[Finding]]]] = [
        (CheckId.LMS_EDITED_GRAPH, _edited),
        (CheckId.EDIT_TOOK_EFFECT, effect.findings),
        (CheckId.STATE_RESTORED, restoring.findings),
        (CheckId.SWAPPING_CONFIRMED, swapping.findings),
        (CheckId.RESULT_UNCHANGED, result.findings),
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
        checks: its six checks.
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


def judge_log(facts: LogFacts, provider_expected: bool = True) -> list[Check]:
    """The six checks as far as a log alone allows: 1 to 3, the rest is skipped.

    Args:
        facts: of a log from anywhere; its exit code, its control and its artifacts are unknown.
        provider_expected: whether LMS should have been at work.
    """
    edits: list[Finding]
    effects: list[Finding]
    if provider_expected:
        edits = [_edit_finding("log", facts)]
        effects = [effect.of_log("log", facts)]
        if effects[0].status is Status.ERROR:
            effects = [skipped(effects[0].message)]
    else:
        edits = [skipped("LMS was not expected to be on")]
        effects = [skipped("LMS was not expected to be on")]
    return [
        check(CheckId.PHASES_COMPLETE, [_log_complete(facts)]),
        check(CheckId.LMS_EDITED_GRAPH, edits),
        check(CheckId.EDIT_TOOK_EFFECT, effects),
        check(CheckId.STATE_RESTORED, [skipped("a log alone does not show the phase that saved")]),
        check(
            CheckId.SWAPPING_CONFIRMED, [skipped("a log alone has no control to measure against")]
        ),
        check(CheckId.RESULT_UNCHANGED, [skipped("a log alone has no control to compare with")]),
    ]


# --- 1: phases complete -----------------------------------------------------------------------


def _complete(evidence: Evidence) -> list[Finding]:
    findings: list[Finding] = []
    for phase, record in evidence.phases:
        finding = _phase_complete(phase, record, evidence.accelerator)
        if (
            record.outcome is Outcome.NOT_RUN
            and findings
            and findings[-1].status is not Status.PASSED
        ):
            continue  # the phase before says why
        findings.append(finding)
    if not findings:
        return [unjudged("the case has no phase")]
    if all(finding.status is Status.PASSED for finding in findings):
        seconds = sum(record.duration_s or 0.0 for _, record in evidence.phases)
        dropped = sum(record.facts.dropped for _, record in evidence.phases)
        message = f"{plural(len(findings), 'phase')} completed in {seconds:.1f} s"
        if dropped:
            message += f"; {plural(dropped, 'fact')} of the logs are beyond the parser's bounds"
        numbers = {"phases": len(findings), "seconds": round(seconds, 3), "dropped": dropped}
        return [Finding(Status.PASSED, message, numbers)]
    return [finding for finding in findings if finding.status is not Status.PASSED]


def _phase_complete(phase: Phase, record: PhaseRecord, accelerator: str) -> Finding:
    facts = record.facts
    problems = [
        problem
        for problem in kinds(facts, *_FATAL)
        if not (accelerator == "virtual" and no_gpu(problem))
    ]
    reason = f": {record.reason}" if record.reason else ""
    broken: str | None = None
    status = Status.FAILED
    if record.outcome is Outcome.ENGINE_ERROR:
        status, broken = Status.ERROR, f"the engine could not run it{reason}"
    elif record.outcome is Outcome.INTERRUPTED:
        status, broken = Status.ERROR, f"the run was interrupted{reason}"
    elif record.outcome is Outcome.NOT_RUN:
        status, broken = Status.ERROR, f"was not run{reason}"
    elif record.outcome is Outcome.TIMED_OUT:
        broken = f"timed out after {record.duration_s or phase.timeout_s:.0f} s{reason}"
    elif record.outcome is Outcome.OUT_OF_MEMORY:
        broken = f"the kernel killed it at its memory limit{reason}"
    elif record.outcome is Outcome.KILLED:
        broken = f"a signal killed it{reason}"
    elif record.outcome is Outcome.FAILED or record.exit_code not in (0, None):
        broken = f"exit code {'?' if record.exit_code is None else record.exit_code}"
        if record.reason != broken:  # an engine has no other reason for a plain exit code
            broken += reason
    elif facts.markers and not facts.done and not kinds(facts, "malformed_marker"):
        broken = "exit code 0, but it never said `done`: it stopped half way"
    if status is Status.FAILED and problems:
        cause = _cause(problems)
        broken = f"{broken}; {cause}" if broken else cause
    lines = problem_lines(phase.id, problems)
    if broken is not None:
        return Finding(
            status,
            f"{phase.id} phase {'failed' if status is Status.FAILED else 'not judged'}: {broken}",
            {"exit_code": record.exit_code, "problems": len(problems)},
            lines,
            blocking=True,
        )
    malformed = kinds(facts, "malformed_marker")
    if malformed:
        return _malformed(phase.id, malformed)
    return Finding(Status.PASSED, f"{phase.id} phase completed")


def _malformed(phase: str, malformed: list[Problem]) -> Finding:
    return Finding(
        Status.ERROR,
        f"{phase}: {plural(len(malformed), 'marker line')} cannot be read,"
        f" first at line {malformed[0].line}: {_short(malformed[0].text)}",
        {"malformed_markers": len(malformed)},
        problem_lines(phase, malformed),
    )


def _cause(problems: list[Problem]) -> str:
    """The most telling problems in words: of each kind the last one, which ended the phase."""
    causes = []
    for kind, words in _WORDS.items():
        found = [problem for problem in problems if problem.kind == kind]
        if found:
            causes.append(f"{words} at line {found[-1].line}: {_short(found[-1].text)}")
    return "; ".join(causes)


def _log_complete(facts: LogFacts) -> Finding:
    problems = kinds(facts, *_FATAL)
    missing_gpu = [problem for problem in problems if no_gpu(problem)]
    problems = [problem for problem in problems if problem not in missing_gpu]
    malformed = kinds(facts, "malformed_marker")
    numbers = {"lines": facts.lines, "problems": len(problems), "markers": facts.markers}
    if problems:
        return Finding(Status.FAILED, _cause(problems), numbers, problem_lines("log", problems))
    if malformed:
        return _malformed("log", malformed)
    if facts.markers and not facts.done:
        return Finding(Status.FAILED, "there is no `done` marker: it stopped half way", numbers)
    if facts.bytes == 0:
        return unjudged("the log is empty")
    message = f"no exception, NaN, out of memory or CUDA error in {plural(facts.lines, 'line')}"
    message += "; the exit code is not known"
    if missing_gpu:
        message += f"; no GPU was seen (line {missing_gpu[0].line})"
    return Finding(Status.PASSED, message, numbers, problem_lines("log", missing_gpu))


# --- 2: LMS edited the graph ------------------------------------------------------------------


def _edited(evidence: Evidence) -> list[Finding]:
    reason = evidence.no_lms
    if reason is not None:
        return [skipped(reason)]
    findings = []
    for phase, record in evidence.swapping:
        finding = _edit_finding(phase.id, record.facts)
        silent = not record.facts.edits and not kinds(record.facts, "lms_off")
        if silent and record.outcome is not Outcome.COMPLETED:
            # It may have ended before LMS had its turn.
            finding = unjudged(finding.message)
        numbers = named(phase, evidence.swapping, finding.numbers)
        findings.append(Finding(finding.status, finding.message, numbers, finding.lines))
    return findings


def _edit_finding(phase: str, facts: LogFacts) -> Finding:
    off = kinds(facts, "lms_off")
    edits = swapping.edits(facts)
    lines = [line(phase, edit.line, edit.text) for edit in edits]
    if off:
        return Finding(
            Status.FAILED,
            f"{phase}: LMS is off, line {off[0].line}: {_short(off[0].text)}",
            {"edits": len(edits)},
            [*problem_lines(phase, off), *lines],
        )
    if not edits:
        already = kinds(facts, "lms_already_edited")
        message = f"{phase}: no line says that LMS edited the graph"
        if already:
            message += f", only that it was edited before (line {already[0].line})"
        return Finding(Status.FAILED, message, {"edits": 0}, problem_lines(phase, already))
    best = swapping.ledger(facts) or edits[0]
    numbers = {
        "edits": len(edits),
        "operations": best.operations,
        "swap_out": best.swap_out,
        "swap_in": best.swap_in,
        "bytes_out": best.bytes_out,
        "bytes_in": best.bytes_in,
        "edit_ms": best.milliseconds,
    }
    message = f"{phase}: {_edit_words(best)}"
    if len(edits) > 1:
        message += f" (the largest of {len(edits)} edits)"
    if best.swap_out == 0 or best.swap_in == 0:
        return Finding(
            Status.FAILED, f"{message}: nothing is swapped in both directions", numbers, lines
        )
    return Finding(Status.PASSED, message, numbers, lines)


def _edit_words(edit: Edit) -> str:
    def direction(count: int, size: int | None, word: str) -> str:
        return f"{count:,} {word}" + (f" ({mib(size)})" if size is not None else "")

    return (
        f"{plural(edit.operations, 'operation')} added,"
        f" {direction(edit.swap_out, edit.bytes_out, 'swap-out')},"
        f" {direction(edit.swap_in, edit.bytes_in, 'swap-in')}"
        + (f", {edit.milliseconds:.0f} ms" if edit.milliseconds is not None else "")
    )


def _short(text: str) -> str:
    return text if len(text) <= _MESSAGE_LIMIT else f"{text[: _MESSAGE_LIMIT - 2]} …"
