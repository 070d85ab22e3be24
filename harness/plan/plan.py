"""The plan: the tasks of a run in the order in which they start, and the cases over them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from harness.catalog.defects import Sighting
from harness.catalog.entry import Accelerator, Mode
from harness.catalog.flavors import Flavor
from harness.catalog.providers import Provider, Way
from harness.catalog.scenarios import Scenario
from harness.record.models import PhaseUse, case_id


@dataclass(frozen=True)
class Task:
    """One execution of one phase.

    Attributes:
        key: unique in the plan, safe as a file name: `<flavor>.<family>.<scenario>.<phase>`.
        input: key of the task whose artifacts this one reads, or None.
        control_of: key of the task that this one is the control of, or None.
        client: path below `scenarios` of the script that runs beside this one, or None.
        group: name of the group whose tasks run in one place, one after the other, or None.
        cold: it starts from nothing, and is no fork of a process that has imported the framework,
            as that reads some of its variables.
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
    group: str | None = None
    cold: bool = False


@dataclass(frozen=True)
class Case:
    """One flavor, scenario and provider: the unit of verdict.

    Attributes:
        skip: what this machine lacks for it, or None.
        known: the checks of it that fail for a known defect.
        accelerator: where it runs.
    """

    flavor: Flavor
    scenario: Scenario
    uses: tuple[PhaseUse, ...]
    provider: Provider
    skip: str | None = None
    known: tuple[Sighting, ...] = ()
    accelerator: Accelerator = field(default="virtual", compare=False)

    @property
    def id(self) -> str:
        """`<flavor>.<family>.<scenario>[.<provider>]`."""
        scenario = self.scenario
        return case_id(self.flavor.id, scenario.family, scenario.id, self.provider.id)

    @property
    def mode(self) -> Mode:
        """How its models run: the scenario's own way, or the flavor's."""
        return self.scenario.mode or self.flavor.mode

    @cached_property
    def unswapped(self) -> dict[str, str]:
        """Roles in which LMS has nothing to swap, each with the provider's or flavor's reason."""
        idle = {
            role: f"provider {self.provider.id} does nothing in a phase that {role}s"
            for role in ("train", "predict")
            if self.way is not None and role not in self.way.roles
        }
        reason = self.flavor.lacks.get("predict_swapping")
        return idle if reason is None else {**idle, "predict": reason}

    @cached_property
    def way(self) -> Way | None:
        """The provider's class for the case's mode, backend and accelerator."""
        return self.provider.way(self.mode, self.flavor.backend, self.accelerator)

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys of all tasks whose results the case is judged on."""
        return tuple(key for use in self.uses for key in use.keys)


@dataclass(frozen=True)
class Plan:
    """Tasks in an order in which each comes after its input, and the cases over them.

    Attributes:
        provider: the names of what swaps, with commas between them.
        providers: the same, by name.
        environments: every flavor that a task may run in.
    """

    tasks: Mapping[str, Task]
    cases: tuple[Case, ...]
    provider: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    environments: tuple[Flavor, ...] = ()
    providers: Mapping[str, Provider] = field(default_factory=dict)

    @property
    def flavors(self) -> tuple[str, ...]:
        """Ids of the flavors whose environments the tasks need."""
        return tuple(dict.fromkeys(task.flavor for task in self.tasks.values()))

    @property
    def needed(self) -> tuple[Flavor, ...]:
        """The flavors whose environments the tasks need, in the catalog's order."""
        names = self.flavors
        return tuple(flavor for flavor in self.environments if flavor.id in names)

    def having(self, flavor: Flavor) -> Plan:
        """The plan with this flavor in the place of the one that has its id."""
        cases = tuple(
            replace(case, flavor=flavor) if case.flavor.id == flavor.id else case
            for case in self.cases
        )
        environments = tuple(
            flavor if other.id == flavor.id else other for other in self.environments
        )
        return replace(self, cases=cases, environments=environments)

    def resting_on(self, controls: bool, references: bool, straights: bool) -> Plan:
        """The plan without the executions of these kinds that are not wanted.

        What a phase is compared with stays where it is a phase of the case itself.
        """
        cases = tuple(
            replace(
                case,
                uses=tuple(
                    use.model_copy(
                        update={
                            "control": use.control if controls else None,
                            "reference": use.reference if references else None,
                            "straights": use.straights if straights else [],
                        }
                    )
                    for use in case.uses
                ),
            )
            for case in self.cases
        )
        needed = {key for case in cases for key in case.keys}
        tasks = {key: task for key, task in self.tasks.items() if key in needed}
        return replace(self, tasks=tasks, cases=cases)

    def without(self, flavors: Mapping[str, str]) -> Plan:
        """The plan with every case skipped that needs one of these flavors (flavor → reason)."""
        cases = tuple(self._without(case, flavors) for case in self.cases)
        needed = {key for case in cases for key in case.keys}
        tasks = {key: task for key, task in self.tasks.items() if key in needed}
        return replace(self, tasks=tasks, cases=cases)

    def _without(self, case: Case, flavors: Mapping[str, str]) -> Case:
        reasons = [
            flavors[name]
            for name in dict.fromkeys(self.tasks[key].flavor for key in case.keys)
            if name in flavors
        ]
        if case.skip or not reasons:
            return case
        return replace(case, uses=(), skip=reasons[0], known=())
