"""What runs where: tasks on free places, and again what the infrastructure has brought to an end.

Only the main thread of a run uses it; what executes a task has threads of its own.
"""

from __future__ import annotations

import concurrent.futures
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial

from harness.base.stop import PATIENCE_S, Stop
from harness.base.text import plural
from harness.base.workers import Workers
from harness.measure.gpu import Gpu
from harness.plan.order import Schedule
from harness.plan.plan import Task
from harness.record.models import Attempt, Outcome, PhaseRecord
from harness.run.attempts.attempt import Execution, phase_record
from harness.run.attempts.health import Health
from harness.run.attempts.places import Places

MOST = 2  # attempts of a phase: what ends so in two places is not there by chance
_LOOK_S = 0.2
_STOP_S = 60.0  # a phase gets its grace period, and a daemon time to kill and to tell

Earlier = Mapping[str, Sequence[Attempt]]
Work = Callable[[Sequence[Task], Gpu | None, Earlier], list[Execution]]
_Future = concurrent.futures.Future[list[Execution]]


class Dispatch:
    """The executions of a run.

    Args:
        work: executes a task, or a group, on a GPU or on none, after earlier attempts by key.
        say: tells whoever watches.
        note: tells the reader of the reports.

    Attributes:
        broken: why nothing more is started, or None.
    """

    def __init__(
        self,
        schedule: Schedule,
        places: Places,
        work: Work,
        say: Callable[[str], None],
        note: Callable[[str], None],
    ) -> None:
        self.broken: str | None = None
        self._schedule = schedule
        self._places = places
        self._work = work
        self._say = say
        self._note = note
        self._workers = Workers[list[Execution]](places.count, "phase")
        self._health = Health(places.count)
        self._running: dict[_Future, tuple[Sequence[Task], Gpu | None]] = {}
        self._earlier: dict[str, list[Attempt]] = {}
        self._waiting: dict[str, PhaseRecord] = {}  # of an attempt before another one

    @property
    def running(self) -> list[Sequence[Task]]:
        """What runs: each a task, or a group."""
        return [tasks for tasks, _ in self._running.values()]

    def start(self) -> None:
        """Starts what can, on the places that are free."""
        for gpu in list(self._places.free) if self.broken is None else ():
            tasks = self._schedule.next(partial(self._places.fits, gpu, earlier=self._earlier))
            if tasks is None:
                continue
            self._places.take(gpu, tasks)
            earlier = {task.key: tuple(self._earlier.get(task.key, ())) for task in tasks}
            work = partial(self._work, tasks, gpu, earlier)
            self._running[self._workers.submit(work)] = tasks, gpu

    def collect(self, last: bool = False) -> list[PhaseRecord]:
        """The records of what has ended, and counts; waits for a moment where nothing has.

        Args:
            last: nothing is tried again any more.
        """
        # The timeout lets the interpreter deliver signals to this thread.
        done, _ = concurrent.futures.wait(
            self._running, _LOOK_S, concurrent.futures.FIRST_COMPLETED
        )
        found: list[PhaseRecord] = []
        for future in done:
            tasks, gpu = self._running.pop(future)
            found += self._ended(tasks, gpu, future.result(), last)
        return found

    def wind_up(self, stop: Stop, begun: Collection[str]) -> Iterator[PhaseRecord]:
        """The records of what runs when the run is stopped, as it ends, or does not end in time.

        What has not begun waits itself, and is left behind at once, as all is on a second wish to
        stop.

        Args:
            begun: keys of the tasks whose processes were started.
        """
        began, hurried = time.monotonic(), 0.0
        while self._running:
            now = time.monotonic()
            if stop.hurry.is_set():
                hurried = hurried or now
            for future, (tasks, gpu) in list(self._running.items()):
                started = any(task.key in begun for task in tasks)
                late = began + (_STOP_S if started else PATIENCE_S)
                if now < (min(late, hurried + PATIENCE_S) if hurried else late):
                    continue
                del self._running[future]
                left = {
                    "outcome": Outcome.INTERRUPTED,
                    "reason": "the run was stopped, and it had not ended in time",
                }
                for task in tasks:
                    earlier = self._earlier.get(task.key, ())
                    yield phase_record(task, earlier, gpu).model_copy(update=left)
            yield from self.collect(last=True)

    def waiting(self, task: Task) -> PhaseRecord | None:
        """The record of a task that was to be tried again, and has not been."""
        return self._waiting.get(task.key)

    def close(self) -> None:
        """The threads end, each with what it does."""
        self._workers.close()

    def _ended(
        self,
        tasks: Sequence[Task],
        gpu: Gpu | None,
        executions: Sequence[Execution],
        last: bool,
    ) -> list[PhaseRecord]:
        self._health.ended(next((entry.again for entry in executions if entry.again), None))
        gone = next((entry.gpu_gone for entry in executions if entry.gpu_gone), None)
        self._places.give_back(gpu, gone)
        left = self._places.usable
        if gone is not None and left:
            others = f"{gone}; the run goes on with {plural(len(left), 'other GPU')}"
            self._say(others)
            self._note(others)
        broken = self._places.none_left or self._health.broken
        if broken is not None and self.broken is None:
            self.broken = broken
            self._say(f"stopping: {broken}")
            self._note(broken)
        found, again = [], []
        for task, execution in zip(tasks, executions, strict=True):
            attempt = execution.attempt()
            if execution.again is None or attempt.number >= MOST or last or self.broken is not None:
                self._waiting.pop(task.key, None)
                found.append(execution.record)
                continue
            self._say(f"{task.key}: attempt {attempt.number} does not count: {attempt.reason}")
            self._earlier.setdefault(task.key, []).append(attempt)
            self._waiting[task.key] = execution.record
            again.append(task)
        if again:
            self._schedule.again(again)
        return found
