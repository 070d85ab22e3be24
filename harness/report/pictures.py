"""The timelines that a summary shows, as files: those of what failed, and a few of what passed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from harness.base import atomic
from harness.record.checks import CheckId, Status
from harness.record.models import CaseRecord
from harness.report.reading import Reading
from harness.report.timeline import svg
from harness.report.timeline.timelines import timelines
from harness.report.totals import Totals

DIRECTORY = "timelines"
FAILED = 100  # cases that did not pass
PASSED = 4  # others, of one flavor each

_SAFE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,199}\Z")


@dataclass(frozen=True)
class Picture:
    """A picture beside the summary.

    Attributes:
        path: below the run's directory; it needs no escaping.
        words: what it shows, for who cannot see it.
    """

    path: str
    words: str


def write(reading: Reading) -> dict[str, list[Picture]]:
    """Writes pictures of a run's cases below its directory; returns them by the cases' ids.

    One that cannot be written is left out: a summary without it is better than none.
    """
    made: dict[str, list[Picture]] = {}
    run_directory = reading.run_directory
    for case in _chosen(reading.counts):
        drawn = timelines(reading.record, case, run_directory, reading.phases)
        for number, timeline in enumerate(drawn, start=1):
            name = f"{case.id}.{timeline.phase}.{number}.svg"
            if not _SAFE.match(name):
                continue
            with suppress(OSError):
                _keep(svg.render(timeline), run_directory / DIRECTORY / name)
                words = f"memory over time, phase {timeline.phase}"
                made.setdefault(case.id, []).append(Picture(f"{DIRECTORY}/{name}", words))
    return made


def _chosen(counts: Totals) -> Iterator[CaseRecord]:
    """Cases that did not pass, then one of each flavor in which swapping was confirmed."""
    bad = [judged.case for status in (Status.FAILED, Status.ERROR) for judged in counts.of(status)]
    yield from bad[:FAILED]
    flavors: set[str] = set()
    for judged in counts.of(Status.PASSED):
        confirmed = any(
            check.id is CheckId.SWAPPING_CONFIRMED for check in judged.having(Status.PASSED)
        )
        if confirmed and judged.case.flavor not in flavors and len(flavors) < PASSED:
            flavors.add(judged.case.flavor)
            yield judged.case


def _keep(content: str, path: Path) -> None:
    """Writes a file, unless it is what it should be already.

    Raises:
        OSError: it cannot be written, or its directory is none of the run's own.
    """
    path.parent.mkdir(exist_ok=True)
    if path.parent.resolve() != path.parent.parent.resolve() / DIRECTORY:
        raise NotADirectoryError(str(path.parent))
    atomic.update(path, content)
