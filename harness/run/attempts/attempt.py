"""Attempts of a phase: what each left is kept apart, and told in the record of the last one."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.base import directory as directories
from harness.measure.gpu import Gpu
from harness.plan.plan import Task
from harness.record.models import Attempt, Outcome, PhaseRecord

FOLDER = "attempts"
# What another attempt makes again, and nobody looks at.
_LEFT_OUT = ("artifacts", "input", "output", "client/artifacts")


@dataclass(frozen=True)
class Execution:
    """An attempt of a phase that has ended.

    Attributes:
        record: with the attempts before it.
        again: why it does not count where the phase can be tried again; None: it counts.
        gpu_gone: why its GPU can be used by nothing any more, or None.
    """

    record: PhaseRecord
    again: str | None = None
    gpu_gone: str | None = None

    def attempt(self) -> Attempt:
        """What the record of the next attempt says of this one."""
        record = self.record
        number = len(record.attempts) + 1
        return Attempt(
            number=number,
            outcome=record.outcome,
            reason=record.reason if self.again is None else self.again,
            started=record.started,
            duration_s=record.duration_s,
            gpu=record.gpu,
            directory=f"{record.directory}/{FOLDER}/{number}",
        )


def put_aside(directory: Path, number: int) -> None:
    """Makes room for the next attempt: what this one has left goes into `attempts/<number>`.

    Its artifacts and inputs are removed. A directory that is not there is fine.

    Args:
        directory: of a phase, or of a group.

    Raises:
        OSError: it cannot be moved.
    """
    if not directory.exists():
        return
    for name in _LEFT_OUT:
        directories.remove(directory / name)
    # A directory cannot be moved into itself; those of earlier attempts stay where they are.
    beside = directory.with_name(f".{directory.name}.{secrets.token_hex(4)}")
    directory.rename(beside)
    earlier = beside / FOLDER
    directory.mkdir()
    if earlier.exists():
        earlier.rename(directory / FOLDER)
    (directory / FOLDER).mkdir(exist_ok=True)
    beside.rename(directory / FOLDER / str(number))


def phase_record(
    task: Task, earlier: Sequence[Attempt] = (), gpu: Gpu | None = None
) -> PhaseRecord:
    """The record of a task that has not run, or not again."""
    return PhaseRecord(
        key=task.key,
        flavor=task.flavor,
        family=task.family,
        script=task.script,
        role=task.role,
        provider=task.provider,
        parameters=dict(task.parameters),
        control_of=task.control_of,
        input_of=task.input,
        outcome=Outcome.NOT_RUN,
        directory=f"phases/{task.key}",
        gpu=None if gpu is None else gpu.uuid,
        attempts=list(earlier),
    )


def not_run(task: Task, reason: str) -> PhaseRecord:
    """The record of a task that has not run, with the reason."""
    return phase_record(task).model_copy(update={"reason": reason})
