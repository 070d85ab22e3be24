"""The record of a run while it goes on: what has ended is in its journal, then in its reports."""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

from harness.base import directory as directories
from harness.base.error import HarnessError
from harness.base.text import one_line
from harness.catalog.flavors import Flavor
from harness.comparison import baseline as baselines
from harness.comparison import comparison
from harness.comparison.baseline import Baseline
from harness.engine.protocol import Environment
from harness.history import database
from harness.measure.gpu import Gpu
from harness.plan import identity
from harness.plan.plan import Plan, Task
from harness.record import store
from harness.record.journal import Journal
from harness.record.models import CaseRecord, FlavorRecord, Outcome, PhaseRecord, RunRecord
from harness.report.files import reports
from harness.resumption import takeover
from harness.resumption.source import Source
from harness.resumption.takeover import Takeover
from harness.run.phase import plain, utc
from harness.run.settings import Settings

State = Literal["finished", "interrupted", "aborted", "crashed"]

_AGAIN_S = 3.0  # how long the last record is tried again where there is no room for it
_PAUSE_S = 0.2


class Recording:
    """The record, and the directory that it is kept in.

    Attributes:
        directory: the run's.
        phases: records of the phases that have ended, by key.
        record: as it was when the run began, with its notes; the last one after `end`.
        identities: of the run's tasks, by key, as soon as they are known.
    """

    def __init__(
        self,
        record: RunRecord,
        directory: Path,
        flavors: Iterable[Flavor],
        keys: Sequence[str],
        cases: Callable[[], list[CaseRecord]],
        baseline: Baseline | None = None,
    ) -> None:
        """Makes the directory, and begins the journal.

        Args:
            flavors: those that the run has a case of.
            keys: of all phases, in the order of the record.
            cases: those that have been judged, in the order of the record.
            baseline: what the last record is compared with.

        Raises:
            OSError: they cannot be made.
        """
        self.directory = directory
        self.record = record
        self.phases: dict[str, PhaseRecord] = {}
        self.identities: Mapping[str, str] = {}
        self._flavors = {
            flavor.id: FlavorRecord(id=flavor.id, description=flavor.description)
            for flavor in flavors
        }
        # By flavor, what the first phase that told it said of its environment.
        self._said: dict[str, Mapping[str, Any]] = {}
        self._keys = keys
        self._cases = cases
        self._baseline = baseline
        self._began = time.monotonic()
        self._next_write = 0.0
        self._unwritten = False
        directory.mkdir(parents=True)
        self._journal = Journal(directory)

    def add_notes(self, *notes: str) -> None:
        """Adds notes, each once."""
        self.record.notes.extend(note for note in notes if note not in self.record.notes)

    def identify(
        self, plan: Plan, environments: Mapping[str, Environment], place: Mapping[str, object]
    ) -> None:
        """Works out what each task's execution follows from.

        Args:
            environments: by flavor.
            place: the GPU's model, and the threads of a phase.
        """
        known = {name: environment.provenance for name, environment in environments.items()}
        processor = {"processor": self.record.host.get("processor")}
        self.identities = identity.identities(
            plan, self.record.basis, known, {**place, **processor}
        )

    def takeover(self, source: Source, tasks: Mapping[str, Task]) -> Takeover:
        """Takes over what a run has completed of these tasks; see `takeover.take_over`."""
        inputs = {key: task.input for key, task in tasks.items()}
        return takeover.take_over(
            source, self.directory, inputs, self.identities, self.record.basis
        )

    def adopt(self, taken: Takeover) -> None:
        """Says of the record what was taken over, and from which runs."""
        self.add_notes(taken.note)
        self.record.sources.extend(taken.sources)

    def note_flavor(self, flavor: str, **facts: Any) -> None:
        """Adds facts to a flavor's record; one that the run has no case of has none."""
        if flavor in self._flavors:
            self._flavors[flavor] = self._flavors[flavor].model_copy(update=facts)

    def add_phase(self, record: PhaseRecord) -> None:
        """Keeps a phase that has ended.

        Raises:
            HarnessError: it is known, and cannot be written.
        """
        if record.outcome is Outcome.COMPLETED and not record.identity:
            update = {"identity": self.identities.get(record.key, "")}
            record = record.model_copy(update=update)
        self.phases[record.key] = record
        if record.facts.environment:
            self._said.setdefault(record.flavor, record.facts.environment)
        self._unwritten = True
        try:
            self._journal.phase(record)
        except OSError as problem:
            raise self._refused(problem) from problem

    def add_case(self, record: CaseRecord) -> None:
        """Keeps a case that was judged.

        Raises:
            HarnessError: it cannot be written.
        """
        self._unwritten = True
        try:
            self._journal.case(record)
        except OSError as problem:
            raise self._refused(problem) from problem

    def write(self) -> None:
        """Brings the reports up to date.

        The pause until the next time grows with the time that it takes, so that it stays below 5 %
        of a run of any size.

        Raises:
            HarnessError: they cannot be written.
        """
        begin = time.monotonic()
        self._unwritten = False
        reports.write_all(self._snapshot(), self.directory)
        now = time.monotonic()
        self._next_write = now + 20 * (now - begin)

    def keep_up(self) -> None:
        """Writes the reports where something has ended since, and the pause is over.

        Raises:
            HarnessError: they cannot be written, or their disk is full: all that runs is in vain.
        """
        if self._unwritten and time.monotonic() >= self._next_write:
            self.write()
        try:
            disk = os.statvfs(self.directory)
            if disk.f_blocks and not disk.f_bavail:
                directories.require_room(self.directory)
        except OSError as problem:
            raise self._refused(problem) from problem

    def end(self, state: State) -> RunRecord:
        """Writes the last record; where there is no room for it, again for a while.

        Raises:
            HarnessError: it could not be written; `record` is it nevertheless.
        """
        self.record = self.record.model_copy(update={"state": state, "finished": utc()})
        self.record = self._compared(self._snapshot())
        # The reports show the history, so the run is in it before they are written.
        note = database.note_of(self.record, self.directory.parent)
        if note is not None:
            self.add_notes(note)
        late = time.monotonic() + _AGAIN_S
        while True:
            try:
                reports.write_all(self.record, self.directory)
            except HarnessError as refused:
                if not no_room(refused) or time.monotonic() >= late:
                    self._journal.close(whole=False)
                    raise
                time.sleep(_PAUSE_S)
            else:
                self._journal.close(whole=True)
                return self.record

    def _compared(self, record: RunRecord) -> RunRecord:
        if self._baseline is None:
            return record
        try:
            found = comparison.compare(self._baseline, baselines.of([record]))
        except Exception as error:  # the record of a run that took hours must not be lost
            self.add_notes(one_line(f"the run could not be compared with its baseline: {error!r}"))
            return record
        return record.model_copy(update={"comparison": found})

    def _refused(self, problem: OSError) -> HarnessError:
        return HarnessError(f"cannot write reports below {self.directory}: {problem.strerror}")

    def _snapshot(self) -> RunRecord:
        return self.record.model_copy(
            update={
                "duration_s": round(time.monotonic() - self._began, 3),
                "flavors": [self._with_versions(flavor) for flavor in self._flavors.values()],
                "cases": self._cases(),
                "phases": [self.phases[key] for key in self._keys if key in self.phases],
            }
        )

    def _with_versions(self, flavor: FlavorRecord) -> FlavorRecord:
        """Adds what the phases themselves said of their environment."""
        added = {
            name: value if isinstance(value, str) else json.dumps(value, sort_keys=True)
            for name, value in self._said.get(flavor.id, {}).items()
        }
        provenance = {**flavor.provenance, **added}
        return flavor.model_copy(update={"provenance": provenance}) if added else flavor


def begun(
    plan: Plan, settings: Settings, engine: str, gpus: Sequence[Gpu], host: Mapping[str, Any]
) -> RunRecord:
    """The record of a run that begins, with an id of its own.

    Args:
        engine: its name.
        host: facts of the machine and of the engine.
    """
    now = datetime.now(timezone.utc)
    return RunRecord(
        id=store.new_id(now),
        state="running",
        started=utc(now),
        engine=engine,
        accelerator="gpu" if gpus else "virtual",
        provider=plan.provider,
        parameters=dict(plan.parameters),
        share=settings.share,
        strict=settings.strict,
        command=settings.command,
        gpu=plain(asdict(gpus[0])) if gpus else None,
        gpus=[plain(asdict(gpu)) for gpu in gpus] if len(gpus) > 1 else [],
        host=dict(host),
        notes=list(settings.notes),
        basis=dict(settings.basis),
        options=dict(settings.given),
        shard=settings.shard,
        resumes="" if settings.source is None else settings.source.record.id,
    )


def no_room(problem: BaseException) -> bool:
    """Whether it was raised because a disk is full, or a quota is used up."""
    cause = problem if isinstance(problem, OSError) else problem.__cause__
    return isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT)
