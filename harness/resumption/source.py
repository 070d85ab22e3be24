"""The run that another one goes on with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.base.error import UsageError
from harness.base.text import one_line
from harness.record import journal, store
from harness.record.checks import Status
from harness.record.models import NO_RESULT, PhaseRecord, RunRecord
from harness.record.origin import SourceRecord

_GOOD = (Status.PASSED, Status.KNOWN, Status.SKIPPED)
_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")
_CHAIN = 100  # runs that went on with each other


@dataclass(frozen=True)
class Source:
    """A run that has ended, whatever ended it.

    Attributes:
        directory: its own, no link.
        before: the run that it went on with itself, where that lies beside it: it may have been
            killed before it had taken over anything.
    """

    directory: Path
    record: RunRecord
    before: Source | None = None

    @property
    def chain(self) -> Iterator[Source]:
        """This run, the one that it went on with, and so on."""
        source: Source | None = self
        while source is not None:
            yield source
            source = source.before

    @property
    def phases(self) -> dict[str, PhaseRecord]:
        """Its phases by key."""
        return {phase.key: phase for phase in self.record.phases}

    @property
    def passed(self) -> frozenset[str]:
        """Ids of the cases that are not to be run again.

        One that was skipped because its flavor's build broke is not among them.
        """
        broken = {flavor.id for flavor in self.record.flavors if flavor.error}
        return frozenset(
            case.id
            for case in self.record.cases
            if case.status in _GOOD and not (case.skip and case.flavor in broken)
        )

    @property
    def judged(self) -> frozenset[str]:
        """Ids of the cases that the record has; of a finished run that is all there were."""
        return frozenset(case.id for case in self.record.cases)

    def require_open(self) -> None:
        """Refuses a run of which every phase has a result, and that wrote its last report.

        Raises:
            UsageError: there is nothing to go on with.
        """
        left = any(phase.outcome in NO_RESULT for phase in self.record.phases)
        cut = (self.directory / journal.FILE).exists()
        if self.record.state == "finished" and not left and not cut:
            name = one_line(self.record.id, 100)
            raise UsageError(
                f"run {name} is finished: there is nothing to resume;"
                f" --failed {name} (FAILED={name}) runs again what did not pass"
            )


def load(directory: Path) -> Source:
    """The run of a directory.

    Raises:
        UsageError: there is none, this version of the harness cannot read it, or it goes on.
    """
    record = store.load(directory)
    if journal.alive(directory):
        raise UsageError(f"run {one_line(record.id, 100)} goes on: it is resumed after its end")
    place = directory.resolve()
    return Source(place, record, _before(place, record, _CHAIN))


def _before(directory: Path, record: RunRecord, most: int) -> Source | None:
    """The run that a run went on with, if it is beside it; a record names no other place."""
    place = directory.parent / record.resumes
    if not most or not _ID.fullmatch(record.resumes) or place.is_symlink():
        return None
    try:
        found = store.load(place)
    except UsageError:
        return None
    if found.id != record.resumes or journal.alive(place):
        return None
    return Source(place, found, _before(place, found, most - 1))


def described(record: RunRecord, kept: dict[str, dict[str, str]] | None = None) -> SourceRecord:
    """A run as the record of another one names it.

    Args:
        kept: see `SourceRecord.flavors`.
    """
    return SourceRecord(
        id=record.id,
        shard="" if record.shard is None else record.shard.name,
        state=record.state,
        started=record.started,
        finished=record.finished,
        command=record.command,
        engine=record.engine,
        gpu=record.gpu,
        host=record.host,
        flavors=kept or {},
    )
