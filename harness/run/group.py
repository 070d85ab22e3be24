"""Several tasks as one launch: each laid out, and recorded, as if it had run alone."""

from __future__ import annotations

import contextlib
import stat
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import MappingProxyType

from harness.base.error import EngineError, StoppedError
from harness.engine import group
from harness.engine.group import End
from harness.engine.log_file import LIMIT, LogFile
from harness.engine.protocol import Environment, Exit, Launch
from harness.measure import lease
from harness.plan.plan import Task
from harness.record import times
from harness.record.facts import LogFacts
from harness.record.models import BUG, Attempt, Outcome
from harness.run import artifacts
from harness.run.attempts import attempt, blame
from harness.run.attempts.attempt import Execution, phase_record
from harness.run.phase import Executor, facts_of, keep_details, plain, utc

_STREAMS = ("stdout", "stderr")
_CHUNK = 2**20
_MOST = LIMIT + 2**10  # bytes of a log: the group has cut it, and said so in a line


Earlier = Mapping[str, Sequence[Attempt]]


def execute(
    executor: Executor,
    tasks: Sequence[Task],
    environment: Environment,
    earlier: Earlier = MappingProxyType({}),
) -> list[Execution]:
    """Runs tasks of one flavor in one place, and records each. Never raises.

    What the sampler sees is of no single one of them: their records have no samples.

    Args:
        earlier: attempts before this one, by the key of a task.
    """
    if len(tasks) == 1:
        (task,) = tasks
        return [executor.execute(task, environment, earlier.get(task.key, ()))]
    return _Group(executor, tasks, environment, earlier).execute()


