"""The pages of a run as files: `index.html`, `cases/`, and `page/` with styles and scripts."""

from __future__ import annotations

import contextlib
import itertools
import os
from pathlib import Path

from markupsafe import Markup

from harness.base import atomic
from harness.base.text import one_line
from harness.history import database
from harness.record.models import CaseRecord, RunRecord
from harness.report.page import case_page, front_page, links, markup, plots
from harness.report.page.front_page import Problem
from harness.report.reading import Reading
from harness.report.timeline import svg
from harness.report.timeline.model import Timeline
from harness.report.timeline.timelines import timelines
from harness.report.totals import Judged

FILE = "index.html"
_MEASURED = ("timeline.json", "samples.csv")  # what timelines are made of


def write(record: RunRecord, run_directory: Path, reading: Reading | None = None) -> Path:
    """Writes the overview, the page of each case, and what they share; returns the overview.

    Each file is whole or not there. A page that cannot be rendered says so in its place. Pages of
    cases that the record does not hold are removed.

    Args:
        reading: of that record and directory, where other reports share it.

    Raises:
        OSError: a file cannot be written.
    """
    reading = reading or Reading(record, run_directory)
    pages = links.pages_of(record.cases)
    for name in markup.STATIC_FILES:
        shared = (markup.STATIC / name).read_bytes()
        atomic.update(run_directory / markup.ASSETS / name, shared, durable=False)
    front = None
    try:
        front = front_page.gather(reading, pages)
        content = markup.render(
            "front.html.j2", "", ["heat_map.js"], page=front, shown=front_page.SHOWN
        )
    except Exception as error:  # the other reports must not be lost with this one
        content = _fallback(error)
    _write_cases(reading, pages, front.problems if front else [])
    return atomic.write(run_directory / FILE, content)


def _write_cases(reading: Reading, pages: dict[str, str], problems: list[Problem]) -> None:
    run_directory = reading.run_directory
    directory = run_directory / links.CASES
    maker = _CasePages(reading, problems)
    for judged in reading.counts.cases:
        try:
            content = maker.render(judged)
        except Exception as error:
            content = _fallback(error)
        atomic.update(run_directory / pages[judged.case.id], content, durable=False)
    with contextlib.suppress(OSError):
        made = {page.removeprefix(f"{links.CASES}/") for page in pages.values()} | maker.drawn
        for name in set(os.listdir(directory)) - made:  # noqa: PTH208
            if name.endswith((".html", ".svg")):
                with contextlib.suppress(OSError):
                    (directory / name).unlink()


class _CasePages:
    """Renders pages of cases, with what they have in common made once."""

    def __init__(self, reading: Reading, problems: list[Problem]) -> None:
        self._record = reading.record
        self._phases = reading.phases
        self._directory = reading.run_directory
        self._files = reading.files
        self._past = database.recent(self._directory.resolve().parent, like=self._record)
        self._facts: dict[str, Markup] = {}  # of a flavor
        self.drawn: set[str] = set()  # names of pictures that were made
        self._next = {one.case: two for one, two in itertools.pairwise(problems)}

    def render(self, judged: Judged) -> str:
        case = judged.case
        lines = self._timelines(case)
        past = self._past.get(case.id, [])
        page = case_page.gather(judged, self._phases, self._files, lines, past)
        if case.flavor not in self._facts:
            facts = case_page.facts_of(self._record, case.flavor)
            self._facts[case.flavor] = markup.fragment("facts.html.j2", facts=facts)
        scripts = [*(markup.PLOT_SCRIPTS if lines else ()), "case.js"]
        return markup.render(
            "case.html.j2",
            case_page.UP,
            scripts,
            page=page,
            run=one_line(self._record.id),
            facts=self._facts[case.flavor],
            plots=plots.data(lines),
            drawings=self._drawings(case, lines),
            following=self._next.get(page.title),
        )

    def _timelines(self, case: CaseRecord) -> list[Timeline]:
        """A case's timelines, where there is anything that they could be made of."""
        for use in case.phases:
            phase = self._phases.get(use.key)
            if phase is not None and any(name in _MEASURED for name, _ in self._files.of(phase)):
                return timelines(self._record, case, self._directory, self._phases)
        return []

    def _drawings(self, case: CaseRecord, lines: list[Timeline]) -> list[str]:
        """Draws timelines for who has no scripts; returns the files' names.

        A picture of its own may have styles within it, where a page that Jenkins serves may not.
        """
        made = []
        for number, timeline in enumerate(lines, 1):
            name = links.drawing_of(case, number)
            path = self._directory / links.CASES / name
            atomic.update(path, svg.render(timeline), durable=False)
            made.append(name)
        self.drawn.update(made)
        return made


def _fallback(error: Exception) -> str:
    return markup.render("fallback.html.j2", "", [], problem=one_line(repr(error)))
