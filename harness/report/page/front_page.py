"""What the overview shows: the verdict, problems, known defects, the slowest phases."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from harness.base.text import duration, one_line
from harness.record.comparison import Comparison
from harness.record.models import RunRecord
from harness.report import changes, overview
from harness.report.page import heat_map
from harness.report.page.heat_map import HeatMap
from harness.report.reading import Reading
from harness.report.totals import executions

PROBLEMS = 100  # that are listed; the heat map has all
SHOWN = 5  # of these before anyone asks: the heat map follows
SEEN = 50  # cases of a known defect that are listed
SLOWEST = 10
CHANGES = 50  # entries of a list of what changed


@dataclass(frozen=True)
class Problem:
    """A case that did not pass: its checks that say so, and the reason of the first."""

    status: str
    word: str
    case: str
    href: str
    checks: str
    message: str


@dataclass(frozen=True)
class Sighting:
    """A case in which a known defect was seen."""

    case: str
    href: str
    check: str
    message: str


@dataclass(frozen=True)
class Known:
    """A known defect, and where it was seen."""

    text: str
    count: int
    seen: list[Sighting]


@dataclass(frozen=True)
class Slow:
    """One of the slowest executions; `share` is of the slowest, in percent."""

    name: str
    seconds: str
    share: int
    href: str | None


@dataclass(frozen=True)
class Change:
    """What is another than in the baseline; `href` is the case's page, where it is of one."""

    what: str
    words: str
    href: str | None


@dataclass(frozen=True)
class Changes:
    """The run beside its baseline: in one line, then lists, the most severe first.

    Attributes:
        lists: title, entries, and how many more there are.
    """

    headline: str
    regressed: bool
    notes: list[str]
    lists: list[tuple[str, list[Change], int]]


@dataclass(frozen=True)
class Front:
    """All that the overview shows."""

    run: str
    started: str
    headline: overview.Headline
    verdict: str
    where: str
    notes: list[str]
    changes: Changes | None
    problems: list[Problem]
    more_problems: int
    known: list[Known]
    heat_map: HeatMap
    slowest: list[Slow]
    again: list[overview.Again]
    skips: list[overview.Skip]
    facts: list[tuple[str, str]]


_ISO = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d):[\d.]+Z\Z")
_VERDICTS = {"PASSED": "passed", "FAILED": "failed", "CRASHED": "failed"}


def gather(reading: Reading, pages: Mapping[str, str]) -> Front:
    """Returns what the overview of a run shows.

    Args:
        pages: id of a case → address of its page.
    """
    record, shown = reading.record, reading.overview
    flavors = [flavor.id for flavor in record.flavors]
    by_name = {one_line(name): href for name, href in pages.items()}
    return Front(
        run=one_line(record.id),
        started=_ISO.sub(r"\1 \2 UTC", one_line(record.started)),
        headline=shown.headline,
        verdict=_VERDICTS.get(shown.headline.word, "error"),
        where=shown.where,
        notes=shown.notes,
        changes=None if record.comparison is None else _changes(record.comparison, pages),
        problems=[_problem(entry, pages) for entry in shown.problems[:PROBLEMS]],
        more_problems=max(0, len(shown.problems) - PROBLEMS),
        known=[
            Known(
                defect.text.removeprefix("known defect "),
                len(defect.seen),
                [
                    Sighting(entry.case, by_name[entry.case], entry.check, entry.message)
                    for entry in defect.seen[:SEEN]
                ],
            )
            for defect in shown.known
        ],
        heat_map=heat_map.gather(reading.counts, flavors, pages),
        slowest=_slowest(record, pages),
        again=shown.again[:PROBLEMS],
        skips=shown.skips,
        facts=shown.facts,
    )


def _problem(entry: overview.NotPassed, pages: Mapping[str, str]) -> Problem:
    first = entry.complaints[0]
    return Problem(
        status="failed" if entry.word == "FAILED" else "error",
        word=entry.word.lower(),
        case=one_line(entry.case.id),
        href=pages[entry.case.id],
        checks=first.checks,
        message=first.message,
    )


def _changes(comparison: Comparison, pages: Mapping[str, str]) -> Changes:
    return Changes(
        headline=changes.headline(comparison),
        regressed=comparison.regressed,
        notes=[one_line(reason) for reason in comparison.notes],
        lists=[
            (
                section.title,
                [
                    Change(one_line(entry.what), entry.words, pages.get(entry.what))
                    for entry in section.entries[:CHANGES]
                ],
                max(0, len(section.entries) - CHANGES),
            )
            for section in changes.sections(comparison)
        ],
    )


def _slowest(record: RunRecord, pages: Mapping[str, str]) -> list[Slow]:
    timed = [phase for phase in record.phases if 0 < (phase.duration_s or 0) < math.inf]
    timed.sort(key=lambda phase: phase.duration_s or 0, reverse=True)
    timed = timed[:SLOWEST]
    wanted = {phase.key: phase for phase in timed}
    cases: dict[str, str] = {}
    for case in record.cases:
        for _, phase in executions(case, wanted):
            cases.setdefault(phase.key, pages[case.id])
    longest = max((phase.duration_s or 0 for phase in timed), default=1)
    return [
        Slow(
            one_line(phase.key),
            duration(phase.duration_s),
            round(100 * (phase.duration_s or 0) / longest),
            cases.get(phase.key),
        )
        for phase in timed
    ]
