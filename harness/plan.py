"""The plan: which phases run, in what order, and which cases are judged on them. Pure."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.catalog import Catalog, Flavor, Mode, Phase, Scenario, inapplicable, script_path
from harness.record import PhaseUse

MAXIMUM_SWAPPING: Mapping[str, int] = {
    "swapout_threshold": 1,
    "swapin_groupby": 0,
    "swapin_ahead": 1,
    "sync_mode": 3,
}
"""Low swapping hides a frozen graph, so every scenario swaps as much as LMS can."""


@dataclass(frozen=True)
class Task:
    """One execution of one phase.

    Attributes:
        key: unique in the plan, safe as a file name: `<flavor>.<family>.<scenario>.<phase>`.
        input: key of the task whose artifacts this one reads, or None.
        control_of: key of the task that this one is the control of, or None.
        client: path below `scenarios` of the script that runs beside this one, or None.
    """

    key: str
    flavor: str
    family: str
    script: str
    role: str
    provider: str
    parameters: Mapping[str, Any]
    variables: Mapping[str, str]
    input: str | None
    control_of: str | None
    timeout_s: float
    client: str | None = None


@dataclass(frozen=True)
class Case:
    """One flavor and scenario: the unit of verdict."""

    flavor: Flavor
    scenario: Scenario
    uses: tuple[PhaseUse, ...]
    provider: str
    skip: str | None = None

    @property
    def id(self) -> str:
        """`<flavor>.<family>.<scenario>`."""
        return f"{self.flavor.id}.{self.scenario.family}.{self.scenario.id}"

    @property
    def mode(self) -> Mode:
        """How its models run: the scenario's own way, or the flavor's."""
        return self.scenario.mode or self.flavor.mode

    @property
    def unswapped(self) -> dict[str, str]:
        """Roles in which LMS has nothing to swap, each with the flavor's reason."""
        reason = self.flavor.lacks.get("predict_swapping")
        return {} if reason is None else {"predict": reason}

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys of all tasks whose results the case is judged on."""
        return tuple(key for use in self.uses for key in (use.key, use.control) if key is not None)


@dataclass(frozen=True)
class Plan:
    """Tasks in an order in which each comes after its input, and the cases over them.

    Attributes:
        environments: every flavor that a task may run in.
    """

    tasks: Mapping[str, Task]
    cases: tuple[Case, ...]
    provider: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    environments: tuple[Flavor, ...] = ()

    @property
    def flavors(self) -> tuple[str, ...]:
        """Ids of the flavors whose environments the tasks need."""
        return tuple(dict.fromkeys(task.flavor for task in self.tasks.values()))

    @property
    def needed(self) -> tuple[Flavor, ...]:
        """The flavors whose environments the tasks need, in the catalog's order."""
        names = self.flavors
        return tuple(flavor for flavor in self.environments if flavor.id in names)

    def without(self, flavors: Mapping[str, str]) -> Plan:
        """The plan with every case skipped that needs one of these flavors (flavor → reason)."""
        cases = tuple(self._without(case, flavors) for case in self.cases)
        needed = {key for case in cases for key in case.keys}
        tasks = {key: task for key, task in self.tasks.items() if key in needed}
        return Plan(tasks, cases, self.provider, self.parameters, self.environments)

    def _without(self, case: Case, flavors: Mapping[str, str]) -> Case:
        reasons = [
            flavors[name]
            for name in dict.fromkeys(self.tasks[key].flavor for key in case.keys)
            if name in flavors
        ]
        if case.skip or not reasons:
            return case
        return Case(case.flavor, case.scenario, (), case.provider, reasons[0])


def make(
    catalog: Catalog,
    *,
    provider: str,
    parameters: Mapping[str, Any] = MAXIMUM_SWAPPING,
    share: bool = True,
) -> Plan:
    """Plans every case of a catalog.

    Args:
        provider: what does the swapping: "builtin", "tflms", or "off" for none.
        share: run a phase once when several scenarios need the very same execution.
    """
    builder = _Builder(catalog, provider, parameters, share)
    cases = [
        builder.case(flavor, scenario)
        for flavor in catalog.flavors
        for scenario in catalog.scenarios
    ]
    return Plan(
        _by_urgency(builder.tasks), tuple(cases), provider, parameters, catalog.environments
    )


class _Builder:
    """Collects tasks; two uses with the same identity get the same task."""

    def __init__(
        self, catalog: Catalog, provider: str, parameters: Mapping[str, Any], share: bool
    ) -> None:
        self.tasks: dict[str, Task] = {}
        self._environments = {flavor.id: flavor for flavor in catalog.environments}
        self._provider = provider
        self._parameters = parameters
        self._share = share
        self._keys: dict[tuple[object, ...], str] = {}

    def case(self, flavor: Flavor, scenario: Scenario) -> Case:
        # A canary tests the harness, with faults that only our own provider can be given.
        provider = "builtin" if scenario.expects is not None else self._provider
        reason = inapplicable(flavor, scenario)
        if reason is not None:
            return Case(flavor, scenario, (), provider, reason)
        uses: list[PhaseUse] = []
        previous: str | None = None
        for phase in scenario.phase:
            place = flavor if phase.flavor is None else self._environments[phase.flavor]
            key = self._task(place, scenario, phase, provider, previous, None)
            control = None
            if scenario.control and scenario.judged(phase):
                control = self._task(place, scenario, phase, provider, previous, key)
            uses.append(PhaseUse(name=phase.id, key=key, control=control))
            previous = key
        return Case(flavor, scenario, tuple(uses), provider)

    def _task(
        self,
        flavor: Flavor,
        scenario: Scenario,
        phase: Phase,
        provider: str,
        previous: str | None,
        control_of: str | None,
    ) -> str:
        off = control_of is not None or phase.lms == "off"
        provider = "off" if off else provider
        variables = {
            "KERAS": flavor.keras,
            "EXECUTION_MODE": scenario.mode or flavor.mode,
            **flavor.variables,
            **phase.variables,
        }
        script = script_path(scenario, phase.script)
        client = None if phase.client is None else script_path(scenario, phase.client)
        identity = (
            flavor.id,
            script,
            client,
            phase.role,
            provider,
            json.dumps(variables, sort_keys=True),
            previous,
            phase.timeout_s,
            control_of is not None,
            None if self._share else (scenario.family, scenario.id, phase.id),
        )
        if identity in self._keys:
            return self._keys[identity]
        key = f"{flavor.id}.{scenario.family}.{scenario.id}.{phase.id}"
        if control_of is not None:
            key += ".control"
        self._keys[identity] = key
        self.tasks[key] = Task(
            key=key,
            flavor=flavor.id,
            family=scenario.family,
            script=script,
            role=phase.role,
            provider=provider,
            parameters=self._parameters,
            variables=variables,
            input=previous,
            control_of=control_of,
            timeout_s=phase.timeout_s,
            client=client,
        )
        return key


def _by_urgency(tasks: Mapping[str, Task]) -> dict[str, Task]:
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
