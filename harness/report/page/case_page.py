"""What the page of a case shows: checks with numbers and lines, the chain of phases, the log."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from harness.base.text import clip, distinct, flat, mib, one_line
from harness.history import listing
from harness.history.series import Point
from harness.record.checks import WORST_FIRST, Check, Number, Status
from harness.record.models import CaseRecord, PhaseRecord, PhaseUse, RunRecord
from harness.report.attachments import RunFiles
from harness.report.origin import gpus, runs
from harness.report.overview import WORDS
from harness.report.page import links
from harness.report.page.heat_map import GLYPHS
from harness.report.timeline.model import Timeline
from harness.report.totals import (
    Judged,
    attempt_words,
    broke,
    ending,
    executions,
    phase_behind,
)

LINES = 40  # log lines that are shown of a check
UP = "../"  # the run directory as a case's page sees it

# Scripts, roles, reasons: most are the same in many cases.
_line = lru_cache(4096)(one_line)

_SIZE = re.compile(r"bytes|peak_(accelerator|host)|lower_bound|ceiling")


@dataclass(frozen=True)
class Verdict:
    """A check as the page shows it.

    Attributes:
        numbers: name, value in words, and the value as it is where that says more.
        open: whether numbers and lines are shown before anyone asks.
    """

    glyph: str
    label: str
    status: str
    word: str
    message: str
    defect: str
    numbers: list[tuple[str, str, str]]
    lines: list[str]
    more_lines: int
    open: bool


@dataclass(frozen=True)
class Execution:
    """One execution of a phase: how it ended, and the files that it left.

    Attributes:
        gpu: UUID of the GPU that it ran on, "" for none.
        attempts: those before it that do not count, in words, each with its files.
    """

    name: str
    ending: str
    good: bool
    gpu: str
    files: list[tuple[str, str]]
    attempts: list[tuple[str, list[tuple[str, str]]]]


@dataclass(frozen=True)
class Stage:
    """A phase in the chain.

    Attributes:
        executions: its own, without a name; then what was run beside it: control, reference,
            straight trainings.
    """

    name: str
    role: str
    script: str
    executions: list[Execution]


@dataclass(frozen=True)
class Tail:
    """The end of the log that explains what did not pass."""

    phase: str
    log: str
    href: str
    lines: list[str]


@dataclass(frozen=True)
class Past:
    """A case over the last runs that compare with this one.

    Attributes:
        runs: (status, in words), the oldest first.
        numbers: name, sparkline, bounds, last value.
    """

    runs: list[tuple[str, str]]
    numbers: list[tuple[str, str, str, str]]


@dataclass(frozen=True)
class Page:
    """All that the page of a case shows."""

    title: str
    flavor: str
    family: str
    scenario: str
    description: str
    status: str
    word: str
    skip: str
    expects: str
    checks: list[Verdict]
    behind: list[Verdict]
    stages: list[Stage]
    tail: Tail | None
    reproduce: str
    timelines: list[Timeline]
    past: Past | None


def gather(
    judged: Judged,
    phases: Mapping[str, PhaseRecord],
    files: RunFiles,
    timelines: list[Timeline],
    past: Sequence[Point] = (),
) -> Page:
    """Returns what the page of a case shows.

    Args:
        phases: the run's phases by key.
        files: the files below the run directory.
        past: the case in the last runs of the history, the oldest first.
    """
    case = judged.case
    return Page(
        title=_line(case.id),
        flavor=_line(case.flavor),
        family=_line(case.family),
        scenario=_line(case.title),
        description=_line(case.description) if case.description else "",
        status=judged.status.value,
        word=WORDS[judged.status].lower(),
        skip=_line(case.skip) if case.skip else "",
        expects=case.expects.label if case.expects else "",
        checks=_verdicts(judged.checks),
        behind=_verdicts(case.behind),
        stages=[_stage(use, phases, files) for use in case.phases],
        tail=_tail(judged, case, phases, files),
        reproduce=_line(case.reproduce, 2000) if case.reproduce else "",
        timelines=timelines,
        past=_past(past) if len(past) > 1 else None,
    )


def facts_of(record: RunRecord, flavor: str) -> list[tuple[str, str]]:
    """Returns the provenance of a flavor's cases: of the flavor itself, then of the run."""
    known = next((entry for entry in record.flavors if entry.id == flavor), None)
    values: dict[str, object] = dict(known.provenance) if known else {}
    values |= {
        "engine": record.engine,
        "accelerator": record.accelerator,
        "LMS provider": record.provider,
        "LMS parameters": ", ".join(f"{k}={flat(v)}" for k, v in record.parameters.items()),
    }
    values |= {f"phases of {run}": words for run, words in runs.words(record).items()}
    values |= gpus.facts(record)
    values |= {f"host {name}": value for name, value in record.host.items()}
    return [
        (_line(name), _line(flat(value)))
        for name, value in values.items()
        if value not in (None, "")
    ]


