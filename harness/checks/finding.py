"""Findings: what was found of one phase or of one thing compared, and how several make a check."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from harness.catalog.scenarios import Phase
from harness.record.checks import WORST_FIRST, Check, CheckId, Number, Status, worst
from harness.record.facts import LogFacts, Problem

LINES_LIMIT = 20  # log lines that one check shows
MESSAGE_CHARACTERS = 200  # of a log line in a message


@dataclass(frozen=True)
class Finding:
    """What was found of one phase, or of one thing compared; several make a check.

    Attributes:
        blocking: no later check can pass after it.
        phase: id of the phase that it is about, or empty.
    """

    status: Status
    message: str
    numbers: Mapping[str, Number] = field(default_factory=dict)
    lines: Sequence[str] = ()
    blocking: bool = False
    phase: str = ""


def check(check_id: CheckId, findings: Sequence[Finding]) -> Check:
    """One check out of what was found; the findings that decide come first in the message."""
    status = worst(finding.status for finding in findings)
    ordered = sorted(findings, key=lambda finding: WORST_FIRST.index(finding.status))
    numbers: dict[str, Number] = {}
    lines: list[str] = []
    phases: dict[str, Status] = {}
    for finding in ordered:
        numbers.update(finding.numbers)
        lines += finding.lines
        if finding.phase and status in (Status.FAILED, Status.ERROR):
            phases.setdefault(finding.phase, finding.status)
    return Check(
        id=check_id,
        status=status,
        message="; ".join(finding.message for finding in ordered),
        numbers=numbers,
        lines=lines[:LINES_LIMIT],
        phases=phases,
    )


def skipped(reason: str) -> Finding:
    """The check does not apply."""
    return Finding(Status.SKIPPED, reason)


def unjudged(reason: str) -> Finding:
    """The check could not be judged."""
    return Finding(Status.ERROR, reason)


def line(phase: str, number: int, text: str) -> str:
    """A log line as checks show it."""
    return f"{phase}:{number}: {text}"


def problem_lines(phase: str, problems: Iterable[Problem]) -> list[str]:
    """Problems as log lines."""
    return [line(phase, problem.line, problem.text) for problem in problems]


def kinds(facts: LogFacts, *names: str) -> list[Problem]:
    """The problems of these kinds, in the order of the log."""
    return [problem for problem in facts.problems if problem.kind in names]


def named(phase: Phase, phases: Sequence[object], finding: Finding) -> Finding:
    """The finding of one phase, with its name in front of the numbers where several are judged."""
    numbers = finding.numbers
    if len(phases) != 1:
        numbers = {f"{phase.id}.{name}": number for name, number in numbers.items()}
    return replace(finding, numbers=numbers, phase=phase.id)
