"""Check 1: every phase ended by itself, in time, with exit code 0 and nothing fatal in its log."""

from __future__ import annotations

from dataclasses import replace

from harness.base.text import clip, phrase, plural
from harness.catalog.scenarios import Phase
from harness.checks.evidence import Evidence
from harness.checks.finding import (
    MESSAGE_CHARACTERS,
    Finding,
    kinds,
    problem_lines,
    unjudged,
)
from harness.logs.grammar.cuda import no_gpu
from harness.record.checks import Status
from harness.record.facts import LogFacts, Problem
from harness.record.models import Outcome, PhaseRecord

_WORDS = {
    "traceback": "exception",
    "out_of_memory": "out of memory",
    "cuda_error": "CUDA error",
    "nan_loss": "loss is not a number",
    "crash": "the process died",
    "stopped": "it was ended",
}
_FATAL = tuple(_WORDS)
_ENDS = ("crash", "stopped")


def findings(evidence: Evidence) -> list[Finding]:
    """What did not complete, one finding for each phase; one that passed where all did."""
    findings: list[Finding] = []
    for phase, record in evidence.phases:
        found = _phase_complete(phase, record, evidence.accelerator)
        finding = replace(found, phase=phase.id)
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
        # A process of the phase may have ended badly and been replaced: the phase itself did not.
        and not (record.exit_code == 0 and problem.kind in _ENDS and not problem.final)
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
        status, broken = Status.ERROR, f"this machine has too little memory for it{reason}"
    elif record.outcome is Outcome.KILLED:
        status, broken = Status.ERROR, f"something else than itself or the harness ended it{reason}"
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
        f" first at line {malformed[0].line}:"
        f" {phrase(clip(malformed[0].text, MESSAGE_CHARACTERS))}",
        {"malformed_markers": len(malformed)},
        problem_lines(phase, malformed),
    )


def cause(facts: LogFacts) -> str:
    """What the log of a phase that failed tells of it in words; empty where it tells nothing."""
    return _cause(kinds(facts, *_FATAL))


def _cause(problems: list[Problem]) -> str:
    """The most telling problems in words: of each kind the last one, which ended the phase.

    Of a death it is the first: the shell and whatever had started the process report it later.
    """
    causes = []
    for kind, words in _WORDS.items():
        found = [problem for problem in problems if problem.kind == kind]
        if found:
            told = found[0] if kind in _ENDS else found[-1]
            said = phrase(clip(told.text, MESSAGE_CHARACTERS))
            causes.append(f"{words} at line {told.line}: {said}")
    return "; ".join(causes)


def of_log(facts: LogFacts, exit_code: int | None = None) -> Finding:
    """Whether the phase of this log completed, as far as the log shows it.

    Args:
        exit_code: of the phase, where it is known. 0 says that what could be handled was; nothing
            takes back a process that died or a loss that is not finite.
    """
    problems = kinds(facts, *_FATAL)
    missing_gpu = [problem for problem in problems if no_gpu(problem)]
    problems = [problem for problem in problems if problem not in missing_gpu]
    handled = list(facts.handled)
    if exit_code == 0:
        handled += [problem for problem in problems if not problem.final]
        problems = [problem for problem in problems if problem.final]
    malformed = kinds(facts, "malformed_marker")
    numbers = {
        "lines": facts.lines,
        "problems": len(problems),
        "handled": len(handled),
        "markers": facts.markers,
        "exit_code": exit_code,
    }
    broken = [f"exit code {exit_code}"] if exit_code else []
    if problems:
        broken.append(_cause(problems))
    if broken:
        return Finding(Status.FAILED, "; ".join(broken), numbers, problem_lines("log", problems))
    if facts.no_text is not None:
        return Finding(Status.ERROR, f"the log is no text: it is {facts.no_text}", numbers)
    if facts.damage is not None:
        return Finding(Status.ERROR, f"the log cannot be read to its end: {facts.damage}", numbers)
    if malformed:
        return _malformed("log", malformed)
    if facts.markers and not facts.done:
        return Finding(Status.FAILED, "there is no `done` marker: it stopped half way", numbers)
    if facts.bytes == 0:
        return unjudged("the log is empty")
    message = f"nothing in {plural(facts.lines, 'line')} says that it failed"
    message += "; the exit code is not known" if exit_code is None else "; exit code 0"
    if handled:
        message += f"; {plural(len(handled), 'problem')} handled (line {handled[0].line})"
    if missing_gpu:
        message += f"; no GPU was seen (line {missing_gpu[0].line})"
    return Finding(Status.PASSED, message, numbers, problem_lines("log", [*handled, *missing_gpu]))
