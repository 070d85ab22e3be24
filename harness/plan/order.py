"""The order of tasks: which comes first, which can start, which wait for another. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from harness.plan.plan import Plan, Task


def by_urgency(tasks: Mapping[str, Task]) -> dict[str, Task]:
    """Flavor by flavor, tasks that most others wait for come first.

    A save with nine readers that starts last would leave the other cores idle until it ends.
    """
    waiting: dict[str, int] = dict.fromkeys(tasks, 0)
    for task in reversed(list(tasks.values())):
        if task.input is not None:
            waiting[task.input] += 1 + waiting[task.key]
    flavors = list(dict.fromkeys(task.flavor for task in tasks.values()))
    order = sorted(
        tasks.values(), key=lambda task: (flavors.index(task.flavor), -waiting[task.key])
    )
    placed: dict[str, Task] = {}
    for task in order:
        chain = [task]
        while chain[-1].input is not None and chain[-1].input not in placed:
            chain.append(tasks[chain[-1].input])  # of another flavor
        placed.update({entry.key: entry for entry in reversed(chain)})
    return placed


def ready(pending: Iterable[Task], completed: Collection[str]) -> Iterator[Task]:
    """Those of the pending tasks that can start now: their input has completed."""
    return (task for task in pending if task.input is None or task.input in completed)


def dependents(plan: Plan, key: str) -> Iterator[Task]:
    """Tasks that need the artifacts of a task, directly or through others."""
    for task in plan.tasks.values():
        if task.input == key:
            yield task
            yield from dependents(plan, task.key)
