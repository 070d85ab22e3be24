"""Managed memory: every case of it waits for a GPU, and its controls are not told of it."""

from __future__ import annotations

from typing import Any

import pytest

from harness.catalog import catalog, providers
from harness.plan import planner, scale
from harness.plan.plan import Plan
from tests.scenarios.phases import SCENARIOS

PROVIDER = "unified_memory"
MANAGED = "TF_FORCE_UNIFIED_MEMORY"


def planned(**how: Any) -> Plan:
    selected = catalog.load(SCENARIOS.parent).select(
        flavors=["tf2-tfkeras", "tf1-tfkeras", "keras3-jax", "keras3-torch"],
        scenarios=["trainsave-loadtrain"],
    )
    managed = providers.chosen(selected.shipped, [PROVIDER])
    return planner.make(selected.swapping_by(managed), **how)


def test_without_a_gpu_each_case_is_skipped_with_the_reason() -> None:
    made = planned()
    assert {case.skip for case in made.cases} == {f"provider {PROVIDER} needs a GPU"}
    assert {case.flavor.id for case in made.cases} == {"tf2-tfkeras", "tf1-tfkeras", "keras3-jax"}
    assert not made.tasks


def test_on_a_gpu_the_environment_of_its_phases_alone_asks_for_managed_memory() -> None:
    made = planned(goal=scale.Goal(activations_mib=512, memory_bytes=16 << 30))
    assert all(case.skip is None and case.way and case.way.effect == "pages" for case in made.cases)
    for task in made.tasks.values():
        assert (MANAGED in task.variables) is (task.control_of is None)


@pytest.mark.parametrize("name", [MANAGED, "XLA_PYTHON_CLIENT_MEM_FRACTION"])
def test_the_fraction_is_above_1_and_small(name: str) -> None:
    (provider,) = providers.chosen(providers.shipped(SCENARIOS.parent), [PROVIDER])
    (way,) = provider.ways
    value = float(way.variables[name])
    assert 1.0 <= value <= 2.0, "much more managed memory than it holds can make a GPU hang"
