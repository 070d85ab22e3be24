"""Plans every case of a catalog: tasks that are the same are one. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.catalog.catalog import Catalog
from harness.catalog.entry import Accelerator
from harness.catalog.flavors import Flavor
from harness.catalog.providers import BUILTIN, OFF, Provider
from harness.catalog.scenarios import Phase, Reference, Scenario, Straight, script_path
from harness.plan import groups, order, scale
from harness.plan.plan import Case, Plan, Task
from harness.record.models import PhaseUse

MAXIMUM_SWAPPING: Mapping[str, int] = {
    "swapout_threshold": 1,
    "swapin_groupby": 0,
    "swapin_ahead": 1,
    "sync_mode": 3,
}
"""Low swapping hides a frozen graph, so every scenario swaps as much as LMS can."""
_WHERE = {"gpu": "a GPU", "virtual": "the virtual accelerator"}
_AGAIN = "straight-again"  # a second execution of what has been executed


def make(
    catalog: Catalog,
    *,
    parameters: Mapping[str, Any] = MAXIMUM_SWAPPING,
    share: bool = True,
    goal: scale.Goal | None = None,
) -> Plan:
    """Plans every case of a catalog: every flavor with every scenario that applies to it.

    A case whose provider does not work on the accelerator is skipped.

    Args:
        share: run a phase once when several scenarios need the very same execution.
        goal: how large the steps of a run on a GPU have to be; None on the CPU.
    """
    builder = _Builder(catalog, parameters, share, goal)
    cases = [
        builder.case(pair.flavor, pair.scenario, pair.provider)
        for pair in catalog.pairs()
        if pair.inapplicable is None
    ]
    tasks = groups.grouped(builder.tasks, builder.groupable)
    return Plan(
        order.by_urgency(tasks),
        tuple(cases),
        ",".join(entry.id for entry in catalog.providers),
        parameters,
        catalog.environments,
        {entry.id: entry for entry in catalog.providers},
    )


class _Builder:
    """Collects tasks; two uses with the same identity get the same task."""

    def __init__(
        self,
        catalog: Catalog,
        parameters: Mapping[str, Any],
        share: bool,
        goal: scale.Goal | None,
    ) -> None:
        self.tasks: dict[str, Task] = {}
        self.groupable: set[str] = set()
        self._sightings = [entry for defect in catalog.defects for entry in defect.sightings]
        self._environments = {flavor.id: flavor for flavor in catalog.environments}
        self._parameters = parameters
        self._share = share
        self._goal = goal
        self._accelerator: Accelerator = "virtual" if goal is None else "gpu"
        self._keys: dict[tuple[object, ...], str] = {}

    def case(self, flavor: Flavor, scenario: Scenario, provider: Provider) -> Case:
        case = Case(flavor, scenario, (), provider, accelerator=self._accelerator)
        if case.way is not None and case.accelerator not in case.way.accelerators:
            where = " or ".join(_WHERE[entry] for entry in case.way.accelerators)
            return replace(case, skip=f"provider {provider.id} needs {where}")
        uses: list[PhaseUse] = []
        previous: str | None = None
        for phase in scenario.phase:
            place = flavor if phase.flavor is None else self._environments[phase.flavor]
            key = self._task(place, scenario, phase, provider, previous, None)
            control = None
            if scenario.control and scenario.judged(phase):
                control = self._task(place, scenario, phase, provider, previous, key)
            use = PhaseUse(name=phase.id, key=key, control=control)
            compared = scenario.judged(phase) and scenario.about_state is None
            idle = replace(case, flavor=place).unswapped
            swaps = phase.role != "convert" and phase.role not in idle and provider.id != OFF
            if compared and swaps:
                use = use.model_copy(update=self._reference(place, scenario, phase, provider, uses))
            if scenario.straight is not None and phase is scenario.phase[-1]:
                straights = self._straights(place, scenario, phase, scenario.straight, provider)
                use = use.model_copy(update={"straights": straights})
            uses.append(use)
            if scenario.values:
                self.groupable.update((key, *use.straights))
            previous = key
        known = tuple(
            entry for entry in self._sightings if entry.covers(flavor.id, scenario, provider.id)
        )
        return replace(case, uses=tuple(uses), known=known)

    def _straights(
        self,
        flavor: Flavor,
        scenario: Scenario,
        phase: Phase,
        straight: Straight,
        provider: Provider,
    ) -> list[str]:
        """Keys of the two executions of the uninterrupted training."""
        changes = {
            "script": straight.script,
            "client": None,
            "lms": "on",
            "fault": None,
            "variables": straight.variables,
        }
        whole = phase.model_copy(update=changes)
        return [
            self._task(flavor, scenario, whole, provider, None, None, suffix)
            for suffix in ("straight", _AGAIN)
        ]

    def _reference(
        self,
        flavor: Flavor,
        scenario: Scenario,
        phase: Phase,
        provider: Provider,
        earlier: Sequence[PhaseUse],
    ) -> dict[str, Any]:
        """What swapping after the load is compared with, as fields of a `PhaseUse`."""
        if isinstance(phase.reference, Reference):
            # What LMS_… variables break in a phase, for canaries, is whole in its reference.
            kept = {
                name: value
                for name, value in phase.variables.items()
                if not name.startswith("LMS_")
            }
            told = {"LMS_REFERENCE": "1"} if phase.reference.loads else {}
            changes = {
                "script": phase.reference.script or phase.script,
                "client": None if phase.reference.script else phase.client,
                "lms": "on",
                "fault": None,
                "variables": {**kept, **phase.reference.variables, **told},
            }
            fresh = phase.model_copy(update=changes)
            key = self._task(flavor, scenario, fresh, provider, None, None, "reference")
            return {"reference": key, "reference_declared": True}
        if phase.reference is not None:
            (key,) = [use.key for use in earlier if use.name == phase.reference]
            return {"reference": key, "reference_declared": True}
        for use in reversed(earlier):
            task = self.tasks[use.key]
            if (task.role, task.flavor) == (phase.role, flavor.id) and task.provider != OFF:
                return {"reference": use.key}
        return {}

    def _task(
        self,
        flavor: Flavor,
        scenario: Scenario,
        phase: Phase,
        provider: Provider,
        previous: str | None,
        control_of: str | None,
        suffix: str = "",
    ) -> str:
        off = control_of is not None or phase.lms == "off"
        variables = {
            "KERAS": flavor.keras,
            "EXECUTION_MODE": scenario.mode or flavor.mode,
            **flavor.variables,
            **phase.variables,
            **self._scaled(scenario),
        }
        if phase.fault is not None and not off:
            variables["LMS_FAULT"] = phase.fault
        mode = variables["EXECUTION_MODE"]
        way = provider.way(mode, flavor.backend, self._accelerator)
        cold = phase.cold
        if way is not None and not off:
            variables.update(way.variables)
            cold = cold or bool(way.variables)
        script = script_path(scenario, phase.script)
        client = None if phase.client is None else script_path(scenario, phase.client)
        identity = (
            flavor.id,
            script,
            client,
            phase.role,
            OFF if off else provider.id,
            json.dumps(variables, sort_keys=True),
            previous,
            phase.timeout_s,
            cold,
            control_of is not None,
            suffix if suffix == _AGAIN else "",
            None if self._share else (scenario.family, scenario.id, phase.id),
        )
        if identity in self._keys:
            return self._keys[identity]
        key = f"{flavor.id}.{scenario.family}.{scenario.id}.{phase.id}"
        if control_of is not None:
            key += ".control"
        if suffix:
            key += f".{suffix}"
        if provider.id not in (BUILTIN.id, OFF):
            key += f".{provider.id}"
        self._keys[identity] = key
        self.tasks[key] = Task(
            key=key,
            flavor=flavor.id,
            family=scenario.family,
            script=script,
            role=phase.role,
            provider=OFF if off else provider.id,
            parameters=self._parameters,
            variables=variables,
            input=previous,
            control_of=control_of,
            timeout_s=phase.timeout_s,
            client=client,
            cold=cold,
        )
        return key

    def _scaled(self, scenario: Scenario) -> dict[str, str]:
        """One batch scale for all of a scenario: steps that are compared are of the same batch."""
        factor = 1 if self._goal is None else self._goal.scale(scenario.activations_mib)
        return {} if factor == 1 else {scale.VARIABLE: str(factor)}
