"""Plans every case of a catalog: tasks that are the same are one. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from harness.catalog.catalog import Catalog
from harness.catalog.flavors import Flavor
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
_AGAIN = "straight-again"  # a second execution of what has been executed


def make(
    catalog: Catalog,
    *,
    provider: str,
    parameters: Mapping[str, Any] = MAXIMUM_SWAPPING,
    share: bool = True,
    goal: scale.Goal | None = None,
) -> Plan:
    """Plans every case of a catalog: every flavor with every scenario that applies to it.

    Args:
        provider: what does the swapping: "builtin", "tflms", or "off" for none.
        share: run a phase once when several scenarios need the very same execution.
        goal: how large the steps of a run on a GPU have to be; None on the CPU.
    """
    builder = _Builder(catalog, provider, parameters, share, goal)
    cases = [
        builder.case(pair.flavor, pair.scenario)
        for pair in catalog.pairs()
        if pair.inapplicable is None
    ]
    tasks = groups.grouped(builder.tasks, builder.groupable)
    return Plan(order.by_urgency(tasks), tuple(cases), provider, parameters, catalog.environments)


class _Builder:
    """Collects tasks; two uses with the same identity get the same task."""

    def __init__(
        self,
        catalog: Catalog,
        provider: str,
        parameters: Mapping[str, Any],
        share: bool,
        goal: scale.Goal | None,
    ) -> None:
        self.tasks: dict[str, Task] = {}
        self.groupable: set[str] = set()
        self._sightings = [entry for defect in catalog.defects for entry in defect.sightings]
        self._environments = {flavor.id: flavor for flavor in catalog.environments}
        self._provider = provider
        self._parameters = parameters
        self._share = share
        self._goal = goal
        self._keys: dict[tuple[object, ...], str] = {}

    def case(self, flavor: Flavor, scenario: Scenario) -> Case:
        # A canary tests the harness, with faults that only our own provider can be given.
        provider = "builtin" if scenario.expects is not None else self._provider
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
            if compared and _swaps(place, phase, provider):
                use = use.model_copy(update=self._reference(place, scenario, phase, provider, uses))
            if scenario.straight is not None and phase is scenario.phase[-1]:
                straights = self._straights(place, scenario, phase, scenario.straight, provider)
                use = use.model_copy(update={"straights": straights})
            uses.append(use)
            if scenario.values:
                self.groupable.update((key, *use.straights))
            previous = key
        known = tuple(entry for entry in self._sightings if entry.covers(flavor.id, scenario))
        return Case(flavor, scenario, tuple(uses), provider, known=known)

    def _straights(
        self, flavor: Flavor, scenario: Scenario, phase: Phase, straight: Straight, provider: str
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
        provider: str,
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
            if (task.role, task.flavor) == (phase.role, flavor.id) and task.provider != "off":
                return {"reference": use.key}
        return {}

    def _task(
        self,
        flavor: Flavor,
        scenario: Scenario,
        phase: Phase,
        provider: str,
        previous: str | None,
        control_of: str | None,
        suffix: str = "",
    ) -> str:
        off = control_of is not None or phase.lms == "off"
        provider = "off" if off else provider
        variables = {
            "KERAS": flavor.keras,
            "EXECUTION_MODE": scenario.mode or flavor.mode,
            **flavor.variables,
            **phase.variables,
            **self._scaled(scenario),
        }
        if phase.fault is not None and not off:
            variables["LMS_FAULT"] = phase.fault
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

    def _scaled(self, scenario: Scenario) -> dict[str, str]:
        """One batch scale for all of a scenario: steps that are compared are of the same batch."""
        factor = 1 if self._goal is None else self._goal.scale(scenario.activations_mib)
        return {} if factor == 1 else {scale.VARIABLE: str(factor)}


def _swaps(flavor: Flavor, phase: Phase, provider: str) -> bool:
    """Whether LMS has something to do in a phase, and a reference something to show."""
    idle = phase.role == "predict" and "predict_swapping" in flavor.lacks
    return provider != "off" and phase.role != "convert" and not idle
