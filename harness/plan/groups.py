"""Which tasks run as one group: in one place, each a fork of one process. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import PurePosixPath

from harness.plan.plan import Plan, Task

TASKS = 12  # of a group; what goes on beside it waits for its end


def grouped(tasks: Mapping[str, Task], members: Collection[str]) -> dict[str, Task]:
    """The tasks, with the groups of those that may be in one.

    A group is of one flavor, one script and one provider, and no task of it can wait for another of
    it or of a group that waits for it: they are equally many inputs away from a task that has none.

    Args:
        tasks: each after its input.
        members: keys of tasks that may be in a group. One with a client runs alone, and so does one
            that starts from nothing.
    """
    depths: dict[str, int] = {}
    alike: dict[tuple[str, str, str, int], list[Task]] = {}
    for key, task in tasks.items():
        depths[key] = 0 if task.input is None else depths[task.input] + 1
        if key in members and task.client is None and not task.cold:
            alike.setdefault((task.flavor, task.script, task.provider, depths[key]), []).append(
                task
            )
    names: Counter[str] = Counter()
    placed = dict(tasks)
    for (flavor, script, _, _), found in alike.items():
        for first in range(0, len(found), TASKS):
            part = found[first : first + TASKS]
            prefix = f"{flavor}.{part[0].family}.{PurePosixPath(script).stem}"
            names[prefix] += 1
            if len(part) > 1:
                name = f"{prefix}.{names[prefix]}"
                placed.update({task.key: replace(task, group=name) for task in part})
    return placed


def compared(plan: Plan) -> Plan:
    """The plan with each phase in one group with the executions that it is compared with.

    These are its control, and its reference where that is no phase itself: nothing waits for them,
    so the group can start as soon as the phase can. One that several phases are compared with is
    in the group of the first. The two of a straight are a group of their own, which can start at
    once. A client runs beside a phase alone, and what starts from nothing is no fork.
    """
    uses = [use for case in plan.cases for use in case.uses]
    phases = {use.key for use in uses}
    free = {
        key: task
        for key, task in plan.tasks.items()
        if task.group is None and task.client is None and not task.cold
    }
    placed = dict(plan.tasks)
    for use in uses:
        others = [key for key in use.keys if key not in phases]
        straights = [key for key in others if key in use.straights]
        beside = [key for key in others if key not in straights]
        for keys in ([use.key, *beside], straights):
            part = [free[key] for key in keys if key in free]
            if len(part) > 1 and part[0].key == keys[0]:
                name = f"{part[0].key}.compared"
                placed.update({task.key: replace(task, group=name) for task in part})
                for task in part:
                    del free[task.key]
    return replace(plan, tasks=placed)
