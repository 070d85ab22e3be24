"""The run that another one goes on with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.base.error import UsageError
from harness.base.text import one_line
from harness.record import journal, store
from harness.record.checks import Status
from harness.record.models import Outcome, RunRecord
from harness.record.origin import SourceRecord

_GOOD = (Status.PASSED, Status.KNOWN, Status.SKIPPED)
# How a phase ended that says nothing of the product.
_NO_RESULT = (Outcome.ENGINE_ERROR, Outcome.INTERRUPTED, Outcome.NOT_RUN)


@dataclass(frozen=True)
class Source:
    """A run that has ended, whatever ended it.

    Attributes:
        directory: its own, no link.
    """

    directory: Path
    record: RunRecord

    @property
    def passed(self) -> frozenset[str]:
        """Ids of the cases that are not to be run again."""
        return frozenset(case.id for case in self.record.cases if case.status in _GOOD)

    @property
    def judged(self) -> frozenset[str]:
        """Ids of the cases that the record has; of a finished run that is all there were."""
        return frozenset(case.id for case in self.record.cases)

    def require_open(self) -> None:
        """Refuses a run of which every phase has a result.

        Raises:
            UsageError: there is nothing to go on with.
        """
        left = any(phase.outcome in _NO_RESULT for phase in self.record.phases)
        if self.record.state == "finished" and not left:
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
    return Source(directory.resolve(), record)


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