class _Group:
    """One launch of several tasks."""

    def __init__(
        self,
        executor: Executor,
        tasks: Sequence[Task],
        environment: Environment,
        earlier: Earlier,
    ) -> None:
        self._executor = executor
        self._earlier = earlier
        self._tasks = tasks
        self._environment = environment
        self._key = str(tasks[0].group)
        self._directory = executor.directory / "groups" / self._key
        self._launches: dict[str, Launch] = {}
        self._executions: dict[str, Execution] = {}
        self._began = datetime.now(timezone.utc)
        self._gpu_gone: str | None = None
        self._recovered = True  # the engine can run phases

    def execute(self) -> list[Execution]:
        """Runs it to its end; what became of each task."""
        try:
            self._lay_out()
            if self._launches:
                self._run()
        except StoppedError:  # while it waited for the GPU
            self._close(Exit(Outcome.INTERRUPTED, None, "the run was stopped"))
        except Exception as problem:  # a worker's exception would be lost with its thread
            again, self._gpu_gone = self._executor.raised(problem)
            self._close(blame.exit_of(problem), again)
        finally:
            for name in ("input", "output"):
                with contextlib.suppress(OSError):
                    artifacts.remove(self._directory / name)
        return [self._executions[task.key] for task in self._tasks]

    def _lay_out(self) -> None:
        """Directories of all phases; one whose input cannot be copied does not run."""
        tried = min(len(self._earlier.get(task.key, ())) for task in self._tasks)
        if tried:
            attempt.put_aside(self._directory, tried)
        (self._directory / "input").mkdir(parents=True)
        (self._directory / "output").mkdir()
        for task in self._tasks:
            directory = self._executor.directory / "phases" / task.key
            place = self._directory / "input" / str(len(self._launches))
            try:
                number = len(self._earlier.get(task.key, ()))
                copy = self._executor.lay_out(task, directory, number, place)
            except Exception as problem:
                self._record(task, End(blame.exit_of(problem)))
                continue
            launch = self._executor.launch(task, self._environment, directory, copy)
            self._launches[task.key] = launch

    def _run(self) -> None:
        launches = list(self._launches.values())
        tasks = [task for task in self._tasks if task.key in self._launches]
        whole = group.launch_of(launches, self._key, self._directory)
        with lease.hold(whole.gpu, self._executor.cancel, self._executor.observer.message):
            self._began = datetime.now(timezone.utc)
            clock = time.monotonic()
            ended, _ = self._executor.measure(tasks, whole)
            seconds = time.monotonic() - clock
        ended, again, self._gpu_gone = self._executor.verdict(ended, LogFacts(), whole)
        self._recovered = again is not None or not ended.transient
        keep_details(self._directory, ended)
        details = {
            **ended.details,
            "group": self._key,
            "group_phases": len(tasks),
            "group_s": round(seconds, 3),
        }
        ends = group.ends(launches, self._directory / "stdout.log", replace(ended, details=details))
        for number, (task, end) in enumerate(zip(tasks, ends, strict=True)):
            try:
                self._take_over(task, number, end)
            except Exception as problem:
                broken = blame.exit_of(problem)
                told = {**end.exit.details, **broken.details}
                self._record(task, replace(end, exit=replace(broken, details=told)))

    def _take_over(self, task: Task, number: int, end: End) -> None:
        """Logs and artifacts from where the group has left them, and the record.

        Raises:
            EngineError: they are not what they have to be.
            OSError: they cannot be copied.
        """
        launch = self._launches[task.key]
        for stream in _STREAMS:
            log = group.log(self._directory, number, stream)
            if _copy_log(log, launch.logs / f"{stream}.log"):
                continue
            if end.exit.outcome is Outcome.COMPLETED:  # all logs are made before the first phase
                raise EngineError(f"its log {log.name} is not there any more")
        ended = blame.without_room(blame.said_by_itself(end.exit, launch), launch.output)
        facts = facts_of(launch)
        times.keep(facts.times, launch.logs)
        try:
            launch.output.rmdir()
            artifacts.take_over(group.artifacts(self._directory, number), launch.output, task.key)
        except EngineError:
            # Nobody reads what a phase has left that did not complete.
            if ended.outcome is Outcome.COMPLETED:
                raise
        again = blame.again(ended, facts, self._executor.gpu is not None)
        again = again if self._recovered else None
        self._record(task, replace(end, exit=ended), facts.untimed, again)

    def _record(
        self, task: Task, end: End, facts: LogFacts | None = None, again: str | None = None
    ) -> None:
        began = self._began + timedelta(seconds=end.began_s or 0.0)
        earlier = self._earlier.get(task.key, ())
        record = phase_record(task, earlier, self._executor.gpu).model_copy(
            update={
                "outcome": end.exit.outcome,
                "exit_code": end.exit.code,
                "reason": end.exit.reason,
                "started": utc(began),
                "duration_s": None if end.seconds is None else round(end.seconds, 3),
                "facts": facts or LogFacts(),
                "details": plain(end.exit.details),
            }
        )
        own = end.exit.outcome is Outcome.INTERRUPTED or BUG in end.exit.details
        if self._gpu_gone is not None and not own:
            again = self._gpu_gone
        self._executions[task.key] = Execution(record, again, self._gpu_gone)
        with contextlib.suppress(OSError):
            keep_details(self._executor.directory / "phases" / task.key, end.exit)

    def _close(self, ended: Exit, again: str | None = None) -> None:
        """Tasks that have no record yet ended like this."""
        for task in self._tasks:
            if task.key not in self._executions:
                self._record(task, End(ended), again=again)


def _copy_log(source: Path, target: Path) -> bool:
    """Copies a log that may be anything by now; its beginning and its end where it is too long.

    Returns:
        Whether it is there.

    Raises:
        EngineError: it is no plain file.
        OSError: it cannot be read or written.
    """
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(source.lstat().st_mode):  # a link leads anywhere, a FIFO to a wait
            raise EngineError(f"its log {source.name} is no plain file any more")
        with source.open("rb", buffering=0) as stream, LogFile(target, _MOST) as log:
            left = 2 * _MOST  # what writes to it yet must not keep this here
            while left and (chunk := stream.read(min(_CHUNK, left))):
                log.write(chunk)
                left -= len(chunk)
        if log.problem is not None:
            raise log.problem
        return True
    return False
