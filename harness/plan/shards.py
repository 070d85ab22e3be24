"""Shards: the parts that a plan is run in, each on a machine of its own. Pure.

Cases that share a task stay together: each task is run once, in one shard, and whatever a case is
compared with ran where the case ran. Groups are no bond: their tasks do not know of each other, so
a group that is of several shards is one group in each. In the largest plan there is, no more than
a twelfth of all tasks hangs together, so nothing has to be split for the sake of balance.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.base.error import UsageError
from harness.plan.partners import partners
from harness.plan.plan import Case, Plan, Task

MOST = 1000
_SHARD = re.compile(r"0*([1-9][0-9]{0,3})/0*([1-9][0-9]{0,3})")


@dataclass(frozen=True)
class Shard:
    """One part of a plan: `number`, from 1, of `count`."""

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def parse(text: str) -> Shard:
    """The shard that a text such as `2/5` names.

    Raises:
        UsageError: it names none.
    """
    found = _SHARD.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"--shard (SHARD): {text!r} is no shard, such as 2/5: the second of five")
    shard = Shard(int(found[1]), int(found[2]))
    if shard.number > shard.count or shard.count > MOST:
        most = f" of at most {MOST}" if shard.count > MOST else ""
        raise UsageError(f"--shard (SHARD): {text!r}: the number is from 1 to the count{most}")
    return shard


@dataclass(frozen=True)
class Bundle:
    """Cases that share tasks, directly or through others, and all of these tasks."""

    cases: tuple[str, ...]
    tasks: tuple[str, ...]


def bundles(plan: Plan) -> list[Bundle]:
    """The plan's cases in bundles, in the plan's order; a case without tasks is one of its own."""
    name_of = partners(plan.cases)
    cases: dict[tuple[str, ...], list[str]] = {}
    for case in plan.cases:
        name = (name_of[case.keys[0]],) if case.keys else ("alone", case.id)
        cases.setdefault(name, []).append(case.id)
    tasks: dict[tuple[str, ...], list[str]] = {}
    for key in plan.tasks:
        tasks.setdefault((name_of[key],), []).append(key)
    return [Bundle(tuple(ids), tuple(tasks.get(name, ()))) for name, ids in cases.items()]


def weights(tasks: Mapping[str, Task], durations: Mapping[str, float]) -> dict[str, float]:
    """How long each task takes, in seconds; where nothing is known at all, each the same.

    One that is not known takes as long as the others of its script and flavor do on average, else
    as those of its script, else as all.

    Args:
        durations: seconds by key of a task, of those that are known.
    """
    known: dict[tuple[str, ...], list[float]] = {}
    for task in tasks.values():
        seconds = durations.get(task.key)
        if seconds is not None:
            for kind in _kinds(task):
                known.setdefault(kind, []).append(seconds)
    means = {kind: sum(found) / len(found) for kind, found in known.items()}
    return {
        key: durations.get(key, next((means[k] for k in _kinds(task) if k in means), 1.0))
        for key, task in tasks.items()
    }


def assign(plan: Plan, count: int, durations: Mapping[str, float]) -> dict[str, int]:
    """The number of the shard that each case is of, by the case's id, in the plan's order.

    The longest bundle comes first, each to the shard that has least to do (longest processing time
    first: Graham, 1969). Equal ones are told apart by names, so that the same plan and durations
    give the same shards on every machine.
    """
    seconds = weights(plan.tasks, durations)
    loads = [0.0] * count
    sizes = [0] * count  # where nothing takes time, cases are spread by their number
    found: dict[str, int] = {}
    weighed = [
        (round(sum(seconds[key] for key in bundle.tasks), 3), bundle) for bundle in bundles(plan)
    ]
    for weight, bundle in sorted(weighed, key=lambda entry: (-entry[0], min(entry[1].cases))):
        place = min(range(count), key=lambda number: (loads[number], sizes[number], number))
        loads[place] += weight
        sizes[place] += len(bundle.cases)
        found.update(dict.fromkeys(bundle.cases, place + 1))
    return {case.id: found[case.id] for case in plan.cases}


def part(plan: Plan, shard: Shard, assigned: Mapping[str, int]) -> Plan:
    """The plan of one shard, its groups named after it.

    Args:
        assigned: see `assign`.
    """
    whole = only(plan, [case for case in plan.cases if assigned[case.id] == shard.number])
    end = f"{shard.number}of{shard.count}"
    tasks = {
        key: task if task.group is None else replace(task, group=f"{task.group}.{end}")
        for key, task in whole.tasks.items()
    }
    return replace(whole, tasks=tasks)


def only(plan: Plan, cases: Sequence[Case]) -> Plan:
    """The plan with some of its cases, and the tasks that they need with what these read."""
    needed = {key for case in cases for key in case.keys}
    for task in reversed(list(plan.tasks.values())):  # each comes after its input
        if task.key in needed and task.input is not None:
            needed.add(task.input)
    tasks = {key: task for key, task in plan.tasks.items() if key in needed}
    return replace(plan, tasks=tasks, cases=tuple(cases))


def _kinds(task: Task) -> tuple[tuple[str, ...], ...]:
    return (task.flavor, task.script, task.provider), (task.flavor, task.script), (task.script,), ()
