"""The order of tasks: which comes first, which can start, which wait for another. Pure."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
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

    Tasks of a group start together: once the input of none of them is still to come. Each task is
    handed out once, and its end has to be said by `completed` or by `failed`. An input that is none
    of the tasks is there already. Takes time that grows
    with the tasks and their number's logarithm, whatever they share.

    Raises:
        graphlib.CycleError: tasks wait for each other in a circle.
    """

    def __init__(self, tasks: Mapping[str, Task]) -> None:
        self._tasks = tasks
        self._position = {key: number for number, key in enumerate(tasks)}
        inputs: dict[str, tuple[str, ...]] = {}
        # Of each group: how many tasks are not settled yet, and those that can start.
        self._unsettled: Counter[str] = Counter()
        self._ready: dict[str, list[str]] = {}
        for task in tasks.values():
            known = task.input is not None and task.input in tasks
            inputs[task.key] = (str(task.input),) if known else ()
            if task.group is not None:
                self._unsettled[task.group] += 1
                self._ready[task.group] = []
        self._sorter = TopologicalSorter(inputs)
        self._sorter.prepare()
        self._startable: list[tuple[int, tuple[str, ...]]] = []
        self._enter(self._sorter.get_ready())

    def start(self, count: int) -> list[tuple[Task, ...]]:
        """At most `count` tasks or groups that can start now; they are not handed out again."""
        count = min(count, len(self._startable))
        return [
            tuple(self._tasks[key] for key in heapq.heappop(self._startable)[1])
            for _ in range(count)
        ]

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
        for task in lost:
            if task.group is not None:
                self._settle(task.group)
        return lost

    def _enter(self, keys: Iterable[str]) -> None:
        for key in keys:
            group = self._tasks[key].group
            if group is None:
                self._push((key,))
            else:
                self._ready[group].append(key)
                self._settle(group)

    def _settle(self, group: str) -> None:
        """One more task of a group can start, or never will."""
        self._unsettled[group] -= 1
        if not self._unsettled[group] and self._ready[group]:
            self._push(tuple(sorted(self._ready[group], key=self._position.__getitem__)))

    def _push(self, keys: tuple[str, ...]) -> None:
        heapq.heappush(self._startable, (self._position[keys[0]], keys))


def left(tasks: Mapping[str, Task], done: Collection[str], name: str) -> dict[str, Task]:
    """The tasks without those that are done; a group of which some are is one of this name."""
    halved = {tasks[key].group for key in done}
    return {
        key: replace(task, group=f"{task.group}.{name}")
        if task.group is not None and task.group in halved
        else task
        for key, task in tasks.items()
        if key not in done
    }
