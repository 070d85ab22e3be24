"""What the checks of a case rest on, and how findings become one verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from harness.catalog.entry import Mode
from harness.catalog.scenarios import Phase, Scenario
from harness.record.checks import Check, CheckId, Status
from harness.record.facts import LogFacts, Problem
from harness.record.models import PhaseRecord

Number = float | int | str | None

LINES_LIMIT = 20  # log lines that one check shows


@dataclass(frozen=True)
class Evidence:
    """A case as it ran.

    Attributes:
        phases: the scenario's phases in order, each with its execution.
        controls: the controls' executions, by the id of the phase.
        provider: what the plan wants to do the swapping; "off" for none.
        accelerator: "gpu" or "virtual".
        mode: how the models ran: "session", "function" or "eager".
        unswapped: roles in which this flavor has nothing to swap, each with the reason. It is the
            catalog that says so: what a log says could hide that swapping is off.
    """

    scenario: Scenario
    phases: tuple[tuple[Phase, PhaseRecord], ...]
    controls: Mapping[str, PhaseRecord]
    provider: str
    accelerator: str
    mode: Mode = "session"
    unswapped: Mapping[str, str] = field(default_factory=dict)

    @property
    def judged(self) -> tuple[tuple[Phase, PhaseRecord], ...]:
        """The phases that checks 2, 3, 5 and 6 look at."""
        return tuple(pair for pair in self.phases if self.scenario.judged(pair[0]))

    @property
    def computing(self) -> tuple[tuple[Phase, PhaseRecord], ...]:
        """The judged phases that train or predict."""
        return tuple(pair for pair in self.judged if pair[0].role != "convert")

    @property
    def swapping(self) -> tuple[tuple[Phase, PhaseRecord], ...]:
        """The judged phases in which LMS has something to do."""
        return tuple(pair for pair in self.computing if pair[0].role not in self.unswapped)

    @property
    def no_lms(self) -> str | None:
        """Why LMS takes no part in the case, or None where it does."""
        return "the plan has LMS off" if self.provider == "off" else self.nothing_to_swap

    @property
    def nothing_to_swap(self) -> str | None:
        """Why LMS has nothing to do in any judged phase, or None where it has."""
        if self.swapping:
            return None
        roles = [phase.role for phase, _ in self.computing]
        return self.unswapped[roles[-1]] if roles else "no judged phase trains or predicts"


@dataclass(frozen=True)
class Finding:
    """What was found of one phase, or of one thing compared; several make a check.

    Attributes:
        blocking: no later check can pass after it.
    """

    status: Status
    message: str
    numbers: Mapping[str, Number] = field(default_factory=dict)
    lines: Sequence[str] = ()
    blocking: bool = False


_WORST_FIRST = (Status.FAILED, Status.ERROR, Status.PASSED, Status.SKIPPED)


def worst(findings: Iterable[Finding]) -> Status:
    """Failed before error before passed; skipped only when everything is."""
    statuses = {finding.status for finding in findings}
    return next(status for status in _WORST_FIRST if status in statuses)


def check(check_id: CheckId, findings: Sequence[Finding]) -> Check:
    """One check out of what was found; the findings that decide come first in the message."""
    status = worst(findings)
    ordered = sorted(findings, key=lambda finding: _WORST_FIRST.index(finding.status))
    numbers: dict[str, Number] = {}
    lines: list[str] = []
    for finding in ordered:
        numbers.update(finding.numbers)
        lines += finding.lines
    return Check(
        id=check_id,
        status=status,
        message="; ".join(finding.message for finding in ordered),
        numbers=numbers,
        lines=lines[:LINES_LIMIT],
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


def named(
    phase: Phase, phases: Sequence[object], numbers: Mapping[str, Number]
) -> dict[str, Number]:
    """Numbers of one phase, with its name in front where several are judged."""
    prefix = f"{phase.id}." if len(phases) > 1 else ""
    return {f"{prefix}{name}": number for name, number in numbers.items()}
