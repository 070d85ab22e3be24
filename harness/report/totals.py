"""What a run amounts to: the checks that are reported, their counts, and the exit code.

JUnit, the summary and the exit code all read the run through this module, so they cannot differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from harness.base.error import EXIT_CRASHED, EXIT_FAILED, EXIT_NOT_JUDGED, EXIT_PASSED
from harness.base.text import duration, one_line
from harness.record.checks import Check, CheckId, Status, worst
from harness.record.models import (
    BUG,
    Attempt,
    CaseRecord,
    FlavorRecord,
    Outcome,
    PhaseRecord,
    RunRecord,
)

CHECKS = tuple(check for check in CheckId if check is not CheckId.CAUGHT)
NUMBERS: Mapping[CheckId, int] = {check: number for number, check in enumerate(CHECKS, start=1)}

NamedPhase = tuple[str, PhaseRecord]  # the phase's name in its case, e.g. "load-control"


@dataclass(frozen=True)
class Judged:
    """A case with the checks that are reported for it; there is always at least one."""

    case: CaseRecord
    checks: tuple[Check, ...]

    @cached_property
    def status(self) -> Status:
        """The worst of the checks."""
        return worst(check.status for check in self.checks)

    @property
    def canary(self) -> bool:
        """Whether the case is wrong on purpose."""
        return self.case.expects is not None

    def having(self, *statuses: Status) -> list[Check]:
        """The checks with one of these statuses, in order."""
        return [check for check in self.checks if check.status in statuses]

    @property
    def step(self) -> dict[str, int | float | str | bool | None]:
        """The numbers of *swapping confirmed*, by their names; empty where nothing was measured.

        Where several phases are judged the last counts: it is the one after the load.
        """
        last = f"{self.case.phases[-1].name}." if self.case.phases else ""
        return {
            name.removeprefix(last): value
            for check in self.checks
            if check.id is CheckId.SWAPPING_CONFIRMED
            for name, value in check.numbers.items()
        }


@dataclass(frozen=True)
class Totals:
    """Counts over a run.

    Attributes:
        cases: every case with its reported checks, canaries too, in the record's order.
        skips: reason → ids of the cases that were skipped as a whole for it.
    """

    cases: list[Judged]
    skips: dict[str, list[str]] = field(default_factory=dict)

    def of(self, *statuses: Status, canary: bool | None = None) -> list[Judged]:
        """The cases with one of these statuses; canaries only, none, or (None) both."""
        return [
            judged
            for judged in self.cases
            if judged.status in statuses and canary in (None, judged.canary)
        ]

    def checks(self, status: Status) -> int:
        """How many reported checks have this status."""
        return sum(check.status is status for judged in self.cases for check in judged.checks)


def judge(case: CaseRecord, flavor: FlavorRecord | None, state: str) -> Judged:
    """Returns a case with the checks that are reported for it.

    A case that was skipped as a whole shows each of its checks as skipped, so that the keys of
    Jenkins' history stay. A case without verdicts is one error and not one for each check: its
    first check is the error, the others are skipped.
    """
    if case.checks:
        return Judged(case, tuple(case.checks))
    ids = (CheckId.CAUGHT,) if case.expects is not None else CHECKS
    unavailable = flavor.unavailable if flavor is not None else None
    if unavailable is not None and flavor is not None and flavor.error:
        reason = f"flavor {flavor.id} could not be made ready: {unavailable}"
    elif case.skip is not None or unavailable is not None:
        reason = case.skip or unavailable or "no reason was recorded"
        return Judged(case, tuple(_check(i, Status.SKIPPED, reason) for i in ids))
    else:
        reason = f"the run holds no verdict for this case (run {state})"
    return Judged(
        case,
        (
            _check(ids[0], Status.ERROR, f"not judged: {reason}"),
            *(_check(i, Status.SKIPPED, f"not judged: see {ids[0].label}") for i in ids[1:]),
        ),
    )


def total(record: RunRecord, flavors: Iterable[str] | None = None) -> Totals:
    """Returns the counts over a run, or over some flavors of it."""
    known = {flavor.id: flavor for flavor in record.flavors}
    wanted = None if flavors is None else set(flavors)
    cases = [
        judge(case, known.get(case.flavor), record.state)
        for case in record.cases
        if wanted is None or case.flavor in wanted
    ]
    skips: dict[str, list[str]] = {}
    for judged in cases:
        if judged.status is Status.SKIPPED:
            reason = judged.case.skip or judged.checks[0].message
            skips.setdefault(reason, []).append(judged.case.id)
    return Totals(cases, skips)


def exit_code(record: RunRecord, counts: Totals | None = None) -> int:
    """Returns 0 (all passed), 1 (a check failed), 2 (nothing failed, not all was judged) or 3.

    A known defect is no failure, unless the run is strict.

    3 is a bug of the harness, whatever else the run found: no verdict can be relied on then.
    A skip with a reason does not hurt, but a run in which nothing was judged is not a pass, nor
    is one of which only canaries were judged while it held other cases. A shard may be empty.
    """
    counts = counts or total(record)
    if record.state == "crashed" or bugs(record):
        return EXIT_CRASHED
    if counts.of(Status.FAILED) or (record.strict and counts.checks(Status.KNOWN)):
        return EXIT_FAILED
    if counts.of(Status.ERROR) or record.state != "finished":
        return EXIT_NOT_JUDGED
    if any(flavor.unavailable is not None and flavor.error for flavor in record.flavors):
        return EXIT_NOT_JUDGED
    if record.shard is not None and not counts.cases:
        return EXIT_PASSED
    cases = [judged for judged in counts.cases if not judged.canary] or counts.cases
    if not any(judged.status in (Status.PASSED, Status.KNOWN) for judged in cases):
        return EXIT_NOT_JUDGED
    return EXIT_PASSED


def executions(case: CaseRecord, phases: Mapping[str, PhaseRecord]) -> list[NamedPhase]:
    """The executions that a case rests on, in order, each once.

    A control is called `<phase>-control`, a reference of its own `<phase>-reference`.
    """
    named: dict[str, NamedPhase] = {}
    for use in case.phases:
        own = (use.name, use.key), (f"{use.name}-control", use.control)
        straights = [
            (f"{use.name}-straight{'-again' * bool(number)}", key)
            for number, key in enumerate(use.straights)
        ]
        for name, key in (*own, (f"{use.name}-reference", use.reference), *straights):
            if key is not None and key in phases:
                named.setdefault(key, (name, phases[key]))
    return list(named.values())


def phase_behind(check: Check, phases: list[NamedPhase]) -> NamedPhase | None:
    """Returns the phase whose log explains the check: one that broke, one it names, or the last."""
    for named in phases:
        if broke(named[1]):
            return named
    names = {name: (name, phase) for name, phase in phases}
    for line in check.lines:
        name = line.split(":", 1)[0]
        if name in names:
            return names[name]
    judged = [named for named in phases if named[1].control_of is None]
    return judged[-1] if judged else None


def bugs(record: RunRecord) -> list[PhaseRecord]:
    """The phases around which the harness itself broke."""
    return [phase for phase in record.phases if BUG in phase.details]


def broke(phase: PhaseRecord) -> bool:
    """Whether a phase ran and did not complete."""
    return phase.outcome not in (Outcome.COMPLETED, Outcome.NOT_RUN)


def ending(phase: PhaseRecord) -> str:
    """How a phase ended, e.g. `failed (exit code 1) after 2.3 s, in run ...: ...`."""
    text = phase.outcome.value.replace("_", " ")
    if phase.exit_code is not None:
        text += f" (exit code {phase.exit_code})"
    if phase.duration_s is not None:
        text += f" after {duration(phase.duration_s)}"
    if phase.taken_from:
        text += f", in run {one_line(phase.taken_from, 100)}"
    if phase.attempts:
        text += f", attempt {len(phase.attempts) + 1}"
    return f"{text}: {one_line(phase.reason)}" if phase.reason else text


def tried_again(phases: Iterable[PhaseRecord]) -> list[PhaseRecord]:
    """The phases with an attempt that does not count, in order."""
    return [phase for phase in phases if phase.attempts]


def attempt_words(attempt: Attempt) -> str:
    """An attempt that does not count, e.g. `attempt 1 does not count: engine error ...`."""
    text = f"attempt {attempt.number} does not count: {attempt.outcome.value.replace('_', ' ')}"
    if attempt.duration_s is not None:
        text += f" after {duration(attempt.duration_s)}"
    if attempt.gpu is not None:
        text += f" on {one_line(attempt.gpu, 80)}"
    return f"{text}: {one_line(attempt.reason, 500)}" if attempt.reason else text


def _check(check: CheckId, status: Status, message: str) -> Check:
    return Check(id=check, status=status, message=one_line(message or "no reason was recorded"))
