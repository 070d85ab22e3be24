"""The order of tasks: which comes first, which can start, which wait for another. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from graphlib import TopologicalSorter

from harness.plan.plan import Task


def by_urgency(tasks: Mapping[str, Task]) -> dict[str, Task]:
    """Flavor by flavor, tasks that most others wait for come first.

    A save with nine readers that starts last would leave the other cores idle until it ends.
    """
    waiting: dict[str, int] = dict.fromkeys(tasks, 0)
    for task in reversed(list(tasks.values())):
        if task.input is not None:
            waiting[task.input] += 1 + waiting[task.key]
    flavors: dict[str, int] = {}
    for task in tasks.values():
        flavors.setdefault(task.flavor, len(flavors))
    order = sorted(tasks.values(), key=lambda task: (flavors[task.flavor], -waiting[task.key]))
    placed: dict[str, Task] = {}
    for task in order:
        chain = [task]
        while chain[-1].input is not None and chain[-1].input not in placed:
            chain.append(tasks[chain[-1].input])  # of another flavor
        placed.update({entry.key: entry for entry in reversed(chain)})
    return placed


class Schedule:
    """What can start, while tasks end; in the order of the tasks where several can.

    Each task is handed out once, and its end has to be said by `completed` or by `failed`. Takes
    time that grows with the tasks and their number's logarithm, whatever they share.

    Raises:
        graphlib.CycleError: tasks wait for each other in a circle.
    """

    def __init__(self, tasks: Mapping[str, Task]) -> None:
        self._tasks = tasks
        self._position = {key: number for number, key in enumerate(tasks)}
        self._sorter = TopologicalSorter(
            {task.key: () if task.input is None else (task.input,) for task in tasks.values()}
        )
        self._sorter.prepare()
        self._startable: list[tuple[int, str]] = []
        self._enter(self._sorter.get_ready())

    def start(self, count: int) -> list[Task]:
        """At most `count` tasks that can start now; they are not handed out again."""
        count = min(count, len(self._startable))
        return [self._tasks[heapq.heappop(self._startable)[1]] for _ in range(count)]

    def completed(self, key: str) -> None:
        """A task has completed: those that read what it left can start."""
        self._sorter.done(key)
        self._enter(self._sorter.get_ready())

    def failed(self, key: str) -> list[Task]:
        """A task has not completed.

        Returns:
            Those that need its artifacts, directly or through others: they never start.
        """
        lost: list[Task] = []
        ended: tuple[str, ...] = (key,)
        while ended:
            # What gets ready here waited for this task alone: all else was taken in before.
            self._sorter.done(*ended)
            ended = self._sorter.get_ready()
            lost += (self._tasks[name] for name in ended)
        return lost

    def _enter(self, keys: Iterable[str]) -> None:
        for key in keys:
            heapq.heappush(self._startable, (self._position[key], key))