def _past(points: Sequence[Point]) -> Past:
    return Past(
        [
            (point.status.value, f"{one_line(point.run, 60)}: {WORDS[point.status].lower()}")
            for point in points
        ],
        list(listing.numbers(points)),
    )


def _verdicts(checks: Iterable[Check]) -> list[Verdict]:
    """The checks in order, those that explain the case's status first."""
    return [
        _verdict(check) for check in sorted(checks, key=lambda one: WORST_FIRST.index(one.status))
    ]


def _verdict(check: Check) -> Verdict:
    lines = distinct(check.lines)
    return Verdict(
        glyph=GLYPHS[check.id],
        label=check.id.label,
        status=check.status.value,
        word=WORDS[check.status].lower(),
        message=_line(check.message, 4000),
        defect=_line(check.defect.text) if check.defect else "",
        numbers=[_number(name, value) for name, value in check.numbers.items()],
        lines=[one_line(line) for line in lines[:LINES]],
        more_lines=max(0, len(lines) - LINES),
        open=check.status in (Status.FAILED, Status.ERROR, Status.KNOWN),
    )


def _number(name: str, value: Number) -> tuple[str, str, str]:
    name = _line(name)
    if value is None:
        return name, "unknown", ""
    if isinstance(value, int) and value >= 1024 and _SIZE.search(name):
        return name, mib(value), f"{value:,} B"
    if isinstance(value, int):
        return name, f"{value:,}", ""
    return name, clip(_line(flat(value)), 300), ""


def _stage(use: PhaseUse, phases: Mapping[str, PhaseRecord], files: RunFiles) -> Stage:
    own = phases.get(use.key)
    keys = {"": use.key, "control": use.control}
    # A phase that saved is in the chain itself.
    keys["reference"] = use.reference if use.reference_declared else None
    keys |= {
        f"straight{' again' if number else ''}": key for number, key in enumerate(use.straights)
    }
    return Stage(
        name=_line(use.name),
        role=_line(own.role) if own else "",
        script=_line(own.script) if own else "",
        executions=[
            _execution(name, phases[key], files)
            for name, key in keys.items()
            if key is not None and key in phases
        ],
    )


def _execution(name: str, phase: PhaseRecord, files: RunFiles) -> Execution:
    return Execution(
        name=name,
        ending=ending(phase),
        good=not broke(phase),
        gpu="" if phase.gpu is None else _line(phase.gpu, 80),
        files=links.files_of(phase, files, UP),
        attempts=[
            (attempt_words(attempt), links.files_of(links.left_by(attempt, phase), files, UP))
            for attempt in phase.attempts
        ],
    )


def _tail(
    judged: Judged, case: CaseRecord, phases: Mapping[str, PhaseRecord], files: RunFiles
) -> Tail | None:
    bad = judged.having(Status.FAILED, Status.ERROR)
    used = executions(case, phases)
    behind = phase_behind(bad[0], used) if bad and used else None
    if behind is None:
        return None
    log, lines = files.tail(behind[1])
    if not lines:
        return None
    addresses = {
        f"{behind[1].directory}/{name}": address
        for name, address in links.files_of(behind[1], files, UP)
    }
    return Tail(_line(behind[0]), _line(log), addresses.get(log, ""), lines)
